"""Every row of the deadline table: from when, until when, in which time, and what happens exactly at the limit."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from dispatcher.domain import commands as c
from dispatcher.domain import effects as f
from dispatcher.domain import events as e
from dispatcher.domain.errors import AgainstRule
from dispatcher.domain.stream import SYSTEM
from dispatcher.domain.values import Result, ReturnReason, Stage
from routing_rules.ruling import Urgency
from tests.support.cases import HEATING, KNIFE, LAMP, LIGHTING, MARKET, WATER, CaseBook
from tests.support.library import AGENT, HOTLINE, LEADER, POLICE, POLICE_AGENT, SUPERVISOR, at, clerk

MINUTE = timedelta(minutes=1)


def _extend(book: CaseBook, case: UUID, days: int = 5) -> tuple[e.AnyEvent, ...]:
    return book.do(c.AskExtension(case=case, days=days, words="等待配件到货"), clerk(LIGHTING))


# the total


def test_the_total_counts_from_first_receipt_and_takes_only_the_allowance_that_was_used() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.register(LAMP)
    assert book.due(case, "total") == at("2026-03-18 17:30")  # 10 working days and both allowances

    book.until("2026-03-03 09:00")
    book.do(c.AssignCase(case=case, lead=LIGHTING))

    assert book.due(case, "total") == at("2026-03-17 17:30")  # one of the two was used
    assert book.due(case, "handle") == at("2026-03-17 17:30")


def test_the_total_of_a_case_handed_in_starts_where_the_other_platform_first_received_it() -> None:
    book = CaseBook("2026-03-03 10:00")

    case = book.register(
        LAMP, first_received=at("2026-03-02 09:00"), first_platform=POLICE, peer_platform=POLICE
    )

    assert book.run(case, "total").started == at("2026-03-02 09:00")
    assert book.run(case, "assign").started == at("2026-03-03 10:00")


def test_the_total_never_resets_when_the_case_goes_to_another_unit() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.assigned()
    due = book.due(case, "total")
    book.until("2026-03-03 10:00")
    book.do(
        c.AskReturn(case=case, reason=ReturnReason.NOT_OUR_POWER, item="三定", words="非职责"),
        clerk(LIGHTING),
    )
    book.do(c.DecideReturn(case=case, accept=True), LEADER)
    book.until("2026-03-05 10:00")

    book.do(c.AssignCase(case=case, lead=MARKET))

    assert book.due(case, "total") == due
    assert book.due(case, "handle") == due, "the unit's class limit would end later; the earlier one holds"


def test_a_complex_assignment_gets_its_class_limit_in_the_total_too() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.register(LAMP)

    book.do(c.AssignCase(case=case, lead=LIGHTING, urgency=Urgency.complex))

    assert book.due(case, "total") == at("2026-03-23 17:30")
    assert book.due(case, "handle") == at("2026-03-23 17:30")


def test_an_override_that_changes_no_class_moves_no_date() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.signed()
    _extend(book, case)
    book.do(c.DecideExtension(case=case, grant=True), LEADER)
    before = {clock: book.due(case, clock) for clock in ("total", "handle")}

    book.do(c.OverrideRuling(case=case, reason="改类别", category="城市管理/照明"), SUPERVISOR)

    assert {clock: book.due(case, clock) for clock in ("total", "handle")} == before


def test_a_case_guided_away_by_mistake_runs_on_as_if_its_total_had_never_stopped() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.register("法院判决不服")
    due = book.due(case, "total")
    book.do(c.GuideCaller(case=case, door="法院立案庭"))
    assert book.runs(case) == set()

    book.until("2026-03-04 10:00")
    book.do(c.AssignCase(case=case, lead=LIGHTING))

    assert book.run(case, "total").started == at("2026-03-02 10:00")
    assert book.due(case, "total") <= due


# hand-over, transfer, assignment


def test_110_has_one_working_day_from_first_receipt_to_hand_over() -> None:
    book = CaseBook("2026-02-13 16:00")

    case = book.register(LAMP, platform=POLICE)

    assert book.due(case, "hand-over") == at("2026-02-14 17:30")  # a worked Saturday
    book.until("2026-02-14 10:00")
    book.do(c.HandOverCase(case=case, to=HOTLINE, reason="非警务"), POLICE_AGENT)
    assert book.due(case, "hand-over") == at("2026-02-14 17:30")
    book.do(c.ConfirmHandOver(case=case, number="W1"), POLICE_AGENT)
    assert "hand-over" not in book.runs(case)
    assert "total" in book.runs(case)


def test_a_hand_over_that_was_in_time_and_came_back_counts_from_then() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.register(LAMP, platform=POLICE)
    book.do(c.HandOverCase(case=case, to=HOTLINE, reason="非警务"), POLICE_AGENT)
    book.do(c.ConfirmHandOver(case=case, number="W1"), POLICE_AGENT)
    book.until("2026-03-05 10:00")

    book.do(c.ReportHandOverFailed(case=case, reason="对方退回"), POLICE_AGENT)

    assert book.case(case).stage is Stage.POLICE_RECEIVED
    assert book.due(case, "hand-over") == at("2026-03-06 17:30")


def test_12345_assigns_within_one_working_day_and_an_urgent_case_within_ten_minutes() -> None:
    book = CaseBook("2026-03-06 16:00")

    general, urgent = book.register(LAMP), book.register(HEATING)

    assert book.due(general, "assign") == at("2026-03-09 17:30")
    assert book.due(urgent, "assign") == at("2026-03-06 16:10")


def test_a_transfer_waits_sixty_seconds_in_danger_and_ten_minutes_otherwise() -> None:
    book = CaseBook()

    danger = book.register(KNIFE)
    calm = book.register("你好")
    book.do(c.TransferCase(case=calm, to=POLICE))

    assert book.due(danger, "transfer") - book.now == timedelta(seconds=60)
    assert book.due(calm, "transfer") - book.now == timedelta(minutes=10)


def test_a_confirmed_transfer_leaves_nothing_owed_and_a_failed_one_is_ours_again() -> None:
    book = CaseBook()
    passed, failed = book.register(KNIFE), book.register(KNIFE)

    book.do(c.ConfirmTransfer(case=passed, number="J1"))
    book.do(c.ReportTransferFailed(case=failed, reason="无人接听"))

    assert book.runs(passed) == set()
    assert not book.case(passed).is_open
    assert book.case(failed).stage is Stage.RULED
    assert {"assign", "total"} <= book.runs(failed)


# signing for


def test_a_general_case_counts_as_signed_at_the_limit_and_says_so() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.assigned()

    book.until("2026-03-03 17:30")
    assert book.case(case).stage is Stage.ASSIGNED
    book.wait(MINUTE)

    assert book.case(case).stage is Stage.SIGNED
    assert [x.deemed for x in book.events(case) if isinstance(x, e.CaseSigned)] == [True]


def test_a_utility_has_thirty_minutes_on_any_day() -> None:
    book = CaseBook("2026-02-16 03:00")  # a night in the spring festival
    case = book.register(HEATING)
    book.do(c.AssignCase(case=case, lead=WATER))

    assert book.due(case, "sign") == at("2026-02-16 03:30")


def test_a_dangerous_case_has_fifteen_minutes_and_is_never_deemed_signed() -> None:
    book = CaseBook("2026-02-16 03:00")
    case = book.register(KNIFE)
    book.do(c.ReportTransferFailed(case=case, reason="线路忙"))
    book.do(c.AssignCase(case=case, lead=LIGHTING))
    assert book.due(case, "sign") == at("2026-02-16 03:15")

    book.until("2026-02-16 05:00")

    assert book.case(case).stage is Stage.ASSIGNED
    assert book.told(case, "sign")[:5] == [
        ("limit", "unit-duty-phone"),
        ("limit", "platform-squad-leader"),
        ("rung:duty-leader", "unit-duty-leader"),
        ("rung:deputy", "unit-deputy"),
        ("rung:deputy", "platform-supervisor"),
    ]
    book.do(c.SignFor(case=case), clerk(LIGHTING))
    told = len(book.told(case, "sign"))
    book.until("2026-02-16 09:00")
    assert len(book.told(case, "sign")) == told, "the ladder ends when a person confirms"


def test_nobody_has_it_rings_on_every_quarter_of_an_hour_until_somebody_confirms() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.register(HEATING)
    book.do(c.AssignCase(case=case, lead=WATER))

    book.until("2026-03-02 12:16")

    rung = [milestone for milestone, role in book.told(case, "sign") if role == "unit-deputy"]
    assert rung == ["rung:deputy", "rung:deputy#2", "rung:deputy#3", "rung:deputy#4"]


def test_a_case_that_becomes_urgent_before_it_is_signed_is_no_longer_deemed_signed() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.assigned()

    book.do(c.OverrideRuling(case=case, reason="影响出行", urgency=Urgency.urgent), SUPERVISOR)
    assert book.due(case, "sign") == at("2026-03-02 10:30")
    book.until("2026-03-04 18:00")

    assert book.case(case).stage is Stage.ASSIGNED
    assert ("limit", "unit-duty-phone") in book.told(case, "sign")


def test_the_limit_for_signing_that_falls_while_a_return_is_looked_at_holds_when_it_is_refused() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.assigned()
    book.until("2026-03-03 17:00")
    book.do(
        c.AskReturn(case=case, reason=ReturnReason.NOT_OUR_AREA, item="辖区", words="不在辖区"),
        clerk(LIGHTING),
    )
    book.until("2026-03-04 09:00")

    book.do(c.DecideReturn(case=case, accept=False), LEADER)

    assert book.case(case).stage is Stage.SIGNED


# urgent


def test_an_urgent_case_ends_with_the_earlier_of_one_working_day_and_24_hours() -> None:
    weekday = CaseBook("2026-03-02 09:00")
    one = weekday.register(HEATING)
    assert weekday.due(one, "total") == at("2026-03-03 09:00")

    festival = CaseBook("2026-02-14 10:00")  # a worked Saturday; the next working day is 24 February
    other = festival.register(HEATING)
    festival.do(c.AssignCase(case=other, lead=WATER))

    assert festival.due(other, "total") == at("2026-02-15 10:00")
    assert festival.due(other, "handle") == at("2026-02-15 10:00")
    assert festival.library_says_working_day("2026-02-14", 1) == at("2026-02-24 17:30")


def test_an_urgent_unit_counts_from_the_first_receipt_not_from_its_assignment() -> None:
    book = CaseBook("2026-03-02 09:00")
    case = book.register(
        HEATING, first_received=at("2026-03-02 07:00"), first_platform=POLICE, peer_platform=POLICE
    )

    book.until("2026-03-02 12:00")
    book.do(c.AssignCase(case=case, lead=WATER))

    assert book.due(case, "handle") == at("2026-03-03 07:00")


def test_an_urgent_case_that_is_late_rings_phone_leader_and_heads_at_any_hour() -> None:
    book = CaseBook("2026-02-14 23:00")
    case = book.register(HEATING)
    book.do(c.AssignCase(case=case, lead=WATER))
    book.do(c.SignFor(case=case), clerk(WATER))

    book.until("2026-02-16 00:30")

    rungs = [
        (when, sent.to.role)
        for when, sent in book.sent
        if isinstance(sent, f.Notify) and sent.clock == "handle" and sent.to.role.startswith("unit")
    ]
    assert [(when.replace(microsecond=0), role) for when, role in rungs] == [
        (at("2026-02-15 23:00"), "unit-duty-phone"),
        (at("2026-02-15 23:15"), "unit-duty-leader"),
        (at("2026-02-16 00:00"), "unit-head"),
    ]


def test_a_case_that_becomes_dangerous_late_counts_from_then_and_never_ends_later_than_before() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.signed()
    book.until("2026-03-09 10:00")

    book.do(c.SupplementCase(case=case, words=KNIFE))

    assert book.due(case, "handle") == at("2026-03-10 10:00")
    assert book.due(case, "total") == at("2026-03-10 10:00")
    assert book.run(case, "total").started == at("2026-03-02 10:00")
    assert book.run(case, "handle").breached is None, "the unit is not late with what nobody knew"


def test_an_assignment_does_not_take_urgency_away() -> None:
    book = CaseBook()
    case = book.register(HEATING)

    with pytest.raises(AgainstRule) as refused:
        book.do(c.AssignCase(case=case, lead=WATER, urgency=Urgency.general))

    assert refused.value.field == "urgency"


# general, complex, several departments


@pytest.mark.parametrize(
    ("urgency", "amber", "hard"),
    [
        ("general", "2026-03-09 17:30", "2026-03-16 17:30"),
        ("complex", "2026-03-16 17:30", "2026-03-23 17:30"),
        ("joint", "2026-03-27 17:30", "2026-03-30 17:30"),
    ],
)
def test_units_have_the_limits_of_the_plan_and_amber_before_them(urgency: str, amber: str, hard: str) -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.signed(urgency=urgency)

    assert book.due(case, "handle") == at(hard)
    book.until(amber)
    assert book.rows_lamp(case) == ""
    book.wait(MINUTE)
    assert book.rows_lamp(case) == "amber"
    book.until(hard)
    assert book.rows_lamp(case) == "amber", "exactly at the limit is in time"
    book.wait(MINUTE)
    assert book.rows_lamp(case) == "red"


def test_a_reply_exactly_at_the_limit_is_in_time() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.signed()
    book.until("2026-03-16 17:30")

    book.reply(case)
    book.wait(timedelta(days=2))

    assert book.run(case, "handle").breached is None


def test_a_deadline_told_at_its_very_instant_or_before_does_nothing() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.signed()
    due = book.due(case, "handle")
    command = c.ExpireDeadline(case=case, clock="handle", milestone="limit", due=due)

    assert book.do(command, SYSTEM) == ()
    book.until(due)
    assert book.do(command, SYSTEM) == ()
    book.reply(case)
    book.wait(MINUTE)
    assert book.do(command, SYSTEM) == (), "answered in time; a late alarm is not an error"


def test_a_reply_sent_back_runs_on_as_if_its_clock_had_never_stopped() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.signed()
    before = book.run(case, "handle")
    book.until("2026-03-04 10:00")
    book.reply(case)
    assert "handle" not in book.runs(case)
    book.until("2026-03-05 10:00")

    book.do(c.SendBackReply(case=case, words="没有说明原因"), LEADER)

    after = book.run(case, "handle")
    assert (after.started, after.due, after.stopped) == (before.started, before.due, None)


def test_a_late_reply_sent_back_goes_on_up_the_ladder_where_it_stood() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.signed()
    book.until("2026-03-17 12:00")  # late: the first rung was told in the morning
    assert book.told(case, "handle")[-1] == ("rung:urge", "unit-lead")
    book.reply(case)
    book.do(c.SendBackReply(case=case, words="没有说明原因"), LEADER)

    book.until("2026-03-18 09:01")

    assert ("rung:deputy-head", "unit-deputy-head") in book.told(case, "handle")
    assert book.told(case, "handle").count(("rung:urge", "unit-lead")) == 1


# extension


def test_an_extension_is_asked_for_until_five_in_the_afternoon_of_the_last_day() -> None:
    book = CaseBook("2026-03-02 10:00")
    early, late = book.signed(), book.signed()

    book.until("2026-03-16 17:00")
    _extend(book, early)
    book.until("2026-03-16 17:01")
    with pytest.raises(AgainstRule) as refused:
        _extend(book, late)

    assert "17:00" in str(refused.value)


def test_an_extension_moves_the_unit_and_the_date_told_to_the_citizen_and_tells_him() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.signed()
    _extend(book, case, days=10)

    book.do(c.DecideExtension(case=case, grant=True), LEADER)

    assert book.due(case, "handle") == book.due(case, "total") == at("2026-03-30 17:30")
    assert "extended" in [told.template for told in book.effects(f.TellCitizen)]


def test_an_extension_is_at_most_ten_days_once_and_never_for_an_urgent_case() -> None:
    book = CaseBook("2026-03-02 10:00")
    case, urgent = book.signed(), book.signed(HEATING, WATER)

    with pytest.raises(Exception, match="between 1 and 10"):
        _extend(book, case, days=11)
    with pytest.raises(AgainstRule, match="urgent"):
        book.do(c.AskExtension(case=urgent, days=1, words="等"), clerk(WATER))
    _extend(book, case)
    book.do(c.DecideExtension(case=case, grant=True), LEADER)
    with pytest.raises(AgainstRule, match="once"):
        _extend(book, case)


def test_a_timely_request_holds_the_red_rung_until_noon_of_the_next_working_day() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.signed()
    book.until("2026-03-16 16:00")
    _extend(book, case)

    book.until("2026-03-17 12:00")
    assert book.rows_lamp(case) == "amber"
    assert book.run(case, "total").breached is None
    book.wait(MINUTE)

    assert book.rows_lamp(case) == "red"
    assert {role for _, role in book.told(case, "extension")} == {"approver", "platform-supervisor"}


def test_after_silence_the_ladder_counts_from_where_the_request_held_the_limit() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.signed()
    book.until("2026-03-16 16:00")
    _extend(book, case)

    book.until("2026-03-19 09:01")

    when = [
        (x.milestone, x.due)
        for x in book.events(case)
        if isinstance(x, e.MilestoneReached) and x.clock == "handle"
    ]
    assert when[-2:] == [("rung:urge", at("2026-03-18 09:00")), ("rung:deputy-head", at("2026-03-19 09:00"))]


def test_a_late_yes_to_an_extension_takes_the_red_lamp_away() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.signed()
    book.until("2026-03-16 16:00")
    _extend(book, case)
    book.until("2026-03-17 15:00")
    assert book.rows_lamp(case) == "red"

    book.do(c.DecideExtension(case=case, grant=True), SUPERVISOR)

    assert book.rows_lamp(case) == ""
    assert book.due(case, "handle") == at("2026-03-23 17:30")


def test_a_refused_extension_arms_the_limit_again_at_once() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.signed()
    book.until("2026-03-16 16:00")
    _extend(book, case)
    book.until("2026-03-17 09:00")

    book.do(c.DecideExtension(case=case, grant=False, words="理由不充分"), LEADER)
    book.wait(MINUTE)

    assert book.rows_lamp(case) == "red"
    assert book.run(case, "handle").due == at("2026-03-16 17:30")


def test_a_request_that_nobody_decided_ends_with_the_reply() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.signed()
    _extend(book, case)
    book.reply(case)
    book.do(c.SendBackReply(case=case, words="补充照片"), LEADER)

    with pytest.raises(Exception, match="not possible now"):
        book.do(c.DecideExtension(case=case, grant=True), LEADER)

    assert "extension" not in book.runs(case)


# pause


def _paused(book: CaseBook) -> UUID:
    case = book.signed()
    book.do(c.AskPause(case=case, why="material", items=("房产证",), days=3), clerk(LIGHTING))
    book.do(c.DecidePause(case=case, grant=True), LEADER)
    return case


def test_a_pause_shifts_the_clocks_by_what_was_waited() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = _paused(book)
    assert "material-needed" in [told.template for told in book.effects(f.TellCitizen)]

    book.until("2026-03-04 10:00")
    book.do(c.ResumeCase(case=case), clerk(LIGHTING))

    assert book.due(case, "handle") == at("2026-03-18 17:30")
    assert book.due(case, "total") == at("2026-03-18 17:30")


def test_a_pause_ends_by_itself_and_only_one_is_granted() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = _paused(book)

    book.until("2026-03-05 17:31")

    assert book.case(case).stage is Stage.SIGNED
    with pytest.raises(AgainstRule, match="once"):
        book.do(c.AskPause(case=case, why="finding"), clerk(LIGHTING))


def test_an_urgent_case_is_never_paused_and_danger_ends_a_pause() -> None:
    book = CaseBook("2026-03-02 10:00")
    urgent = book.signed(HEATING, WATER)
    with pytest.raises(AgainstRule, match="never paused"):
        book.do(c.AskPause(case=urgent, why="finding"), clerk(WATER))
    case = _paused(book)

    book.do(c.SupplementCase(case=case, words=KNIFE))

    assert book.case(case).stage is Stage.SIGNED
    assert "pause" not in book.runs(case)


def test_a_pause_waits_until_a_pending_extension_is_decided() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.signed()
    _extend(book, case)
    book.do(c.AskPause(case=case, why="finding"), clerk(LIGHTING))

    with pytest.raises(AgainstRule, match="pending"):
        book.do(c.DecidePause(case=case, grant=True), LEADER)


# claim, callback, verification, redo


def test_an_offer_nobody_claims_is_designated_by_the_supervisor() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.register(LAMP)
    book.do(c.OfferClaim(case=case, units=(LIGHTING, MARKET), guard=LIGHTING))
    assert book.due(case, "claim") == at("2026-03-02 12:00")

    book.until("2026-03-02 12:01")

    assert book.told(case, "claim") == [("limit", "platform-supervisor")]
    assert [sent.template for sent in book.effects(f.Notify)].count("guard-hazard") == 1


def test_a_claimed_case_is_assigned_and_signed_at_once() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.register(LAMP)
    book.do(c.OfferClaim(case=case, units=(LIGHTING, MARKET)))

    book.do(c.ClaimCase(case=case, unit=MARKET), clerk(MARKET))

    assert (book.case(case).stage, book.case(case).lead) == (Stage.SIGNED, MARKET)
    assert "claim" not in book.runs(case)


def test_complaints_and_help_are_called_back_within_two_working_days_three_times_in_the_daytime() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.closed()
    assert book.due(case, "callback") == at("2026-03-04 17:30")

    book.until("2026-03-02 20:01")
    with pytest.raises(AgainstRule, match="between 08:30 and 20:00"):
        book.do(c.CallBack(case=case, reached=False))
    book.until("2026-03-03 08:30")
    for _ in range(3):
        book.do(c.CallBack(case=case, reached=False))

    assert [x.outcome for x in book.events(case) if isinstance(x, e.CaseCalledBack)] == ["not-reached"]
    assert book.case(case).rating is None, "not reached is never satisfied"


def test_a_bad_rating_is_verified_within_one_working_day() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.closed()

    book.do(c.CallBack(case=case, reached=True, result_rating=5))

    assert book.due(case, "verify-rating") == at("2026-03-03 17:30")


@pytest.mark.parametrize(
    ("urgency", "due"), [("general", "2026-03-09 17:30"), ("complex", "2026-03-12 17:30")]
)
def test_a_redo_has_half_the_limit_rounded_up(urgency: str, due: str) -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.signed(urgency=urgency)
    book.reply(case)
    book.finish(case)

    book.do(c.RedoCase(case=case, words="没有修好"), LEADER)

    assert book.due(case, "handle") == at(due)
    assert "total" not in book.runs(case), "the total was met; it does not start again"


def test_a_second_redo_goes_to_supervision() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.closed()
    book.do(c.RedoCase(case=case, words="没有修好"), LEADER)
    book.do(c.SignFor(case=case), clerk(LIGHTING))
    book.reply(case)
    book.finish(case)

    events = book.do(c.RedoCase(case=case, words="还是没有修好"), LEADER)

    assert [type(x) for x in events] == [e.CaseSupervised]
    assert book.case(case).stage is Stage.CLOSED


def test_after_a_redo_there_are_three_attempts_to_call_again() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.closed()
    book.do(c.CallBack(case=case, reached=False))
    book.do(c.CallBack(case=case, reached=False))
    book.do(c.RedoCase(case=case, words="没有修好"), LEADER)
    book.do(c.SignFor(case=case), clerk(LIGHTING))
    book.reply(case)
    book.finish(case)

    book.do(c.CallBack(case=case, reached=False))

    assert book.case(case).stage is Stage.CLOSED


def test_archives_come_seven_days_after_the_callback_and_not_while_a_rating_is_contested() -> None:
    book = CaseBook("2026-03-02 10:00")
    calm, contested = book.closed(), book.closed()
    book.do(c.CallBack(case=calm, reached=True))
    book.do(c.CallBack(case=contested, reached=True, result_rating=5))

    book.until("2026-03-12 10:00")
    assert book.case(calm).stage is Stage.ARCHIVED
    assert book.case(contested).stage is Stage.CALLED_BACK
    book.do(c.VerifyRating(case=contested, justified=False, words="已核实"), AGENT)

    assert book.case(contested).stage is Stage.ARCHIVED


def test_what_is_owed_no_callback_is_archived_too_and_can_be_erased() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.register(KNIFE, platform=POLICE)
    book.do(c.ReportFeedback(case=case), POLICE_AGENT)
    book.do(c.ClosePoliceOrder(case=case), POLICE_AGENT)
    assert not book.case(case).is_open

    book.until("2026-03-12 10:00")

    assert book.case(case).stage is Stage.ARCHIVED


def test_the_reply_is_approved_and_delivered_within_a_working_day_each() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.replied()

    assert book.due(case, "approve") == at("2026-03-03 17:30")
    book.do(c.ApproveReply(case=case), LEADER)
    assert book.due(case, "deliver") == at("2026-03-03 17:30")
    book.do(c.DeliverReply(case=case))
    assert "total" not in book.runs(case)


def test_the_platform_closes_with_the_units_result() -> None:
    book = CaseBook("2026-03-02 10:00")

    case = book.closed()

    assert book.case(case).result is Result.SOLVED
