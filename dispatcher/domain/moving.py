"""A newer calendar, or another policy, over a case that is open: its limits counted again. Pure, and never re-notifies.

What has fallen stays fallen: a milestone that was told is not told again, whatever the new date is. A limit that the
new rule puts into the past ends at the next close of business instead: nobody is late by a rule he could not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dispatcher.domain import events as e
from dispatcher.domain.case import Case
from dispatcher.domain.ladders import (
    LEGAL,
    OLD_DATE,
    calendar_of,
    is_urgent,
    limit_for,
    rung_armed,
    unbreached,
)
from dispatcher.domain.library import Library
from routing_rules.policy import Clock, Policy

if TYPE_CHECKING:
    from dispatcher.domain.clocks import Moves

ORDER = {"extension": 0, "total": 1, "handle": 2, "sub": 3}
"""Who must be counted before whom: a held limit waits for the decision, a unit's lies inside the total."""


def moves_of(case: Case, runs: Iterable[e.ClockRun], library: Library) -> tuple[e.Moved, ...]:
    """Before and after of every run that moved, with the rule it is counted by now."""
    return tuple(_moved(case, runs, library))


def _moved(case: Case, runs: Iterable[e.ClockRun], library: Library) -> Iterator[e.Moved]:
    for run in runs:
        was = case.clock(run.clock)
        if was is None:
            continue
        yield e.Moved(
            clock=run.clock,
            before=was.due,
            after=None if run.stopped is not None else run.due,
            provisional=run.provisional,
            rule=_rule(case, run, library),
        )


def _rule(case: Case, run: e.ClockRun, library: Library) -> str:
    """How the limit is counted, in codes: "10+3 working days from 2026-12-21 by 630102"."""
    if run.stopped is not None:
        return "the policy has no such clock for this case"
    unit = library.unit(run.unit) if run.unit else None
    by = unit.division if unit is not None else library.home
    start = (run.counted or run.started).astimezone(LEGAL).date()
    if not run.days:
        return f"from {start} by {by}"
    more = f"+{run.added}" if run.added else ""
    return f"{run.days}{more} working days from {start} by {by}"


def roll(moves: Moves, run: e.ClockRun) -> None:
    """A settled limit in working days, not fallen yet, whose last day is one of rest now: on the next working day."""
    if not run.days or run.natural is not None or run.breached is not None or is_urgent(moves.case):
        return
    calendar = calendar_of(moves.case, run, moves.library)
    due = run.due.astimezone(LEGAL)
    if calendar.is_workday(due.date()):
        return
    day = calendar.nth_workday_after(due.date(), 0)
    moved = datetime.combine(day, due.time(), LEGAL)
    provisional = calendar.unsettled(run.started, moved)
    settle(moves, run, replace(run, due=moved, provisional=provisional, armed=()))


def recount(moves: Moves, run: e.ClockRun) -> None:
    """The same limit under a newer calendar."""
    clock = moves.index.clocks[run.clock]
    # a limit of its own never had a natural one beside it
    own = run.days if run.natural is None else 0
    fresh = moves.made(clock, run.counted or run.started, run.unit, own=own, days=run.days, added=run.added)
    if fresh is not None and run.counted is not None:
        fresh = replace(fresh, started=run.started, counted=run.counted, due=min(fresh.due, run.due))
    if fresh is not None and run.clock == "sub" and len(moves.case.tiers) > 1 and fresh.due >= run.due:
        # a lower tier's limit lay inside the upper tier's, which no run remembers
        fresh = replace(fresh, due=run.due, provisional=fresh.provisional and run.provisional)
    if fresh is None or (fresh.due, fresh.provisional) == (run.due, run.provisional):
        _retime(moves, run)
    else:
        settle(moves, run, fresh)


