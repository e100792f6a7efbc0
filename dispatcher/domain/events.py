"""What happened to a case. Kinds are `word.version`, chosen once; classes may be renamed, kinds never.

No event holds personal data or free text: words are `Said` (the number of a text).
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from dispatcher.domain.stream import Event
from dispatcher.domain.values import Matter, Record, Result, SafeContact, Said


class Armed(Record, frozen=True, kw_only=True):
    """One milestone that will fall at ``due``. ``provisional``: a notice still to come may move it."""

    milestone: str
    due: datetime
    provisional: bool = False


class ClockRun(Record, frozen=True, kw_only=True):
    """One run of a clock of the policy. ``due`` is the limit; ``target`` the amber date where there is one.

    ``started`` never moves: a reply sent back, a pause or a redo of the unit's clock keeps or names its own start.
    ``level`` is the highest rung reached; ``stopped`` the instant it ended. ``days`` are the working days that were
    counted, ``added`` those that an extension or a pause put on top: a new calendar counts both again. ``counted`` is
    from where, when that is not the start (a case that became urgent late). ``reminded`` are the milestones before the
    limit that have fallen, ``fell`` counts limits that had fallen before the present one was set.
    """

    clock: str
    started: datetime
    due: datetime
    target: datetime | None = None
    natural: datetime | None = None
    provisional: bool = False
    unit: str = ""
    ladder: str = ""
    at_limit: str = "nothing"
    armed: tuple[Armed, ...] = ()
    skipped: tuple[Armed, ...] = ()
    level: int = 0
    amber: bool = False
    breached: datetime | None = None
    stopped: datetime | None = None
    paused: datetime | None = None
    held: bool = False
    days: int = 0
    added: int = 0
    counted: datetime | None = None
    reminded: tuple[str, ...] = ()
    fell: int = 0


class CaseRegistered(Event, frozen=True, kw_only=True, tag="case-registered.1"):
    platform: str
    line: str
    number: str
    channel: str
    division: str
    received: datetime
    first_received: datetime
    first_platform: str
    anonymous: bool = False
    confidential: bool = False
    wants_reply: bool = True
    safe_contact: SafeContact | None = None
    narrative: Said
    policy: str
    call: str = ""
    peer_platform: str = ""
    peer_number: str = ""
    peer_case: UUID | None = None
    imported: bool = False


class ModelSaid(Record, frozen=True, kw_only=True):
    """What a trained model thought of a text: labels, best first, with calibrated probabilities (0 to 1).

    ``differs``: it was surer than its line and said something else than the ruling.
    """

    model: str
    categories: tuple[tuple[str, float], ...]
    units: tuple[tuple[str, float], ...] = ()
    differs: bool = False


class CaseRuled(Event, frozen=True, kw_only=True, tag="case-ruled.1"):
    """Ruled by the lists. ``human``: the ruling leaves it to a person.

    ``owes`` is the event word of what this platform must do first ("assignment-due", "dispatch-due",
    "passing-due"): it starts clocks as the event of that name does. Empty when ruled again. ``recommended`` is what the
    trained model in force said beside it; None where there is none.
    """

    matter: Matter
    receiver: str = ""
    division: str = ""
    human: bool = False
    owes: str = ""
    recommended: ModelSaid | None = None


class RulingChanged(Event, frozen=True, kw_only=True, tag="ruling-changed.1"):
    """Overridden by a person, or ruled afresh to another urgency or danger."""

    matter: Matter
    reason: Said | None = None
    by_person: bool = True


class CaseSupplemented(Event, frozen=True, kw_only=True, tag="case-supplemented.1"):
    words: Said


class DangerRaised(Event, frozen=True, kw_only=True, tag="danger-raised.1"):
    """A later word about the case trips the danger gate."""

    also: tuple[str, ...] = ()


class AssignmentDue(Event, frozen=True, kw_only=True, tag="assignment-due.1"):
    """This platform must assign, answer, guide or pass it on now (交办时限起算)."""


class DispatchDue(Event, frozen=True, kw_only=True, tag="dispatch-due.1"):
    """A police order waits for a unit (派警时限起算)."""


class ClocksSet(Event, frozen=True, kw_only=True, tag="clocks-set.1"):
    """These clocks now stand like this (started, moved, paused or stopped)."""

    runs: tuple[ClockRun, ...]
    why: str = ""


class MilestoneReached(Event, frozen=True, kw_only=True, tag="milestone-reached.1"):
    """A milestone fell due and was settled; ``next`` are the rungs armed after it."""

    clock: str
    milestone: str
    due: datetime
    level: int = 0
    told: tuple[str, ...] = ()
    nobody: tuple[str, ...] = ()
    next: tuple[Armed, ...] = ()


class PassingDue(Event, frozen=True, kw_only=True, tag="passing-due.1"):
    """What came to 110 is the other platform's; it must be there within 1 working day (the plan III.3.2)."""


