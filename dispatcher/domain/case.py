"""The case: its folded state and `evolve`, which applies one event. Total: every event has a place here."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never
from uuid import UUID

import msgspec
from msgspec.structs import replace

from dispatcher.domain import events as e
from dispatcher.domain.stream import StreamRow
from dispatcher.domain.values import (
    FINISHED,
    Extension,
    Hop,
    Line,
    Matter,
    Pause,
    PeerLink,
    Rating,
    Result,
    ReturnAsked,
    SafeContact,
    Said,
    Stage,
    Tier,
)


class Case(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One matter of one citizen on one platform, from first receipt to archive.

    ``policy`` is the version of the deadline policy it was registered under and keeps. ``hops`` charge every hour
    to whoever held it. ``clocks`` has at most one run for each clock of the policy. ``nth`` counts the calls of one
    number about one matter (0: the first as far as is known), ``earlier`` are those before it; ``surge`` is the size
    that was last told of an event which this case is the suggested parent of, ``surged`` the other cases about it.
    """

    id: UUID
    number: str
    platform: str
    line: str
    channel: str
    division: str
    received: datetime
    first_received: datetime
    first_platform: str
    policy: str
    stage: Stage
    matter: Matter
    version: int = 0
    call: str = ""
    anonymous: bool = False
    confidential: bool = False
    wants_reply: bool = True
    safe_contact: SafeContact | None = None
    human: bool = False
    texts: int = 0
    hops: tuple[Hop, ...] = ()
    lead: str = ""
    co: tuple[str, ...] = ()
    utility: bool = False
    offered: tuple[str, ...] = ()
    assigned: datetime | None = None
    recall_until: datetime | None = None
    sampled: bool = False
    holders: int = 0
    binding: bool = False
    tiers: tuple[Tier, ...] = ()
    contacts: int = 0
    returns: tuple[ReturnAsked, ...] = ()
    extensions: tuple[Extension, ...] = ()
    pauses: tuple[Pause, ...] = ()
    clocks: tuple[e.ClockRun, ...] = ()
    peers: tuple[PeerLink, ...] = ()
    handed_in: bool = False
    consult: bool = False
    reflow: bool = False
    police_sent: bool = False
    remainder: bool = False
    feedback_category: str = ""
    parent: UUID | None = None
    followers: tuple[UUID, ...] = ()
    proposed_by: str = ""
    result: Result | None = None
    reply: int | None = None
    callbacks: int = 0
    callback_due: bool = False
    rating: Rating | None = None
    contested_rating: bool = False
    redos: int = 0
    urges: int = 0
    supervised: int = 0
    closed: datetime | None = None
    hold: bool = False
    erased: bool = False
    imported: bool = False
    nth: int = 0
    earlier: tuple[UUID, ...] = ()
    surge: int = 0
    surged: tuple[UUID, ...] = ()

    @property
    def is_open(self) -> bool:
        """True while something is owed: not closed, or closed with a callback or a rating still to be dealt with."""
        if self.stage in FINISHED:
            return False
        # a case that only waits to be archived owes nothing
        return self.stage not in _ENDED or any(run.at_limit not in _WAITS for run in self.running)

    @property
    def running(self) -> tuple[e.ClockRun, ...]:
        """The clocks that have not stopped."""
        return tuple(run for run in self.clocks if run.stopped is None)

    @property
    def holder(self) -> str:
        """Who has it now: a platform id or a unit code."""
        return self.hops[-1].holder if self.hops else self.platform

    @property
    def acting_unit(self) -> str:
        """The unit that works on it: the lowest tier of sub-assignment, else the lead."""
        for tier in reversed(self.tiers):
            if tier.replied is None:
                return tier.unit
        return self.lead

    @property
    def had_by(self) -> frozenset[str]:
        """Everybody who has had it before and has it no more, or passed it to us: giving it back is re-flow."""
        here = self.holder
        gave = {link.platform for link in self.peers if link.direction == "in"}
        return frozenset({hop.holder for hop in self.hops if hop.holder != here} | gave)

    def clock(self, clock: str) -> e.ClockRun | None:
        """The run of this clock, running or stopped."""
        for run in self.clocks:
            if run.clock == clock:
                return run
        return None

    @property
    def extension_pending(self) -> Extension | None:
        """The request that nobody has decided yet."""
        return next((x for x in self.extensions if x.decided is None), None)

    @property
    def pause_pending(self) -> Pause | None:
        """The request for a pause that nobody has decided yet."""
        return next((p for p in self.pauses if p.began is None and p.ended is None), None)


