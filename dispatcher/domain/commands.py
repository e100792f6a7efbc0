"""What people and systems may want done to a case. Reports say what was seen; requests are imperatives.

Every text a person writes (``reason``, ``words``) becomes an erasable text; only codes go into the log. Instants in
commands are aware; unit codes GB 32100; divisions GB/T 2260; durations in working days are whole numbers.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from dispatcher.domain.stream import Command, StreamRef
from dispatcher.domain.values import CaseId, Personal, Result, ReturnReason, SafeContact
from routing_rules.ruling import Hints, Urgency

CASE = "case"


class CaseCommand(Command, frozen=True, kw_only=True):
    """A command about one case."""

    case: CaseId

    def streams(self) -> tuple[StreamRef, ...]:
        return (StreamRef(kind=CASE, id=self.case),)


class _Pair(CaseCommand, frozen=True, kw_only=True):
    """A command about a case and another one."""

    other: CaseId

    def streams(self) -> tuple[StreamRef, ...]:
        return (StreamRef(kind=CASE, id=self.case), StreamRef(kind=CASE, id=self.other))


# ---- intake ----------------------------------------------------------------------------------------------------


class RegisterCase(CaseCommand, frozen=True, kw_only=True, tag="register-case"):
    """登记:a call or message came in. ``platform`` is the platform id that received it.

    ``received`` is when it came (default: now); only an import may name an instant before the last quarter of an
    hour. ``first_received``/``first_platform`` are the other side's when it was handed in: the total clock starts
    there and never resets.
    """

    platform: str
    number: str
    title: str = ""
    words: str
    channel: str = "phone"
    division: str = ""
    received: datetime | None = None
    first_received: datetime | None = None
    first_platform: str = ""
    personal: Personal = Personal()
    caller_mac: bytes = b""
    anonymous: bool = False
    confidential: bool = False
    wants_reply: bool = True
    safe_contact: SafeContact | None = None
    hints: Hints = Hints()
    call: str = ""
    peer_platform: str = ""
    peer_number: str = ""
    peer_case: UUID | None = None
    imported: bool = False


class SupplementCase(CaseCommand, frozen=True, kw_only=True, tag="supplement-case"):
    """补充:more words about the same matter. Ruled afresh; a follower that trips the danger gate leaves its parent."""

    words: str


class RuleCase(CaseCommand, frozen=True, kw_only=True, tag="rule-case"):
    """重新判定:rule again under the lists in force (after a new release, or when more is known of the place)."""

    words: str = ""
    division: str = ""


class OverrideRuling(CaseCommand, frozen=True, kw_only=True, tag="override-ruling"):
    """改判:a person decides otherwise, with a reason. Danger is never overridden to less by the same desk alone."""

    reason: str
    platform: str = ""
    item: str = ""
    urgency: Urgency | None = None
    category: str = ""
    owners: tuple[str, ...] = ()
    danger: bool | None = None
    about: str | None = None


# ---- between the platforms -------------------------------------------------------------------------------------


class TransferCase(CaseCommand, frozen=True, kw_only=True, tag="transfer-case"):
    """一键转接:the caller goes to the platform ``to``; this side stays answerable until it confirms."""

    to: str
    reason: str = ""
    call: str = ""


class ConfirmTransfer(CaseCommand, frozen=True, kw_only=True, tag="confirm-transfer"):
    """对方已接:the other side answered and took the matter, under its own number."""

    number: str = ""
    peer_case: UUID | None = None


class ReportTransferFailed(CaseCommand, frozen=True, kw_only=True, tag="report-transfer-failed"):
    """转接失败:nobody took it; the case is back with this platform."""

    reason: str


class AgreeTaker(CaseCommand, frozen=True, kw_only=True, tag="agree-taker"):
    """三方通话结果:who takes it. ``taker`` empty: no agreement, the first receiver takes it (首接) and the item
    goes onto the consultation list."""

    taker: str = ""
    reason: str


class HandOverCase(CaseCommand, frozen=True, kw_only=True, tag="hand-over-case"):
    """转办:an order to the other platform, because the caller cannot be transferred. ``remainder``: only what is
    left over for the other line after a unit was on scene."""

    to: str
    reason: str
    remainder: bool = False


class ConfirmHandOver(CaseCommand, frozen=True, kw_only=True, tag="confirm-hand-over"):
    """转办送达:the other platform has it, under its own number."""

    number: str = ""
    peer_case: UUID | None = None


class ReportHandOverFailed(CaseCommand, frozen=True, kw_only=True, tag="report-hand-over-failed"):
    """转办未达或被拒:it could not be delivered, or the other side refused it."""

    reason: str


class ReportPeerResult(CaseCommand, frozen=True, kw_only=True, tag="report-peer-result"):
    """对方结果:the other side has dealt with it."""

    result: Result
    words: str = ""


class GuideCaller(CaseCommand, frozen=True, kw_only=True, tag="guide-caller"):
    """引导:belongs to neither line; the right door was named. On record, so that wrong refusals can be found."""

    door: str
    words: str = ""


class AnswerAtOnce(CaseCommand, frozen=True, kw_only=True, tag="answer-at-once"):
    """即时答复:answered during the call or on receipt."""

    words: str
    knowledge: str = ""


# ---- departments -----------------------------------------------------------------------------------------------


class AssignCase(CaseCommand, frozen=True, kw_only=True, tag="assign-case"):
    """派单:``lead`` handles it, ``co`` help. A township or village needs ``duty_item``, the duty-list item."""

    lead: str
    co: tuple[str, ...] = ()
    urgency: Urgency | None = None
    duty_item: str = ""
    words: str = ""


class RecallDispatch(CaseCommand, frozen=True, kw_only=True, tag="recall-dispatch"):
    """收回自助派单:take back within its minutes what was assigned without a person; the case waits at the desk again."""

    reason: str


class OfferClaim(CaseCommand, frozen=True, kw_only=True, tag="offer-claim"):
    """并派认领:several units may own it (a manhole without owner); ``guard`` watches the hazard meanwhile."""

    units: tuple[str, ...]
    guard: str = ""


class ClaimCase(CaseCommand, frozen=True, kw_only=True, tag="claim-case"):
    """认领:a unit says it is ours."""

    unit: str


class SignFor(CaseCommand, frozen=True, kw_only=True, tag="sign-for"):
    """签收."""

    unit: str = ""


class ContactCitizen(CaseCommand, frozen=True, kw_only=True, tag="contact-citizen"):
    """联系诉求人:what was tried and said."""

    reached: bool
    words: str = ""


class SubAssign(CaseCommand, frozen=True, kw_only=True, tag="sub-assign"):
    """二次分派:down the unit's own tree; the upper unit stays accountable. ``days``: its own shorter limit."""

    unit: str
    days: int = 0
    words: str = ""


