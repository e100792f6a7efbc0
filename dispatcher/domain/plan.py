"""What an event means for the deadline rows and for the world outside. Pure: "who is told when" is a unit test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from msgspec.structs import replace

from dispatcher.domain import effects as f
from dispatcher.domain import events as e
from dispatcher.domain.case import Case
from dispatcher.domain.ladders import OLD_DATE
from dispatcher.domain.library import Library
from dispatcher.domain.stream import DeadlineChange, DeadlineState, StreamRef
from dispatcher.domain.values import Line, Stage
from routing_rules.policy import Rung


def deadline_changes(
    before: Case | None, event: e.AnyEvent, after: Case, ref: StreamRef
) -> Iterator[DeadlineChange]:
    """The deadline rows follow the armed milestones: this is the difference that one event made."""
    if isinstance(event, e.DeadlineRepaired):
        run = after.clock(event.clock)
        armed = next((a for a in run.armed if a.milestone == event.milestone), None) if run else None
        assert run is not None, "only an armed milestone is repaired"
        assert armed is not None, "only an armed milestone is repaired"
        yield _change(ref, run, armed, DeadlineState.REPAIRED)
        return
    if before is None or before.clocks is after.clocks or before.clocks == after.clocks:
        return
    old = {run.clock: run for run in before.clocks}
    for run in after.clocks:
        was = old.get(run.clock)
        if was is run or was == run:
            continue
        had = {a.milestone: (a, was.provisional or a.provisional) for a in was.armed} if was else {}
        has = {a.milestone: (a, run.provisional or a.provisional) for a in run.armed}
        for milestone, (armed, provisional) in has.items():
            before_it = had.get(milestone)
            if before_it is None or (before_it[0].due, before_it[1]) != (armed.due, provisional):
                yield _change(ref, run, armed, DeadlineState.ARMED)
        for milestone, (armed, _) in had.items():
            if milestone not in has:
                yield _change(ref, run, armed, _gone(event, run, milestone))
        for skipped in run.skipped:
            if was is None or skipped not in was.skipped:
                yield _change(ref, run, skipped, DeadlineState.SKIPPED)


def _gone(event: e.AnyEvent, run: e.ClockRun, milestone: str) -> DeadlineState:
    if isinstance(event, e.MilestoneReached) and (event.clock, event.milestone) == (run.clock, milestone):
        return DeadlineState.FIRED
    return DeadlineState.CANCELLED if run.stopped is not None else DeadlineState.SUPERSEDED


def _change(ref: StreamRef, run: e.ClockRun, armed: e.Armed, state: DeadlineState) -> DeadlineChange:
    return DeadlineChange(
        ref=ref,
        clock=run.clock,
        milestone=armed.milestone,
        due=armed.due,
        state=state,
        provisional=run.provisional or armed.provisional,
    )


RESCUE_LINES = frozenset({"110", "119", "120", "122"})


def plan(
    before: Case | None, event: e.AnyEvent, case: Case, library: Library, now: datetime
) -> Iterable[f.AnyEffect]:
    """The effects of one event."""
    return () if type(event) in _QUIET else _plan(before, event, case, library, now)


_QUIET = frozenset(
    {e.CaseRegistered, e.ClocksSet, e.CaseSigned, e.CitizenContacted, e.AssignmentDue, e.DispatchDue}
)
"""Events that nobody is told of and that are common: the shortest way past them."""


def _plan(
    before: Case | None, event: e.AnyEvent, case: Case, library: Library, now: datetime
) -> Iterator[f.AnyEffect]:
    match event:
        case e.CaseRuled(matter=matter) if matter.danger and not (before and before.matter.danger):
            if not (case.imported and now - case.received > _watch(case, library)):
                yield from _alerts(case, ("110", matter.platform, *matter.also), library, now)
        case e.DangerRaised(also=also):
            yield from _alerts(case, ("110", *also), library, now)
            yield _to_platform(case, "platform-squad-leader", "danger-raised", level=3)
        case e.RulingChanged(matter=matter) if matter.danger and before and not before.matter.danger:
            yield from _alerts(case, ("110", matter.platform, *matter.also), library, now)
        case e.TransferStarted(to=to):
            yield _pass_on(case, to, "transfer")
        case e.HandOverDue(to=to, remainder=remainder):
            yield _pass_on(case, to, "hand-over", remainder=remainder)
        case e.TransferFailed() | e.HandOverFailed():
            yield _to_platform(case, "platform-squad-leader", e.word_of(event), level=1)
        case e.DeadlineRepaired() | e.DeadlineQuarantined():
            told = _to_platform(case, "platform-supervisor", e.word_of(event), level=3)
            yield replace(told, clock=event.clock, milestone=event.milestone)
        case e.RepeatSeen(how="nth", nth=nth) if nth > 2:
            yield _to_platform(case, "platform-squad-leader", "repeat-seen", level=1)
        case e.SurgeSeen(lines=lines):
            yield _to_platform(case, "platform-supervisor", "surge-seen", level=2)
            if "110" in lines:
                yield from _alerts(case, ("110",), library, now)
            for line in lines:
                unit = _utility(case, line, library)
                if unit:
                    yield _to_unit(case, unit, "unit-duty-phone", "surge-seen", level=2)
        case e.ReflowSeen():
            yield _to_platform(case, "platform-supervisor", "reflow-seen", level=2)
        case e.CaseAssigned(lead=lead, co=co):
            yield _to_unit(
                case, lead, "unit-duty-phone" if case.matter.urgency == "urgent" else "unit-desk", "assigned"
            )
            for unit in co:
                yield _to_unit(case, unit, "unit-desk", "asked-to-help")
        case e.ClaimOffered(units=units, guard=guard):
            for unit in units:
                yield _to_unit(case, unit, "unit-duty-phone", "claim-offered")
            if guard:
                yield _to_unit(case, guard, "unit-duty-phone", "guard-hazard")
        case e.CaseSubAssigned(unit=unit):
            yield _to_unit(case, unit, "unit-desk", "sub-assigned")
        case e.SubReplySubmitted():
            yield _to_unit(case, case.acting_unit, "unit-desk", "sub-replied")
        case e.SubReplySentBack(unit=unit):
            yield _to_unit(case, unit, "unit-desk", "sub-reply-sent-back")
        case (
            e.ReturnAskedFor()
            | e.ExtensionAsked()
            | e.PauseAsked()
            | e.ReplySubmitted()
            | e.AdjudicationDue()
        ):
            role = "platform-agent" if isinstance(event, e.ReplySubmitted) else "platform-squad-leader"
            yield _to_platform(case, role, e.word_of(event))
        case (
            e.ReturnRefused() | e.ReplySentBack() | e.ExtensionDecided() | e.PauseRefused() | e.CaseResumed()
        ):
            yield _to_unit(case, case.lead, "unit-desk", e.word_of(event))
            if isinstance(event, e.ExtensionDecided) and event.granted:
                yield from _tell(case, "extended")
        case e.CasePaused(why="material"):
            yield from _tell(case, "material-needed")
        case e.CaseUrged() | e.CaseSupervised():
            if case.lead:
                yield _to_unit(case, case.lead, "unit-lead", e.word_of(event), level=1)
        case e.ReplyApproved():
            yield from _tell(case, "reply-ready", said=case.reply)
        case e.CaseAnswered() | e.CaseClosed() | e.CaseGuided() | e.CaseWithdrawn() | e.PeerResultReported():
            yield from _back_to_peer(before, event, case)
            if isinstance(event, e.PeerResultReported) and event.passed:
                yield _to_platform(case, "platform-agent", "peer-result")
            if isinstance(event, e.CaseClosed):
                yield from _tell(case, "closed")
        case e.CaseReopened(why="redo"):
            yield _to_platform(case, "platform-supervisor", "redo", level=1)
        case e.RatingContested():
            yield _to_platform(case, "platform-agent", "rating-contested")
        case e.MilestoneReached(clock=clock, milestone=milestone, told=told, nobody=nobody, level=level):
            rung = _rung_of(case, clock, milestone, library) if told else None
            if nobody and not told:
                yield _to_platform(case, "platform-squad-leader", "rung-empty", level=level)
            for recipient in told:
                if recipient == "citizen":
                    yield from _tell(case, "extension-pending" if milestone == OLD_DATE else "late-apology")
                    continue
                whom = resolve(case, recipient, clock)
                if whom is not None:
                    yield f.Notify(
                        case=case.id,
                        number=case.number,
                        to=whom,
                        template=f"{clock}.{milestone.partition('#')[0]}",
                        clock=clock,
                        milestone=milestone,
                        level=level,
                        channels=rung.channels if rung is not None else (),
                        text=rung.text if rung is not None else "",
                    )
        case _:
            return


def _rung_of(case: Case, clock: str, milestone: str, library: Library) -> Rung | None:
    """The rung whose people a milestone tells; a limit tells those of the first one that is due with it."""
    run = case.clock(clock)
    ladder = library.clocks(case.policy).policy.ladder(run.ladder) if run is not None else None
    if ladder is None:
        return None
    kind, _, name = milestone.partition("#")[0].partition(":")
    if kind == "limit":
        return next((rung for rung in ladder.rungs if rung.level == (run.level if run else 0)), None)
    rungs = ladder.early if kind == "early" else ladder.rungs
    return next((rung for rung in rungs if rung.id == name), None)


def resolve(case: Case, recipient: str, clock: str = "") -> f.Recipient | None:
    """Whom a ladder's recipient means for this case now; None when there is nobody."""
    if recipient.startswith("unit-"):
        run = case.clock(clock)
        unit = case.lead if recipient in ("unit-lead", "unit-deputy-head", "unit-head") else case.acting_unit
        if (
            run is not None
            and run.unit
            and recipient in ("unit-duty-phone", "unit-duty-leader", "unit-deputy")
        ):
            unit = run.unit
        return f.Recipient(role=recipient, unit=unit) if unit else None
    return f.Recipient(role=recipient, platform=case.platform)


