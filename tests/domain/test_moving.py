"""A newer calendar, or another policy, over open cases: counted again once, told to nobody, nobody made late by it."""

from __future__ import annotations

from uuid import UUID

import pytest

from dispatcher.data_files import packaged_files
from dispatcher.domain import commands as c
from dispatcher.domain import effects as f
from dispatcher.domain import events as e
from dispatcher.domain.library import Library
from dispatcher.domain.stream import SYSTEM, DeadlineState, StreamRef, Submission
from dispatcher.domain.values import Stage
from dispatcher.releases import EVENT_WORDS
from routing_rules.policy import Policy
from routing_rules.policy_files import compile_policy
from routing_rules.ruling import Urgency
from tests.support.cases import LAMP, LIGHTING, CaseBook
from tests.support.library import LEADER, SUPERVISOR, at, clerk, library, with_calendars

_CALENDAR = """
[layer]
id = "national"
name = "全国"
division = "000000"
source = "test"

[[year]]
year = 2026
status = "confirmed"
source = "test"
{coming}
[[frame]]
hours = [["08:30", "12:00"], ["14:00", "17:30"]]
"""
_NOTICE = """
[[year]]
year = 2027
status = "confirmed"
source = "test"

[[holiday]]
year = 2027
name = "元旦"
from = "2027-01-01"
until = "2027-01-03"
"""


def test_a_new_notice_moves_provisional_limits_once_with_before_and_after() -> None:
    before = with_calendars({"national.toml": _CALENDAR.format(coming="").encode()})
    book = CaseBook("2026-12-21 10:00", before)
    case = book.signed()
    old = book.run(case, "handle")
    assert old.provisional
    book.product.library = with_calendars({"national.toml": _CALENDAR.format(coming=_NOTICE).encode()})

    events = book.all_of(c.MoveDeadlines(case=case, batch="notice-2027"), SYSTEM)

    moved = next(x for x in events if isinstance(x, e.DeadlinesMoved))
    assert set(moved.moved) >= {"total", "handle"}
    new = book.run(case, "handle")
    assert (old.due, new.due) == (at("2027-01-04 17:30"), at("2027-01-05 17:30"))
    assert not new.provisional
    assert book.all_of(c.MoveDeadlines(case=case, batch="notice-2027"), SYSTEM) == ()


def test_a_new_notice_keeps_what_extensions_and_redos_have_made_of_a_limit() -> None:
    before = with_calendars({"national.toml": _CALENDAR.format(coming="").encode()})
    book = CaseBook("2026-12-21 10:00", before)
    case = book.signed()
    book.do(c.AskExtension(case=case, days=3, words="等配件"), clerk(LIGHTING))
    book.do(c.DecideExtension(case=case, grant=True), LEADER)
    book.product.library = with_calendars({"national.toml": _CALENDAR.format(coming=_NOTICE).encode()})

    book.all_of(c.MoveDeadlines(case=case, batch="notice-2027"), SYSTEM)

    assert book.due(case, "handle") == at("2027-01-08 17:30")


BEFORE = with_calendars({"national.toml": _CALENDAR.format(coming="").encode()})
AFTER = with_calendars({"national.toml": _CALENDAR.format(coming=_NOTICE).encode()})
ORDER = """
[layer]
id = "snow"
name = "大雪停工"
division = "630100"
kind = "order"
issued = "2026-12-28"
source = "test"

[[year]]
year = 2026
status = "confirmed"
source = "test"

[[holiday]]
year = 2026
name = "停工"
from = "2026-12-15"
"""


def _move(book: CaseBook, case: UUID, **more: str) -> tuple[e.AnyEvent, ...]:
    return book.all_of(c.MoveDeadlines(case=case, batch="b", reason="通知", **more), SYSTEM)


def test_before_after_rule_and_reason_are_on_record() -> None:
    book = CaseBook("2026-12-21 10:00", BEFORE)
    case = book.signed()
    book.product.library = AFTER

    moved = next(x for x in _move(book, case) if isinstance(x, e.DeadlinesMoved))

    assert (moved.batch, moved.reason) == ("b", "通知")
    handle = next(one for one in moved.moves if one.clock == "handle")
    assert (handle.before, handle.after) == (at("2027-01-04 17:30"), at("2027-01-05 17:30"))
    assert handle.rule == "10 working days from 2026-12-21 by 630102"
    assert not handle.provisional


