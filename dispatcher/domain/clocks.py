"""How events move the clocks of a case: start, stop, pause, resume, hold, extend. Pure; the numbers are policy.

Every movement is told in one `ClocksSet` event holding the runs as they now stand, so that a replay never asks a
policy or a calendar again and an edited policy never moves a running deadline.
"""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from dispatcher.domain import events as e
from dispatcher.domain.case import Case
from dispatcher.domain.library import Library
from dispatcher.domain.worktime import Calendar
from routing_rules.policy import AtLimit, Basis, Clock, Ladder, Limit

LEGAL = ZoneInfo("Asia/Shanghai")
PAUSED_CLOCKS = frozenset({"handle", "sub", "total"})
"""What stands still while the citizen owes material: the units' clocks, and the date told to the citizen."""


def follow(case: Case, event: e.AnyEvent, at: datetime, library: Library) -> e.ClocksSet | None:
    """The clocks after ``event`` (already folded into ``case``), or None when none moves."""
    word = e.word_of(event)
    index = library.clocks(case.policy)
    owes = event.owes if isinstance(event, e.CaseRuled) else ""
    if word not in index.words and type(event) not in _MOVERS:
        return None
    moves = _Moves(case, at, library)
    if word in index.words:
        stopping = index.stops.get(word, frozenset())
        starting = index.starts.get(word, ()) + (index.starts.get(owes, ()) if owes else ())
        again = {clock.id for clock in starting}
        for run in case.clocks:
            if run.clock in stopping and run.clock not in again and run.stopped is None:
                moves.put(replace(run, stopped=at, armed=(), held=False, paused=None))
        for clock in starting:
            moves.start(clock, event)
    match event:
        case e.CasePaused():
            moves.pause()
        case e.CaseResumed():
            moves.resume()
        case e.ReplySentBack():
            moves.revive("handle")
        case e.SubReplySentBack():
            moves.revive("sub")
        case e.ExtensionAsked():
            moves.hold()
        case e.ExtensionDecided(granted=granted, days=days):
            moves.decide_extension(granted, days)
        case e.CaseAssigned():
            moves.settle_total()
        case e.DangerRaised():
            moves.reclass()
        case _:
            pass
    return moves.told(word)


_MOVERS = frozenset(
    {e.CasePaused, e.CaseResumed, e.ReplySentBack, e.SubReplySentBack, e.ExtensionAsked, e.ExtensionDecided}
    | {e.CaseAssigned, e.DangerRaised}
)
"""Events that move clocks by more than starting and stopping them."""


def recompute(case: Case, at: datetime, library: Library) -> e.ClocksSet | None:
    """The clocks under today's calendars: provisional limits that a new notice moves (a due that stays is left)."""
    moves = _Moves(case, at, library)
    for run in case.running:
        if run.provisional and run.paused is None:
            clock = library.clocks(case.policy).policy.clock(run.clock)
            fresh = moves.make(clock, run.started, run.unit)
            if fresh is not None and (fresh.due != run.due or fresh.provisional != run.provisional):
                moves.put(replace(fresh, level=run.level, amber=run.amber, breached=run.breached))
    return moves.told("calendar")


def limit_for(case: Case, clock: Clock, *, redo: bool = False) -> Limit | None:
    """The first limit of the clock that is for this case."""
    matter = case.matter
    for limit in clock.limits:
        when = limit.when
        if when.urgency and matter.urgency not in when.urgency:
            continue
        if when.danger is not None and when.danger != matter.danger:
            continue
        if when.utility is not None and when.utility != case.utility:
            continue
        if when.line and when.line != case.line:
            continue
        if when.handed_in is not None and when.handed_in != case.handed_in:
            continue
        if when.redo is not None and when.redo != redo:
            continue
        return limit
    return None


def rung_instant(ladder: Ladder, number: int, run: e.ClockRun, calendar: Calendar) -> datetime:
    """When rung ``number`` of a ladder falls: counted from the run's limit (or start) in the rung's own time."""
    rung = ladder.rungs[number]
    anchor = run.started if ladder.anchor == "start" else run.due
    if rung.after is not None:
        return anchor + rung.after
    return calendar.at_frame_start(anchor, rung.after_days or 0, rung.at)


def calendar_of(case: Case, run: e.ClockRun, library: Library) -> Calendar:
    """The calendar a run goes by: its unit's division, or the province's."""
    unit = library.unit(run.unit) if run.unit else None
    return library.calendars.of(unit.division) if unit else library.home_calendar()