class RecallSubAssignment(CaseCommand, frozen=True, kw_only=True, tag="recall-sub-assignment"):
    """收回二次分派:the upper unit takes it back."""

    reason: str


class AskReturn(CaseCommand, frozen=True, kw_only=True, tag="ask-return"):
    """退单:within one working day of assignment, with a legal reason and the list item it cites."""

    reason: ReturnReason
    item: str
    words: str
    suggested: str = ""


class DecideReturn(CaseCommand, frozen=True, kw_only=True, tag="decide-return"):
    """退单审核:accepted, it is assigned anew; refused, the unit goes on."""

    accept: bool
    words: str = ""


class AdjudicateCase(CaseCommand, frozen=True, kw_only=True, tag="adjudicate-case"):
    """裁定:binds; the unit cannot return it again."""

    unit: str
    co: tuple[str, ...] = ()
    words: str


class AskExtension(CaseCommand, frozen=True, kw_only=True, tag="ask-extension"):
    """延期申请:by 17:00 of the last day, with reasons, at most ten working days, once, never for urgent."""

    days: int
    words: str


class DecideExtension(CaseCommand, frozen=True, kw_only=True, tag="decide-extension"):
    """延期审批."""

    grant: bool
    days: int = 0
    words: str = ""


class AskPause(CaseCommand, frozen=True, kw_only=True, tag="ask-pause"):
    """申请挂起:the citizen owes material (all of it named in one notice) or an expert finding is pending."""

    why: str
    items: tuple[str, ...] = ()
    days: int = 5
    words: str = ""


class DecidePause(CaseCommand, frozen=True, kw_only=True, tag="decide-pause"):
    """挂起审批 by the platform; granting for material sends the one notice to the citizen."""

    grant: bool
    words: str = ""


class ResumeCase(CaseCommand, frozen=True, kw_only=True, tag="resume-case"):
    """恢复办理:the material or the finding is in."""

    words: str = ""


class ReplyCase(CaseCommand, frozen=True, kw_only=True, tag="reply-case"):
    """答复:the unit says what was done. ``points_answered`` are the numbers (from 1) of the request points met."""

    words: str
    result: Result
    points_answered: tuple[int, ...] = ()
    attachments: tuple[str, ...] = ()


class SendBackSubReply(CaseCommand, frozen=True, kw_only=True, tag="send-back-sub-reply"):
    """退回下级答复:the upper unit is not satisfied with its lower unit's reply."""

    words: str


