"""The table of deadlines of the domain description (DOMAIN.md, "Deadlines"), row by row, and the sentences below it.

Each test names its row. Where a row is proved at length elsewhere, this one holds the number and the clock's time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from dispatcher.data_files import packaged_files
from dispatcher.domain import commands as c
from dispatcher.domain import effects as f
from dispatcher.domain import events as e
from dispatcher.domain.clocks import PAUSED_CLOCKS
from dispatcher.domain.errors import AgainstRule
from dispatcher.domain.ladders import LEGAL, meeting_after
from dispatcher.domain.library import Library
from dispatcher.domain.values import ReturnReason, Stage
from routing_rules.policy_files import compile_policy
from routing_rules.recurrence import dates
from routing_rules.ruling import Urgency
from tests.support.cases import HEATING, LAMP, LIGHTING, MARKET, WATER, CaseBook
from tests.support.library import (
    HOTLINE,
    LEADER,
    POLICE,
    SUPERVISOR,
    at,
    clerk,
    leaders_only,
    library,
    with_rosters,
)

MONDAY = "2026-03-02 10:00"


def _registered(book: CaseBook) -> UUID:
    return book.register(LAMP)


def _urgent(book: CaseBook) -> UUID:
    case = book.register(LAMP)
    book.do(c.OverrideRuling(case=case, reason="按类别改判", urgency=Urgency.urgent), SUPERVISOR)
    return case


def _at_110(book: CaseBook) -> UUID:
    return book.register(LAMP, platform=POLICE)


def _general(book: CaseBook) -> UUID:
    return book.assigned(LAMP, LIGHTING)


def _complex(book: CaseBook) -> UUID:
    return book.assigned(LAMP, LIGHTING, urgency="complex")


def _joint(book: CaseBook) -> UUID:
    return book.assigned(LAMP, LIGHTING, urgency="joint")


def _utility(book: CaseBook) -> UUID:
    return book.assigned(HEATING, WATER)


def _danger(book: CaseBook) -> UUID:
    case = book.register(LAMP)
    book.do(c.AssignCase(case=case, lead=LIGHTING))
    book.do(c.OverrideRuling(case=case, reason="危险", danger=True), SUPERVISOR)
    return case


def _returned_twice(book: CaseBook) -> UUID:
    case = book.assigned(LAMP, LIGHTING)
    for unit in (LIGHTING, MARKET):
        book.do(
            c.AskReturn(case=case, reason=ReturnReason.NOT_OUR_POWER, item="hl-1", words="不属本单位"),
            clerk(unit),
        )
        if unit == LIGHTING:
            book.do(c.DecideReturn(case=case, accept=True), LEADER)
            book.do(c.AssignCase(case=case, lead=MARKET))
    return case


def _offered(book: CaseBook) -> UUID:
    case = book.register(LAMP)
    book.do(c.OfferClaim(case=case, units=(LIGHTING, MARKET), guard=LIGHTING))
    return case


def _closed(book: CaseBook) -> UUID:
    return book.closed()


def _bad_rating(book: CaseBook) -> UUID:
    case = book.closed()
    book.do(c.CallBack(case=case, reached=True, result_rating=5))
    return case


def _disagreed(book: CaseBook) -> UUID:
    case = book.register(LAMP)
    book.do(c.AgreeTaker(case=case, reason="协商不成"))
    return case


def _extension(book: CaseBook) -> UUID:
    case = book.assigned(LAMP, LIGHTING)
    book.do(c.AskExtension(case=case, days=5, words="等配件"), clerk(LIGHTING))
    return case


ROWS: tuple[tuple[str, Callable[[CaseBook], UUID], str, str], ...] = (
    ("total: class limit and allowances, from first receipt", _registered, "total", "2026-03-18 17:30"),
    ("total: only allowances really used, settled at assignment", _general, "total", "2026-03-16 17:30"),
    ("hand-over 110 → 12345: 1 working day from first receipt", _at_110, "hand-over", "2026-03-03 17:30"),
    ("assign at 12345: 1 working day", _registered, "assign", "2026-03-03 17:30"),
    ("assign: urgent 10 min, natural time", _urgent, "assign", "2026-03-02 10:10"),
    ("sign for: danger 15 min, natural time", _danger, "sign", "2026-03-02 10:15"),
    ("sign for: water, power, gas, heat 30 min", _utility, "sign", "2026-03-02 10:30"),
    ("sign for: others 1 working day", _general, "sign", "2026-03-03 17:30"),
    ("urgent: 1 working day beside natural 24 h, the earlier binds", _urgent, "total", "2026-03-03 10:00"),
    ("general: hard limit 10", _general, "handle", "2026-03-16 17:30"),
    ("complex: hard limit 15", _complex, "handle", "2026-03-23 17:30"),
    ("several departments, complex: 20", _joint, "handle", "2026-03-30 17:30"),
    ("extension: decided by noon of the next working day", _extension, "extension", "2026-03-03 12:00"),
    ("return: within 1 working day of assignment", _general, "return", "2026-03-03 17:30"),
    (
        "return: second return → adjudication in 1 working day",
        _returned_twice,
        "adjudicate",
        "2026-03-03 17:30",
    ),
    ("parallel claim: 2 h otherwise", _offered, "claim", "2026-03-02 12:00"),
    ("callback: within 2 working days", _closed, "callback", "2026-03-04 17:30"),
    ("rating verify: 1 working day", _bad_rating, "verify-rating", "2026-03-03 17:30"),
    ("consultation: quarter", _disagreed, "consultation", "2026-03-25 15:00"),
)


@pytest.mark.parametrize(("row", "make", "clock", "due"), ROWS, ids=[row[0] for row in ROWS])
def test_a_row_of_the_table(row: str, make: Callable[[CaseBook], UUID], clock: str, due: str) -> None:
    book = CaseBook(MONDAY)

    case = make(book)

    assert book.due(case, clock) == at(due), row


def test_row_general_and_complex_amber_from_their_targets() -> None:
    book = CaseBook(MONDAY)
    general, complex_ = _general(book), _complex(book)

    assert book.run(general, "handle").target == at("2026-03-09 17:30")
    assert book.run(complex_, "handle").target == at("2026-03-16 17:30")


def test_row_parallel_claim_danger_thirty_minutes() -> None:
    clock = library().policy.clock("claim")

    assert [limit.natural for limit in clock.limits if limit.when.danger] == [timedelta(minutes=30)]


def test_row_urgent_one_working_day_alone_would_end_ten_days_later() -> None:
    """ "on 2026-02-14, a worked Saturday, '1 working day' alone would end on 2026-02-24"."""
    book = CaseBook("2026-02-14 10:00")
    case = _urgent(book)

    assert book.due(case, "total") == at("2026-02-15 10:00")
    assert library().home_calendar().add_workdays(at("2026-02-14 10:00"), 1).at == at("2026-02-24 17:30")


def test_row_urgent_at_the_edge_of_a_published_year_says_that_a_notice_may_bring_it_nearer() -> None:
    """Natural 24 h binds today; were the Saturday made a working day, its close would come first."""
    book = CaseBook("2026-12-31 19:00")
    case = _urgent(book)

    run = book.run(case, "total")
    assert (run.due, run.provisional) == (at("2027-01-01 19:00"), True)


def test_row_extension_the_citizen_is_told_before_the_old_date_passes() -> None:
    book = CaseBook(MONDAY)
    case = _general(book)
    book.until("2026-03-16 16:30")
    book.do(c.AskExtension(case=case, days=5, words="等配件"), clerk(LIGHTING))

    book.until("2026-03-16 17:29")

    told = [(when, sent.template) for when, sent in book.sent if isinstance(sent, f.TellCitizen)]
    assert [template for _, template in told] == ["extension-pending"]
    assert told[0][0] < at("2026-03-16 17:30"), "before the old date, at the cut-off hour"
    book.until("2026-03-17 12:01")
    assert book.told(case, "extension") == [("limit", "approver"), ("limit", "platform-supervisor")]


def test_row_extension_a_request_decided_in_time_tells_the_new_date_and_nothing_else() -> None:
    book = CaseBook(MONDAY)
    case = _general(book)
    book.until("2026-03-16 16:30")
    book.do(c.AskExtension(case=case, days=5, words="等配件"), clerk(LIGHTING))
    book.do(c.DecideExtension(case=case, grant=True), LEADER)

    book.until("2026-03-17 12:01")

    assert [sent.template for sent in book.effects(f.TellCitizen)] == ["extended"]


def test_row_extension_asked_for_days_ahead_needs_no_word_about_the_old_date() -> None:
    book = CaseBook(MONDAY)
    case = _general(book)
    book.do(c.AskExtension(case=case, days=5, words="等配件"), clerk(LIGHTING))

    book.until("2026-03-04 09:00")

    assert not book.effects(f.TellCitizen)
    assert case


def test_row_consultation_is_announced_held_once_and_never_counts_as_lateness() -> None:
    book = CaseBook(MONDAY)
    case = book.register(LAMP)
    book.do(c.AgreeTaker(case=case, reason="协商不成"))
    book.do(c.AnswerAtOnce(case=case, words="已答复"))
    book.do(c.CloseCase(case=case))
    book.do(c.CallBack(case=case, reached=True))
    book.until("2026-03-20 12:00")
    assert book.case(case).stage in (Stage.CLOSED, Stage.CALLED_BACK), "the item waits for its meeting"

    book.until("2026-03-25 15:01")

    assert book.told(case, "consultation") == [
        ("early:agenda", "platform-squad-leader"),
        ("limit", "platform-supervisor"),
    ]
    assert book.run(case, "consultation").due == at("2026-03-25 15:00")
    assert book.case(case).stage is Stage.ARCHIVED, "only the meeting kept it"


def test_row_consultation_with_agreement_there_is_nothing_to_consult() -> None:
    book = CaseBook(MONDAY)
    case = book.register(LAMP)

    book.do(c.AgreeTaker(case=case, taker=HOTLINE, reason="本级受理"))

    assert "consultation" not in book.runs(case)


@pytest.mark.parametrize(
    ("meeting", "after", "held"),
    [
        ("consultation-quarter", "2026-03-25 14:59", "2026-03-25 15:00"),
        ("consultation-quarter", "2026-03-25 15:00", "2026-06-25 15:00"),
        ("consultation-half-year", "2026-03-25 15:00", "2026-06-29 15:00"),  # the 28th is a Sunday
        ("consultation-quarter", "2026-09-24 09:00", "2026-09-28 15:00"),  # the 25th to 27th are a holiday
        ("bulletin", "2026-10-01 09:00", "2026-10-08 09:00"),
    ],
)
def test_meetings_come_round_and_roll_over_days_of_rest(meeting: str, after: str, held: str) -> None:
    policy, calendar = library().policy, library().home_calendar()

    assert meeting_after(policy, meeting, at(after), calendar)[0] == at(held)


def test_a_meeting_on_leap_day_comes_every_four_years() -> None:
    found = dates("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", datetime(2026, 1, 1).date())  # noqa: DTZ001

    assert [next(found).isoformat() for _ in range(2)] == ["2028-02-29", "2032-02-29"]


# the sentences below the table


def test_a_units_clock_stops_at_the_reply_and_what_stands_in_a_pause_is_named() -> None:
    """ "A unit's clock stops at reply submitted" and "Pause … never for urgent"."""
    book = CaseBook(MONDAY)
    case = book.replied()

    assert "handle" not in book.runs(case)
    assert {"handle", "sub", "total"} == PAUSED_CLOCKS


def test_rungs_by_days_count_from_the_limit_and_fall_at_nine_of_the_units_frame() -> None:
    """ "Ladder after a general limit: next working day urge to the lead; +1 deputy head; +3 head; +5 inspection"."""
    book = CaseBook(MONDAY)
    case = _general(book)
    book.do(c.SignFor(case=case), clerk(LIGHTING))

    book.until("2026-03-26 10:00")

    fell = [
        (x.milestone, x.due.astimezone(at(MONDAY).tzinfo))
        for x in book.events(case)
        if isinstance(x, e.MilestoneReached) and x.clock == "handle" and x.milestone.startswith("rung")
    ]
    assert fell == [
        ("rung:urge", at("2026-03-17 09:00")),
        ("rung:deputy-head", at("2026-03-18 09:00")),
        ("rung:head-and-bulletin", at("2026-03-20 09:00")),
        ("rung:inspection", at("2026-03-24 09:00")),
    ]


def test_no_quiet_rung_stands_on_a_ladder_for_urgent_cases() -> None:
    """ "Quiet hours and holidays never apply" to urgent ones: no ladder of theirs is quiet, nor counted in days."""
    policy = library().policy
    for clock in policy.clocks:
        for limit in clock.limits:
            ladder = policy.ladder(limit.ladder)
            if ladder is not None and limit.when.urgency == (Urgency.urgent,) and clock.id != "sub":
                assert not any(rung.quiet or rung.after_days for rung in ladder.rungs), clock.id


def test_an_urgent_order_has_neither_extension_nor_pause() -> None:
    book = CaseBook(MONDAY)
    case = _urgent(book)
    book.do(c.AssignCase(case=case, lead=LIGHTING))
    book.do(c.SignFor(case=case), clerk(LIGHTING))

    for command in (
        c.AskExtension(case=case, days=3, words="等配件"),
        c.AskPause(case=case, why="finding"),
    ):
        with pytest.raises(AgainstRule):
            book.do(command, clerk(LIGHTING))


def test_an_empty_rung_says_so_and_the_next_one_does_not_wait() -> None:
    """What an empty rung does: on record, told to the squad leader, and the ladder goes on at once."""
    roster = library().organisation.unit(WATER).roster
    text = packaged_files("policy")["qinghai.toml"].decode()
    only_deputies = text.replace('to = ["unit-duty-leader"]', 'to = ["unit-deputy"]')
    policy = compile_policy({"qinghai.toml": only_deputies.encode()})
    whole = with_rosters(**{f"u{WATER}": leaders_only(roster)})
    releases = Library(
        book=whole.book,
        policies=(policy,),
        calendars=whole.calendars,
        organisation=whole.organisation,
        directory=whole.directory,
        places=whole.places,
    )
    book = CaseBook(MONDAY, releases)
    case = book.register(HEATING)
    book.do(c.AssignCase(case=case, lead=WATER, urgency=Urgency.urgent))

    book.until("2026-03-02 10:46")

    fell = [
        (x.milestone, x.due.astimezone(LEGAL), x.told, x.nobody)
        for x in book.events(case)
        if isinstance(x, e.MilestoneReached) and x.clock == "sign"
    ]
    assert fell == [
        ("limit", at("2026-03-02 10:30"), ("unit-duty-phone", "platform-squad-leader"), ()),
        ("rung:duty-leader", at("2026-03-02 10:45"), (), ("unit-deputy",)),
        ("rung:deputy", at("2026-03-02 10:45"), ("platform-supervisor",), ("unit-deputy",)),
    ]
    assert [x.template for x in book.effects(f.Notify)].count("rung-empty") == 1
