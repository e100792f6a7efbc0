"""Which command is admitted in which stage. One row for each stage; `docs/lifecycle.md` is drawn from this table."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from dispatcher.domain import commands as c
from dispatcher.domain.case import Case
from dispatcher.domain.stream import Command
from dispatcher.domain.values import Line, Result, Stage

_ALWAYS: tuple[type[Command], ...] = (
    c.SupplementCase,
    c.ExpireDeadline,
    c.ReportNoticeFailed,
    c.ReportNoticeDiverted,
    c.ReportNoticeConfirmed,
    c.RepairDeadline,
    c.ReportQuarantined,
    c.ReportRepeat,
    c.ReportSurge,
    c.HoldCase,
    c.ReleaseHold,
    c.MoveDeadlines,
    c.ReportPeerResult,
)
_OPEN: tuple[type[Command], ...] = (*_ALWAYS, c.UrgeCase, c.SuperviseCase, c.WithdrawCase, c.MergeCase)
_DESK: tuple[type[Command], ...] = (
    *_OPEN,
    c.RuleCase,
    c.OverrideRuling,
    c.TransferCase,
    c.AgreeTaker,
    c.HandOverCase,
    c.GuideCaller,
    c.AnswerAtOnce,
    c.AttachFollower,
)
_UNREASONABLE: tuple[type[Command], ...] = (c.ProposeUnreasonable, c.DecideUnreasonable)
_EXTENSION: tuple[type[Command], ...] = (c.AskExtension, c.DecideExtension)

ALLOWED: dict[Stage, tuple[type[Command], ...]] = {
    Stage.RECEIVED: (*_DESK, *_UNREASONABLE, c.AssignCase, c.OfferClaim),
    Stage.RULED: (*_DESK, *_UNREASONABLE, c.AssignCase, c.OfferClaim),
    Stage.TRANSFERRED: (*_OPEN, c.ConfirmTransfer, c.ReportTransferFailed),
    Stage.PASSED: (*_ALWAYS, c.EraseCase, c.SuperviseCase),
    Stage.HANDED_OVER: (*_OPEN, c.ConfirmHandOver, c.ReportHandOverFailed),
    Stage.OFFERED: (*_OPEN, c.ClaimCase, c.AssignCase, c.OverrideRuling),
    Stage.ASSIGNED: (
        *_OPEN,
        *_UNREASONABLE,
        *_EXTENSION,
        c.OverrideRuling,
        c.RecallDispatch,
        c.SignFor,
        c.ContactCitizen,
        c.AskReturn,
    ),
    Stage.SIGNED: (
        *_OPEN,
        *_UNREASONABLE,
        *_EXTENSION,
        c.OverrideRuling,
        c.RecallDispatch,
        c.SignFor,
        c.ContactCitizen,
        c.SubAssign,
        c.RecallSubAssignment,
        c.AskReturn,
        c.AskPause,
        c.DecidePause,
        c.ReplyCase,
        c.SendBackSubReply,
    ),
    Stage.PAUSED: (*_OPEN, c.ContactCitizen, c.ResumeCase),
    Stage.RETURNING: (*_OPEN, *_EXTENSION, c.DecideReturn, c.ContactCitizen),
    Stage.ADJUDICATING: (*_OPEN, c.AdjudicateCase, c.OverrideRuling),
    Stage.REPLIED: (*_OPEN, *_UNREASONABLE, c.ApproveReply, c.SendBackReply),
    Stage.APPROVED: (*_OPEN, c.DeliverReply, c.SendBackReply),
    Stage.DELIVERED: (*_OPEN, *_UNREASONABLE, c.CloseCase, c.ClosePoliceOrder),
    Stage.ANSWERED: (*_OPEN, c.CloseCase, c.AssignCase),
    Stage.GUIDED: (*_ALWAYS, c.AssignCase, c.OverrideRuling, c.EraseCase),
    Stage.POLICE_RECEIVED: (
        *_DESK,
        c.ReportUnitSent,
        c.ReportArrived,
        c.ReportFeedback,
    ),
    Stage.UNIT_SENT: (*_OPEN, c.OverrideRuling, c.ReportUnitSent, c.ReportArrived, c.ReportFeedback),
    Stage.ARRIVED: (*_OPEN, c.OverrideRuling, c.ReportUnitSent, c.ReportFeedback),
    Stage.FED_BACK: (*_OPEN, c.OverrideRuling, c.ReportFeedback, c.HandOverCase, c.ClosePoliceOrder),
    Stage.FOLLOWING: (*_OPEN, c.LeaveParent, c.DeliverReply, c.CloseCase),
    Stage.CLOSED: (
        *_ALWAYS,
        c.CallBack,
        c.RateCase,
        c.VerifyRating,
        c.RedoCase,
        c.AppealUnreasonable,
        c.SuperviseCase,
        c.EraseCase,
    ),
    Stage.CALLED_BACK: (
        *_ALWAYS,
        c.RateCase,
        c.VerifyRating,
        c.RedoCase,
        c.AppealUnreasonable,
        c.SuperviseCase,
        c.EraseCase,
    ),
    Stage.ARCHIVED: (*_ALWAYS, c.AppealUnreasonable, c.EraseCase),
    Stage.MERGED: (*_ALWAYS, c.EraseCase),
    Stage.WITHDRAWN: (*_ALWAYS, c.EraseCase),
}

FOR_MACHINES: frozenset[type[Command]] = frozenset(
    {
        c.ExpireDeadline,
        c.MoveDeadlines,
        c.ReportNoticeFailed,
        c.ReportNoticeDiverted,
        c.ReportNoticeConfirmed,
        c.RepairDeadline,
        c.ReportQuarantined,
        c.ReportRepeat,
        c.ReportSurge,
    }
)
"""Commands that Liandong itself sends; people are not offered them."""


class _Hanging(NamedTuple):
    """What besides the stage decides what is admitted: requests pending, proposals, holds."""

    stage: Stage
    line: str
    extension: bool
    pause: bool
    proposed: bool
    unsigned_tier: bool
    tiers: bool
    recallable: bool
    callback: bool
    contested: bool
    police_sent: bool
    passed_on: bool
    unreasonable: bool
    hold: bool
    erased: bool
    owes: bool


def _hanging(case: Case) -> _Hanging:
    return _Hanging(
        stage=case.stage,
        line=case.line,
        extension=bool(case.extensions) and case.extension_pending is not None,
        pause=bool(case.pauses) and case.pause_pending is not None,
        proposed=bool(case.proposed_by),
        unsigned_tier=any(tier.signed is None for tier in case.tiers),
        tiers=bool(case.tiers),
        recallable=case.recall_until is not None,
        callback=case.callback_due,
        contested=case.contested_rating,
        police_sent=case.police_sent,
        passed_on=any(link.direction == "out" for link in case.peers),
        unreasonable=case.result is Result.UNREASONABLE,
        hold=case.hold,
        erased=case.erased,
        owes=case.is_open,
    )


def _admits(now: _Hanging, command: type[Command]) -> bool:
    """The stage row, and one condition more for the commands that answer to something pending."""
    if command not in ALLOWED[now.stage]:
        return False
    match command:
        case c.DecideExtension:
            return now.extension
        case c.AskExtension:
            return not now.extension
        case c.DecidePause:
            return now.pause
        case c.AskPause:
            return not now.pause
        case c.DecideUnreasonable:
            return now.proposed
        case c.ProposeUnreasonable:
            return not now.proposed
        case c.SignFor:
            return now.stage is not Stage.SIGNED or now.unsigned_tier
        case c.RecallDispatch:
            return now.recallable
        case c.RecallSubAssignment | c.SendBackSubReply:
            return now.tiers
        case c.CallBack:
            return now.callback
        case c.VerifyRating:
            return now.contested
        case c.AgreeTaker:
            return now.line == Line.HOTLINE or not now.police_sent
        case c.ReportUnitSent | c.ReportArrived | c.ReportFeedback | c.ClosePoliceOrder:
            return now.line == Line.POLICE
        case c.ReportPeerResult:
            return now.passed_on
        case c.SupplementCase:
            return not now.erased
        case c.AppealUnreasonable:
            return now.unreasonable and not now.erased
        case c.ReleaseHold:
            return now.hold
        case c.HoldCase:
            return not now.hold
        case c.EraseCase:
            # closed without a callback owed, a case is never archived, and its keeping ends all the same
            return not now.erased and not now.hold and not now.owes
        case c.RateCase | c.RedoCase:
            return not now.erased
        case _:
            return True


def admits(case: Case, command: type[Command]) -> bool:
    """Whether the stage and what hangs over it (a pending request, a proposal) admit the command."""
    return _admits(_hanging(case), command)


def allowed_names(case: Case) -> tuple[str, ...]:
    """What people may do with the case now, by stable name, in the order of the table."""
    return _names(_hanging(case))


@lru_cache(maxsize=4096)
def _names(now: _Hanging) -> tuple[str, ...]:
    return tuple(
        c.name_of(command)
        for command in ALLOWED[now.stage]
        if command not in FOR_MACHINES and _admits(now, command)
    )


def diagram() -> str:
    """The stage table as a Mermaid state diagram (generated into docs/lifecycle.md)."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for stage, commands in ALLOWED.items():
        for command in commands:
            for target in LEADS_TO.get(command, {}).get(stage, LEADS_TO.get(command, {}).get(None, ())):
                arrows.setdefault((stage.value, target.value), []).append(c.name_of(command))
    lines = ["stateDiagram-v2", "    [*] --> received: register-case (12345)"]
    lines.append("    [*] --> police_received: register-case (110)")
    for (left, right), names in arrows.items():
        label = ", ".join(names)
        lines.append(f"    {left.replace('-', '_')} --> {right.replace('-', '_')}: {label}")
    return "\n".join(lines) + "\n"


