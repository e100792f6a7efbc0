"""`liandong calendar` and `liandong policy` at the prompt: shown without a database, all faults at once, nothing half-done."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import ROOT, Run

EXAMPLE = ROOT / "docs" / "examples" / "notice-2027-example.toml"
BAD = """
[layer]
id = "bad"
name = "坏"
division = "000000"
source = "test"

[[year]]
year = 2027
status = "confirmed"
source = "test"

[[holiday]]
year = 2027
name = "元旦"
from = "2027-01-32"

[[holiday]]
year = 2027
name = "春节"
from = "2027-02-05"
until = "2027-02-12"
work = ["2027-02-08"]

[[frame]]
hours = [["08:30", "12:00"], ["11:00", "17:30"]]
"""


def test_the_calendar_is_shown_without_a_database_and_none_is_made(liandong: Run, tmp_path: Path) -> None:
    ran = liandong("calendar", "show", "--year", "2026", "--json")

    shown = json.loads(ran.stdout)
    assert ran.returncode == 0
    assert sum(shown["year"]["workdays"]) == 248, "as the domain's source counts 2026"
    assert shown["year"]["status"] == "confirmed"
    assert "2026-02-14" in shown["year"]["made_up"]
    assert not (tmp_path / "var").exists()


def test_meetings_are_listed_with_their_next_dates(liandong: Run) -> None:
    told = json.loads(
        liandong("calendar", "meetings", "--from", "2026-09-01", "--count", "2", "--json").stdout
    )

    dates = {line["id"]: [one["at"][:10] for one in line["dates"]] for line in told["meetings"]}
    assert dates["consultation-quarter"] == ["2026-09-28", "2026-12-25"], "the 25th of September is a holiday"
    assert dates["consultation-half-year"][0] == "2026-12-28"


def test_questions_that_make_no_sense_are_refused_by_name(liandong: Run) -> None:
    for words, named in (
        (("calendar", "show", "--division", "63"), "--division"),
        (("calendar", "show", "--year", "99"), "--year"),
        (("calendar", "meetings", "--from", "soon"), "--from"),
        (("calendar", "meetings", "--count", "0"), "--count"),
        (("calendar", "diff", "nowhere.toml"), "nowhere.toml"),
        (("calendar", "load", str(EXAMPLE)), "db upgrade"),
        (("policy", "show"), "没有这个数据库"),
    ):
        ran = liandong(*words)

        assert ran.returncode == 2
        assert named in ran.stderr
        assert "Traceback" not in ran.stderr


def test_every_fault_of_a_notice_is_named_at_once_and_nothing_is_loaded(
    liandong: Run, tmp_path: Path
) -> None:
    assert liandong("db", "upgrade").returncode == 0
    (tmp_path / "bad.toml").write_text(BAD)

    ran = liandong("calendar", "load", "bad.toml")

    assert ran.returncode == 2
    for word in ("2027-01-32", "11:00", "bad.toml"):
        assert word in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not any(
        layer["loaded"] for layer in json.loads(liandong("calendar", "show", "--json").stdout)["layers"]
    )


def test_a_notice_is_loaded_at_the_prompt_and_shown_with_its_order(liandong: Run) -> None:
    assert liandong("db", "upgrade").returncode == 0

    loaded = liandong("calendar", "load", str(EXAMPLE), "--by", "王工")
    shown = json.loads(liandong("calendar", "show", "--year", "2027", "--json").stdout)

    assert loaded.returncode == 0, loaded.stderr
    assert shown["year"]["status"] == "confirmed"
    assert "2027-02-14" in shown["year"]["made_up"]
    assert [(one["state"], one["by"]) for one in shown["orders"]] == [("done", "cli:王工")]
    assert {layer["id"]: layer["loaded"] for layer in shown["layers"]}["national-2027-example"]


def test_applying_a_policy_takes_two_persons_with_a_reason_each(liandong: Run) -> None:
    assert liandong("db", "upgrade").returncode == 0

    ran = liandong("policy", "apply", "--by", "甲", "--second", "甲", "--reason", " ", "--second-reason", "x")

    assert ran.returncode == 2
    for word in ("--second", "--reason", "--second-reason"):
        assert word in ran.stderr
