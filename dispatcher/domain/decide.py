"""`decide`: one command, one case (and sometimes a second), now: events or a refusal. Total over all commands."""

from __future__ import annotations

from typing import assert_never

from dispatcher.domain import commands as c
from dispatcher.domain.authority import permit, sees
from dispatcher.domain.deciding import checks, closing, due, intake, passing, police, related, units
from dispatcher.domain.draft import Draft
from dispatcher.domain.errors import AlreadyThere, NotFound, WrongStage
from dispatcher.domain.lifecycle import admits, allowed_names
from dispatcher.domain.stream import SYSTEM


def decide(draft: Draft, command: c.AnyCommand, other: Draft | None) -> None:
    """Record what the command makes happen.

    Raises:
        Refused: one of its kinds; the draft is then thrown away whole.
    """
    if draft.actor is not SYSTEM:
        checks.plain(command)
    permit(draft.actor, command, draft.found, draft.library)
    if isinstance(command, c.RegisterCase):
        if draft.found is not None:
            raise AlreadyThere(
                "There is a case with this id.",
                field="case",
                value=str(draft.ref.id),
                remedy="use a fresh id, or repeat with the same message id",
            )
        intake.register(draft, command)
        return
    if draft.found is None:
        raise NotFound(
            "There is no such case.", field="case", value=str(draft.ref.id), remedy="check the number"
        )
    if not admits(draft.found, type(command)):
        raise WrongStage(
            "The case is {stage}; {command} is not possible now.",
            stage=draft.found.stage.value,
            command=c.name_of(type(command)),
            field="stage",
            value=draft.found.stage.value,
            remedy="do one of the allowed commands",
            allowed=allowed_names(draft.found),
        )
    if other is not None and other.found is not None and not sees(draft.actor, other.found, draft.library):
        raise NotFound(
            "There is no such case.", field="other", value=str(other.ref.id), remedy="check the number"
        )
    _dispatch(draft, command, other)


def _dispatch(draft: Draft, command: c.AnyCommand, other: Draft | None) -> None:
    match command:
        case c.ExpireDeadline():  # first: a storm at 17:30 is nothing but these
            due.expire(draft, command)
        case c.RegisterCase():
            intake.register(draft, command)
        case c.SupplementCase():
            intake.supplement(draft, command)
        case c.RuleCase():
            intake.rule_again(draft, command)
        case c.OverrideRuling():
            intake.override(draft, command)
        case c.TransferCase():
            passing.transfer(draft, command)
        case c.ConfirmTransfer():
            passing.confirm_transfer(draft, command)
        case c.ReportTransferFailed():
            passing.transfer_failed(draft, command)
        case c.AgreeTaker():
            passing.agree(draft, command)
        case c.HandOverCase():
            passing.hand_over(draft, command)
        case c.ConfirmHandOver():
            passing.confirm_hand_over(draft, command)
        case c.ReportHandOverFailed():
            passing.hand_over_failed(draft, command)
        case c.ReportPeerResult():
            passing.peer_result(draft, command)
        case c.GuideCaller():
            passing.guide(draft, command)
        case c.AnswerAtOnce():
            passing.answer(draft, command)
        case c.AssignCase():
            units.assign(draft, command)
        case c.RecallDispatch():
            units.recall_dispatch(draft, command)
        case c.OfferClaim():
            units.offer(draft, command)
        case c.ClaimCase():
            units.claim(draft, command)
        case c.SignFor():
            units.sign(draft, command)
        case c.ContactCitizen():
            units.contact(draft, command)
        case c.SubAssign():
            units.sub_assign(draft, command)
        case c.RecallSubAssignment():
            units.recall(draft, command)
        case c.AskReturn():
            units.ask_return(draft, command)
        case c.DecideReturn():
            units.decide_return(draft, command)
        case c.AdjudicateCase():
            units.adjudicate(draft, command)
        case c.AskExtension():
            units.ask_extension(draft, command)
        case c.DecideExtension():
            units.decide_extension(draft, command)
        case c.AskPause():
            units.ask_pause(draft, command)
        case c.DecidePause():
            units.decide_pause(draft, command)
        case c.ResumeCase():
            units.resume(draft, command)
        case c.ReplyCase():
            units.reply(draft, command)
        case c.SendBackSubReply():
            units.send_back_sub_reply(draft, command)
        case c.ApproveReply():
            units.approve(draft, command)
        case c.SendBackReply():
            units.send_back(draft, command)
        case c.DeliverReply():
            units.deliver(draft, command)
        case c.CloseCase():
            closing.close(draft, command)
        case c.ProposeUnreasonable():
            closing.propose_unreasonable(draft, command)
        case c.DecideUnreasonable():
            closing.decide_unreasonable(draft, command)
        case c.AppealUnreasonable():
            closing.appeal(draft, command)
        case c.CallBack():
            closing.call_back(draft, command)
        case c.RateCase():
            closing.rate(draft, command)
        case c.VerifyRating():
            closing.verify_rating(draft, command)
        case c.RedoCase():
            closing.redo(draft, command)
        case c.UrgeCase():
            closing.urge(draft, command)
        case c.SuperviseCase():
            closing.supervise(draft, command)
        case c.AttachFollower():
            related.attach(draft, _second(other), command)
        case c.LeaveParent():
            related.leave(draft, _second(other), command)
        case c.MergeCase():
            related.merge(draft, _second(other), command)
        case c.WithdrawCase():
            closing.withdraw(draft, command)
        case c.ReportUnitSent():
            police.unit_sent(draft, command)
        case c.ReportArrived():
            police.arrived(draft, command)
        case c.ReportFeedback():
            police.feedback(draft, command)
        case c.ClosePoliceOrder():
            closing.close_police(draft, command)
        case c.ReportNoticeFailed():
            due.notice_failed(draft, command)
        case c.ReportNoticeDiverted():
            due.notice_diverted(draft, command)
        case c.ReportNoticeConfirmed():
            due.notice_confirmed(draft, command)
        case c.RepairDeadline():
            due.repair(draft, command)
        case c.ReportQuarantined():
            due.quarantined(draft, command)
        case c.ReportRepeat():
            related.repeated(draft, command)
        case c.ReportSurge():
            related.surge(draft, command)
        case c.HoldCase():
            closing.hold(draft, command)
        case c.ReleaseHold():
            closing.release_hold(draft, command)
        case c.EraseCase():
            closing.erase(draft, command)
        case c.MoveDeadlines():
            due.move(draft, command)
        case _:
            assert_never(command)


def _second(other: Draft | None) -> Draft:
    assert other is not None, "the command names its second stream"
    return other