class TransferStarted(Event, frozen=True, kw_only=True, tag="transfer-started.1"):
    to: str
    call: str = ""
    reason: Said | None = None


class TransferConfirmed(Event, frozen=True, kw_only=True, tag="transfer-confirmed.1"):
    number: str = ""
    peer_case: UUID | None = None


class TransferFailed(Event, frozen=True, kw_only=True, tag="transfer-failed.1"):
    reason: Said


class TakerAgreed(Event, frozen=True, kw_only=True, tag="taker-agreed.1"):
    taker: str
    agreed: bool
    reason: Said


class HandOverDue(Event, frozen=True, kw_only=True, tag="hand-over-due.1"):
    """A hand-over order goes to the platform ``to`` (1 working day, the plan III.3.2)."""

    to: str
    reason: Said
    remainder: bool = False


class HandOverDelivered(Event, frozen=True, kw_only=True, tag="hand-over-delivered.1"):
    number: str = ""
    peer_case: UUID | None = None


class HandOverFailed(Event, frozen=True, kw_only=True, tag="hand-over-failed.1"):
    reason: Said


class PeerResultReported(Event, frozen=True, kw_only=True, tag="peer-result-reported.1"):
    """``passed``: the case had been passed on for good (a danger call, say); its result is kept and told to the desk."""

    result: Result
    words: Said | None = None
    passed: bool = False


class ReflowSeen(Event, frozen=True, kw_only=True, tag="reflow-seen.1"):
    """回流:it came back to who had it before. Adjudication or a three-way call is mandatory from here on."""

    holders: tuple[str, ...]


class CaseGuided(Event, frozen=True, kw_only=True, tag="case-guided.1"):
    door: str
    words: Said | None = None


class CaseAnswered(Event, frozen=True, kw_only=True, tag="case-answered.1"):
    words: Said
    knowledge: str = ""


class CaseAssigned(Event, frozen=True, kw_only=True, tag="case-assigned.1"):
    lead: str
    co: tuple[str, ...] = ()
    urgency: str
    utility: bool = False
    binding: bool = False
    redo: bool = False
    duty_item: str = ""
    words: Said | None = None


class SelfDispatched(Event, frozen=True, kw_only=True, tag="self-dispatched.1"):
    """Assigned without a person, because the item's owner chose so and the ruling was sure enough. ``line`` is the
    confidence that the owner asks for; a desk may recall it until ``recall_until``; ``sampled``: put aside for inspection.
    """

    unit: str
    item: str
    confidence: float
    line: float
    recall_until: datetime
    sampled: bool = False


class DispatchRecalled(Event, frozen=True, kw_only=True, tag="dispatch-recalled.1"):
    """A person took back what was assigned without one; the case waits at the desk again."""

    unit: str
    reason: Said


class ClaimOffered(Event, frozen=True, kw_only=True, tag="claim-offered.1"):
    units: tuple[str, ...]
    guard: str = ""