class ApproveReply(CaseCommand, frozen=True, kw_only=True, tag="approve-reply"):
    """审核通过."""

    words: str = ""


class SendBackReply(CaseCommand, frozen=True, kw_only=True, tag="send-back-reply"):
    """答复退回:the unit's clock runs on as if it had never stopped."""

    words: str


class DeliverReply(CaseCommand, frozen=True, kw_only=True, tag="deliver-reply"):
    """答复送达:the citizen has been told (or has waived a reply)."""

    how: str = "phone"
    words: str = ""


# ---- closing ---------------------------------------------------------------------------------------------------


class CloseCase(CaseCommand, frozen=True, kw_only=True, tag="close-case"):
    """办结."""

    result: Result | None = None
    words: str = ""


class ProposeUnreasonable(CaseCommand, frozen=True, kw_only=True, tag="propose-unreasonable"):
    """不合理诉求初审:first of two persons; never for danger."""

    words: str


class DecideUnreasonable(CaseCommand, frozen=True, kw_only=True, tag="decide-unreasonable"):
    """不合理诉求复核:a second person."""

    agree: bool
    words: str = ""


class AppealUnreasonable(CaseCommand, frozen=True, kw_only=True, tag="appeal-unreasonable"):
    """申诉:the citizen objects; the case is open again."""

    words: str


class CallBack(CaseCommand, frozen=True, kw_only=True, tag="call-back"):
    """回访:one attempt. Ratings only when the citizen was reached and gave them."""

    reached: bool
    waived: bool = False
    call_rating: int = 0
    result_rating: int = 0
    words: str = ""


class RateCase(CaseCommand, frozen=True, kw_only=True, tag="rate-case"):
    """好差评 by the citizen: voluntary, once a matter. 1 is best; 0 means not rated."""

    call_rating: int = 0
    result_rating: int = 0


class VerifyRating(CaseCommand, frozen=True, kw_only=True, tag="verify-rating"):
    """差评核实:was the complaint justified?"""

    justified: bool
    words: str


class RedoCase(CaseCommand, frozen=True, kw_only=True, tag="redo-case"):
    """重办:dissatisfied with cause; half the limit, once; a second time goes to supervision."""

    words: str


class UrgeCase(CaseCommand, frozen=True, kw_only=True, tag="urge-case"):
    """催办."""

    words: str = ""


class SuperviseCase(CaseCommand, frozen=True, kw_only=True, tag="supervise-case"):
    """督办."""

    words: str


# ---- other cases -----------------------------------------------------------------------------------------------


class AttachFollower(_Pair, frozen=True, kw_only=True, tag="attach-follower"):
    """并案:this case follows ``other``; each citizen is still answered."""

    reason: str = ""


class LeaveParent(_Pair, frozen=True, kw_only=True, tag="leave-parent"):
    """脱离主单:it stands on its own again. ``other`` is the parent."""

    reason: str


class MergeCase(_Pair, frozen=True, kw_only=True, tag="merge-case"):
    """合并:the same matter of the same citizen goes on in ``other``."""

    reason: str


class WithdrawCase(CaseCommand, frozen=True, kw_only=True, tag="withdraw-case"):
    """撤回 by the citizen. Never for danger."""

    words: str


# ---- police orders (mirrored from an existing CAD) ----------------------------------------------------------------


class ReportUnitSent(CaseCommand, frozen=True, kw_only=True, tag="report-unit-sent"):
    """派警:the CAD sent a unit. Liandong commands no patrols."""

    at: datetime | None = None
    unit: str = ""


class ReportArrived(CaseCommand, frozen=True, kw_only=True, tag="report-arrived"):
    """到场."""

    at: datetime | None = None


class ReportFeedback(CaseCommand, frozen=True, kw_only=True, tag="report-feedback"):
    """反馈,with the second category set (at feedback). ``remainder``: something is left for 12345."""

    category: str = ""
    words: str = ""
    remainder: bool = False


class ClosePoliceOrder(CaseCommand, frozen=True, kw_only=True, tag="close-police-order"):
    """警单办结."""

    result: Result = Result.SOLVED
    words: str = ""


# ---- Liandong itself -------------------------------------------------------------------------------------------


class ExpireDeadline(CaseCommand, frozen=True, kw_only=True, tag="expire-deadline"):
    """到时:the milestone of a clock has come. One that is no longer armed for this instant does nothing."""

    clock: str
    milestone: str
    due: datetime


class ReportNoticeFailed(CaseCommand, frozen=True, kw_only=True, tag="report-notice-failed"):
    """通知未达:a notice was given up."""

    to: str
    template: str
    reason: str


