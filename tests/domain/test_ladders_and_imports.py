"""Rungs: their order, whom they reach, outages; and what import, erasure and new calendars do to deadlines."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from dispatcher.domain import commands as c
from dispatcher.domain import effects as f
from dispatcher.domain import events as e
from dispatcher.domain.errors import AgainstRule, BadField, WrongStage
from dispatcher.domain.values import SafeContact, Stage
from tests.support.cases import HEATING, KNIFE, LAMP, LIGHTING, WATER, CaseBook
from tests.support.library import AGENT, AUDITOR, at, clerk, leaders_only, library, with_rosters

MINUTE = timedelta(minutes=1)


def _milestones(book: CaseBook, case: UUID, clock: str) -> list[e.MilestoneReached]:
    return [x for x in book.events(case) if isinstance(x, e.MilestoneReached) and x.clock == clock]


# ladders


def test_a_general_limit_climbs_from_the_unit_lead_to_inspection_at_nine_in_the_morning() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.signed()

    book.until("2026-03-31 10:00")

    assert [(x.milestone, x.due, x.told) for x in _milestones(book, case, "handle")[1:]] == [
        ("limit", at("2026-03-16 17:30"), ()),
        ("rung:urge", at("2026-03-17 09:00"), ("unit-lead",)),
        ("rung:deputy-head", at("2026-03-18 09:00"), ("unit-deputy-head", "platform-supervisor")),
        ("rung:head-and-bulletin", at("2026-03-20 09:00"), ("unit-head", "bulletin")),
        ("rung:inspection", at("2026-03-24 09:00"), ("inspection", "unit-head")),
    ]


def test_a_late_platform_is_told_at_once_and_its_supervisor_half_an_hour_later() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.register(HEATING)

    book.until("2026-03-02 10:41")

    assert book.told(case, "assign") == [
        ("limit", "platform-squad-leader"),
        ("rung:supervisor", "platform-supervisor"),
    ]


def test_a_rung_that_reaches_nobody_says_so_and_the_ladder_goes_on() -> None:
    roster = library().organisation.unit(WATER).roster
    book = CaseBook("2026-03-02 10:00", with_rosters(**{f"u{WATER}": leaders_only(roster)}))
    case = book.register(HEATING)
    book.do(c.AssignCase(case=case, lead=WATER))

    book.until("2026-03-02 11:46")

    rungs = _milestones(book, case, "sign")
    assert [(x.milestone, x.told, x.nobody) for x in rungs] == [
        ("limit", ("unit-duty-phone", "platform-squad-leader"), ()),
        ("rung:duty-leader", ("unit-duty-leader",), ()),
        ("rung:deputy", ("platform-supervisor",), ("unit-deputy",)),
        ("rung:deputy#2", ("platform-supervisor",), ("unit-deputy",)),
    ]


def test_the_rounds_an_outage_swallowed_count_once() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.register(HEATING)
    book.do(c.AssignCase(case=case, lead=WATER))
    book.until("2026-03-02 11:31")

    book.outage("2026-03-03 08:02")

    rounds = [x.milestone for x in _milestones(book, case, "sign") if x.milestone.startswith("rung:deputy")]
    assert rounds == ["rung:deputy", "rung:deputy#2"]
    assert [armed.due for armed in book.run(case, "sign").armed] == [at("2026-03-03 08:15")]


def test_a_late_case_tells_the_citizen_unless_contact_is_unsafe() -> None:
    book = CaseBook("2026-03-02 10:00")
    told, silent = book.signed(), book.register(LAMP, safe_contact=SafeContact(texts=False))
    book.do(c.AssignCase(case=silent, lead=LIGHTING))

    book.until("2026-03-16 17:31")

    late = [sent.case for sent in book.effects(f.TellCitizen) if sent.template == "late-apology"]
    assert late == [told]


# safe contact


def test_whoever_must_not_be_called_is_checked_on_file() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.register(LAMP, confidential=True)
    book.do(c.AssignCase(case=case, lead=LIGHTING))
    book.do(c.SignFor(case=case), clerk(LIGHTING))
    book.reply(case)
    book.finish(case)

    events = book.do(c.CallBack(case=case, reached=True))

    assert [x.outcome for x in events if isinstance(x, e.CaseCalledBack)] == ["on-file"]


def test_whoever_named_hours_is_called_in_them() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.register(LAMP, safe_contact=SafeContact(from_hour=9, until_hour=12))
    book.do(c.AssignCase(case=case, lead=LIGHTING))
    book.do(c.SignFor(case=case), clerk(LIGHTING))
    book.reply(case)
    book.finish(case)
    book.until("2026-03-02 14:00")

    with pytest.raises(AgainstRule, match="from 9 to 12"):
        book.do(c.CallBack(case=case, reached=True))
    book.until("2026-03-03 09:30")
    book.do(c.CallBack(case=case, reached=True))

    assert book.case(case).stage is Stage.CALLED_BACK


# import


def test_an_imported_case_arms_only_what_lies_ahead_and_tells_nobody_what_is_past() -> None:
    book = CaseBook("2026-03-19 10:00")  # its total ended the evening before

    case = book.register(LAMP, received=at("2026-03-02 09:00"), imported=True)

    total = book.run(case, "total")
    assert total.breached == at("2026-03-18 17:30")
    assert [skipped.milestone for skipped in total.skipped] == ["amber", "limit", "rung:supervisor"]
    assert [armed.milestone for armed in total.armed] == ["rung:inspection"]
    book.until("2026-03-25 09:01")
    assert book.told(case, "total") == [("rung:inspection", "inspection")]


def test_an_imported_case_that_is_still_in_time_is_like_any_other() -> None:
    book = CaseBook("2026-03-03 10:00")

    case = book.register(LAMP, received=at("2026-03-02 09:00"), imported=True)

    assert book.run(case, "total").skipped == ()
    assert {armed.milestone for armed in book.run(case, "total").armed} == {"amber", "limit"}


def test_a_later_deadline_of_an_imported_case_is_told_like_any_other() -> None:
    book = CaseBook("2026-03-03 10:00")
    case = book.register(LAMP, received=at("2026-03-02 09:00"), imported=True)
    book.do(c.AssignCase(case=case, lead=LIGHTING))
    book.do(c.SignFor(case=case), clerk(LIGHTING))
    book.until("2026-03-16 10:00")
    book.reply(case)
    book.until("2026-03-19 10:00")

    book.do(c.SendBackReply(case=case, words="没有照片"), AGENT)
    book.wait(MINUTE)

    assert book.told(case, "handle") == [
        ("amber", "unit-lead"),
        ("rung:urge", "unit-lead"),
        ("rung:deputy-head", "unit-deputy-head"),
        ("rung:deputy-head", "platform-supervisor"),
    ]


@pytest.mark.parametrize(("hours", "lines"), [(1, {"110", "120"}), (50, set())])
def test_danger_of_days_ago_alarms_nobody_and_danger_of_an_hour_ago_does(hours: int, lines: set[str]) -> None:
    book = CaseBook("2026-03-03 10:00")

    book.register(KNIFE, received=book.now - timedelta(hours=hours), imported=True)

    assert {sent.line for sent in book.effects(f.AlertLine)} == lines


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ({"received": "2026-03-02 09:00"}, "received"),
        ({"received": "2026-03-05 10:00"}, "received"),
        ({"received": "0001-01-01 00:00", "imported": True}, "received"),
        ({"division": "999999"}, "division"),
        ({"words": "不是\x00文字"}, "words"),
        ({"title": "题" * 201}, "title"),
        ({"words": "长" * 20_001}, "words"),
        ({"first_platform": "P" * 201}, "first_platform"),
        ({"first_platform": "\x00"}, "first_platform"),
    ],
)
def test_an_intake_that_cannot_be_true_is_refused_by_field(words: dict[str, object], field: str) -> None:
    book = CaseBook("2026-03-03 10:00")
    given = {k: at(v) if k == "received" and isinstance(v, str) else v for k, v in words.items()}

    with pytest.raises(BadField) as refused:
        book.register(**given)  # type: ignore[arg-type]

    assert refused.value.field == field
    assert book.log == []


# holds and erasure


def test_a_legal_hold_stops_erasure_and_what_was_erased_takes_no_more_words() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.register(LAMP)
    book.do(c.WithdrawCase(case=case, words="已解决"))
    book.do(c.HoldCase(case=case, reason="诉讼保全"), AUDITOR)
    with pytest.raises(WrongStage):
        book.do(c.EraseCase(case=case, basis="保存期满"), AUDITOR)
    book.do(c.ReleaseHold(case=case, reason="解除"), AUDITOR)

    book.do(c.EraseCase(case=case, basis="保存期满"), AUDITOR)

    assert book.case(case).erased
    for again in (c.SupplementCase(case=case, words="再说一句"), c.EraseCase(case=case, basis="保存期满")):
        with pytest.raises(WrongStage):
            book.do(again, AGENT if isinstance(again, c.SupplementCase) else AUDITOR)
