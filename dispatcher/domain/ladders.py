"""Which limit and which ladder a run goes by, and when each milestone of it falls. Pure; the numbers are policy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec.structs import replace

from dispatcher.domain import events as e
from dispatcher.domain.case import Case
from dispatcher.domain.library import Library
from dispatcher.domain.worktime import LEGAL_ZONE, Calendar
from routing_rules.policy import Clock, Ladder, Limit, Policy, Rung
from routing_rules.recurrence import dates

LEGAL = LEGAL_ZONE
OLD_DATE = "early:old-date"
"""The mark of an undecided extension at which the citizen hears that his date is in question."""


def meeting_after(policy: Policy, meeting: str, after: datetime, calendar: Calendar) -> tuple[datetime, bool]:
    """The next date of a meeting later than an instant, and whether a notice may still move it.

    One that falls on a day of rest is held on the next working day.
    """
    planned = policy.meeting(meeting)
    local = after.astimezone(LEGAL)
    for day in dates(planned.rule, local.date() - timedelta(days=31)):
        held = datetime.combine(calendar.nth_workday_after(day, 0), planned.at, LEGAL)
        if held > local:
            return held, calendar.unsettled(datetime.combine(day, planned.at, LEGAL), held)
    raise LookupError(f"{meeting} does not come round any more")


def is_urgent(case: Case) -> bool:
    """Urgent or dangerous: quiet hours, holidays and deemed signatures are not for it."""
    return case.matter.urgency == "urgent" or case.matter.danger


def limit_for(case: Case, clock: Clock) -> Limit | None:
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
        if when.consult is not None and when.consult != case.consult:
            continue
        if when.redo is not None and when.redo != bool(case.redos):
            continue
        return limit
    return None


def limit_name(run: e.ClockRun) -> str:
    """The milestone of the limit: "limit", and "limit#2" once one has fallen and another date was set after it."""
    return f"limit#{run.fell + 1}" if run.fell else "limit"


def unbreached(run: e.ClockRun) -> e.ClockRun:
    """The limit moved ahead again. What fired stays fired: the new limit is a milestone of its own."""
    return run if run.breached is None else replace(run, breached=None, fell=run.fell + 1)


def calendar_of(case: Case, run: e.ClockRun, library: Library) -> Calendar:
    """The calendar a run goes by: its unit's division, or the province's."""
    unit = library.unit(run.unit) if run.unit else None
    return library.calendars.of(unit.division) if unit else library.home_calendar()


def anchor_of(case: Case, run: e.ClockRun) -> datetime:
    """From where the rungs above a limit count: the limit, or the instant until which a request held it."""
    decision = case.clock("extension")
    return max(run.due, decision.due) if run.held and decision is not None else run.due


def rung_armed(case: Case, run: e.ClockRun, ladder: Ladder, number: int, library: Library) -> e.Armed:
    """Rung ``number`` of a ladder with its instant: counted from the run's limit (or start) in the rung's own time."""
    rung = ladder.rungs[number]
    start = run.started if ladder.anchor == "start" else anchor_of(case, run)
    provisional = False
    if rung.after is not None:
        due = start + rung.after
    else:
        calendar = calendar_of(case, run, library)
        due = calendar.at_frame_start(start, rung.after_days or 0, rung.at)
        provisional = calendar.unsettled(start, due)
    due = awake(case, rung, due, library.clocks(case.policy).policy)
    return e.Armed(milestone=f"rung:{rung.id}", due=due, provisional=provisional)


def early_marks(case: Case, run: e.ClockRun, ladder: Ladder, library: Library) -> Iterator[e.Armed]:
    """The rungs that come before the limit: by natural time, by office hours left, or by working days left."""
    calendar = calendar_of(case, run, library)
    for rung in ladder.early:
        due = run.due.astimezone(LEGAL)
        if rung.before is not None:
            due = run.due - rung.before
        elif rung.left is not None:
            due = calendar.subtract_worktime(due, rung.left)
        else:
            day = calendar.nth_workday_before(due.date(), rung.before_days or 0)
            due = max(datetime.combine(day, rung.at, LEGAL), calendar.frame_open(day))
        due = awake(case, rung, due, library.clocks(case.policy).policy)
        yield e.Armed(milestone=f"early:{rung.id}", due=due, provisional=run.provisional)


def awake(case: Case, rung: Rung, due: datetime, policy: Policy) -> datetime:
    """The instant, or the end of the quiet hours it falls into. Nothing urgent ever waits for the morning."""
    if not rung.quiet or is_urgent(case):
        return due
    begin, end = policy.hours["quiet_from"], policy.hours["quiet_until"]
    local = due.astimezone(LEGAL)
    moment = local.time()
    within = begin <= moment < end if begin <= end else moment >= begin or moment < end
    if not within:
        return due
    morning = datetime.combine(local.date(), end, LEGAL)
    return morning if morning > local else morning + timedelta(days=1)


def repeated(ladder: Ladder, every: timedelta, last: datetime, now: datetime, number: int) -> e.Armed:
    """The last rung again: after an outage the missed rounds are one, the next lies ahead of now."""
    missed = max(0, (now - last) // every)
    return e.Armed(milestone=f"rung:{ladder.rungs[-1].id}#{number}", due=last + every * (missed + 1))
