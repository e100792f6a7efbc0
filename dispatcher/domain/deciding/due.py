"""What happens when a milestone falls: the ladder climbs one rung, or Liandong itself does what the limit says."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from dispatcher.domain import commands as c
from dispatcher.domain import events as e
from dispatcher.domain.case import Case
from dispatcher.domain.clocks import recompute
from dispatcher.domain.draft import Draft
from dispatcher.domain.ladders import OLD_DATE, awake, is_urgent, repeated, rung_armed
from dispatcher.domain.moving import moves_of
from dispatcher.domain.plan import resolve
from dispatcher.domain.values import Stage
from routing_rules.policy import AtLimit, Ladder


def expire(draft: Draft, command: c.ExpireDeadline) -> None:
    """Settle one due milestone. One that is no longer armed for this very instant does nothing: it was met in time."""
    run = draft.case.clock(command.clock)
    if run is None or run.stopped is not None:
        return
    armed = next((a for a in run.armed if a.milestone == command.milestone), None)
    if armed is None or armed.due != command.due or draft.now <= armed.due:
        return  # exactly at the instant is in time
    if armed.milestone == "amber":
        told = ("unit-lead",) if run.unit else ("platform-agent",)
        draft.record(e.MilestoneReached(clock=run.clock, milestone="amber", due=armed.due, told=told))
        return
    match armed.milestone.partition(":")[0].partition("#")[0]:
        case "limit":
            _limit(draft, run, armed)
        case "early":
            _early(draft, run, armed)
        case _:
            _rung(draft, run, armed)


def _limit(draft: Draft, run: e.ClockRun, armed: e.Armed) -> None:
    case = draft.case
    urgent = is_urgent(case)
    match AtLimit(run.at_limit):
        case AtLimit.DEEM_SIGNED if not urgent and case.stage is Stage.ASSIGNED:
            draft.record(_reached(draft, run, armed))
            draft.record(e.CaseSigned(unit=case.lead, deemed=True))
        case AtLimit.RESUME if case.stage is Stage.PAUSED:
            draft.record(_reached(draft, run, armed))
            draft.record(e.CaseResumed(by_time=True))
        case AtLimit.ARCHIVE if case.stage in (Stage.CLOSED, Stage.CALLED_BACK):
            draft.record(_reached(draft, run, armed))
            if not (case.contested_rating or _tabled(case)):  # archived when that is over
                draft.record(e.CaseArchived())
        case AtLimit.TABLE:
            draft.record(_reached(draft, run, armed))
            archive = draft.case.clock("archive")
            ended = case.stage in (Stage.CLOSED, Stage.CALLED_BACK) and not case.contested_rating
            if ended and archive is not None and archive.stopped is None and archive.breached is not None:
                draft.record(e.CaseArchived())  # only the meeting kept it from the archive
        case _:
            draft.record(_reached(draft, run, armed))


def _tabled(case: Case) -> bool:
    """Whether the case waits for a meeting that has not come."""
    return any(run.at_limit == AtLimit.TABLE.value and run.breached is None for run in case.running)


def _reached(draft: Draft, run: e.ClockRun, armed: e.Armed) -> e.MilestoneReached:
    """The limit has passed: tell the first rung if it is due at once, arm the next one.

    Rungs whose people were told of an earlier limit of this run are not told again.
    """
    policy = draft.library.clocks(draft.case.policy).policy
    ladder = policy.ladder(run.ladder)
    kept = tuple(
        one for one in run.armed if one.milestone.startswith("rung:")
    )  # a ladder that counts from the start
    if ladder is None or ladder.anchor != "limit":
        return e.MilestoneReached(clock=run.clock, milestone=armed.milestone, due=armed.due)
    told: tuple[str, ...] = ()
    nobody: tuple[str, ...] = ()
    level = 0
    number = next((i for i, rung in enumerate(ladder.rungs) if rung.level > run.level), len(ladder.rungs))
    first = ladder.rungs[number] if number < len(ladder.rungs) else None
    at_once = first is not None and first.after is not None and not first.after
    if first is not None and at_once and awake(draft.case, first, armed.due, policy) == armed.due:
        told, nobody = _reachable(draft, first.to, run.clock)
        level, number = first.level, number + 1
    following = _next(draft, ladder, number, run, armed.due, empty=bool(nobody) and not told)
    return e.MilestoneReached(
        clock=run.clock,
        milestone=armed.milestone,
        due=armed.due,
        level=level,
        told=told,
        nobody=nobody,
        next=following if not kept else (),
    )


def _early(draft: Draft, run: e.ClockRun, armed: e.Armed) -> None:
    """A mark before the limit: its people are told; the lamp and the level stay as they are."""
    ladder = draft.library.clocks(draft.case.policy).policy.ladder(run.ladder)
    name = armed.milestone.removeprefix("early:")
    rung = next((one for one in (ladder.early if ladder is not None else ()) if one.id == name), None)
    told, nobody = _reachable(draft, rung.to, run.clock) if rung is not None else ((), ())
    if armed.milestone == OLD_DATE:
        told = ("citizen",)
    draft.record(
        e.MilestoneReached(
            clock=run.clock, milestone=armed.milestone, due=armed.due, told=told, nobody=nobody
        )
    )


def _rung(draft: Draft, run: e.ClockRun, armed: e.Armed) -> None:
    ladder = draft.library.clocks(draft.case.policy).policy.ladder(run.ladder)
    name, _, round_ = armed.milestone.removeprefix("rung:").partition("#")
    number = next((i for i, one in enumerate(ladder.rungs if ladder else ()) if one.id == name), None)
    if ladder is None or number is None:
        draft.record(e.MilestoneReached(clock=run.clock, milestone=armed.milestone, due=armed.due))
        return
    rung = ladder.rungs[number]
    told, nobody = _reachable(draft, rung.to, run.clock)
    following = _next(
        draft, ladder, number + 1, run, armed.due, round_=int(round_ or 1), empty=bool(nobody) and not told
    )
    draft.record(
        e.MilestoneReached(
            clock=run.clock,
            milestone=armed.milestone,
            due=armed.due,
            level=rung.level,
            told=told,
            nobody=nobody,
            next=following,
        )
    )


def _next(
    draft: Draft,
    ladder: Ladder,
    number: int,
    run: e.ClockRun,
    last: datetime,
    *,
    round_: int = 1,
    empty: bool = False,
) -> tuple[e.Armed, ...]:
    """The one rung armed after this: the next of the ladder, or the last one again where the ladder repeats.

    ``empty``: this rung reached nobody, so the next one does not wait for its time.
    """
    if number < len(ladder.rungs):
        one = rung_armed(draft.case, run, ladder, number, draft.library)
        if empty:
            policy = draft.library.clocks(draft.case.policy).policy
            return (
                replace(one, due=awake(draft.case, ladder.rungs[number], last, policy), provisional=False),
            )
        return (replace(one, due=max(one.due, last)),)
    if ladder.repeat_last is None:
        return ()
    return (repeated(ladder, ladder.repeat_last, last, draft.now, round_ + 1),)


def _reachable(draft: Draft, to: tuple[str, ...], clock: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Recipients that mean somebody now, and those that mean nobody: an empty rung is said, and the ladder goes on."""
    told = tuple(one for one in to if _somebody(draft, one, clock))
    return told, tuple(one for one in to if one not in told)