class _Moves:
    """The runs changed so far by one event."""

    def __init__(self, case: Case, at: datetime, library: Library) -> None:
        self.case = case
        self.at = at
        self.library = library
        self.runs: dict[str, e.ClockRun] = {}

    def put(self, run: e.ClockRun) -> None:
        self.runs[run.clock] = run

    def told(self, why: str) -> e.ClocksSet | None:
        changed = tuple(run for run in self.runs.values() if run != self.case.clock(run.clock))
        return e.ClocksSet(runs=changed, why=why) if changed else None

    def run(self, clock: str) -> e.ClockRun | None:
        found = self.runs.get(clock) or self.case.clock(clock)
        return found if found is not None and found.stopped is None else None

    # starting

    def start(self, clock: Clock, event: e.AnyEvent) -> None:
        running = self.run(clock.id)
        unit = self._unit(clock, event)
        if running is not None and clock.id in ("total", "hand-over"):
            self.reclass_one(running)  # these never reset; only their class may change
            return
        if running is None and clock.id == "total" and isinstance(event, e.RulingChanged):
            return
        started = self.at
        if clock.id in ("total", "hand-over"):
            started = self.case.first_received
        elif isinstance(event, e.CaseRuled):
            started = self.case.received
        days = event.days if isinstance(event, e.CaseSubAssigned | e.CasePaused) else 0
        redo = isinstance(event, e.CaseAssigned) and event.redo
        fresh = self.make(clock, started, unit, days=days, redo=redo)
        if fresh is not None:
            self.put(fresh)

    def _unit(self, clock: Clock, event: e.AnyEvent) -> str:
        if clock.basis is not Basis.UNIT:
            return ""
        return event.unit if isinstance(event, e.CaseSubAssigned) else self.case.acting_unit

    def make(
        self, clock: Clock, started: datetime, unit: str, *, days: int = 0, redo: bool = False
    ) -> e.ClockRun | None:
        """A fresh run of a clock from ``started``; None when no limit of it is for this case."""
        limit = limit_for(self.case, clock, redo=redo)
        if limit is None:
            return None
        of = self.library.unit(unit) if unit else None
        calendar = self.library.calendars.of(of.division) if of else self.library.home_calendar()
        working = days or limit.working_days
        if redo and working is not None and clock.id == "handle":
            working = -(-working // 2)  # half the original limit, rounded up to whole working days
        dues: list[tuple[datetime, bool]] = []
        target: datetime | None = None
        if working is not None:
            allowance = limit.allowance_days if clock.id == "total" else 0
            due = calendar.add_workdays(started, working + allowance)
            closing = _at_time(due.at, limit.close_at) if limit.close_at else due.at
            dues.append((closing, due.provisional))
            if limit.target_days is not None and limit.target_days < working:
                target = calendar.add_workdays(started, limit.target_days).at
        if limit.natural is not None and not days:
            dues.append((started + limit.natural, False))
        if limit.natural_days is not None:
            natural = calendar.natural_days(started, limit.natural_days)
            dues.append((natural.at, natural.provisional))
        due_at, provisional = min(dues)
        if clock.id in ("handle", "sub"):
            # a unit's limit is the earlier of its class limit from assignment and the total (DOMAIN, Deadlines)
            total = self.run("total")
            if total is not None and not redo and started < total.due < due_at:
                due_at, provisional = total.due, total.provisional
        if target is not None and target >= due_at:
            target = None
        run = e.ClockRun(
            clock=clock.id,
            started=started,
            due=due_at,
            target=target,
            natural=started + limit.natural if limit.natural is not None else None,
            provisional=provisional,
            unit=unit,
            ladder=limit.ladder,
            at_limit=limit.at_limit.value,
        )
        return self._arm(run, limit.amber_days_left, calendar)

    def _arm(self, run: e.ClockRun, amber_days: int, calendar: Calendar) -> e.ClockRun:
        """Arm what still lies ahead; what a late start has already passed is skipped, never told again."""
        wanted = []
        amber = self._amber(run, amber_days, calendar)
        if amber is not None and not run.amber:
            wanted.append(e.Armed(milestone="amber", due=amber))
        if run.breached is None and run.at_limit != AtLimit.CLOSE_WINDOW.value:
            wanted.append(e.Armed(milestone="limit", due=run.due))
        if not self.case.imported:
            return replace(run, armed=tuple(wanted))
        ahead = tuple(a for a in wanted if a.due > self.at)
        gone = tuple(a for a in wanted if a.due <= self.at)
        late = any(a.milestone == "limit" for a in gone)
        return replace(
            run,
            armed=ahead,
            skipped=gone,
            amber=run.amber or bool(gone),
            breached=run.due if late else run.breached,
        )

    def _amber(self, run: e.ClockRun, days: int, calendar: Calendar) -> datetime | None:
        """From the target date, or when ``days`` working days are left, whichever comes first."""
        marks = [run.target] if run.target is not None else []
        if days:
            day = calendar.nth_workday_before(run.due.astimezone(LEGAL).date(), days)
            marks.append(datetime.combine(day, run.due.astimezone(LEGAL).time(), LEGAL))
        mark = min(marks, default=None)
        return mark if mark is not None and run.started < mark < run.due else None

    # changing class

    def reclass(self) -> None:
        """The urgency changed: every running limit that depends on it is counted anew from its own start."""
        for run in self.case.running:
            if run.paused is None:
                self.reclass_one(run)

    def reclass_one(self, run: e.ClockRun) -> None:
        clock = self.library.clocks(self.case.policy).policy.clock(run.clock)
        fresh = self.make(clock, run.started, run.unit)
        if fresh is None:
            return
        if (fresh.due, fresh.ladder, fresh.target) != (run.due, run.ladder, run.target):
            keep = run.breached if fresh.due >= run.due else None
            self.put(replace(fresh, level=run.level, breached=keep))

    def settle_total(self) -> None:
        """At assignment the allowances really used are known: the total may only come nearer."""
        total = self.run("total")
        if total is None or total.breached is not None:
            return
        clock = self.library.clocks(self.case.policy).policy.clock("total")
        limit = limit_for(self.case, clock)
        if limit is None or limit.working_days is None:
            return
        calendar = self.library.home_calendar()
        used = min(limit.allowance_days, max(0, calendar.workdays_between(total.started, self.at)))
        fresh = self.make(clock, total.started, total.unit)
        if fresh is None:
            return
        if limit.natural is None:
            due = calendar.add_workdays(total.started, limit.working_days + used)
            fresh = replace(fresh, due=min(due.at, fresh.due), provisional=due.provisional)
        if fresh.due < total.due:
            self.put(self._arm(replace(fresh, armed=(), level=total.level), limit.amber_days_left, calendar))
            handle = self.runs.get("handle")
            if handle is not None and fresh.due < handle.due:
                clock = self.library.clocks(self.case.policy).policy.clock("handle")
                redo = handle.started != self.at
                again = self.make(clock, handle.started, handle.unit, redo=redo)
                if again is not None:
                    self.put(again)

    # stopping for a while

    def pause(self) -> None:
        """Units' clocks and the total stand still; what is left is kept in working time."""
        for run in self.case.running:
            if run.clock in PAUSED_CLOCKS and run.paused is None:
                self.put(replace(run, paused=self.at, armed=()))

    def resume(self) -> None:
        """What was left in working time is counted again from now, to a close of business."""
        for run in self.case.running:
            if run.paused is None:
                continue
            calendar = calendar_of(self.case, run, self.library)
            due, provisional, target = run.due, run.provisional, run.target
            if run.paused < run.due:
                left = calendar.working_between(run.paused, run.due)
                moved = calendar.add_worktime(self.at, left)
                due, provisional = (
                    max(run.due, calendar.frame_close(moved.at.astimezone(LEGAL).date())),
                    moved.provisional,
                )
                if target is not None and run.paused < target:
                    passed = calendar.working_between(run.paused, target)
                    target = calendar.frame_close(
                        calendar.add_worktime(self.at, passed).at.astimezone(LEGAL).date()
                    )
            self.put(
                self._arm(
                    replace(run, paused=None, due=due, provisional=provisional, target=target),
                    self._amber_days(run),
                    calendar,
                )
            )

    def revive(self, clock: str) -> None:
        """A reply sent back: the clock runs on as if it had never stopped."""
        run = self.case.clock(clock)
        if run is not None and run.stopped is not None:
            calendar = calendar_of(self.case, run, self.library)
            self.put(self._arm(replace(run, stopped=None), self._amber_days(run), calendar))

    # extension

    def hold(self) -> None:
        """A timely request holds the red rung until it is decided, at most noon of the next working day."""
        run = self.run("handle")
        decision = self.run("extension")
        if run is None or decision is None or run.breached is not None:
            return
        until = max(run.due, decision.due)
        armed = tuple(replace(a, due=until) if a.milestone == "limit" else a for a in run.armed)
        self.put(replace(run, held=True, armed=armed))

    def decide_extension(self, granted: bool, days: int) -> None:
        for clock in ("handle", "total"):
            run = self.run(clock)
            if run is None:
                continue
            calendar = calendar_of(self.case, run, self.library)
            if granted:
                more = calendar.add_workdays(run.due, days)
                run = replace(
                    run, due=more.at, provisional=more.provisional, target=None, breached=None, held=False
                )
                self.put(self._arm(run, self._amber_days(run), calendar))
            elif clock == "handle" and run.held:
                armed = tuple(replace(a, due=run.due) if a.milestone == "limit" else a for a in run.armed)
                self.put(replace(run, held=False, armed=armed))

    def _amber_days(self, run: e.ClockRun) -> int:
        clock = self.library.clocks(self.case.policy).policy.clock(run.clock)
        limit = limit_for(self.case, clock)
        return limit.amber_days_left if limit else 0


def _at_time(day: datetime, at: time) -> datetime:
    return datetime.combine(day.astimezone(LEGAL).date(), at, LEGAL)