def settle(moves: Moves, run: e.ClockRun, fresh: e.ClockRun, *, new_ladder: bool = False) -> None:
    """Put a run in the place of another that counts the same matter: nothing is told twice, nobody made late by it."""
    kept = replace(
        fresh,
        level=run.level,
        amber=run.amber,
        skipped=run.skipped,
        reminded=run.reminded,
        fell=run.fell,
        breached=run.breached,
        target=_target(moves, run, fresh),
    )
    if run.paused is not None:
        moves.put(replace(kept, paused=run.paused))
        return
    if run.breached is not None:
        if kept.due > moves.at:
            moves.put(moves.arm(unbreached(kept)))
        elif new_ladder:
            moves.put(moves.climb(replace(kept, due=run.due, target=run.target)))
        else:
            _retime(moves, replace(run, provisional=kept.provisional))
        return
    if kept.due <= moves.at:
        if run.due <= moves.at:
            moves.put(replace(run, provisional=kept.provisional))  # it is falling at this moment
            return
        closing = calendar_of(moves.case, run, moves.library).add_workdays(moves.at, 0).at
        kept = replace(kept, due=min(closing, run.due), target=None)
    armed = moves.arm(kept)
    marks = tuple(one for one in run.armed if one.milestone == OLD_DATE)
    armed = replace(armed, armed=(*armed.armed, *marks))
    moves.put(moves.hold_one(armed) if run.held else armed)


def _target(moves: Moves, run: e.ClockRun, fresh: e.ClockRun) -> datetime | None:
    """The amber date: one that has passed stays; one that a pause has shifted keeps its shift."""
    if run.target is None or not run.added:
        return fresh.target
    limit = limit_for(moves.case, moves.index.clocks[run.clock])
    if run.target <= moves.at or limit is None or limit.target_days is None:
        return run.target
    calendar = calendar_of(moves.case, run, moves.library)
    target = calendar.add_workdays(run.counted or run.started, limit.target_days + run.added).at
    return target if target < fresh.due else None


def _retime(moves: Moves, run: e.ClockRun) -> None:
    """The limit stays; rungs above it that are counted in working days follow the calendar."""
    ladder = moves.policy.ladder(run.ladder)
    armed: list[e.Armed] = []
    for one in run.armed:
        name = one.milestone.removeprefix("rung:")
        numbers = {rung.id: number for number, rung in enumerate(ladder.rungs)} if ladder is not None else {}
        if ladder is not None and name in numbers and one.provisional:
            by_days = ladder.rungs[numbers[name]].after_days is not None
            fresh = rung_armed(moves.case, run, ladder, numbers[name], moves.library)
            armed.append(fresh if by_days else one)
        else:
            armed.append(one)
    back = replace(run, armed=tuple(armed))
    moves.put(moves.hold_one(back) if run.held and run.breached is None else back)


def reprice(moves: Moves, run: e.ClockRun, before: Policy) -> None:
    """The same matter under another policy: its limit, ladder and marks."""
    case, policy = moves.case, moves.policy
    clock = _clock(policy, run.clock)
    now = limit_for(case, clock) if clock is not None else None
    if clock is None or now is None:
        moves.put(replace(run, stopped=moves.at, armed=(), held=False, paused=None))
        return
    old = _clock(before, run.clock)
    was = limit_for(case, old) if old is not None else None
    used = None
    if run.clock == "total" and case.assigned is not None and now.working_days is not None:
        # an allowance that was settled at assignment stays settled
        spent = max(0, run.days - (was.working_days or 0)) if was is not None else 0
        used = now.working_days + min(now.allowance_days, spent)
    fresh = moves.made(
        clock, run.counted or run.started, run.unit, own=_own(case, run), days=used, added=run.added
    )
    assert fresh is not None, "the clock has a limit for this case"
    if run.counted is not None:
        fresh = replace(fresh, started=run.started, counted=run.counted, due=min(fresh.due, run.due))
    ladders = (before.ladder(run.ladder), policy.ladder(fresh.ladder))
    if was == now and ladders[0] == ladders[1] and fresh.due == run.due:
        return
    settle(moves, run, fresh, new_ladder=ladders[0] != ladders[1])


def _clock(policy: Policy, clock: str) -> Clock | None:
    return next((one for one in policy.clocks if one.id == clock), None)


def _own(case: Case, run: e.ClockRun) -> int:
    """The working days that a sub-assignment or a pause gave of its own; 0 where the policy's hold."""
    if run.clock == "sub":
        return next((tier.days for tier in case.tiers if tier.unit == run.unit), 0)
    if run.clock == "pause":
        return next((pause.days for pause in reversed(case.pauses) if pause.ended is None), 0)
    return 0