def test_a_paused_case_follows_the_notice_and_runs_on_by_it() -> None:
    book = CaseBook("2026-12-21 10:00", BEFORE)
    case = book.signed()
    book.do(c.AskPause(case=case, why="finding", days=5), clerk(LIGHTING))
    book.do(c.DecidePause(case=case, grant=True), LEADER)
    book.product.library = AFTER

    _move(book, case)

    assert book.run(case, "handle").paused is not None
    assert not any(key[1] == "handle" for key in book.deadlines), "what is paused is not armed"
    book.until("2026-12-22 10:00")
    book.do(c.ResumeCase(case=case), clerk(LIGHTING))
    assert book.due(case, "handle") == at("2027-01-06 17:30")


def test_a_reply_sent_back_after_the_notice_runs_on_by_it() -> None:
    book = CaseBook("2026-12-21 10:00", BEFORE)
    case = book.replied()
    book.product.library = AFTER
    _move(book, case)

    book.do(c.SendBackReply(case=case, words="没有修好"), LEADER)

    run = book.run(case, "handle")
    assert (run.due, run.provisional) == (at("2027-01-05 17:30"), False)


def test_a_rung_in_unpublished_days_is_provisional_and_moves_though_its_limit_has_fallen() -> None:
    book = CaseBook("2026-12-14 10:00", BEFORE)
    case = book.signed()
    book.until("2026-12-29 10:00")
    run = book.run(case, "handle")
    assert (run.due, run.level, run.armed[0].milestone) == (at("2026-12-28 17:30"), 1, "rung:deputy-head")
    book.until("2026-12-30 10:00")
    armed = book.run(case, "handle").armed[0]
    assert (armed.milestone, armed.due, armed.provisional) == (
        "rung:head-and-bulletin",
        at("2027-01-01 09:00"),
        True,
    )
    told = len(book.sent)
    book.product.library = AFTER

    _move(book, case)

    armed = book.run(case, "handle").armed[0]
    assert (armed.due, armed.provisional) == (at("2027-01-04 09:00"), False)
    assert len(book.sent) == told
    assert book.run(case, "handle").breached is not None


def test_a_limit_that_had_fallen_too_early_is_set_anew_and_those_who_were_told_are_not_told_again() -> None:
    book = CaseBook("2026-12-21 10:00", BEFORE)
    case = book.signed()
    book.until("2027-01-05 10:00")
    assert book.run(case, "handle").breached is not None
    assert book.told(case, "handle")[-1] == ("rung:urge", "unit-lead")
    book.product.library = AFTER

    changes = _changes(book, case)

    assert (case, "handle", "limit") not in changes, "what has fired stays fired"
    assert changes[case, "handle", "limit#2"] is DeadlineState.ARMED
    run = book.run(case, "handle")
    assert (run.due, run.breached) == (at("2027-01-05 17:30"), None)
    assert run.level == 1, "how far it had climbed is not forgotten"
    book.until("2027-01-08 12:00")
    told = book.told(case, "handle")
    assert told.count(("rung:urge", "unit-lead")) == 1
    assert ("rung:deputy-head", "unit-deputy-head") in told


def _changes(book: CaseBook, case: UUID) -> dict[tuple[UUID, str, str], DeadlineState]:
    ref = StreamRef(kind=c.CASE, id=case)
    sent = Submission(message_id=case, command=c.MoveDeadlines(case=case, batch="b"), actor=SYSTEM)
    change = book.product.handle({ref: book.states[ref]}, sent, now=book.now)
    _move(book, case)
    return {(one.ref.id, one.clock, one.milestone): one.state for one in change.deadlines}


def test_a_limit_that_a_notice_puts_into_the_past_ends_at_the_close_of_that_day() -> None:
    long_rest = _NOTICE.replace("confirmed", "provisional").replace("2027-01-03", "2027-01-06")
    book = CaseBook(
        "2026-12-21 10:00", with_calendars({"national.toml": _CALENDAR.format(coming=long_rest).encode()})
    )
    case = book.signed()
    assert book.due(case, "handle") == at("2027-01-08 17:30")
    book.until("2027-01-07 10:00")
    book.product.library = AFTER  # under which it would have ended on 5 January

    _move(book, case)

    assert book.due(case, "handle") == at("2027-01-07 17:30")
    assert book.run(case, "handle").breached is None