class ReportNoticeDiverted(CaseCommand, frozen=True, kw_only=True, tag="report-notice-diverted"):
    """通知改道:the channel that a notice should have taken failed, and another one carried it."""

    to: str
    template: str
    wanted: str
    carried: str
    reason: str


class ReportNoticeConfirmed(CaseCommand, frozen=True, kw_only=True, tag="report-notice-confirmed"):
    """通知确认:a person who was rung confirmed by key that they heard it. It signs for nothing."""

    to: str
    template: str
    channel: str


class RepairDeadline(CaseCommand, frozen=True, kw_only=True, tag="repair-deadline"):
    """时限修复:the row of an armed milestone is not what the log says, or was mended: put it back.

    ``found``: "missing", "altered", or "quarantined" (a person has mended what kept it from being settled). One that
    is no longer armed for this instant does nothing.
    """

    clock: str
    milestone: str
    due: datetime
    found: str


class ReportQuarantined(CaseCommand, frozen=True, kw_only=True, tag="report-quarantined"):
    """时限隔离:a due milestone could not be settled and was set aside; people are told."""

    clock: str
    milestone: str
    due: datetime


class ReportRepeat(CaseCommand, frozen=True, kw_only=True, tag="report-repeat"):
    """重复来电:the same number has called about the same matter before (第 n 次). Nothing is merged.

    ``how``: "supplement", "repeat" (110) or "nth" (12345); ``earlier`` the cases before it, newest first; ``urgent``:
    one of them that is still open is urgent. Urgency is raised by it, never lowered.
    """

    how: str
    earlier: tuple[UUID, ...]
    urgent: bool = False


class ReportSurge(CaseCommand, frozen=True, kw_only=True, tag="report-surge"):
    """集中反映:many people report one event, of which this case is the first that is open: the parent suggested.

    ``event`` is the id of its kind in the rules, ``size`` how many different people, ``cases`` those beside this one.
    """

    event: str
    size: int
    cases: tuple[UUID, ...]


class HoldCase(CaseCommand, frozen=True, kw_only=True, tag="hold-case"):
    """法定保全:a legal hold stops erasure."""

    reason: str


class ReleaseHold(CaseCommand, frozen=True, kw_only=True, tag="release-hold"):
    """解除保全."""

    reason: str


class EraseCase(CaseCommand, frozen=True, kw_only=True, tag="erase-case"):
    """到期销毁:the key of the case is destroyed; the chain stays and still proves itself."""

    basis: str


class MoveDeadlines(CaseCommand, frozen=True, kw_only=True, tag="move-deadlines"):
    """日历更新、时限调整:recompute open limits once (``batch`` names the run over all cases, ``reason`` why).

    Provisional limits follow the calendars now in force; a settled one whose last day an order has made a day of rest
    rolls to the next working day. ``policy`` is the digest of a policy that the case shall go by from now on.
    """

    batch: str
    reason: str = ""
    policy: str = ""


AnyCommand = (
    RegisterCase
    | SupplementCase
    | RuleCase
    | OverrideRuling
    | TransferCase
    | ConfirmTransfer
    | ReportTransferFailed
    | AgreeTaker
    | HandOverCase
    | ConfirmHandOver
    | ReportHandOverFailed
    | ReportPeerResult
    | GuideCaller
    | AnswerAtOnce
    | AssignCase
    | RecallDispatch
    | OfferClaim
    | ClaimCase
    | SignFor
    | ContactCitizen
    | SubAssign
    | RecallSubAssignment
    | AskReturn
    | DecideReturn
    | AdjudicateCase
    | AskExtension
    | DecideExtension
    | AskPause
    | DecidePause
    | ResumeCase
    | ReplyCase
    | SendBackSubReply
    | ApproveReply
    | SendBackReply
    | DeliverReply
    | CloseCase
    | ProposeUnreasonable
    | DecideUnreasonable
    | AppealUnreasonable
    | CallBack
    | RateCase
    | VerifyRating
    | RedoCase
    | UrgeCase
    | SuperviseCase
    | AttachFollower
    | LeaveParent
    | MergeCase
    | WithdrawCase
    | ReportUnitSent
    | ReportArrived
    | ReportFeedback
    | ClosePoliceOrder
    | ExpireDeadline
    | ReportNoticeFailed
    | ReportNoticeDiverted
    | ReportNoticeConfirmed
    | RepairDeadline
    | ReportQuarantined
    | ReportRepeat
    | ReportSurge
    | HoldCase
    | ReleaseHold
    | EraseCase
    | MoveDeadlines
)


def name_of(command: type[msgspec.Struct]) -> str:
    """The stable name of a command class ("assign-case")."""
    return str(command.__struct_config__.tag)
