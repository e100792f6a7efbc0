"""How events move the clocks of a case: start, stop, pause, resume, hold, extend. Pure; the numbers are policy.

Every movement is told in one `ClocksSet` event holding the runs as they now stand, so that a replay never asks a
policy or a calendar again and an edited policy never moves a running deadline.
"""

from __future__ import annotations

from datetime import datetime, time

from msgspec.structs import replace

from dispatcher.domain import events as e
from dispatcher.domain.case import Case
from dispatcher.domain.ladders import (
    LEGAL,
    OLD_DATE,
    calendar_of,
    early_marks,
    limit_for,
    limit_name,
    meeting_after,
    repeated,
    rung_armed,
    unbreached,
)
from dispatcher.domain.library import Library
from dispatcher.domain.moving import ORDER, recount, reprice, roll
from dispatcher.domain.values import Stage
from dispatcher.domain.worktime import Calendar
from routing_rules.policy import AtLimit, Basis, Clock

PAUSED_CLOCKS = frozenset({"handle", "sub", "total"})
"""What stands still while the citizen owes material: the units' clocks, and the date told to the citizen."""
_EXTENDED = ("total", "handle")
"""What an extension moves: the date told to the citizen, and the unit's limit inside it."""
_FROM_FIRST = frozenset({"total", "hand-over"})
"""Clocks that count from the first receipt on either platform."""
_NEVER_ANSWERED = frozenset({Stage.PASSED, Stage.GUIDED, Stage.ANSWERED, Stage.WITHDRAWN, Stage.MERGED})
"""Stages in which the total stopped without a reply: opened again, it runs on as if it had never stopped."""
_BEFORE = frozenset({"amber", "early"})
"""Milestones that fall before a limit."""


def follow(
    before: Case | None, case: Case, event: e.AnyEvent, at: datetime, library: Library
) -> e.ClocksSet | None:
    """The clocks after ``event`` (already folded into ``case``), or None when none moves."""
    word = e.word_of(event)
    index = library.clocks(case.policy)
    owes = event.owes if isinstance(event, e.CaseRuled) else ""
    other_class = (
        before is not None
        and (before.matter is not case.matter or before.utility is not case.utility)
        and _class_of(before) != _class_of(case)
    )
    if word not in index.words and type(event) not in _MOVERS and not other_class:
        return None
    moves = Moves(case, at, library, entering=isinstance(event, e.CaseRuled) and bool(owes))
    if word in index.words:
        starting = index.starts.get(word, ()) + (index.starts.get(owes, ()) if owes else ())
        moves.stop(index.stops.get(word, frozenset()) - {clock.id for clock in starting})
    else:
        starting = ()
    if before is not None and other_class:
        moves.reclass(before)
    if before is not None:
        moves.settle(before, event)
    for clock in starting:
        moves.start(clock, event)
    moves.shift(event)
    return moves.told(word)


_MOVERS = frozenset(
    {e.CasePaused, e.CaseResumed, e.ReplySentBack, e.ExtensionAsked, e.ExtensionDecided, e.CaseReopened}
    | {e.SubReplySubmitted, e.SubReplySentBack, e.SubAssignmentRecalled, e.CaseAssigned}
)
"""Events that move clocks by more than starting and stopping them."""


def _class_of(case: Case) -> tuple[str, bool, bool]:
    return case.matter.urgency, case.matter.danger, case.utility


def recompute(case: Case, at: datetime, library: Library, *, policy: str = "") -> e.ClocksSet | None:
    """The clocks under today's calendars: limits and rungs that a new notice moves. None when nothing moves.

    Provisional limits are counted again. Settled ones were told for good: they move only where an order made their
    last day one of rest, to the next working day (Civil Code art. 203).

    Args:
        policy: the digest of a policy to count by instead of the case's own.
    """
    after = replace(case, policy=policy) if policy else case
    moves = Moves(after, at, library)
    for run in sorted(case.running, key=lambda one: ORDER.get(one.clock, 4)):
        if policy:
            reprice(moves, run, library.clocks(case.policy).policy)
        elif run.provisional or any(armed.provisional for armed in run.armed):
            recount(moves, run)
        else:
            roll(moves, run)
    return moves.told("policy" if policy else "calendar")