_WAITS = frozenset({"archive", "table"})
"""Limits that only wait for a date: nothing is owed until then."""
_ENDED = frozenset({Stage.CLOSED, Stage.CALLED_BACK})
_NO_MATTER = Matter(platform="", decision="human", item="")


def evolve(case: Case | None, event: e.AnyEvent, at: datetime, id_: UUID) -> Case:
    """The case after one event. Deterministic and total; never refuses (that is `decide`'s work)."""
    if isinstance(event, e.CaseRegistered):
        peers: tuple[PeerLink, ...] = ()
        if event.peer_platform:
            peers = (
                PeerLink(
                    platform=event.peer_platform,
                    number=event.peer_number,
                    case=event.peer_case,
                    direction="in",
                ),
            )
        return Case(
            id=id_,
            number=event.number,
            platform=event.platform,
            line=event.line,
            channel=event.channel,
            division=event.division,
            received=event.received,
            first_received=event.first_received,
            first_platform=event.first_platform,
            policy=event.policy,
            stage=Stage.POLICE_RECEIVED if event.line == Line.POLICE else Stage.RECEIVED,
            matter=_NO_MATTER,
            version=1,
            call=event.call,
            anonymous=event.anonymous,
            confidential=event.confidential,
            wants_reply=event.wants_reply,
            safe_contact=event.safe_contact,
            texts=event.narrative.no + 1,
            hops=(Hop(holder=event.platform, since=event.received, why="received"),),
            peers=peers,
            handed_in=bool(event.peer_platform),
            imported=event.imported,
        )
    assert case is not None, "the first event of a case registers it"
    after = _apply(case, event, at)
    said = _last_text(event)
    return replace(
        after, version=case.version + 1, texts=max(case.texts, said + 1) if said >= 0 else case.texts
    )


def _last_text(event: e.AnyEvent) -> int:
    for field in ("words", "reason"):
        said = getattr(event, field, None)
        if isinstance(said, Said):
            return said.no
    return -1


def _moved(case: Case, holder: str, at: datetime, why: str) -> tuple[Hop, ...]:
    if case.hops and case.hops[-1].holder == holder:
        return case.hops
    done = (*case.hops[:-1], replace(case.hops[-1], until=at)) if case.hops else ()
    return (*done, Hop(holder=holder, since=at, why=why))


def _with_runs(case: Case, runs: tuple[e.ClockRun, ...]) -> tuple[e.ClockRun, ...]:
    named = {run.clock: run for run in runs}
    kept = tuple(named.pop(run.clock, run) for run in case.clocks)
    return (*kept, *named.values()) if named else kept


