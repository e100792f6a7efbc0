"""The screen: what the live page shows at one instant, as plain records ready to be sent.

Numbers and instants travel, words do not: the page has the words of its own language.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from dashboards.masking import masked
from dispatcher.domain.library import Library
from dispatcher.domain.values import Stage
from dispatcher.domain.worktime import LEGAL_ZONE, Calendar
from dispatcher.views.board import Counts, OpenCase

NATURAL: Final = ""
"""The frame of a clock that runs day and night."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One row. ``left`` are whole seconds until the limit in its own time (negative: late), as seen at the frame's
    instant; ``frame`` names the calendar it runs by, or `NATURAL`."""

    id: UUID
    no: str  # without the line it begins with
    line: str
    title: str
    unit: str
    region: str
    stage: str
    lamp: str
    clock: str
    frame: str
    due: datetime
    left: int
    late: bool
    level: int
    danger: bool
    reflow: bool


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """Whether office hours run now, and in how many seconds that changes."""

    running: bool
    change: int


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """One prefecture's tile. ``heat`` from 0 to 3 is its share of the largest one."""

    code: str
    name: str
    open: int
    red: int
    amber: int
    heat: int


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One unit's late and nearly late cases."""

    name: str
    red: int
    amber: int


class Screen(msgspec.Struct, frozen=True, kw_only=True):
    """Everything on the page at the instant ``at``, complete up to the log's ``position``."""

    at: datetime
    position: int
    lines: tuple[Line, ...]
    hours: dict[str, Hours]
    figures: dict[str, int]
    regions: tuple[Region, ...]
    bars: tuple[Bar, ...]


def build(
    cases: Iterable[OpenCase], counts: Counts, library: Library, *, at: datetime, position: int
) -> Screen:
    """The screen of these cases and counts, masked, with time left by each one's own calendar."""
    hours: dict[str, Hours] = {}
    lines = []
    for case in cases:
        frame, calendar = _frame(case, library)
        if frame not in hours and calendar is not None:
            hours[frame] = _hours(calendar, at)
        left = case.due - at if calendar is None else calendar.remaining(at, case.due)
        line = case.platform.partition("-")[0]
        lines.append(
            Line(
                id=case.id,
                no=case.number.removeprefix(f"{line}-"),
                line=line,
                title=masked(case.title),
                unit=_unit(case.unit, library),
                region=_region(case.division, library),
                stage=case.stage,
                lamp=case.lamp,
                clock=case.clock,
                frame=frame,
                due=case.due,
                left=left // timedelta(seconds=1),
                late=at > case.due,
                level=case.level,
                danger=case.danger,
                reflow=case.reflow,
            )
        )
    return Screen(
        at=at,
        position=position,
        lines=tuple(lines),
        hours=hours,
        figures=_figures(counts),
        regions=_regions(counts, library),
        bars=tuple(Bar(name=_unit(u.unit, library), red=u.red, amber=u.amber) for u in counts.units),
    )


def legal_midnight(at: datetime) -> datetime:
    """The beginning of the day in legal time."""
    return at.astimezone(LEGAL_ZONE).replace(hour=0, minute=0, second=0, microsecond=0)


def _frame(case: OpenCase, library: Library) -> tuple[str, Calendar | None]:
    """The division whose office hours the case's clock keeps, with its calendar; None for clock time."""
    if case.natural:
        return NATURAL, None
    unit = library.unit(case.clock_unit) if case.clock_unit else None
    division = unit.division if unit else library.home
    return division, library.calendars.of(division)


def _hours(calendar: Calendar, at: datetime) -> Hours:
    running = calendar.in_frame(at)
    if running:
        frames = calendar.frames(at.astimezone(LEGAL_ZONE).date())
        change = next(closes for opens, closes in frames if opens <= at < closes)
    else:
        change = calendar.next_working_instant(at)
    return Hours(running=running, change=-((at - change) // timedelta(seconds=1)))


def _unit(code: str, library: Library) -> str:
    unit = library.unit(code) if code else None
    return unit.name if unit else code


def _region(division: str, library: Library) -> str:
    """The county or prefecture, as short as it is unmistakable."""
    places = library.places
    code = division[:6]
    return places.division(code).short if places.knows(code) else division


_GROUPS: Final[dict[str, tuple[Stage, ...]]] = {
    "to-rule": (Stage.RECEIVED, Stage.POLICE_RECEIVED),
    "to-assign": (Stage.RULED,),
    "to-sign": (Stage.ASSIGNED,),
    "to-claim": (Stage.OFFERED,),
    "in-hand": (Stage.SIGNED, Stage.UNIT_SENT, Stage.ARRIVED, Stage.FED_BACK),
    "paused": (Stage.PAUSED,),
    "to-approve": (Stage.REPLIED,),
    "to-deliver": (Stage.APPROVED, Stage.DELIVERED, Stage.ANSWERED),
    "transferring": (Stage.TRANSFERRED,),
    "handed-over": (Stage.HANDED_OVER,),
    "to-adjudicate": (Stage.ADJUDICATING,),
    "returning": (Stage.RETURNING,),
}


def _figures(counts: Counts) -> dict[str, int]:
    stages: Counter[str] = Counter()
    lamps: Counter[str] = Counter()
    danger = 0
    for each in counts.open:
        stages[each.stage] += each.count
        lamps[each.lamp] += each.count
        danger += each.count * each.danger
    figures = {name: sum(stages[stage] for stage in group) for name, group in _GROUPS.items()}
    return figures | {
        "received": sum(counts.received.values()),
        "received-110": counts.received.get("110", 0),
        "open": stages.total(),
        "danger": danger,
        "red": lamps["red"],
        "amber": lamps["amber"],
        "normal": lamps[""],
    }


def _regions(counts: Counts, library: Library) -> tuple[Region, ...]:
    open_: Counter[str] = Counter()
    lamps: Counter[tuple[str, str]] = Counter()
    for each in counts.open:
        open_[each.prefecture] += each.count
        lamps[each.prefecture, each.lamp] += each.count
    codes: Sequence[str] = library.places.prefectures()
    most = max((open_[code[:4]] for code in codes), default=0)
    return tuple(
        Region(
            code=code,
            name=library.places.division(code).short,
            open=(count := open_[code[:4]]),
            red=lamps[code[:4], "red"],
            amber=lamps[code[:4], "amber"],
            heat=min(3, 4 * count // most) if most else 0,
        )
        for code in codes
    )