def test_a_limit_that_is_falling_at_this_moment_falls_and_is_settled_by_the_notice() -> None:
    book = CaseBook("2026-12-21 10:00", BEFORE)
    case = book.signed()
    late = CaseBook(
        "2027-01-06 10:00", AFTER
    )  # nobody settled anything for a day: its limit of the 4th is still armed
    late.states, late.deadlines, late.rows, late.log = book.states, book.deadlines, book.rows, book.log

    _move(late, case)

    assert not late.run(case, "handle").provisional
    assert _move(late, case) == ()
    late.outage("2027-01-06 10:00")
    assert late.run(case, "handle").breached is not None
    assert _move(late, case) == ()


def test_an_order_that_makes_a_settled_last_day_one_of_rest_rolls_the_limit_to_the_next_working_day() -> None:
    files = packaged_files("calendars")
    book = CaseBook("2026-12-01 10:00", with_calendars(files))
    case = book.signed()
    assert book.due(case, "handle") == at("2026-12-15 17:30")
    book.product.library = with_calendars({**files, "snow.toml": ORDER.encode()})

    events = _move(book, case)

    assert book.due(case, "handle") == at("2026-12-16 17:30")
    assert book.due(case, "total") == at("2026-12-15 17:30"), "the province did not order it"
    assert any(isinstance(x, e.DeadlinesMoved) for x in events)
    assert _move(book, case) == ()


# another policy


def _policy(*changes: tuple[str, str]) -> Policy:
    text = packaged_files("policy")["qinghai.toml"].decode()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return compile_policy({"qinghai.toml": text.encode()}, events=EVENT_WORDS)


_GENERAL = """  when = { urgency = ["general"] }
  working_days = 10
  target_days = 5
  amber_days_left = 1
  ladder = "overdue"
"""


def _knowing(policy: Policy) -> Library:
    return with_calendars(packaged_files("calendars"), policy)


def test_an_open_case_keeps_its_policy_until_another_is_applied_to_it() -> None:
    shorter = _policy((_GENERAL, _GENERAL.replace("= 10", "= 7")))
    book = CaseBook("2026-03-02 10:00", _knowing(shorter))
    book.product.library = library()
    case = book.signed()
    book.product.library = _knowing(shorter)
    assert book.due(case, "handle") == at("2026-03-16 17:30")
    assert _move(book, case) == (), "a newer policy by itself moves nothing"

    events = _move(book, case, policy=shorter.digest)

    assert book.due(case, "handle") == at("2026-03-11 17:30")
    assert book.case(case).policy == shorter.digest
    moved = next(x for x in events if isinstance(x, e.DeadlinesMoved))
    assert (moved.policy, {one.clock for one in moved.moves}) == (shorter.digest, {"handle"})
    assert _move(book, case, policy=shorter.digest) == ()


def test_a_policy_that_would_have_ended_before_counts_from_now_and_nobody_is_late_by_it() -> None:
    shorter = _policy((_GENERAL, _GENERAL.replace("= 10", "= 3").replace("= 5", "= 2")))
    book = CaseBook("2026-03-02 10:00", library())
    case = book.signed()
    book.until("2026-03-10 10:00")
    book.product.library = _knowing(shorter)
    told = len(book.sent)

    _move(book, case, policy=shorter.digest)

    assert book.due(case, "handle") == at("2026-03-10 17:30")
    assert len(book.sent) == told


def test_a_clock_that_the_new_policy_does_not_have_ends_and_its_rows_are_cancelled() -> None:
    text = packaged_files("policy")["qinghai.toml"].decode()
    head, _, rest = text.partition('[[clock]]\nid = "return"\n')
    tail = rest[rest.index("[[clock]]") :]
    without = compile_policy({"qinghai.toml": (head + tail).encode()}, events=EVENT_WORDS)
    book = CaseBook("2026-03-02 10:00", library())
    case = book.assigned()
    assert "return" in book.runs(case)
    book.product.library = _knowing(without)

    _move(book, case, policy=without.digest)

    assert "return" not in book.runs(case)
    assert book.case(case).stage is Stage.ASSIGNED