def _apply(case: Case, event: e.AnyEvent, at: datetime) -> Case:
    match event:
        case e.CaseRegistered():
            return case
        case e.CaseRuled():
            stage = case.stage
            if stage is Stage.RECEIVED and not event.human:
                stage = Stage.RULED
            return replace(
                case,
                matter=event.matter,
                division=event.division or case.division,
                human=event.human,
                stage=stage,
            )
        case e.RulingChanged():
            stage = Stage.RULED if case.stage is Stage.RECEIVED and event.by_person else case.stage
            changed = replace(
                case, matter=event.matter, human=case.human and not event.by_person, stage=stage
            )
            return _lapsed(changed, at) if event.matter.urgency == "urgent" else changed
        case e.CaseSupplemented():
            return case
        case e.DangerRaised():
            return _lapsed(replace(case, matter=replace(case.matter, danger=True, urgency="urgent")), at)
        case e.AssignmentDue() | e.DispatchDue() | e.PassingDue():
            return case
        case e.ClocksSet():
            return replace(case, clocks=_with_runs(case, event.runs))
        case e.MilestoneReached():
            return _milestone(case, event, at)
        case e.TransferStarted():
            link = PeerLink(platform=event.to)
            return replace(case, stage=Stage.TRANSFERRED, peers=_linked(case, link))
        case e.TransferConfirmed():
            return replace(
                case,
                stage=Stage.PASSED,
                peers=_answered(case, event.number, event.peer_case),
                hops=_moved(
                    case, case.peers[-1].platform if case.peers else case.platform, at, "transferred"
                ),
            )
        case e.TransferFailed():
            return replace(case, stage=_home(case))
        case e.TakerAgreed():
            return replace(case, consult=case.consult or not event.agreed, human=False)
        case e.HandOverDue():
            return replace(
                case,
                stage=Stage.HANDED_OVER,
                remainder=event.remainder,
                peers=_linked(case, PeerLink(platform=event.to)),
            )
        case e.HandOverDelivered():
            return replace(
                case,
                peers=_answered(case, event.number, event.peer_case),
                hops=_moved(
                    case, case.peers[-1].platform if case.peers else case.platform, at, "handed-over"
                ),
            )
        case e.HandOverFailed():
            back = Stage.FED_BACK if case.police_sent else _home(case)
            return replace(case, stage=back, hops=_moved(case, case.platform, at, "came-back"))
        case e.PeerResultReported():
            if event.passed:
                return replace(case, result=event.result)
            if case.stage is not Stage.HANDED_OVER:
                return (
                    case  # passed on for good, or back in our hands already: on record, nothing waits for it
                )
            return replace(
                case,
                result=event.result,
                hops=_moved(case, case.platform, at, "result"),
                stage=Stage.DELIVERED,
            )
        case e.ReflowSeen():
            return replace(case, reflow=True)
        case e.CaseGuided():
            return replace(case, stage=Stage.GUIDED, result=Result.GUIDED, closed=at)
        case e.CaseAnswered():
            return replace(case, stage=Stage.ANSWERED, result=Result.ANSWERED, reply=event.words.no)
        case e.ClaimOffered():
            return replace(case, stage=Stage.OFFERED, offered=event.units)
        case e.CaseAssigned():
            matter = replace(case.matter, urgency=event.urgency)
            return replace(
                _lapsed(case, at),
                stage=Stage.ASSIGNED,
                result=None,
                closed=None,
                human=False,
                matter=matter,
                lead=event.lead,
                co=event.co,
                utility=event.utility,
                assigned=at,
                recall_until=None,
                holders=case.holders + (case.lead != event.lead),
                binding=case.binding or event.binding,
                tiers=(),
                offered=(),
                hops=_moved(case, event.lead, at, "redo" if event.redo else "assigned"),
            )
        case e.CaseSigned():
            return replace(case, stage=Stage.SIGNED)
        case e.CitizenContacted():
            return replace(case, contacts=case.contacts + event.reached)
        case e.CaseSubAssigned():
            return replace(
                case,
                tiers=(*case.tiers, Tier(unit=event.unit, since=at, days=event.days)),
                hops=_moved(case, event.unit, at, "sub-assigned"),
            )
        case e.SubAssignmentSigned():
            return replace(case, tiers=_tiers(case, event.unit, signed=at))
        case e.SubAssignmentRecalled():
            left = replace(case, tiers=tuple(tier for tier in case.tiers if tier.unit != event.unit))
            return replace(left, hops=_moved(case, left.acting_unit, at, "recalled"))
        case e.SubReplySubmitted():
            told = replace(case, tiers=_tiers(case, event.unit, replied=at))
            return replace(told, hops=_moved(case, told.acting_unit, at, "sub-replied"))
        case e.SubReplySentBack():
            return replace(
                case,
                tiers=_tiers(case, event.unit, replied=None),
                hops=_moved(case, event.unit, at, "sub-reply-sent-back"),
            )
        case e.ReturnAskedFor():
            asked = ReturnAsked(at=at, unit=event.unit, reason=event.reason, item=event.item)
            return replace(case, stage=Stage.RETURNING, returns=(*case.returns, asked))
        case e.ReturnAccepted():
            return replace(
                _lapsed(case, at),
                stage=Stage.RULED,
                returns=_decided(case, accepted=True),
                lead="",
                co=(),
                tiers=(),
                hops=_moved(case, case.platform, at, "returned"),
            )
        case e.ReturnRefused():
            signed = (sign := case.clock("sign")) is not None and sign.stopped is not None
            return replace(
                case, stage=Stage.SIGNED if signed else Stage.ASSIGNED, returns=_decided(case, accepted=False)
            )
        case e.AdjudicationDue():
            return replace(_lapsed(case, at), stage=Stage.ADJUDICATING)
        case e.SelfDispatched():
            return replace(case, recall_until=event.recall_until, sampled=event.sampled)
        case e.DispatchRecalled():
            # Nobody held it as far as the count of holders goes: it was never a person's decision.
            return replace(
                case, stage=Stage.RULED, recall_until=None, assigned=None, holders=max(0, case.holders - 1)
            )
        case e.HolderRelieved():
            return replace(
                case,
                lead="",
                co=(),
                tiers=(),
                offered=(),
                hops=_moved(case, case.platform, at, "relieved"),
            )
        case e.CaseAdjudicated():
            return replace(case, binding=True)
        case e.ExtensionAsked():
            asked_for = Extension(clock=event.clock, asked=at, days=event.days, by=case.acting_unit)
            return replace(case, extensions=(*case.extensions, asked_for))
        case e.ExtensionDecided():
            done = tuple(
                replace(x, decided=at, granted=event.granted, days=event.days or x.days)
                if x.decided is None
                else x
                for x in case.extensions
            )
            return replace(case, extensions=done)
        case e.PauseAsked():
            wanted = Pause(why=event.why, asked=at, items=event.items, days=event.days)
            return replace(case, pauses=(*case.pauses, wanted))
        case e.CasePaused():
            begun = tuple(
                replace(p, began=at) if p.began is None and p.ended is None else p for p in case.pauses
            )
            return replace(case, stage=Stage.PAUSED, pauses=begun)
        case e.PauseRefused():
            refused = tuple(
                replace(p, ended=at) if p.began is None and p.ended is None else p for p in case.pauses
            )
            return replace(case, pauses=refused)
        case e.CaseResumed():
            over = tuple(replace(p, ended=at) if p.ended is None else p for p in case.pauses)
            return replace(case, stage=Stage.SIGNED, pauses=over)
        case e.ReplySubmitted():
            return replace(
                _lapsed(case, at),
                stage=Stage.REPLIED,
                result=event.result,
                reply=event.words.no,
                hops=_moved(case, case.platform, at, "replied"),
            )
        case e.ReplyApproved():
            return replace(case, stage=Stage.APPROVED)
        case e.ReplySentBack():
            return replace(case, stage=Stage.SIGNED, hops=_moved(case, case.lead, at, "sent-back"))
        case e.ReplyDelivered():
            return replace(case, stage=Stage.DELIVERED)
        case e.CaseClosed():
            return replace(case, stage=Stage.CLOSED, result=event.result, closed=at, proposed_by="")
        case e.UnreasonableProposed():
            return replace(case, proposed_by=event.by)
        case e.UnreasonableRefused():
            return replace(case, proposed_by="")
        case e.CaseReopened():
            again = replace(case, human=False)
            return replace(
                again,
                stage=_home(again),
                redos=case.redos + (event.why == "redo"),
                closed=None,
                result=None,
                parent=None,
                proposed_by="",
                callbacks=0,
                callback_due=False,
                contested_rating=False,
                hops=_moved(case, case.platform, at, event.why),
            )
        case e.CallbackDue():
            return replace(case, callback_due=True)
        case e.CallbackTried():
            return replace(case, callbacks=event.attempt)
        case e.CaseCalledBack():
            return replace(case, stage=Stage.CALLED_BACK, callback_due=False)
        case e.CaseRated():
            return replace(
                case, rating=Rating(call=event.call, result=event.result, scale=event.scale, at=at)
            )
        case e.RatingContested():
            return replace(case, contested_rating=True)
        case e.RatingVerified():
            rating = replace(case.rating, verified=event.justified) if case.rating else None
            return replace(case, rating=rating, contested_rating=False)
        case e.CaseUrged():
            return replace(case, urges=case.urges + 1)
        case e.CaseSupervised():
            return replace(case, supervised=case.supervised + 1)
        case e.CaseAttached():
            return replace(case, stage=Stage.FOLLOWING, parent=event.parent)
        case e.FollowerJoined():
            return replace(case, followers=(*case.followers, event.follower))
        case e.ParentLeft():
            return replace(case, stage=_home(case), parent=None)
        case e.FollowerLeft():
            return replace(case, followers=tuple(f for f in case.followers if f != event.follower))
        case e.CaseMerged():
            return replace(case, stage=Stage.MERGED, parent=event.into, closed=at)
        case e.CaseWithdrawn():
            return replace(case, stage=Stage.WITHDRAWN, result=Result.WITHDRAWN, closed=at)
        case e.CaseArchived():
            return replace(case, stage=Stage.ARCHIVED)
        case e.PoliceUnitSent():
            # a further unit sent to a case already under way is noted, the stage stays
            stage = Stage.UNIT_SENT if case.stage is Stage.POLICE_RECEIVED else case.stage
            return replace(case, stage=stage, police_sent=True)
        case e.PoliceArrived():
            return replace(case, stage=Stage.ARRIVED)
        case e.PoliceFedBack():
            return replace(
                case,
                stage=Stage.FED_BACK,
                feedback_category=event.category or case.feedback_category,
                remainder=event.remainder,
            )
        case (
            e.NoticeFailed()
            | e.NoticeDiverted()
            | e.NoticeConfirmed()
            | e.DeadlineRepaired()
            | e.DeadlineQuarantined()
        ):
            return case
        case e.RepeatSeen():
            return replace(case, nth=event.nth, earlier=event.earlier)
        case e.SurgeSeen():
            return replace(case, surge=event.step, surged=event.cases)
        case e.LegalHoldSet():
            return replace(case, hold=True)
        case e.LegalHoldReleased():
            return replace(case, hold=False)
        case e.PersonalDataErased():
            return replace(case, erased=True)
        case e.DeadlinesMoved():
            return replace(case, policy=event.policy) if event.policy else case
        case _:
            assert_never(event)