def _alerts(case: Case, lines: tuple[str, ...], library: Library, now: datetime) -> Iterator[f.AlertLine]:
    for line in dict.fromkeys(lines):
        if line in (case.line, "", "none", "other", "12345"):
            continue
        target = ""
        if line in RESCUE_LINES:
            target = library.directory.receiver(line, case.division, now).platform_id
        elif line.startswith("utility:"):
            target = _utility(case, line, library)
        yield f.AlertLine(case=case.id, number=case.number, line=line, target=target)


def _utility(case: Case, line: str, library: Library) -> str:
    """The unit that "utility:heating" means where the case lies, or "" where there is none."""
    word, _, kind = line.partition(":")
    if word != "utility":
        return ""
    unit = library.organisation.resolve(
        {"water": "water-supply"}.get(kind, kind), case.division or library.home
    )
    return unit.code if unit else ""


def _pass_on(case: Case, to: str, kind: str, *, remainder: bool = False) -> f.PassOrder:
    return f.PassOrder(
        case=case.id,
        number=case.number,
        origin=case.platform,
        to=to,
        kind=kind,
        danger=case.matter.danger,
        remainder=remainder,
    )


def _to_unit(case: Case, unit: str, role: str, template: str, *, level: int = 0) -> f.Notify:
    return f.Notify(
        case=case.id, number=case.number, to=f.Recipient(role=role, unit=unit), template=template, level=level
    )