class Moves:
    """The runs changed so far by one event. ``entering``: it is the first ruling of a case."""

    def __init__(self, case: Case, at: datetime, library: Library, *, entering: bool = False) -> None:
        self.case = case
        self.at = at
        self.library = library
        self.entering = entering
        self.index = library.clocks(case.policy)
        self.policy = self.index.policy
        self.runs: dict[str, e.ClockRun] = {}

    def put(self, run: e.ClockRun) -> None:
        self.runs[run.clock] = run

    def told(self, why: str) -> e.ClocksSet | None:
        changed = tuple(run for run in self.runs.values() if run != self.case.clock(run.clock))
        return e.ClocksSet(runs=changed, why=why) if changed else None

    def run(self, clock: str) -> e.ClockRun | None:
        found = self.runs.get(clock) or self.case.clock(clock)
        return found if found is not None and found.stopped is None else None

    # starting and stopping

    def stop(self, clocks: frozenset[str]) -> None:
        for run in self.case.running:
            if run.clock in clocks:
                self.put(replace(run, stopped=self.at, armed=(), held=False, paused=None))

    def start(self, clock: Clock, event: e.AnyEvent) -> None:
        earlier = self.runs.get(clock.id) or self.case.clock(clock.id)
        running = earlier is not None and earlier.stopped is None
        if clock.id in _FROM_FIRST and (running or (clock.id == "total" and earlier is not None)):
            return  # these never reset; only their class may change
        started = self.at
        if clock.id == "total":
            started = self.case.first_received
        elif clock.id == "hand-over":
            # what was delivered in time and came back, and what a unit on scene leaves over, counts from now
            met = earlier is not None and earlier.breached is None
            left = isinstance(event, e.HandOverDue) and event.remainder
            started = self.at if met or left else self.case.first_received
        elif self.entering:
            started = self.case.received
        own = event.days if isinstance(event, e.CaseSubAssigned | e.CasePaused) else 0
        fresh = self.made(clock, started, self._unit(clock, event), own=own)
        if fresh is None:
            return
        if clock.id == "sub" and running and earlier is not None and started < earlier.due < fresh.due:
            provisional = earlier.provisional or fresh.provisional
            fresh = replace(fresh, due=earlier.due, provisional=provisional)
        self.put(self._entered(fresh) if self.entering and self.case.imported else self._begun(fresh))

    def _unit(self, clock: Clock, event: e.AnyEvent) -> str:
        if clock.basis is not Basis.UNIT:
            return ""
        return event.unit if isinstance(event, e.CaseSubAssigned) else self.case.acting_unit

    def made(
        self,
        clock: Clock,
        started: datetime,
        unit: str,
        *,
        own: int = 0,
        days: int | None = None,
        added: int = 0,
    ) -> e.ClockRun | None:
        """A run of a clock from ``started``, nothing armed yet; None when no limit of it is for this case.

        Args:
            own: a limit of its own in working days, instead of the policy's.
            days: working days as they were counted before (allowances used, halved for a redo).
            added: working days that an extension or a pause has added.
        """
        limit = limit_for(self.case, clock)
        if limit is None:
            return None
        of = self.library.unit(unit) if unit else None
        calendar = self.library.calendars.of(of.division) if of else self.library.home_calendar()
        working = days or own or limit.working_days
        if not (days or own) and working is not None:
            if clock.id == "total":
                working += limit.allowance_days
            elif clock.id == "handle" and self.case.redos:
                working = -(-working // 2)  # half the original limit, rounded up to whole working days
        dues: list[tuple[datetime, bool]] = []
        target: datetime | None = None
        if working is not None:
            due = calendar.add_workdays(started, working + added)
            dues.append((_at_time(due.at, limit.close_at) if limit.close_at else due.at, due.provisional))
            if limit.target_days is not None and limit.target_days < working and not added:
                target = calendar.add_workdays(started, limit.target_days).at
        natural = started + limit.natural if limit.natural is not None and not own else None
        if natural is not None:
            dues.append((natural, False))
        if limit.natural_days is not None:
            day = calendar.natural_days(started, limit.natural_days)
            dues.append((day.at, day.provisional))
        if limit.meeting:
            dues.append(meeting_after(self.policy, limit.meeting, started, calendar))
        # any part that a notice may still move can become the earliest one
        due_at, provisional = min(at for at, _ in dues), any(tentative for _, tentative in dues)
        # a unit's limit is the earlier of its class limit from assignment and the total (DOMAIN, Deadlines); a lower
        # unit's lies inside the upper unit's
        bounds = {"handle": ("total",), "sub": ("handle", "total")}.get(clock.id, ())
        for bound in map(self.run, bounds):
            if bound is not None and started < bound.due < due_at:
                due_at, provisional = bound.due, provisional or bound.provisional
        return e.ClockRun(
            clock=clock.id,
            started=started,
            due=due_at,
            target=target if target is not None and target < due_at else None,
            natural=natural,
            provisional=provisional,
            unit=unit,
            ladder=limit.ladder,
            at_limit=limit.at_limit.value,
            days=working or 0,
            added=added,
        )

    # arming

    def arm(self, run: e.ClockRun) -> e.ClockRun:
        """Arm what a run has still before it."""
        return replace(run, armed=self._wanted(run))

    def _wanted(self, run: e.ClockRun) -> tuple[e.Armed, ...]:
        wanted = []
        amber = self._amber(run)
        if amber is not None and not run.amber:
            wanted.append(e.Armed(milestone="amber", due=amber))
        ladder = self.index.ladders.get(run.ladder)
        if ladder is not None and run.breached is None:
            if ladder.early:
                wanted.extend(
                    mark
                    for mark in early_marks(self.case, run, ladder, self.library)
                    if run.started < mark.due < run.due and mark.milestone not in run.reminded
                )
            if ladder.anchor == "start":
                for number, rung in enumerate(ladder.rungs):
                    if rung.level > run.level:
                        wanted.append(rung_armed(self.case, run, ladder, number, self.library))
                        break
        if run.breached is None and run.at_limit != AtLimit.CLOSE_WINDOW.value:
            wanted.append(e.Armed(milestone=limit_name(run), due=run.due))
        return tuple(wanted)

    def _begun(self, run: e.ClockRun) -> e.ClockRun:
        """A clock that starts late (handed in, received earlier): marks before the limit that are past are skipped,
        not told; the lamp shows them. The limit itself falls however late."""
        if run.started >= self.at:
            return self.arm(run)
        wanted = self._wanted(run)
        gone = tuple(a for a in wanted if a.due < self.at and a.milestone.partition(":")[0] in _BEFORE)
        ahead = tuple(a for a in wanted if a not in gone)
        amber = run.amber or any(a.milestone == "amber" for a in gone)
        return replace(run, skipped=gone, armed=ahead, amber=amber)

    def _entered(self, run: e.ClockRun) -> e.ClockRun:
        """An imported case: what is already past is skipped and never told; what lies ahead is armed."""
        wanted = self._wanted(run)
        gone = tuple(a for a in wanted if a.due <= self.at)
        ahead = tuple(a for a in wanted if a.due > self.at)
        amber = any(a.milestone in ("amber", "limit") for a in gone)
        run = replace(run, skipped=gone, armed=ahead, amber=amber)
        if not any(a.milestone == "limit" for a in gone):
            return run
        run = replace(run, breached=run.due)
        ladder = self.index.ladders.get(run.ladder)
        for number, rung in enumerate(ladder.rungs if ladder is not None else ()):
            assert ladder is not None, "it has rungs"
            one = rung_armed(self.case, run, ladder, number, self.library)
            if one.due > self.at:
                return replace(run, armed=(*run.armed, one))
            run = replace(run, skipped=(*run.skipped, one), level=rung.level)
        return run if ladder is None else self.climb(run)

    def climb(self, run: e.ClockRun) -> e.ClockRun:
        """Above the limit: arm the next rung nobody was told of yet, or the last again where the ladder repeats."""
        ladder = self.index.ladders.get(run.ladder)
        if ladder is None:
            return replace(run, armed=())
        for number, rung in enumerate(ladder.rungs):
            if rung.level > run.level:
                return replace(run, armed=(rung_armed(self.case, run, ladder, number, self.library),))
        if ladder.repeat_last is None:
            return replace(run, armed=())
        last = rung_armed(self.case, run, ladder, len(ladder.rungs) - 1, self.library).due
        return replace(run, armed=(repeated(ladder, ladder.repeat_last, last, self.at, 2),))

    def _amber(self, run: e.ClockRun) -> datetime | None:
        """From the target date, or when so many working days are left, whichever comes first."""
        limit = limit_for(self.case, self.index.clocks[run.clock])
        marks = [run.target] if run.target is not None else []
        if limit is not None and limit.amber_days_left:
            calendar = calendar_of(self.case, run, self.library)
            due = run.due.astimezone(LEGAL)
            day = calendar.nth_workday_before(due.date(), limit.amber_days_left)
            marks.append(datetime.combine(day, due.time(), LEGAL))
        mark = min(marks, default=None)
        return mark if mark is not None and run.started < mark < run.due else None

    # another class

    def reclass(self, before: Case) -> None:
        """The urgency changed: every running limit that depends on it is counted anew from its own start."""
        for run in sorted(self.case.running, key=lambda one: one.clock != "total"):
            if run.clock in self.runs or run.paused is not None:
                continue
            if self.case.matter.urgency == "urgent" and run.clock in ("extension", "pause-decision"):
                self.put(replace(run, stopped=self.at, armed=()))  # an urgent case has neither
                continue
            clock = self.index.clocks[run.clock]
            was, now = limit_for(before, clock), limit_for(self.case, clock)
            if was is now:
                continue
            used = None
            if run.clock == "total" and was is not None and now is not None and now.working_days is not None:
                # an allowance that was settled at assignment stays settled
                spent = max(0, run.days - (was.working_days or 0))
                used = now.working_days + min(now.allowance_days, spent)
            self.reclass_one(run, used)

    def reclass_one(self, run: e.ClockRun, days: int | None = None) -> None:
        """Count a run anew under today's class. What would have ended before anybody knew counts from now."""
        clock = self.index.clocks[run.clock]
        fresh = self.made(clock, run.started, run.unit, days=days, added=run.added)
        if fresh is None or (fresh.due, fresh.ladder) == (run.due, run.ladder):
            return
        if run.breached is not None and (fresh.due < run.due or fresh.due <= self.at):
            if fresh.ladder != run.ladder:
                self.put(self.climb(replace(run, ladder=fresh.ladder, at_limit=fresh.at_limit, level=0)))
            return
        if fresh.due <= self.at:
            anew = self.made(clock, self.at, run.unit, days=days)
            assert anew is not None, "the same class has a limit"
            fresh = replace(anew, started=run.started, due=min(anew.due, run.due), counted=self.at)
        self.put(self.arm(fresh))

    def settle(self, before: Case, event: e.AnyEvent) -> None:
        """The total at assignment and on opening again. At assignment the allowances really used are known: it may
        only come nearer. A case that was never answered runs on as if its total had never stopped."""
        again = isinstance(event, e.CaseAssigned) or (
            isinstance(event, e.CaseReopened) and event.why == "danger"
        )
        if again and before.stage in _NEVER_ANSWERED:
            self.revive("total")
        elif isinstance(event, e.CaseReopened) and event.why == "appeal":
            total = self.case.clock("total")
            if total is not None and total.due > self.at:
                self.revive("total")
        total = self.run("total")
        if not isinstance(event, e.CaseAssigned) or total is None or total.breached is not None:
            return
        limit = limit_for(self.case, self.index.clocks["total"])
        if limit is None or limit.working_days is None or limit.natural is not None:
            return
        used = max(0, self.library.home_calendar().workdays_between(total.started, self.at))
        days = limit.working_days + min(limit.allowance_days, used)
        if days < total.days:
            clock = self.index.clocks["total"]
            fresh = self.made(clock, total.started, total.unit, days=days, added=total.added)
            if fresh is not None:
                self.put(self.arm(replace(fresh, amber=total.amber)))

    # stopping for a while

    def shift(self, event: e.AnyEvent) -> None:
        """What an event does to runs that go on."""
        match event:
            case e.CasePaused():
                self.pause()
            case e.CaseResumed():
                self.resume()
            case e.ReplySentBack():
                self.revive("handle")
            case e.SubReplySubmitted() | e.SubReplySentBack() | e.SubAssignmentRecalled():
                self.pass_sub()
            case e.ExtensionAsked():
                self.hold()
            case e.ExtensionDecided(granted=True, days=days):
                self.extend(days)
            case e.ExtensionDecided():
                self.let_go()
            case _:
                pass

    def pause(self) -> None:
        """Units' clocks and the total stand still; one that is late already does not."""
        for run in self.case.running:
            if run.clock in PAUSED_CLOCKS and run.paused is None and run.breached is None:
                self.put(replace(run, paused=self.at, armed=()))

    def resume(self) -> None:
        """What was left in working time is counted again from now, to a close of business."""
        for run in self.case.running:
            if run.paused is None:
                continue
            calendar = calendar_of(self.case, run, self.library)
            back = replace(run, paused=None)
            if run.paused < run.due:
                due, provisional = self._later(run.paused, run.due, calendar)
                target = run.target
                if target is not None and run.paused < target:
                    target, _ = self._later(run.paused, target, calendar)
                shift = max(0, calendar.workdays_between(run.due, due))
                back = replace(back, due=due, target=target, provisional=provisional, added=run.added + shift)
            self.put(self.arm(back))

    def _later(self, paused: datetime, mark: datetime, calendar: Calendar) -> tuple[datetime, bool]:
        moved = calendar.add_worktime(self.at, calendar.working_between(paused, mark))
        return max(mark, calendar.frame_close(moved.at.astimezone(LEGAL).date())), moved.provisional

    def revive(self, clock: str) -> None:
        """The clock runs on as if it had never stopped."""
        run = self.runs.get(clock) or self.case.clock(clock)
        if run is None or run.stopped is None:
            return
        back = replace(run, stopped=None)
        self.put(self.arm(back) if back.breached is None else self.climb(back))
        if back.provisional:
            recount(self, self.runs[clock])  # a notice may have come while it stood
        fresh = self.made(self.index.clocks[clock], run.started, run.unit, added=run.added)
        if clock != "sub" and fresh is not None and fresh.due < run.due:
            self.reclass_one(self.runs[clock])  # it became urgent while the clock stood

    def pass_sub(self) -> None:
        """The limit of whoever of the tiers works now: each tier has its own, counted from when it got the case."""
        tier = next((t for t in reversed(self.case.tiers) if t.replied is None), None)
        if tier is None:
            return
        had = self.case.clock("sub")
        if had is not None and had.unit == tier.unit:
            if had.stopped is None:
                self.runs.pop("sub", None)
            else:
                self.revive("sub")
            return
        fresh = self.made(self.index.clocks["sub"], tier.since, tier.unit, own=tier.days)
        if fresh is not None:
            self.put(self.arm(fresh))

    # extension

    def hold(self) -> None:
        """A timely request holds the red rung until it is decided, at most noon of the next working day."""
        for clock in _EXTENDED:
            run = self.run(clock)
            if run is not None and run.breached is None:
                self.put(self.hold_one(run))
        total, decision = self.run("total"), self.run("extension")
        if total is None or decision is None or total.breached is not None or decision.due <= total.due:
            return
        # nobody may decide before the date that the citizen was told: he hears of it before it passes
        cutoff = self.policy.hours["extension_cutoff"]
        told = min(total.due, _at_time(total.due, cutoff))
        mark = e.Armed(milestone=OLD_DATE, due=max(told, self.at), provisional=total.provisional)
        self.put(replace(decision, armed=(*decision.armed, mark)))

    def hold_one(self, run: e.ClockRun) -> e.ClockRun:
        decision = self.run("extension")
        if decision is None:
            return run
        until = max(run.due, decision.due)
        armed = tuple(replace(a, due=until) if a.milestone == limit_name(run) else a for a in run.armed)
        return replace(run, held=True, armed=armed)

    def extend(self, days: int) -> None:
        """Both dates move by so many working days."""
        for clock in _EXTENDED:
            run = self.run(clock)
            if run is None:
                continue
            more = calendar_of(self.case, run, self.library).add_workdays(run.due, days)
            moved = replace(
                run, due=more.at, provisional=more.provisional, target=None, added=run.added + days
            )
            self.put(self.arm(unbreached(replace(moved, held=False, amber=False, level=0, reminded=()))))

    def let_go(self) -> None:
        """Refused: the limit stands where it stood, and falls at once when that is past."""
        for clock in _EXTENDED:
            run = self.run(clock)
            if run is not None and run.held:
                armed = tuple(
                    replace(a, due=run.due) if a.milestone == limit_name(run) else a for a in run.armed
                )
                self.put(replace(run, held=False, armed=armed))


def _at_time(day: datetime, at: time) -> datetime:
    return datetime.combine(day.astimezone(LEGAL).date(), at, LEGAL)