def _home(case: Case) -> Stage:
    """Where a case stands that its own platform must deal with now."""
    if case.line == Line.POLICE:
        return Stage.POLICE_RECEIVED
    return Stage.RECEIVED if case.human else Stage.RULED


def _linked(case: Case, link: PeerLink) -> tuple[PeerLink, ...]:
    return (*case.peers, link)


def _answered(case: Case, number: str, peer_case: UUID | None) -> tuple[PeerLink, ...]:
    if not case.peers:
        return case.peers
    return (*case.peers[:-1], replace(case.peers[-1], number=number, case=peer_case))


def _tiers(case: Case, unit: str, **changed: datetime | None) -> tuple[Tier, ...]:
    return tuple(replace(tier, **changed) if tier.unit == unit else tier for tier in case.tiers)


def _lapsed(case: Case, at: datetime) -> Case:
    """Requests nobody decided end with what they were asked for: nothing of them is granted later."""
    if case.extension_pending is None and case.pause_pending is None:
        return case
    return replace(
        case,
        extensions=tuple(replace(x, decided=at) if x.decided is None else x for x in case.extensions),
        pauses=tuple(replace(p, ended=at) if p.began is None and p.ended is None else p for p in case.pauses),
    )


def _decided(case: Case, *, accepted: bool) -> tuple[ReturnAsked, ...]:
    return (*case.returns[:-1], replace(case.returns[-1], accepted=accepted)) if case.returns else ()