def _to_platform(case: Case, role: str, template: str, *, level: int = 0) -> f.Notify:
    return f.Notify(
        case=case.id,
        number=case.number,
        to=f.Recipient(role=role, platform=case.platform),
        template=template,
        level=level,
    )


def _watch(case: Case, library: Library) -> timedelta:
    return timedelta(minutes=library.clocks(case.policy).policy.counts["danger_watch_minutes"])


UNSAFE_CATEGORY = "家庭暴力"
"""Where whoever answers the telephone may be the one complained of."""


def may_call(case: Case) -> bool:
    """Safe contact: no call where it was refused, and none by default for reports, confidential cases and violence at
    home."""
    if case.erased:
        return False
    if case.safe_contact is not None:
        return case.safe_contact.calls
    return not _unsafe(case)


def _unsafe(case: Case) -> bool:
    return case.confidential or case.matter.kind == "举报" or UNSAFE_CATEGORY in case.matter.category


def may_text(case: Case) -> bool:
    """Safe contact: no message where it was refused, and none by default for reports and confidential cases."""
    if case.erased or case.anonymous:
        return False
    if case.safe_contact is not None:
        return case.safe_contact.texts
    return not _unsafe(case)


def _tell(case: Case, template: str, *, said: int | None = None) -> Iterator[f.TellCitizen]:
    if case.wants_reply and case.line == Line.HOTLINE and may_text(case):
        yield f.TellCitizen(case=case.id, number=case.number, template=template, said=said)


def _back_to_peer(before: Case | None, event: e.AnyEvent, case: Case) -> Iterator[f.ReturnResult]:
    """The result goes back to the platform that passed the case to us, once."""
    origin = next((link for link in case.peers if link.direction == "in"), None)
    if origin is None or case.result is None:
        return
    if isinstance(event, e.CaseClosed) and before is not None and before.stage is Stage.ANSWERED:
        return
    yield f.ReturnResult(
        case=case.id,
        number=case.number,
        to=origin.platform,
        peer_case=origin.case,
        peer_number=origin.number,
        result=case.result.value,
        said=case.reply if case.reply is not None else _closing_words(event),
    )


def _closing_words(event: e.AnyEvent) -> int | None:
    """What was said at the close: how 110 dealt with a danger case goes back to who passed it on."""
    words = event.words if isinstance(event, e.CaseClosed | e.PeerResultReported) else None
    return None if words is None else words.no
