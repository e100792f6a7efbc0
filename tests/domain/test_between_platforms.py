"""Between the platforms: danger first, transfer, three-way, hand-over, results back, re-flow, the watch, police orders."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from dispatcher.domain import commands as c
from dispatcher.domain import effects as f
from dispatcher.domain import events as e
from dispatcher.domain.errors import AgainstRule, BadField, NotYours, WrongStage
from dispatcher.domain.stream import Role
from dispatcher.domain.values import Result, Stage
from tests.support.cases import KNIFE, LAMP, LIGHTING, UNCLEAR, CaseBook
from tests.support.library import AGENT, HOTLINE, POLICE, POLICE_AGENT, SUPERVISOR, at, clerk, staff

FIRE = "家里着火了"
PEER_POLICE = staff(POLICE, Role.PEER)
PEER_HOTLINE = staff(HOTLINE, Role.PEER)


def _lines(book: CaseBook, case: UUID) -> set[str]:
    return {sent.line for sent in book.effects(f.AlertLine) if sent.case == case}


# danger first


def test_danger_at_12345_goes_to_110_at_once_and_the_rescue_lines_are_told() -> None:
    book = CaseBook()

    case = book.register(KNIFE)

    assert book.case(case).stage is Stage.TRANSFERRED
    assert [(order.to, order.kind, order.danger) for order in book.effects(f.PassOrder)] == [
        (POLICE, "transfer", True)
    ]
    assert _lines(book, case) == {"110", "120"}


def test_an_alert_that_nobody_takes_never_stands_in_the_way_of_the_order() -> None:
    book = CaseBook()

    book.register(KNIFE)

    orders = {order.receiver() for order in book.effects(f.PassOrder)}
    alerts = {alert.receiver() for alert in book.effects(f.AlertLine)}
    assert f"{POLICE}/duty-desk" in alerts
    assert not orders & alerts


def test_110_is_told_of_a_fire_in_parallel() -> None:
    book = CaseBook()

    at_hotline, at_police = book.register(FIRE), book.register(FIRE, platform=POLICE)

    assert _lines(book, at_hotline) >= {"110", "119"}
    assert "119" in _lines(book, at_police)
    assert "dispatch" in book.runs(at_police)


def test_danger_that_a_person_sees_is_told_to_110_and_transferred_too() -> None:
    book = CaseBook()
    case = book.register(LAMP)

    book.do(c.OverrideRuling(case=case, reason="听到打斗声", danger=True))

    assert book.case(case).stage is Stage.TRANSFERRED
    assert "110" in _lines(book, case)


def test_danger_once_seen_is_never_taken_back() -> None:
    book = CaseBook()
    case = book.register(KNIFE)
    book.do(c.ReportTransferFailed(case=case, reason="线路忙"))

    with pytest.raises(AgainstRule):
        book.do(c.OverrideRuling(case=case, reason="误判", danger=False), SUPERVISOR)
    book.do(c.RuleCase(case=case, words=LAMP))

    assert book.case(case).matter.danger
    assert book.case(case).matter.urgency == "urgent"


def test_a_case_ruled_again_does_not_alert_the_lines_a_second_time() -> None:
    book = CaseBook()
    case = book.register(KNIFE)
    book.do(c.ReportTransferFailed(case=case, reason="线路忙"))
    before = len(book.effects(f.AlertLine))

    book.do(c.RuleCase(case=case, words=KNIFE))

    assert len(book.effects(f.AlertLine)) == before


@pytest.mark.parametrize(
    "command",
    [
        c.GuideCaller(case=UUID(int=0), door="法院"),
        c.AnswerAtOnce(case=UUID(int=0), words="已答复"),
        c.WithdrawCase(case=UUID(int=0), words="不要了"),
        c.HandOverCase(case=UUID(int=0), to=POLICE, reason="转办"),
    ],
)
def test_danger_is_not_guided_answered_withdrawn_or_handed_over_by_order(command: c.AnyCommand) -> None:
    book = CaseBook()
    case = book.register(KNIFE)
    book.do(c.ReportTransferFailed(case=case, reason="线路忙"))

    with pytest.raises(AgainstRule, match="never for danger"):
        book.do(c.WithdrawCase(case=case, words="不要了"))
    with pytest.raises(AgainstRule, match="never for danger"):
        book.do(
            type(command)(**{**{k: getattr(command, k) for k in command.__struct_fields__}, "case": case})
        )


def test_110_does_not_pass_danger_to_12345() -> None:
    book = CaseBook()
    case = book.register(KNIFE, platform=POLICE)

    for command in (
        c.TransferCase(case=case, to=HOTLINE),
        c.HandOverCase(case=case, to=HOTLINE, reason="非警务"),
        c.AgreeTaker(case=case, taker=HOTLINE, reason="商定"),
    ):
        with pytest.raises(AgainstRule, match="never for danger"):
            book.do(command, POLICE_AGENT)


# the watch


@pytest.mark.parametrize(("mine", "other"), [(HOTLINE, POLICE), (POLICE, HOTLINE)])
def test_danger_in_a_later_word_raises_a_diverted_case_again(mine: str, other: str) -> None:
    book = CaseBook()
    me = AGENT if mine == HOTLINE else POLICE_AGENT
    transferred, handed = book.register(LAMP, platform=mine), book.register(LAMP, platform=mine)
    book.do(c.TransferCase(case=transferred, to=other), me)
    book.do(c.ConfirmTransfer(case=transferred, number="X1"), me)
    book.do(c.HandOverCase(case=handed, to=other, reason="转办"), me)
    book.do(c.ConfirmHandOver(case=handed, number="X2"), me)

    for case in (transferred, handed):
        book.do(c.SupplementCase(case=case, words=KNIFE), me)
        there = book.case(case)
        assert there.stage is (Stage.TRANSFERRED if mine == HOTLINE else Stage.POLICE_RECEIVED)
        assert there.holder == mine
        assert ("transfer" if mine == HOTLINE else "dispatch") in book.runs(case)
        assert "total" in book.runs(case)
        assert book.run(case, "total").started == there.first_received


@pytest.mark.parametrize("words", ["withdrawn", "guided", "closed", "merged"])
def test_danger_in_a_case_that_had_ended_opens_it_again(words: str) -> None:
    book = CaseBook()
    case = (
        book.closed() if words == "closed" else book.register(LAMP if words != "guided" else "法院判决不服")
    )
    if words == "withdrawn":
        book.do(c.WithdrawCase(case=case, words="不要了"))
    if words == "guided":
        book.do(c.GuideCaller(case=case, door="法院"))
    if words == "merged":
        book.do(c.MergeCase(case=case, other=book.register(LAMP), reason="同一事项"))

    book.do(c.SupplementCase(case=case, words=KNIFE))

    assert book.case(case).stage is Stage.TRANSFERRED
    assert book.case(case).is_open
    assert "110" in _lines(book, case)


def test_a_follower_that_trips_the_danger_gate_leaves_its_parent() -> None:
    book = CaseBook()
    parent, follower = book.register(LAMP), book.register(LAMP)
    book.do(c.AttachFollower(case=follower, other=parent, reason="同一路灯"))

    events = book.do(c.SupplementCase(case=follower, words=KNIFE))

    assert [x.why for x in events if isinstance(x, e.ParentLeft)] == ["danger"]
    assert (book.case(follower).stage, book.case(follower).parent) == (Stage.TRANSFERRED, None)


def test_a_police_order_that_turns_dangerous_waits_for_a_unit_instead_of_a_hand_over() -> None:
    book = CaseBook()
    case = book.register(LAMP, platform=POLICE)
    assert book.runs(case) == {"total", "hand-over"}

    book.do(c.SupplementCase(case=case, words=KNIFE), POLICE_AGENT)

    assert book.runs(case) == {"total", "dispatch"}


# who takes it


def test_without_agreement_the_first_receiver_takes_it_and_the_item_is_for_consultation() -> None:
    book = CaseBook()
    case = book.register(UNCLEAR)

    book.do(c.AgreeTaker(case=case, taker="", reason="双方意见不一"))

    assert book.case(case).consult
    assert book.case(case).holder == HOTLINE


def test_a_taker_that_was_agreed_on_gets_it_by_transfer() -> None:
    book = CaseBook()
    case = book.register(UNCLEAR)

    book.do(c.AgreeTaker(case=case, taker=POLICE, reason="商定由110受理"))

    assert (book.case(case).stage, book.case(case).consult) == (Stage.TRANSFERRED, False)


def test_110_that_agrees_to_keep_a_case_owes_no_hand_over_any_more() -> None:
    book = CaseBook()
    case = book.register(LAMP, platform=POLICE)

    book.do(c.AgreeTaker(case=case, taker=POLICE, reason="商定由110处置"), POLICE_AGENT)

    assert book.runs(case) == {"total", "dispatch"}


def test_what_came_from_the_other_platform_goes_back_only_by_agreement_and_that_is_reflow() -> None:
    book = CaseBook()
    case = book.register(LAMP, peer_platform=POLICE, first_platform=POLICE)

    for command in (
        c.TransferCase(case=case, to=POLICE),
        c.HandOverCase(case=case, to=POLICE, reason="退回"),
    ):
        with pytest.raises(AgainstRule, match="flow back"):
            book.do(command)
    book.do(c.AgreeTaker(case=case, taker=POLICE, reason="三方商定"))

    assert book.case(case).reflow
    assert "reflow-seen" in [sent.template for sent in book.effects(f.Notify)]


def test_what_the_other_side_sent_back_is_not_sent_there_a_second_time_alone() -> None:
    book = CaseBook()
    case = book.register(LAMP, platform=POLICE)
    book.do(c.HandOverCase(case=case, to=HOTLINE, reason="非警务"), POLICE_AGENT)
    book.do(c.ConfirmHandOver(case=case, number="W1"), POLICE_AGENT)
    book.do(c.ReportHandOverFailed(case=case, reason="对方退回"), POLICE_AGENT)

    with pytest.raises(AgainstRule, match="flow back"):
        book.do(c.HandOverCase(case=case, to=HOTLINE, reason="再转"), POLICE_AGENT)


def test_what_comes_back_to_the_platform_that_first_received_it_is_seen_as_reflow() -> None:
    book = CaseBook()

    case = book.register(LAMP, peer_platform=POLICE, first_platform=HOTLINE)

    assert book.case(case).reflow


# results


def test_the_result_of_a_case_handed_in_goes_back_to_110() -> None:
    book = CaseBook()
    case = book.register(LAMP, peer_platform=POLICE, first_platform=POLICE)
    book.do(c.AssignCase(case=case, lead=LIGHTING))
    book.do(c.SignFor(case=case), clerk(LIGHTING))
    book.reply(case)
    book.finish(case)

    assert [(back.to, back.result) for back in book.effects(f.ReturnResult)] == [(POLICE, "solved")]


@pytest.mark.parametrize(
    ("command", "result"),
    [
        (c.AnswerAtOnce(case=UUID(int=0), words="已答复"), "answered"),
        (c.GuideCaller(case=UUID(int=0), door="法院"), "guided"),
        (c.WithdrawCase(case=UUID(int=0), words="不要了"), "withdrawn"),
    ],
)
def test_110_hears_how_it_ended_however_it_ended(command: c.AnyCommand, result: str) -> None:
    book = CaseBook()
    case = book.register(LAMP, peer_platform=POLICE, first_platform=POLICE)

    book.do(type(command)(**{**{k: getattr(command, k) for k in command.__struct_fields__}, "case": case}))

    assert [back.result for back in book.effects(f.ReturnResult)] == [result]


def test_a_case_handed_in_is_not_merged_away() -> None:
    book = CaseBook()
    case, other = book.register(LAMP, peer_platform=POLICE), book.register(LAMP)

    with pytest.raises(AgainstRule, match="own result"):
        book.do(c.MergeCase(case=case, other=other, reason="同一事项"))


def test_a_police_order_without_a_unit_sent_closes_by_the_other_sides_result() -> None:
    book = CaseBook()
    case = book.register(LAMP, platform=POLICE)
    book.do(c.HandOverCase(case=case, to=HOTLINE, reason="非警务"), POLICE_AGENT)
    book.do(c.ConfirmHandOver(case=case, number="W1"), PEER_HOTLINE)

    book.do(c.ReportPeerResult(case=case, result=Result.SOLVED, words="已修好"), PEER_HOTLINE)

    assert (book.case(case).stage, book.case(case).result) == (Stage.CLOSED, Result.BY_PEER)


def test_with_a_unit_sent_110_closes_its_order_itself() -> None:
    book = CaseBook()
    case = book.register(KNIFE, platform=POLICE)
    book.do(c.ReportArrived(case=case), POLICE_AGENT)
    book.do(c.ReportFeedback(case=case, category="纠纷", remainder=True), POLICE_AGENT)
    with pytest.raises(AgainstRule, match="remainder"):
        book.do(c.ClosePoliceOrder(case=case), POLICE_AGENT)
    book.do(c.HandOverCase(case=case, to=HOTLINE, reason="路面破损", remainder=True), POLICE_AGENT)
    book.do(c.ConfirmHandOver(case=case, number="W1"), POLICE_AGENT)

    book.do(c.ReportPeerResult(case=case, result=Result.SOLVED), PEER_HOTLINE)
    assert book.case(case).stage is Stage.DELIVERED
    book.do(c.ClosePoliceOrder(case=case), POLICE_AGENT)

    assert book.case(case).stage is Stage.CLOSED


def test_what_a_unit_leaves_over_is_handed_over_within_a_working_day_of_the_order() -> None:
    book = CaseBook("2026-03-02 10:00")
    case = book.register("打架了", platform=POLICE)
    book.do(c.ReportArrived(case=case), POLICE_AGENT)
    book.until("2026-03-06 10:00")
    book.do(c.ReportFeedback(case=case, remainder=True), POLICE_AGENT)
    book.do(c.OverrideRuling(case=case, reason="已平息"), POLICE_AGENT)

    book.do(c.HandOverCase(case=case, to=HOTLINE, reason="路面破损", remainder=True), POLICE_AGENT)

    if not book.case(case).matter.danger:
        assert book.due(case, "hand-over") == at("2026-03-09 17:30")
    else:
        assert book.due(case, "hand-over") == at("2026-03-06 10:15")


def test_a_result_nobody_waits_for_any_more_is_on_record() -> None:
    book = CaseBook()
    case = book.register(KNIFE)
    book.do(c.ConfirmTransfer(case=case, number="J1"))

    events = book.do(c.ReportPeerResult(case=case, result=Result.SOLVED, words="已处置"), PEER_POLICE)

    assert [type(x) for x in events] == [e.PeerResultReported]
    assert book.case(case).stage is Stage.PASSED


def test_nobody_reports_a_result_of_a_case_that_never_left() -> None:
    book = CaseBook()
    case = book.register(LAMP)

    with pytest.raises(WrongStage):
        book.do(c.ReportPeerResult(case=case, result=Result.SOLVED))


def test_only_the_platform_that_was_passed_a_case_answers_for_it() -> None:
    book = CaseBook()
    case = book.register(LAMP, peer_platform=POLICE, first_platform=POLICE)
    book.do(c.HandOverCase(case=case, to="12345-630000", reason="省级事项"))

    with pytest.raises(NotYours):
        book.do(c.ConfirmHandOver(case=case, number="J1"), PEER_POLICE)
    book.do(c.ConfirmHandOver(case=case, number="S1"), staff("12345-630000", Role.PEER))

    assert book.case(case).holder == "12345-630000"


# police orders


def test_a_police_order_mirrors_what_the_cad_reports() -> None:
    book = CaseBook()
    case = book.register(KNIFE, platform=POLICE)
    stages = []
    for command in (
        c.ReportUnitSent(case=case, unit="巡1"),
        c.ReportUnitSent(case=case, unit="巡2"),
        c.ReportArrived(case=case),
        c.ReportUnitSent(case=case, unit="巡3"),
        c.ReportFeedback(case=case, category="治安"),
        c.ClosePoliceOrder(case=case),
    ):
        book.do(command, POLICE_AGENT)
        stages.append(book.case(case).stage)

    assert stages == [
        Stage.UNIT_SENT,
        Stage.UNIT_SENT,
        Stage.ARRIVED,
        Stage.ARRIVED,
        Stage.FED_BACK,
        Stage.CLOSED,
    ]


def test_an_arrival_says_that_a_unit_was_sent() -> None:
    book = CaseBook()
    case = book.register(KNIFE, platform=POLICE)

    book.do(c.ReportArrived(case=case), POLICE_AGENT)

    assert book.case(case).police_sent
    assert "dispatch" not in book.runs(case)


def test_110_closes_nothing_as_unreasonable_with_one_hand() -> None:
    book = CaseBook()
    case = book.register(KNIFE, platform=POLICE)
    book.do(c.ReportFeedback(case=case), POLICE_AGENT)

    with pytest.raises(AgainstRule, match="two persons"):
        book.do(c.ClosePoliceOrder(case=case, result=Result.UNREASONABLE), POLICE_AGENT)


def test_departments_do_not_get_police_orders() -> None:
    book = CaseBook()
    case = book.register(LAMP, platform=POLICE)

    with pytest.raises(WrongStage):
        book.do(c.AssignCase(case=case, lead=LIGHTING), POLICE_AGENT)


def test_a_police_order_opened_again_stands_at_110_again() -> None:
    book = CaseBook()
    case = book.register(KNIFE, platform=POLICE)
    book.do(c.ReportFeedback(case=case), POLICE_AGENT)
    book.do(c.ClosePoliceOrder(case=case), POLICE_AGENT)

    book.do(c.RedoCase(case=case, words="又来了"), staff(POLICE, Role.SQUAD_LEADER))

    assert book.case(case).stage is Stage.POLICE_RECEIVED
    assert "dispatch" in book.runs(case)


# merging and following


def test_a_follower_keeps_its_own_total_and_is_answered_by_itself() -> None:
    book = CaseBook()
    parent, follower = book.register(LAMP), book.register(LAMP)
    book.do(c.AttachFollower(case=follower, other=parent, reason="同一路灯"))
    assert book.runs(follower) == {"total"}
    assert book.case(parent).followers == (follower,)

    book.do(c.DeliverReply(case=follower, words="与主单一并答复"))
    book.do(c.CloseCase(case=follower, result=Result.SOLVED))

    assert book.case(follower).stage is Stage.CLOSED


def test_a_follower_that_leaves_stands_on_its_own_clocks() -> None:
    book = CaseBook()
    parent, follower = book.register(LAMP), book.register(LAMP)
    book.do(c.AttachFollower(case=follower, other=parent, reason="同一路灯"))

    book.do(c.LeaveParent(case=follower, other=parent, reason="不是同一盏"))

    assert (book.case(follower).stage, book.case(parent).followers) == (Stage.RULED, ())
    assert {"total", "assign"} <= book.runs(follower)


def test_nothing_is_merged_into_or_attached_to_what_has_ended() -> None:
    book = CaseBook()
    ended = book.closed()
    book.do(c.CallBack(case=ended, reached=True))
    case = book.register(LAMP)

    for command in (
        c.MergeCase(case=case, other=ended, reason="同一事项"),
        c.AttachFollower(case=case, other=ended, reason="同一事项"),
    ):
        with pytest.raises(AgainstRule):
            book.do(command)


def test_danger_is_neither_merged_nor_attached() -> None:
    book = CaseBook()
    case, other = book.register(KNIFE), book.register(LAMP)
    book.do(c.ReportTransferFailed(case=case, reason="线路忙"))

    for command in (
        c.MergeCase(case=case, other=other, reason="同一事项"),
        c.AttachFollower(case=case, other=other, reason="同一事项"),
    ):
        with pytest.raises(AgainstRule, match="never for danger"):
            book.do(command)


def test_a_number_that_lies_too_far_back_comes_in_by_import_only() -> None:
    book = CaseBook("2026-03-02 10:00")

    with pytest.raises(BadField) as refused:
        book.register(LAMP, first_received=at("2024-03-02 10:00"), peer_platform=POLICE)

    assert refused.value.field == "first_received"


def test_the_hotline_learns_how_110_closed_a_danger_case_that_it_passed_on() -> None:
    """Both sides: what 110 said at the close goes back, and the hotline's case and desk have the result."""
    book = CaseBook()
    order = book.register(KNIFE, platform=POLICE, peer_platform=HOTLINE, first_platform=HOTLINE)
    book.do(c.ReportFeedback(case=order, category="纠纷"), POLICE_AGENT)
    book.do(c.ClosePoliceOrder(case=order, result=Result.SOLVED, words="已控制,无人受伤"), POLICE_AGENT)
    (back,) = book.effects(f.ReturnResult)
    assert (back.to, back.result) == (HOTLINE, "solved")
    assert back.said is not None

    case = book.register(KNIFE)
    book.do(c.ConfirmTransfer(case=case, number="J1"))
    book.do(c.ReportPeerResult(case=case, result=Result.SOLVED, words="已控制,无人受伤"), PEER_POLICE)

    assert book.case(case).result is Result.SOLVED
    told = [x for x in book.effects(f.Notify) if x.case == case]
    assert (told[-1].to.platform, told[-1].template) == (HOTLINE, "peer-result")


def test_a_police_order_is_transferred_to_another_110_not_handed_over_by_order() -> None:
    book = CaseBook()
    order = book.register(KNIFE, platform=POLICE)
    book.do(c.ReportFeedback(case=order, category="纠纷", remainder=True), POLICE_AGENT)

    with pytest.raises(AgainstRule) as refused:
        book.do(
            c.HandOverCase(case=order, to="110-630200", reason="辖区在海东", remainder=True), POLICE_AGENT
        )

    assert refused.value.field == "to"


def test_only_the_other_platform_names_a_first_receipt_before_ours() -> None:
    book = CaseBook()
    before = book.now - timedelta(hours=3)

    with pytest.raises(BadField) as refused:
        book.register(LAMP, first_received=before)
    theirs = book.register(LAMP, by=PEER_HOTLINE, first_received=before, peer_platform=POLICE)

    assert refused.value.field == "first_received"
    assert book.case(theirs).first_received == before