def _milestone(case: Case, event: e.MilestoneReached, at: datetime) -> Case:
    runs = []
    kind = event.milestone.partition(":")[0].partition("#")[0]
    for run in case.clocks:
        if run.clock == event.clock:
            left = tuple(a for a in run.armed if a.milestone != event.milestone)
            moved = replace(
                run,
                armed=(*left, *event.next),
                level=max(run.level, event.level),
                amber=run.amber or event.milestone == "amber",
                reminded=(*run.reminded, event.milestone) if kind == "early" else run.reminded,
                breached=run.breached or (at if kind == "limit" else None),
            )
            runs.append(moved)
        else:
            runs.append(run)
    return replace(case, clocks=tuple(runs))


def lamp_of(case: Case) -> str:
    """红灯 when a limit has passed, 黄灯 when its amber date has; empty when all is well or nothing runs."""
    lamp = ""
    for run in case.running:
        if run.breached is not None and run.at_limit in _LATE:
            return "red"
        if run.amber:
            lamp = "amber"
    return lamp


_LATE = frozenset({"nothing", "deem-signed"})
"""Limits that somebody can miss; the end of a window, of a pause or of the wait for the archive is nobody's lateness."""


def due_of(case: Case) -> datetime | None:
    """The earliest limit still running: what a screen counts down to."""
    dues = [run.due for run in case.running if run.paused is None and run.at_limit in _LATE]
    return min(dues, default=None)


def row_of(case: Case) -> StreamRow:
    """The indexed columns. Title and caller digest are not in the log and stay as they are."""
    return StreamRow(
        platform=case.platform,
        division=case.division,
        stage=case.stage.value,
        open=case.is_open,
        number=case.number,
        holder=case.holder,
        unit=case.lead,
        urgency=case.matter.urgency,
        kind=case.matter.kind,
        category=case.matter.category,
        item=case.matter.item,
        lamp=lamp_of(case),
        danger=case.matter.danger,
        received=case.first_received,
        due=due_of(case),
    )