_Targets = dict[Stage | None, tuple[Stage, ...]]

_DANGER: _Targets = dict.fromkeys(
    (
        Stage.PASSED,
        Stage.HANDED_OVER,
        Stage.GUIDED,
        Stage.ANSWERED,
        Stage.CLOSED,
        Stage.ARCHIVED,
        Stage.MERGED,
        Stage.WITHDRAWN,
        Stage.FOLLOWING,
    ),
    (Stage.TRANSFERRED, Stage.POLICE_RECEIVED),
)

LEADS_TO: dict[type[Command], _Targets] = {
    c.SupplementCase: {
        **_DANGER,
        Stage.RECEIVED: (Stage.TRANSFERRED,),
        Stage.RULED: (Stage.TRANSFERRED,),
        Stage.CALLED_BACK: (Stage.TRANSFERRED,),
        Stage.PAUSED: (Stage.SIGNED,),
    },
    c.RuleCase: {Stage.RECEIVED: (Stage.RULED, Stage.TRANSFERRED), Stage.RULED: (Stage.TRANSFERRED,)},
    c.OverrideRuling: {
        Stage.RECEIVED: (Stage.RULED, Stage.TRANSFERRED),
        Stage.RULED: (Stage.TRANSFERRED,),
        Stage.ASSIGNED: (Stage.ADJUDICATING,),
        Stage.SIGNED: (Stage.ADJUDICATING,),
    },
    c.TransferCase: {None: (Stage.TRANSFERRED,)},
    c.AgreeTaker: {None: (Stage.TRANSFERRED,)},
    c.ConfirmTransfer: {None: (Stage.PASSED,)},
    c.ReportTransferFailed: {None: (Stage.RECEIVED, Stage.RULED, Stage.POLICE_RECEIVED)},
    c.HandOverCase: {None: (Stage.HANDED_OVER,)},
    c.ReportHandOverFailed: {None: (Stage.RECEIVED, Stage.RULED, Stage.POLICE_RECEIVED, Stage.FED_BACK)},
    c.ReportPeerResult: {Stage.HANDED_OVER: (Stage.DELIVERED, Stage.CLOSED)},
    c.GuideCaller: {None: (Stage.GUIDED,)},
    c.AnswerAtOnce: {None: (Stage.ANSWERED,)},
    c.AttachFollower: {None: (Stage.FOLLOWING,)},
    c.LeaveParent: {None: (Stage.RECEIVED, Stage.RULED, Stage.POLICE_RECEIVED)},
    c.MergeCase: {None: (Stage.MERGED,)},
    c.WithdrawCase: {None: (Stage.WITHDRAWN,)},
    c.AssignCase: {None: (Stage.ASSIGNED,)},
    c.RecallDispatch: {None: (Stage.RULED,)},
    c.OfferClaim: {None: (Stage.OFFERED,)},
    c.ClaimCase: {None: (Stage.SIGNED,)},
    c.SignFor: {Stage.ASSIGNED: (Stage.SIGNED,)},
    c.AskReturn: {None: (Stage.RETURNING, Stage.ADJUDICATING)},
    c.DecideReturn: {None: (Stage.RULED, Stage.ASSIGNED, Stage.SIGNED, Stage.ADJUDICATING)},
    c.AdjudicateCase: {None: (Stage.ASSIGNED,)},
    c.DecidePause: {None: (Stage.PAUSED,)},
    c.ResumeCase: {None: (Stage.SIGNED,)},
    c.ReplyCase: {None: (Stage.REPLIED,)},
    c.ApproveReply: {None: (Stage.APPROVED,)},
    c.SendBackReply: {None: (Stage.SIGNED,)},
    c.DeliverReply: {None: (Stage.DELIVERED,)},
    c.CloseCase: {None: (Stage.CLOSED,)},
    c.DecideUnreasonable: {None: (Stage.CLOSED,)},
    c.AppealUnreasonable: {None: (Stage.RULED, Stage.ADJUDICATING, Stage.POLICE_RECEIVED)},
    c.CallBack: {None: (Stage.CALLED_BACK,)},
    c.VerifyRating: {None: (Stage.RULED, Stage.ASSIGNED, Stage.POLICE_RECEIVED, Stage.ARCHIVED)},
    c.RedoCase: {None: (Stage.RULED, Stage.ASSIGNED, Stage.POLICE_RECEIVED)},
    c.ReportUnitSent: {Stage.POLICE_RECEIVED: (Stage.UNIT_SENT,)},
    c.ReportArrived: {Stage.POLICE_RECEIVED: (Stage.ARRIVED,), Stage.UNIT_SENT: (Stage.ARRIVED,)},
    c.ReportFeedback: {
        Stage.POLICE_RECEIVED: (Stage.FED_BACK,),
        Stage.UNIT_SENT: (Stage.FED_BACK,),
        Stage.ARRIVED: (Stage.FED_BACK,),
    },
    c.ClosePoliceOrder: {None: (Stage.CLOSED,)},
    c.ExpireDeadline: {
        Stage.ASSIGNED: (Stage.SIGNED,),
        Stage.PAUSED: (Stage.SIGNED,),
        Stage.CLOSED: (Stage.ARCHIVED,),
        Stage.CALLED_BACK: (Stage.ARCHIVED,),
    },
}
"""Where a command can lead, by stage (None: from every stage that admits it). A property test holds it to the truth."""
