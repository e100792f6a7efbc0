"""Calendar files (TOML) → a `CalendarBook`; every fault of every file is found before any is refused.

`data/calendars/README.md` describes the files.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Final

import msgspec

from routing_rules.calendar import (
    NATION,
    CalendarBook,
    Days,
    FrameRule,
    Holiday,
    Hours,
    Kind,
    Layer,
    Season,
    Status,
    Year,
    digest_of,
)
from routing_rules.strict import DataFault, read_row, refuse, tables_of

_DAY = timedelta(days=1)
_LONGEST_REST = timedelta(days=31)
_FIRST_YEAR, _LAST_YEAR = 1950, 2100
_LEAP_YEAR = 2000  # has all 366 days a season can name
_TABLES: Final = {"layer": dict, "frame": list, "year": list, "holiday": list}


def load_calendars(files: Mapping[str, bytes]) -> CalendarBook:
    """Read calendar files (name → content) into one book.

    Raises an ExceptionGroup of DataFault with every fault of every file: unknown keys, impossible dates,
    overlapping hours, a day both worked and free, two confirmed notices for one year, no national hours.
    """
    faults: list[DataFault] = []
    layers: dict[str, Layer] = {}
    for file, content in sorted(files.items()):
        layer = _read_layer(file, content, faults)
        if layer is None:
            continue
        if any(layer.id == other.id for other in layers.values()):
            faults.append(DataFault(file, "id", layer.id, "another file has this id; give each file its own"))
        layers[file] = layer
    _check_agreement(layers, faults)
    if not faults and not any(layer.division == NATION and layer.frames for layer in layers.values()):
        faults.append(DataFault("calendars", "division", NATION, "no file gives the national office hours"))
    refuse("calendars", faults)
    ordered = tuple(sorted(_without_superseded(layers.values()), key=_place_in_chain))
    return CalendarBook(layers=ordered, digest=digest_of(ordered))


def read_layer(file: str, content: bytes) -> Layer:
    """Read one file for itself. Raises an ExceptionGroup of DataFault with every fault of it."""
    faults: list[DataFault] = []
    layer = _read_layer(file, content, faults)
    refuse("calendar file", faults)
    assert layer is not None, "a file without a layer has a fault"
    return layer


def _place_in_chain(layer: Layer) -> tuple[bool, int, date, str]:
    return layer.kind is Kind.ORDER, layer.level, layer.issued or date.min, layer.id


def _without_superseded(layers: Iterable[Layer]) -> list[Layer]:
    """Drop provisional years whose notice is in, and files that have nothing left to say."""
    layers = list(layers)
    confirmed = {(x.division, y.year) for x in layers for y in x.years if y.status is Status.CONFIRMED}
    kept = []
    for layer in layers:
        gone = {
            y.year
            for y in layer.years
            if y.status is Status.PROVISIONAL and (layer.division, y.year) in confirmed
        }
        years = tuple(y for y in layer.years if y.year not in gone)
        holidays = tuple(h for h in layer.holidays if h.year not in gone)
        if years or layer.frames:
            kept.append(msgspec.structs.replace(layer, years=years, holidays=holidays))
    return kept


class _LayerRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    name: str
    division: str
    source: str
    kind: Kind = Kind.NOTICE
    issued: date | None = None


class _FrameRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    hours: tuple[tuple[str, str], ...]
    days: Days = Days.WORKDAY
    first: date | None = msgspec.field(name="from", default=None)
    last: date | None = msgspec.field(name="until", default=None)
    season: tuple[str, str] | None = None


class _YearRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    year: int
    status: Status
    source: str


class _HolidayRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    year: int
    name: str
    first: date | None = msgspec.field(name="from", default=None)
    last: date | None = msgspec.field(name="until", default=None)
    work: tuple[date, ...] = ()


def _read_layer(file: str, content: bytes, faults: list[DataFault]) -> Layer | None:
    """Read and check one file for itself; None when not even its head can be read."""
    rows = tables_of(file, content, _TABLES, faults)
    frames: list[FrameRule] = []
    years: list[Year] = []
    holidays: list[Holiday] = []
    for where, row in rows["frame"]:
        frame_row = read_row(_FrameRow, row, where, faults)
        frame = None if frame_row is None else _frame(frame_row, where, faults)
        if frame is not None:
            frames.append(frame)
    for where, row in rows["year"]:
        year_row = read_row(_YearRow, row, where, faults)
        if year_row is not None:
            years.append(_year(year_row, where, faults))
    arranged = {year.year for year in years}
    if len(arranged) < len(years):
        faults.append(DataFault(file, "year", sorted(y.year for y in years), "a year stands here twice"))
    for where, row in rows["holiday"]:
        holiday_row = read_row(_HolidayRow, row, where, faults)
        if holiday_row is not None:
            holidays.append(_holiday(holiday_row, where, arranged, faults))
    if not rows["layer"]:
        faults.append(DataFault(file, "layer", None, "a calendar file begins with a [layer] table"))
        return None
    where, row = rows["layer"][0]
    head = read_row(_LayerRow, row, where, faults)
    if head is None:
        return None
    if re.fullmatch(r"[0-9]{6}", head.division) is None:
        faults.append(
            DataFault(where, "division", head.division, "give six digits of GB/T 2260, 000000 for the nation")
        )
        return None
    if head.kind is Kind.ORDER and head.issued is None:
        faults.append(DataFault(where, "issued", None, "an order needs its date: the later one prevails"))
    return Layer(
        id=head.id,
        name=head.name,
        division=head.division,
        kind=head.kind,
        issued=head.issued,
        source=head.source,
        frames=tuple(frames),
        years=tuple(years),
        holidays=tuple(holidays),
    )


def _frame(row: _FrameRow, where: str, faults: list[DataFault]) -> FrameRule | None:
    hours: list[Hours] = []
    for opens, closes in row.hours:
        first, last = _minutes(opens), _minutes(closes)
        if first is None or last is None or first >= last:
            remedy = "write an opening before its closing, as 08:30 and 12:00 (24:00 ends a day)"
            faults.append(DataFault(where, "hours", (opens, closes), remedy))
        elif hours and first < hours[-1].closes:
            remedy = "overlaps the stretch before it; list stretches in order, apart from each other"
            faults.append(DataFault(where, "hours", (opens, closes), remedy))
        else:
            hours.append(Hours(opens=first, closes=last))
    if not row.hours:
        faults.append(
            DataFault(where, "hours", row.hours, "give at least one stretch; a free day is a holiday")
        )
    if row.first is not None and row.last is not None and row.last < row.first:
        faults.append(DataFault(where, "until", row.last, f"lies before from = {row.first}"))
    season = None
    if row.season is not None:
        first_day, last_day = _month_day(row.season[0]), _month_day(row.season[1])
        if first_day is None or last_day is None:
            remedy = "write two days as MM-DD; 02-29 is not in every year, use 02-28 or 03-01"
            faults.append(DataFault(where, "season", row.season, remedy))
        else:
            season = Season(first=first_day, last=last_day)
    if not hours:
        return None
    return FrameRule(days=row.days, hours=tuple(hours), first=row.first, last=row.last, season=season)


def _minutes(text: str) -> int | None:
    if text == "24:00":
        return 24 * 60
    if re.fullmatch(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", text) is None:
        return None
    return int(text[:2]) * 60 + int(text[3:])


def _month_day(text: str) -> tuple[int, int] | None:
    try:
        day = date.fromisoformat(f"{_LEAP_YEAR + 1}-{text}")
    except ValueError:
        return None
    return day.month, day.day


def _year(row: _YearRow, where: str, faults: list[DataFault]) -> Year:
    if not _FIRST_YEAR <= row.year <= _LAST_YEAR:
        faults.append(DataFault(where, "year", row.year, f"give a year from {_FIRST_YEAR} to {_LAST_YEAR}"))
    return Year(year=row.year, status=row.status, source=row.source)


def _holiday(row: _HolidayRow, where: str, arranged: set[int], faults: list[DataFault]) -> Holiday:
    if row.year not in arranged:
        faults.append(DataFault(where, "year", row.year, "has no [[year]] row in this file; add it"))
    rest = None
    if row.first is not None:
        rest = (row.first, row.last or row.first)
        if not row.first <= rest[1] <= row.first + _LONGEST_REST:
            faults.append(DataFault(where, "until", rest[1], f"must lie within a month after {row.first}"))
            rest = (row.first, row.first)
    elif row.last is not None:
        faults.append(DataFault(where, "from", None, "a rest has a first day too"))
    elif not row.work:
        faults.append(DataFault(where, "from", None, "give days of rest, days of work, or both"))
    for field, day in [("from", row.first), ("until", row.last), *(("work", day) for day in row.work)]:
        # a notice may reach back into the December before it, never further
        if day is not None and day.year != row.year and (day.year, day.month) != (row.year - 1, 12):
            faults.append(DataFault(where, field, day, f"lies outside {row.year} and the December before it"))
    return Holiday(year=row.year, name=row.name, rest=rest, work=row.work)


def _check_agreement(layers: Mapping[str, Layer], faults: list[DataFault]) -> None:
    """Find what one authority says twice, in one file or in several. Orders of different dates may disagree."""
    groups: defaultdict[tuple[str, Kind, date | None], dict[str, Layer]] = defaultdict(dict)
    for file, layer in layers.items():
        issued = layer.issued if layer.kind is Kind.ORDER else None
        groups[layer.division, layer.kind, issued][file] = layer
    for group in groups.values():
        _check_days(group, faults)
        _check_frames(group, faults)


def _check_days(group: Mapping[str, Layer], faults: list[DataFault]) -> None:
    said: dict[tuple[date, Status], tuple[str, str]] = {}
    confirmed: dict[int, str] = {}
    for file, layer in group.items():
        status = {year.year: year.status for year in layer.years}
        for year in layer.years:
            if year.status is Status.CONFIRMED and layer.kind is Kind.NOTICE:
                if year.year in confirmed:
                    remedy = f"{confirmed[year.year]} confirms this year too; keep one, or make it an order"
                    faults.append(DataFault(file, "year", year.year, remedy))
                confirmed.setdefault(year.year, file)
        for number, holiday in enumerate(layer.holidays, start=1):
            if holiday.year not in status:
                continue
            where = f"{file} holiday {number}"
            days = [(day, "rest") for day in holiday.rest_days()] + [(day, "work") for day in holiday.work]
            for day, what in days:
                before = said.setdefault((day, status[holiday.year]), (where, what))
                if before != (where, what):
                    remedy = f"{before[0]} already makes it a day of {before[1]}; a day is named once"
                    faults.append(DataFault(where, what, day, remedy))
                elif (
                    what == "work"
                    and layer.division == NATION
                    and layer.kind is Kind.NOTICE
                    and day.weekday() < 5
                ):
                    faults.append(
                        DataFault(where, what, day, "is worked anyway (Monday to Friday); mend the date")
                    )


def _check_frames(group: Mapping[str, Layer], faults: list[DataFault]) -> None:
    rules = [
        (f"{file} frame {number}", rule)
        for file, layer in group.items()
        for number, rule in enumerate(layer.frames, start=1)
    ]
    for place, (where, rule) in enumerate(rules):
        for earlier, other in rules[:place]:
            day = _common_day(rule, other) if rule.days is other.days else None
            if day is not None:
                remedy = f"overlaps {earlier}: both give the hours of {day}; part their dates or seasons"
                faults.append(DataFault(where, "hours", rule.days.value, remedy))
    national = [layer for layer in group.values() if layer.division == NATION and layer.kind is Kind.NOTICE]
    if any(layer.frames for layer in national):
        lasting = [r for _, r in rules if r.days is Days.WORKDAY and r.first is None and r.last is None]
        day = date(_LEAP_YEAR, 1, 1)
        while day.year == _LEAP_YEAR:
            if not any(rule.holds(day) for rule in lasting):
                remedy = "national hours without from and until must cover the whole year"
                faults.append(DataFault(national[0].id, "hours", f"{day:%m-%d}", remedy))
                return
            day += _DAY


def _common_day(one: FrameRule, other: FrameRule) -> date | None:
    """A day for which both rules give hours, if there is one."""
    day = max(one.first or date(_LEAP_YEAR, 1, 1), other.first or date(_LEAP_YEAR, 1, 1))
    last = min(one.last or date.max, other.last or date.max)
    # Seasons come round within a year; 29 February is no boundary, so 366 days show every meeting there is.
    for _ in range(366):
        if day > last or day == date.max:
            return None
        if one.holds(day) and other.holds(day):
            return day
        day += _DAY
    return None
