"""What a list would do to the units: their load, and how much of it would come late. A model, and it says so.

Each unit works every working day at the pace of its old load plus some headroom, always on what is due first; a case is
late when it is finished after the working days of its class. The pace is that of the time in which nine tenths of the
cases came: a few old ones do not make everybody slow. A unit that had no load before is given the middle pace of those
that had.
"""

import datetime as dt
import heapq
import math
import statistics
from collections.abc import Iterable, Mapping

import msgspec

LIMITS: Mapping[str, int] = {"urgent": 1, "general": 10, "complex": 15, "joint": 20}
"""Working days (the plan, III.4.4: the hard limits)."""
HEADROOM = 0.2


class Arrival(msgspec.Struct, frozen=True):
    """One case for one unit: the working day it comes in (any count of days) and its class of urgency."""

    day: int
    urgency: str


class UnitLoad(msgspec.Struct, frozen=True, kw_only=True):
    """One unit's cases and predicted late ones, under the old list and the new; ``pace`` in cases a working day."""

    unit: str
    before: int
    after: int
    late_before: int
    late_after: int
    pace: int


def working_day(at: dt.date) -> int:
    """A count of working days: Saturday and Sunday fall on the Monday after. Public holidays are left out of account."""
    weeks, weekday = divmod(at.toordinal() - 1, 7)
    return weeks * 5 + weekday if weekday < 5 else (weeks + 1) * 5


def forecast(
    before: Mapping[str, list[Arrival]], after: Mapping[str, list[Arrival]], *, headroom: float = HEADROOM
) -> list[UnitLoad]:
    """The load of every unit under both lists, the largest change first."""
    days = sorted(arrival.day for rows in before.values() for arrival in rows)
    first, last = (days[len(days) // 20], days[-1 - len(days) // 20]) if days else (0, 0)
    paces = {
        unit: math.ceil(sum(first <= row.day <= last for row in rows) / (last - first + 1) * (1 + headroom))
        or 1
        for unit, rows in before.items()
    }
    usual = math.ceil(statistics.median(paces.values())) if paces else 1
    loads = []
    for unit in sorted({*before, *after}):
        pace = paces.get(unit, usual)
        old, new = before.get(unit, []), after.get(unit, [])
        loads.append(
            UnitLoad(
                unit=unit,
                before=len(old),
                after=len(new),
                late_before=late(old, pace),
                late_after=late(new, pace),
                pace=pace,
            )
        )
    loads.sort(key=lambda load: (-abs(load.after - load.before), -load.after, load.unit))
    return loads


def late(arrivals: Iterable[Arrival], pace: int) -> int:
    """How many of these are finished after their limit by a unit that does ``pace`` cases a working day."""
    coming: dict[int, list[int]] = {}
    for arrival in arrivals:
        coming.setdefault(arrival.day, []).append(arrival.day + LIMITS[arrival.urgency])
    waiting: list[int] = []
    missed = 0
    days = sorted(coming)
    today = days[0] if days else 0
    while days or waiting:
        if not waiting and days:
            today = max(today, days[0])
        while days and days[0] <= today:
            for due in coming[days.pop(0)]:
                heapq.heappush(waiting, due)
        for _ in range(min(pace, len(waiting))):
            missed += heapq.heappop(waiting) < today
        today += 1
    return missed