class CaseSigned(Event, frozen=True, kw_only=True, tag="case-signed.1"):
    unit: str
    deemed: bool = False


class CitizenContacted(Event, frozen=True, kw_only=True, tag="citizen-contacted.1"):
    reached: bool
    words: Said | None = None


class CaseSubAssigned(Event, frozen=True, kw_only=True, tag="case-sub-assigned.1"):
    unit: str
    above: str
    days: int = 0
    words: Said | None = None


class SubAssignmentSigned(Event, frozen=True, kw_only=True, tag="sub-assignment-signed.1"):
    unit: str


class SubAssignmentRecalled(Event, frozen=True, kw_only=True, tag="sub-assignment-recalled.1"):
    unit: str
    reason: Said


class SubReplySubmitted(Event, frozen=True, kw_only=True, tag="sub-reply-submitted.1"):
    unit: str
    words: Said
    result: Result | None = None
    points_answered: tuple[int, ...] = ()
    attachments: tuple[str, ...] = ()


class SubReplySentBack(Event, frozen=True, kw_only=True, tag="sub-reply-sent-back.1"):
    unit: str
    words: Said


class ReturnAskedFor(Event, frozen=True, kw_only=True, tag="return-asked.1"):
    unit: str
    reason: str
    item: str
    words: Said
    suggested: str = ""


class ReturnAccepted(Event, frozen=True, kw_only=True, tag="return-accepted.1"):
    words: Said | None = None


class ReturnRefused(Event, frozen=True, kw_only=True, tag="return-refused.1"):
    words: Said | None = None


class AdjudicationDue(Event, frozen=True, kw_only=True, tag="adjudication-due.1"):
    """Second return or third holder: the unit's word no longer decides."""

    why: str


class HolderRelieved(Event, frozen=True, kw_only=True, tag="holder-relieved.1"):
    """The unit turned out to be the one complained of: the case is taken out of its hands and its sight."""

    unit: str


class CaseAdjudicated(Event, frozen=True, kw_only=True, tag="case-adjudicated.1"):
    unit: str
    words: Said


class ExtensionAsked(Event, frozen=True, kw_only=True, tag="extension-asked.1"):
    clock: str
    days: int
    words: Said


class ExtensionDecided(Event, frozen=True, kw_only=True, tag="extension-decided.1"):
    granted: bool
    days: int = 0
    words: Said | None = None


class PauseAsked(Event, frozen=True, kw_only=True, tag="pause-asked.1"):
    why: str
    items: int
    days: int
    words: Said | None = None


class CasePaused(Event, frozen=True, kw_only=True, tag="case-paused.1"):
    why: str
    days: int


class PauseRefused(Event, frozen=True, kw_only=True, tag="pause-refused.1"):
    words: Said | None = None


class CaseResumed(Event, frozen=True, kw_only=True, tag="case-resumed.1"):
    by_time: bool = False
    words: Said | None = None


class ReplySubmitted(Event, frozen=True, kw_only=True, tag="reply-submitted.1"):
    unit: str
    result: Result
    words: Said
    points_answered: tuple[int, ...] = ()
    attachments: tuple[str, ...] = ()


class ReplyApproved(Event, frozen=True, kw_only=True, tag="reply-approved.1"):
    words: Said | None = None


class ReplySentBack(Event, frozen=True, kw_only=True, tag="reply-sent-back.1"):
    words: Said


class ReplyDelivered(Event, frozen=True, kw_only=True, tag="reply-delivered.1"):
    how: str
    words: Said | None = None


class CaseClosed(Event, frozen=True, kw_only=True, tag="case-closed.1"):
    result: Result
    words: Said | None = None


class UnreasonableProposed(Event, frozen=True, kw_only=True, tag="unreasonable-proposed.1"):
    by: str
    words: Said


class UnreasonableRefused(Event, frozen=True, kw_only=True, tag="unreasonable-refused.1"):
    words: Said | None = None