def test_a_longer_ladder_goes_on_above_the_rungs_that_were_told() -> None:
    other = _policy(
        (
            'name = "主要领导并通报"\n  to = ["unit-head", "bulletin"]',
            'name = "主要领导"\n  to = ["unit-head"]',
        )
    )
    book = CaseBook("2026-03-02 10:00", library())
    case = book.signed()
    book.until("2026-03-18 10:00")
    assert book.told(case, "handle")[-1][0] == "rung:deputy-head"
    book.product.library = _knowing(other)

    _move(book, case, policy=other.digest)
    book.until("2026-03-20 10:00")

    told = [one for one in book.told(case, "handle") if one[0].startswith("rung")]
    assert told == [
        ("rung:urge", "unit-lead"),
        ("rung:deputy-head", "unit-deputy-head"),
        ("rung:deputy-head", "platform-supervisor"),
        ("rung:head-and-bulletin", "unit-head"),
    ]


# marks before the limit, quiet hours, empty rungs


_EARLY = """
  [[ladder.rung]]
  id = "two-hours"
  name = "剩两小时"
  to = ["unit-lead"]
  left = "2h"
  text = "{number} 还剩两小时:{rung}"
  [[ladder.rung]]
  id = "three-days"
  name = "剩三天"
  to = ["unit-lead"]
  before_days = 3
  at = "10:00"
  [[ladder.rung]]
  id = "half-day"
  name = "剩十二小时"
  to = ["unit-lead"]
  before = "12h"
"""
_URGE = """
  [[ladder.rung]]
  id = "urge"
  name = "催办"
"""


def test_marks_before_the_limit_fall_by_days_by_office_hours_and_by_natural_time() -> None:
    policy = _policy((_URGE, _EARLY + _URGE))
    book = CaseBook("2026-03-02 10:00", _knowing(policy))
    case = book.signed()

    book.until("2026-03-16 17:30")

    times = [
        (sent.milestone, when.replace(microsecond=0))
        for when, sent in book.sent
        if isinstance(sent, f.Notify) and sent.milestone.startswith("early:")
    ]
    assert times == [
        ("early:three-days", at("2026-03-11 10:00")),
        ("early:half-day", at("2026-03-16 05:30")),
        ("early:two-hours", at("2026-03-16 15:30")),
    ]
    assert book.run(case, "handle").reminded == ("early:three-days", "early:half-day", "early:two-hours")
    assert next(x for x in book.effects(f.Notify) if x.milestone == "early:two-hours").text


def test_a_ladder_counts_from_the_start_where_it_says_so() -> None:
    policy = _policy(
        ('name = "平台逾时"\nanchor = "limit"', 'name = "平台逾时"\nanchor = "start"'),
        (
            'to = ["platform-squad-leader"]\n  level = 1\n  after = "0"',
            'to = ["platform-squad-leader"]\n  level = 1\n  after = "5min"',
        ),
    )
    book = CaseBook("2026-03-02 10:00", _knowing(policy))
    case = book.register(LAMP)

    book.until("2026-03-02 10:31")

    assert book.told(case, "assign") == [
        ("rung:squad-leader", "platform-squad-leader"),
        ("rung:supervisor", "platform-supervisor"),
    ]


@pytest.mark.parametrize(
    ("urgency", "rings"), [("general", "2026-03-04 07:00"), ("urgent", "2026-03-02 23:30")]
)
def test_a_quiet_rung_waits_for_the_morning_and_never_for_an_urgent_case(urgency: str, rings: str) -> None:
    policy = _policy(
        (
            'to = ["platform-supervisor"]\n  level = 2\n  after = "30min"',
            'to = ["platform-supervisor"]\n  level = 2\n  after = "6h"\n  quiet = true',
        ),
    )
    start = "2026-03-02 17:20" if urgency == "urgent" else "2026-03-02 10:00"
    book = CaseBook(start, _knowing(policy))
    case = book.register(LAMP)
    if urgency == "urgent":
        book.do(c.OverrideRuling(case=case, reason="按类别改判", urgency=Urgency.urgent), SUPERVISOR)

    book.until("2026-03-04 12:00")

    when = [
        moment.replace(microsecond=0, second=0)
        for moment, sent in book.sent
        if isinstance(sent, f.Notify)
        and sent.case == case
        and sent.milestone == "rung:supervisor"
        and sent.clock == "assign"
    ]
    assert when == [at(rings)]
