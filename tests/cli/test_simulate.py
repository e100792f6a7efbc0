"""simulate: a seeded stretch of time in memory, its notices proved by a second set of books."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from uuid import UUID

import msgspec
import pytest

from adapters.rehearsal.chance import Chances
from adapters.rehearsal.moves import agent
from adapters.rehearsal.year import Shape, arrivals, days_of
from dispatcher.cli.memory import Remembering
from dispatcher.cli.notice_proof import NoticeProof
from dispatcher.cli.simulate import interval
from dispatcher.data_files import packaged_files
from dispatcher.domain import commands as c
from dispatcher.domain.case import Case
from dispatcher.domain.library import Library
from dispatcher.domain.product import LiandongProduct
from dispatcher.domain.stream import Change, StreamRef, Submission
from dispatcher.releases import build_library
from dispatcher.runtime.clock import jitter
from dispatcher.settings import load_settings
from routing_rules.demo import demo_messages
from routing_rules.ruling import Hints

Run = Callable[..., CompletedProcess[str]]

AT = datetime(2025, 3, 4, 2, tzinfo=UTC)


def test_the_same_seed_gives_the_same_year_and_every_expected_notice_and_no_other(
    liandong: Run, tmp_path: Path
) -> None:
    words = ("simulate", "--months", "2", "--cases", "250", "--from", "2025-10-01", "--division", "630100")

    first = liandong(*words, "--json")
    again = liandong(*words, "--json", "--report", "year.html")

    assert first.returncode == 0, first.stderr + first.stdout[:2000]
    report, repeated = json.loads(first.stdout), json.loads(again.stdout)
    for told in (report, repeated):
        del told["seconds"], told["memory_mb"]
    assert report == repeated
    run = report["run"]
    assert run["registered"] == sum(report["days"].values()) == 250
    assert run["proof"]["expected"] == run["proof"]["sent"] > 500
    assert run["proof"]["instants_checked"] > 500
    assert run["left_open"] == 0
    assert run["kept_most"] < run["cases"]
    assert report["units"][0]["low"] <= report["units"][0]["share"] <= report["units"][0]["high"]
    page = (tmp_path / "year.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "http" not in page, "it needs nothing from outside"
    assert not list(tmp_path.glob("*.db")), "no database is touched"


def test_another_policy_is_played_over_the_same_calls(liandong: Run, tmp_path: Path) -> None:
    policy = tmp_path / "tighter"
    policy.mkdir()
    for name, content in packaged_files("policy").items():
        text = content.decode()
        tighter = text.replace("working_days = 10\n  target_days = 5", "working_days = 2\n  target_days = 1")
        assert tighter != text
        (policy / name).write_text(tighter, encoding="utf-8")

    done = liandong("simulate", "--months", "1", "--cases", "150", "--policy", str(policy), "--json")

    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr + done.stdout[:2000]
    mine, other = report["run"], report["other"]
    assert mine["policy"] != other["policy"]
    assert mine["registered"] == other["registered"] == 150
    late = [
        next(line["late"] for line in run["clocks"] if line["clock"] == "handle") for run in (mine, other)
    ]
    assert late[1] > late[0], "two days instead of ten"


def test_every_fault_of_the_question_is_told_at_once(liandong: Run) -> None:
    done = liandong("simulate", "--months", "0", "--cases", "-1", "--from", "never", "--division", "999999")

    assert done.returncode == 2
    for option in ("--months", "--cases", "--from", "--division"):
        assert option in done.stderr


@pytest.fixture(scope="module")
def library() -> Library:
    """The packaged releases."""
    data = load_settings(None, {}).data
    return build_library(data, "630000")


@pytest.fixture
def registered(library: Library) -> tuple[UUID, Change, LiandongProduct]:
    """A case at 12345 that waits to be assigned, and the product that made it."""
    case = UUID(int=7)
    command = c.RegisterCase(
        case=case,
        platform="12345-630100",
        number="12345-630100-2025-0000001",
        title="暖气不热",
        words="家里暖气一点都不热",
        channel="phone",
        division="630102",
        received=AT,
    )
    product = LiandongProduct(library)
    sent = Submission(message_id=UUID(int=8), command=command, actor=agent("12345-630100"))
    return case, product.handle({sent.command.streams()[0]: None}, sent, now=AT), product


def test_a_letter_that_was_not_planned_and_one_too_many_are_both_found(
    library: Library, registered: tuple[UUID, Change, LiandongProduct]
) -> None:
    id_, change, product = registered
    ref = StreamRef(kind="case", id=id_)
    case = change.states[ref]
    assert isinstance(case, Case)
    run = next(run for run in case.running if run.clock == "assign")
    late = run.due + timedelta(microseconds=1)
    fallen = product.handle({ref: case}, product.expire(ref, "assign", "limit", run.due), now=late)
    assert fallen.effects
    proof, deaf, double = NoticeProof(library), NoticeProof(library), NoticeProof(library)
    for books in (proof, deaf, double):
        books.see(id_, None, change, AT)

    proof.see(id_, case, fallen, late)
    deaf.see(id_, case, msgspec.structs.replace(fallen, effects=()), late)
    double.see(id_, case, msgspec.structs.replace(fallen, effects=fallen.effects * 2), late)

    assert proof.result(late).holds, proof.result(late).faults
    assert deaf.result(late).missing == len(fallen.effects)
    assert double.result(late).extra == len(fallen.effects)


def test_a_milestone_that_never_falls_falls_late_or_was_never_armed_is_found(
    library: Library, registered: tuple[UUID, Change, LiandongProduct]
) -> None:
    id_, change, product = registered
    ref = StreamRef(kind="case", id=id_)
    case = change.states[ref]
    assert isinstance(case, Case)
    run = next(run for run in case.running if run.clock == "assign")
    hour_late = run.due + timedelta(hours=1)
    fallen = product.handle({ref: case}, product.expire(ref, "assign", "limit", run.due), now=hour_late)
    silent, slow, sudden = NoticeProof(library), NoticeProof(library), NoticeProof(library)
    silent.see(id_, None, change, AT)
    slow.see(id_, None, change, AT)

    slow.see(id_, case, fallen, hour_late)
    sudden.see(id_, case, fallen, hour_late)

    assert silent.result(hour_late).never_fell >= 1
    assert slow.result(run.due).late == 1
    assert sudden.result(AT).not_armed == 1


def test_a_remembered_ruling_is_the_ruling(library: Library) -> None:
    remembering = Remembering.of(library)

    for message in demo_messages(packaged_files("demo")["messages.toml"])[:40]:
        for hour in (3, 3, 15):
            asked = {"line": message.line, "division": message.division, "at": AT.replace(hour=hour)}
            hints = Hints(channel=message.channel)
            assert remembering.rule(message.text, hints=hints, **asked) == library.rule(  # type: ignore[arg-type]
                message.text,
                hints=hints,
                **asked,  # type: ignore[arg-type]
            )


def test_heating_swells_with_its_season_and_a_storm_brings_its_own_calls() -> None:
    messages = demo_messages(packaged_files("demo")["messages.toml"])
    chances = Chances(3, jitter)
    days = days_of(date(2025, 1, 1), 365, lambda day: day.weekday() > 4, chances, Shape())

    calls = list(arrivals(days, 20_000, messages, (), chances, Shape()))

    assert len(calls) == 20_000
    assert [call.at for call in calls] == sorted(call.at for call in calls)
    warm = [call.at for call in calls if "暖" in call.title + call.text]
    october = sum(1 for at in warm if at.month == 10 and 15 <= at.day < 22)
    july = sum(1 for at in warm if at.month == 7)
    assert october > 10 * max(july, 1)
    by_day = {day.day: 0 for day in days}
    for call in calls:
        by_day[call.at.date()] += 1
    storm = next(day.day for day in days if day.storm)
    usual = sorted(by_day.values())[len(by_day) // 2]
    assert by_day[storm] > 2 * usual
    assert 6 * sum(call.at.hour == 3 for call in calls) < sum(call.at.hour == 10 for call in calls)


def test_the_interval_of_a_share_holds_it_and_narrows_with_what_was_seen() -> None:
    low, high = interval(5, 50)
    narrow_low, narrow_high = interval(500, 5000)

    assert low < 0.1 < high
    assert low < narrow_low < 0.1 < narrow_high < high
    assert interval(0, 3)[0] == 0.0