class CaseReopened(Event, frozen=True, kw_only=True, tag="case-reopened.1"):
    """Open again: appeal, redo (also for a justified bad rating), or danger in a case that had left us."""

    why: str
    words: Said | None = None


class CallbackDue(Event, frozen=True, kw_only=True, tag="callback-due.1"):
    """Complaints and requests for help are called back, all of them."""


class CallbackTried(Event, frozen=True, kw_only=True, tag="callback-tried.1"):
    attempt: int
    reached: bool
    words: Said | None = None


class CaseCalledBack(Event, frozen=True, kw_only=True, tag="case-called-back.1"):
    """``outcome``: reached, not-reached, waived or on-file (contact unsafe)."""

    outcome: str
    on_request: bool = False


class CaseRated(Event, frozen=True, kw_only=True, tag="case-rated.1"):
    call: int = 0
    result: int = 0
    scale: int = 5


class RatingContested(Event, frozen=True, kw_only=True, tag="rating-contested.1"):
    """A bad rating must be verified (差评核实)."""


class RatingVerified(Event, frozen=True, kw_only=True, tag="rating-verified.1"):
    justified: bool
    words: Said


class CaseUrged(Event, frozen=True, kw_only=True, tag="case-urged.1"):
    words: Said | None = None


class CaseSupervised(Event, frozen=True, kw_only=True, tag="case-supervised.1"):
    words: Said | None = None
    why: str = ""


class CaseAttached(Event, frozen=True, kw_only=True, tag="case-attached.1"):
    parent: UUID


class FollowerJoined(Event, frozen=True, kw_only=True, tag="follower-joined.1"):
    follower: UUID


class ParentLeft(Event, frozen=True, kw_only=True, tag="parent-left.1"):
    parent: UUID
    why: str = ""


class FollowerLeft(Event, frozen=True, kw_only=True, tag="follower-left.1"):
    follower: UUID


class CaseMerged(Event, frozen=True, kw_only=True, tag="case-merged.1"):
    into: UUID


class CaseWithdrawn(Event, frozen=True, kw_only=True, tag="case-withdrawn.1"):
    words: Said


class CaseArchived(Event, frozen=True, kw_only=True, tag="case-archived.1"):
    pass


class PoliceUnitSent(Event, frozen=True, kw_only=True, tag="police-unit-sent.1"):
    seen: datetime
    unit: str = ""


class PoliceArrived(Event, frozen=True, kw_only=True, tag="police-arrived.1"):
    seen: datetime


class PoliceFedBack(Event, frozen=True, kw_only=True, tag="police-fed-back.1"):
    category: str = ""
    remainder: bool = False
    words: Said | None = None


class NoticeFailed(Event, frozen=True, kw_only=True, tag="notice-failed.1"):
    to: str
    template: str
    reason: str


class NoticeDiverted(Event, frozen=True, kw_only=True, tag="notice-diverted.1"):
    to: str
    template: str
    wanted: str
    carried: str
    reason: str


class NoticeConfirmed(Event, frozen=True, kw_only=True, tag="notice-confirmed.1"):
    to: str
    template: str
    channel: str


class DeadlineRepaired(Event, frozen=True, kw_only=True, tag="deadline-repaired.1"):
    """The auditor (or a person) put the row of an armed milestone back; ``found`` says what was wrong with it."""

    clock: str
    milestone: str
    due: datetime
    found: str


class DeadlineQuarantined(Event, frozen=True, kw_only=True, tag="deadline-quarantined.1"):
    """A due milestone could not be settled and was set aside until a person has looked."""

    clock: str
    milestone: str
    due: datetime


class RepeatSeen(Event, frozen=True, kw_only=True, tag="repeat-seen.1"):
    """重复来电:the ``nth`` time that this number calls about this matter; ``earlier`` are the cases before it.

    ``how``: "supplement" or "repeat" (110), "nth" (12345).
    """

    how: str
    nth: int
    earlier: tuple[UUID, ...]


