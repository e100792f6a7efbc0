"""`liandong worktime add`: its answers, its words when it refuses, its lines."""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys

import pytest

from dispatcher.cli import worktime


def run(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    worktime.register(parser.add_subparsers())
    args = parser.parse_args(["worktime", "add", *argv])
    code = args.handler(args)
    assert isinstance(code, int)
    return code


def test_one_question_is_answered_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    code = run("2026-02-14T10:00:00+08:00", "1", "--json", "--division", "630102")

    answer = json.loads(capsys.readouterr().out)
    assert code == 0
    assert answer.pop("calendar_version") != ""
    assert answer == {
        "start": "2026-02-14T10:00:00+08:00",
        "n": 1,
        "due": "2026-02-24T17:30:00+08:00",
        "provisional": False,
        "division": "630102",
    }


def test_one_question_is_answered_for_people_who_are_told_what_is_provisional(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("2026-02-14T02:00:00Z", "1") == 0
    assert run("2026-12-31T02:00:00Z", "1") == 0

    settled, open_ = capsys.readouterr().out.splitlines()
    assert settled == "2026-02-24T17:30:00+08:00"
    assert open_.startswith("2027-01-04T17:30:00+08:00(暂定")


def test_lines_are_answered_one_by_one_and_a_bad_line_spoils_only_itself(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "2026-02-14T10:00:00+08:00 1\nrubbish\n\n2026-09-30 09:00:00+08:00 5\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))

    code = run("--json")

    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 2
    assert [answer.get("due", "")[:10] for answer in answers] == ["2026-02-24", "", "", "2026-10-13"]
    assert all(("error" in answer) == ("due" not in answer) for answer in answers)


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["2026-02-14T10:00:00", "1"], "no time zone"),
        (["yesterday", "1"], "no time"),
        (["2026-02-14T10:00:00+08:00", "-1"], "negative"),
        (["2026-02-14T10:00:00+08:00", "1.5"], "no number of working days"),
        (["2026-02-14T10:00:00+08:00", "999999999"], "years 1 to 9999"),
        (["2026-02-14T10:00:00+08:00", "1", "--division", "qinghai"], "GB/T 2260"),
        (["2026-02-14T10:00:00+08:00"], "give START and N"),
        ([], "give START and N"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_words(
    argv: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(*argv)

    printed = capsys.readouterr()
    assert code == 2
    assert printed.out == ""
    assert told in printed.err


def test_the_command_starts_without_the_heavy_libraries() -> None:
    code = "import sys, dispatcher.cli.worktime; print(*sorted({n.split('.')[0] for n in sys.modules}))"

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert {"sqlalchemy", "aiohttp", "twisted", "apscheduler", "pandas"}.isdisjoint(loaded)
