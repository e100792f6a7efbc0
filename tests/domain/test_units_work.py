"""What units do with a case: returns and adjudication, sub-assignment, unreasonable claims, complaints about a unit."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from dispatcher.domain import commands as c
from dispatcher.domain import effects as f
from dispatcher.domain import events as e
from dispatcher.domain.errors import AgainstRule, BadField, NotFound, NotYours, WrongStage
from dispatcher.domain.values import Result, ReturnReason, Stage
from routing_rules.ruling import Urgency
from tests.support.cases import HEATING, HOUSING, KNIFE, LAMP, LIGHTING, MARKET, WATER, CaseBook
from tests.support.library import AGENT, LEADER, SUPERVISOR, at, clerk, unit
from tests.support.strategies import BUREAU, HUANGZHONG, SECTION, STATION, TOWNSHIP

MINUTE = timedelta(minutes=1)
ATTITUDE = "我要投诉城管局执法人员态度差"


def _ask_return(book: CaseBook, case: UUID, by: str) -> tuple[e.AnyEvent, ...]:
    return book.do(
        c.AskReturn(
            case=case, reason=ReturnReason.NOT_OUR_POWER, item="三定方案第2条", words="不属于我单位职责"
        ),
        clerk(by),
    )


def _returned(book: CaseBook) -> UUID:
    case = book.assigned()
    _ask_return(book, case, LIGHTING)
    book.do(c.DecideReturn(case=case, accept=True), LEADER)
    return case


# returns


def test_a_return_does_not_suggest_a_unit_that_is_none() -> None:
    book = CaseBook()
    case = book.assigned()
    asked = c.AskReturn(case=case, reason=ReturnReason.NOT_OUR_AREA, item="三定方案第2条", words="非本辖区")

    with pytest.raises(BadField, match="no unit 城管局"):
        book.do(msgspec.structs.replace(asked, suggested="城管局"), clerk(LIGHTING))
    book.do(msgspec.structs.replace(asked, suggested=HOUSING), clerk(LIGHTING))

    assert book.case(case).stage is Stage.RETURNING


def test_a_unit_may_return_a_case_until_the_end_of_the_next_working_day() -> None:
    book = CaseBook("2026-03-02 10:00")
    early, late = book.assigned(), book.assigned()
    assert book.due(early, "return") == at("2026-03-03 17:30")

    book.until("2026-03-03 17:30")
    _ask_return(book, early, LIGHTING)
    book.wait(MINUTE)

    with pytest.raises(AgainstRule, match="ended at"):
        _ask_return(book, late, LIGHTING)
    assert book.rows_lamp(late) == "", "a window that closed is nobody's lateness"


def test_the_unit_stays_responsible_until_its_return_is_accepted() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.assigned()

    _ask_return(book, case, LIGHTING)

    assert "handle" in book.runs(case)
    assert book.case(case).holder == LIGHTING
    book.do(c.DecideReturn(case=case, accept=True), LEADER)
    assert "handle" not in book.runs(case)
    assert book.case(case).holder == book.case(case).platform


def test_a_second_return_goes_to_adjudication_which_binds() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.assigned()
    _ask_return(book, case, LIGHTING)
    book.do(c.DecideReturn(case=case, accept=False), LEADER)

    _ask_return(book, case, LIGHTING)

    assert book.case(case).stage is Stage.ADJUDICATING
    assert book.due(case, "adjudicate") == at("2026-03-03 17:30")
    book.do(c.AdjudicateCase(case=case, unit=LIGHTING, words="清单第5条"), SUPERVISOR)
    with pytest.raises(AgainstRule, match="binds"):
        _ask_return(book, case, LIGHTING)


def test_a_third_holder_is_decided_by_adjudication() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = _returned(book)
    book.do(c.AssignCase(case=case, lead=MARKET))
    book.do(c.SignFor(case=case), clerk(MARKET))
    _ask_return(book, case, MARKET)

    assert book.case(case).stage is Stage.ADJUDICATING
    book.do(c.AdjudicateCase(case=case, unit=HOUSING, words="由住建牵头"), SUPERVISOR)

    assert (book.case(case).lead, book.case(case).binding) == (HOUSING, True)


def test_a_unit_that_returned_a_case_gets_it_back_only_by_adjudication_and_that_is_seen_as_reflow() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = _returned(book)

    with pytest.raises(AgainstRule, match="re-flow"):
        book.do(c.AssignCase(case=case, lead=LIGHTING))
    book.do(c.AssignCase(case=case, lead=MARKET))
    _ask_return(book, case, MARKET)
    events = book.do(c.AdjudicateCase(case=case, unit=LIGHTING, words="清单第5条"), SUPERVISOR)

    assert e.ReflowSeen in {type(x) for x in events}
    assert book.case(case).reflow


def test_every_hop_is_charged_to_whoever_held_the_case() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.assigned()
    book.until("2026-03-02 15:00")
    _ask_return(book, case, LIGHTING)
    book.until("2026-03-02 16:00")
    book.do(c.DecideReturn(case=case, accept=True), LEADER)

    hops = [(hop.holder, hop.since, hop.until) for hop in book.case(case).hops]

    assert hops[1:] == [
        (LIGHTING, at("2026-03-02 10:00"), at("2026-03-02 16:00")),
        (book.case(case).platform, at("2026-03-02 16:00"), None),
    ]


def test_a_request_for_more_time_does_not_pass_to_the_next_unit() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.assigned()
    book.do(c.AskExtension(case=case, days=5, words="等配件"), clerk(LIGHTING))
    _ask_return(book, case, LIGHTING)
    book.do(c.DecideReturn(case=case, accept=True), LEADER)

    book.do(c.AssignCase(case=case, lead=MARKET))

    with pytest.raises(WrongStage):
        book.do(c.DecideExtension(case=case, grant=True), LEADER)


def test_a_township_needs_an_item_of_its_duty_list() -> None:
    book = CaseBook()
    case = book.register(LAMP, division=HUANGZHONG)

    with pytest.raises(AgainstRule) as refused:
        book.do(c.AssignCase(case=case, lead=TOWNSHIP))
    book.do(c.AssignCase(case=case, lead=TOWNSHIP, duty_item="履职清单第12项"))

    assert refused.value.field == "duty_item"
    assert book.case(case).lead == TOWNSHIP


# down the tree


def _tiered(book: CaseBook) -> UUID:
    case = book.assigned(LAMP, BUREAU, division=HUANGZHONG)
    book.do(c.SignFor(case=case), clerk(BUREAU))
    book.do(c.SubAssign(case=case, unit=SECTION, days=4, words="第3项"), clerk(BUREAU))
    book.do(c.SignFor(case=case), clerk(SECTION))
    book.until("2026-03-03 09:00")
    book.do(c.SubAssign(case=case, unit=STATION, days=9, words="第3项"), clerk(SECTION))
    return case


def test_a_lower_units_limit_lies_inside_the_upper_units() -> None:
    book = CaseBook("2026-03-02 10:00")

    case = _tiered(book)

    assert book.run(case, "sub").unit == STATION
    assert book.due(case, "sub") == at("2026-03-06 17:30"), (
        "four working days of the section, not nine of its own"
    )
    assert "handle" in book.runs(case), "the upper unit stays accountable"


def test_replies_climb_the_path_that_the_case_went_down() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = _tiered(book)

    with pytest.raises(NotYours):
        book.reply(case, BUREAU)
    book.reply(case, STATION)
    assert (book.case(case).holder, book.case(case).stage) == (SECTION, Stage.SIGNED)
    assert book.run(case, "sub").unit == SECTION, "the section's own limit counts again"
    assert book.due(case, "sub") == at("2026-03-06 17:30")
    book.reply(case, SECTION)
    assert (book.case(case).holder, book.runs(case) & {"sub"}) == (BUREAU, set())
    book.reply(case, BUREAU)

    assert book.case(case).stage is Stage.REPLIED
    told = [x for x in book.events(case) if isinstance(x, e.SubReplySubmitted)]
    assert [(x.unit, x.result) for x in told] == [(STATION, Result.SOLVED), (SECTION, Result.SOLVED)]


def test_an_upper_unit_sends_its_lower_units_reply_back() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = _tiered(book)
    book.reply(case, STATION)

    events = book.do(c.SendBackSubReply(case=case, words="没有照片"), clerk(SECTION))

    assert [x.unit for x in events if isinstance(x, e.SubReplySentBack)] == [STATION]
    assert book.run(case, "sub").unit == STATION
    assert book.case(case).acting_unit == STATION


def test_signing_late_does_not_take_a_lower_units_reply_away() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = _tiered(book)
    book.reply(case, STATION)

    book.do(c.SignFor(case=case), clerk(STATION))

    assert book.case(case).acting_unit == SECTION


def test_a_recalled_sub_assignment_gives_the_case_back_to_the_unit_above() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = _tiered(book)

    book.do(c.RecallSubAssignment(case=case, reason="由科室办理"), clerk(BUREAU))

    assert book.case(case).holder == SECTION
    assert book.run(case, "sub").unit == SECTION


def test_a_late_lower_unit_is_told_upward_first() -> None:
    book = CaseBook("2026-03-02 10:00")
    _tiered(book)

    book.until("2026-03-06 17:31")

    told = [sent for sent in book.effects(f.Notify) if sent.clock == "sub" and sent.milestone == "limit"]
    assert [(sent.to.role, sent.to.unit) for sent in told] == [("unit-lead", BUREAU)]


@pytest.mark.parametrize("stranger", [MARKET, BUREAU, "11630102DEM0100099"])
def test_sub_assignment_goes_down_the_units_own_tree_only(stranger: str) -> None:
    book = CaseBook()
    case = book.assigned(LAMP, BUREAU, division=HUANGZHONG)
    book.do(c.SignFor(case=case), clerk(BUREAU))

    with pytest.raises(BadField) as refused:
        book.do(c.SubAssign(case=case, unit=stranger, words="第3项"), clerk(BUREAU))

    assert refused.value.field == "unit"


# complaints about a unit


def test_a_complaint_about_a_unit_is_not_assigned_to_it_nor_to_anybody_below_it() -> None:
    book = CaseBook()
    case = book.register(ATTITUDE, division=HUANGZHONG)

    for code in (BUREAU, SECTION):
        with pytest.raises(AgainstRule, match="about this unit"):
            book.do(c.AssignCase(case=case, lead=code, duty_item="第3项"))
        with pytest.raises(AgainstRule, match="about this unit"):
            book.do(c.OfferClaim(case=case, units=(MARKET, code)))
    book.do(c.AssignCase(case=case, lead=unit("supervision", HUANGZHONG)))

    assert book.case(case).stage is Stage.ASSIGNED


def test_a_unit_that_turns_out_to_be_complained_of_loses_the_case_and_the_sight_of_it() -> None:
    book = CaseBook()
    case = book.assigned(LAMP, BUREAU, division=HUANGZHONG)
    book.do(c.SignFor(case=case), clerk(BUREAU))

    book.do(c.OverrideRuling(case=case, reason="投诉该局人员", about="urban-management"), SUPERVISOR)

    assert (book.case(case).stage, book.case(case).lead) == (Stage.ADJUDICATING, "")
    assert book.runs(case) & {"handle", "sign", "return"} == set()
    with pytest.raises(NotFound):
        book.reply(case, BUREAU)
    with pytest.raises(AgainstRule, match="about this unit"):
        book.do(c.AdjudicateCase(case=case, unit=BUREAU, words="由其办理"), SUPERVISOR)


# unreasonable


def test_closing_as_unreasonable_takes_two_persons_and_can_be_appealed() -> None:
    book = CaseBook()
    case = book.signed()
    book.do(c.ProposeUnreasonable(case=case, words="要求无依据"), LEADER)

    with pytest.raises(AgainstRule, match="another one"):
        book.do(c.DecideUnreasonable(case=case, agree=True), LEADER)
    book.do(c.DecideUnreasonable(case=case, agree=True), SUPERVISOR)
    assert (book.case(case).stage, book.case(case).result) == (Stage.CLOSED, Result.UNREASONABLE)
    assert "callback" in book.runs(case), "complaints and help are all called back"
    book.do(c.AppealUnreasonable(case=case, words="不服"))

    assert (book.case(case).stage, book.case(case).result) == (Stage.RULED, None)
    assert "total" in book.runs(case)


def test_nobody_closes_as_unreasonable_alone() -> None:
    book = CaseBook()
    case = book.signed()
    book.do(c.ReplyCase(case=case, words="诉求不合理", result=Result.UNREASONABLE), clerk(LIGHTING))
    book.do(c.ApproveReply(case=case), LEADER)
    book.do(c.DeliverReply(case=case))

    with pytest.raises(AgainstRule, match="two persons"):
        book.do(c.CloseCase(case=case))
    book.do(c.ProposeUnreasonable(case=case, words="要求无依据"), AGENT)
    book.do(c.DecideUnreasonable(case=case, agree=True), SUPERVISOR)

    assert book.case(case).stage is Stage.CLOSED


def test_danger_is_never_unreasonable() -> None:
    book = CaseBook()
    case = book.register(KNIFE)
    book.do(c.ReportTransferFailed(case=case, reason="线路忙"))

    with pytest.raises(AgainstRule, match="never for danger"):
        book.do(c.ProposeUnreasonable(case=case, words="要求无依据"), LEADER)


def test_an_appeal_after_two_holders_goes_to_adjudication_so_that_it_can_go_on() -> None:
    book = CaseBook()
    case = _returned(book)
    book.do(c.AssignCase(case=case, lead=MARKET))
    book.do(c.ProposeUnreasonable(case=case, words="要求无依据"), LEADER)
    book.do(c.DecideUnreasonable(case=case, agree=True), SUPERVISOR)

    book.do(c.AppealUnreasonable(case=case, words="不服"))

    assert book.case(case).stage is Stage.ADJUDICATING
    book.do(c.AdjudicateCase(case=case, unit=HOUSING, words="由住建办理"), SUPERVISOR)


def test_urging_and_supervision_are_told_to_the_units_lead() -> None:
    book = CaseBook()
    case = book.signed()

    book.do(c.UrgeCase(case=case, words="请抓紧"))
    book.do(c.SuperviseCase(case=case, words="督办"), SUPERVISOR)

    assert [x.template for x in book.effects(f.Notify) if x.to.role == "unit-lead"] == [
        "case-urged",
        "case-supervised",
    ]
    assert (book.case(case).urges, book.case(case).supervised) == (1, 1)


def test_words_that_repeat_an_urgent_matter_raise_its_urgency_and_never_lower_it() -> None:
    book = CaseBook("2026-03-02 10:00")
    general, urgent = book.signed(LAMP, LIGHTING), book.signed(HEATING, WATER)

    book.do(c.SupplementCase(case=general, words=HEATING))
    book.do(c.SupplementCase(case=urgent, words=LAMP))

    assert book.case(general).matter.urgency == Urgency.urgent
    assert book.due(general, "handle") == at("2026-03-03 10:00")
    assert book.case(urgent).matter.urgency == Urgency.urgent