def _somebody(draft: Draft, recipient: str, clock: str) -> bool:
    if recipient == "citizen":
        return True
    whom = resolve(draft.case, recipient, clock)
    if whom is None:
        return False
    field = _ON_DUTY.get(recipient)
    if field is None:
        return True
    if draft.library.unit(whom.unit) is None:
        return False  # it left the organisation while it held the case
    duty = draft.library.organisation.on_duty(whom.unit, draft.now)
    return bool(getattr(duty, field))


_ON_DUTY = {"unit-duty-phone": "phone", "unit-duty-leader": "leader_phone", "unit-deputy": "deputy_phone"}
"""Recipients that the duty roster must name: by the field of `Duty` that holds their telephone."""


def repair(draft: Draft, command: c.RepairDeadline) -> None:
    """Put the row of an armed milestone back; the case itself does not change."""
    if _armed(draft, command.clock, command.milestone, command.due):
        draft.record(
            e.DeadlineRepaired(
                clock=command.clock, milestone=command.milestone, due=command.due, found=command.found[:40]
            )
        )


def quarantined(draft: Draft, command: c.ReportQuarantined) -> None:
    """Tell of a milestone that could not be settled; it stays armed in the case and set aside in its row."""
    if _armed(draft, command.clock, command.milestone, command.due):
        draft.record(e.DeadlineQuarantined(clock=command.clock, milestone=command.milestone, due=command.due))


def _armed(draft: Draft, clock: str, milestone: str, due: datetime) -> bool:
    run = draft.case.clock(clock)
    if run is None or run.stopped is not None:
        return False
    return any((one.milestone, one.due) == (milestone, due) for one in run.armed)


def move(draft: Draft, command: c.MoveDeadlines) -> None:
    """Recompute limits under the calendars now in force, or under another policy: once, never re-notifying."""
    case = draft.case
    policy = command.policy if command.policy != case.policy else ""
    moved = recompute(case, draft.now, draft.library, policy=policy)
    if moved is None and not policy:
        return
    runs = moved.runs if moved is not None else ()
    draft.record(
        e.DeadlinesMoved(
            batch=command.batch,
            moved=tuple(run.clock for run in runs),
            moves=moves_of(case, runs, draft.library),
            reason=command.reason[:200],
            policy=policy,
        )
    )
    if moved is not None:
        draft.record(moved)


def notice_failed(draft: Draft, command: c.ReportNoticeFailed) -> None:
    """A notice was given up: it is on record, and a person can see and resend it."""
    draft.record(
        e.NoticeFailed(to=command.to[:200], template=command.template[:100], reason=command.reason[:200])
    )


def notice_diverted(draft: Draft, command: c.ReportNoticeDiverted) -> None:
    """A notice went another way than it should have: who relies on the first one can see it."""
    draft.record(
        e.NoticeDiverted(
            to=command.to[:200],
            template=command.template[:100],
            wanted=command.wanted[:20],
            carried=command.carried[:20],
            reason=command.reason[:200],
        )
    )


def notice_confirmed(draft: Draft, command: c.ReportNoticeConfirmed) -> None:
    """A person confirmed having heard a notice. The case is not signed for by that, and its ladder goes on."""
    draft.record(
        e.NoticeConfirmed(to=command.to[:200], template=command.template[:100], channel=command.channel[:20])
    )