class SurgeSeen(Event, frozen=True, kw_only=True, tag="surge-seen.1"):
    """集中反映:``size`` people report one event of this kind; ``step`` is the size of the rules that was reached.

    ``cases`` are the others, which a person may attach; ``lines`` those told beside the supervisor.
    """

    event: str
    size: int
    step: int
    cases: tuple[UUID, ...]
    lines: tuple[str, ...] = ()


class LegalHoldSet(Event, frozen=True, kw_only=True, tag="legal-hold-set.1"):
    reason: Said


class LegalHoldReleased(Event, frozen=True, kw_only=True, tag="legal-hold-released.1"):
    reason: Said


class PersonalDataErased(Event, frozen=True, kw_only=True, tag="personal-data-erased.1"):
    basis: str


class Moved(Record, frozen=True, kw_only=True):
    """One limit before and after. ``rule`` says how it is counted now; ``after`` None: its clock ends here."""

    clock: str
    before: datetime
    after: datetime | None
    provisional: bool = False
    rule: str = ""


class DeadlinesMoved(Event, frozen=True, kw_only=True, tag="deadlines-moved.1"):
    """A new calendar, or a policy applied to open cases, moved limits. The runs stand in the clocks-set that follows.

    ``batch`` names the run over all open cases, ``reason`` what its maker gave (never about a person), ``policy`` the
    policy that the case goes by from here on (empty: the same as before).
    """

    batch: str
    moved: tuple[str, ...] = ()
    moves: tuple[Moved, ...] = ()
    reason: str = ""
    policy: str = ""


AnyEvent = (
    CaseRegistered
    | CaseRuled
    | RulingChanged
    | CaseSupplemented
    | DangerRaised
    | AssignmentDue
    | DispatchDue
    | ClocksSet
    | MilestoneReached
    | PassingDue
    | TransferStarted
    | TransferConfirmed
    | TransferFailed
    | TakerAgreed
    | HandOverDue
    | HandOverDelivered
    | HandOverFailed
    | PeerResultReported
    | ReflowSeen
    | CaseGuided
    | CaseAnswered
    | CaseAssigned
    | SelfDispatched
    | DispatchRecalled
    | ClaimOffered
    | CaseSigned
    | CitizenContacted
    | CaseSubAssigned
    | SubAssignmentSigned
    | SubAssignmentRecalled
    | SubReplySubmitted
    | SubReplySentBack
    | ReturnAskedFor
    | ReturnAccepted
    | ReturnRefused
    | AdjudicationDue
    | HolderRelieved
    | CaseAdjudicated
    | ExtensionAsked
    | ExtensionDecided
    | PauseAsked
    | CasePaused
    | PauseRefused
    | CaseResumed
    | ReplySubmitted
    | ReplyApproved
    | ReplySentBack
    | ReplyDelivered
    | CaseClosed
    | UnreasonableProposed
    | UnreasonableRefused
    | CaseReopened
    | CallbackDue
    | CallbackTried
    | CaseCalledBack
    | CaseRated
    | RatingContested
    | RatingVerified
    | CaseUrged
    | CaseSupervised
    | CaseAttached
    | FollowerJoined
    | ParentLeft
    | FollowerLeft
    | CaseMerged
    | CaseWithdrawn
    | CaseArchived
    | PoliceUnitSent
    | PoliceArrived
    | PoliceFedBack
    | NoticeFailed
    | NoticeDiverted
    | NoticeConfirmed
    | DeadlineRepaired
    | DeadlineQuarantined
    | RepeatSeen
    | SurgeSeen
    | LegalHoldSet
    | LegalHoldReleased
    | PersonalDataErased
    | DeadlinesMoved
)


def word_of(event: Event | type[Event]) -> str:
    """The kind without its version ("case-assigned"): what policies and plans speak about."""
    return str(event.__struct_config__.tag).rpartition(".")[0]
