"""Compiles the layers of a division's calendar into a `Table`: working days and working time as running sums.

Every question of `worktime` is then two look-ups, whatever the length of the span.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from datetime import date, time
from itertools import accumulate, compress
from operator import mul

import msgspec

from routing_rules.calendar import NATION, Days, FrameRule, Hours, Kind, Layer, Season, Status, digest_of

_YEARS_BEFORE, _YEARS_AFTER = 1, 6  # seasons are known that far past the last year loaded
_WEEK = bytes((1, 1, 1, 1, 1, 0, 0))
_LAST_ORDINAL = date.max.toordinal()
_TAIL = (12, 29)  # the earliest December day that any notice since 2007 took for the coming year (2018-12-29)


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """The office hours of one day: (opens, closes, worked before it opens), in seconds after midnight."""

    frames: tuple[tuple[int, int, int], ...]
    length: int
    opens: int
    closes: int
    close_time: time | None
    """The closing as a time of day; None for 24:00, which is no time of its own day."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One calendar, compiled. Days are proleptic ordinals; index 0 of the day columns is `first`, a Monday.

    Office hours begin and end on whole minutes, so sums are whole seconds, and small enough to stay fast.
    Before the first and after the last day of the table Monday to Friday are worked, with the hours of the first
    and last worked day in it: sums go on evenly, so no question is without an answer.
    """

    version: str
    first: int
    end: int
    works: bytes  # by day: 1 where worked
    before: array[int]  # by day and once more at the end: worked days before it
    days: array[int]  # by worked day: its ordinal
    spent: array[int]  # by worked day and once more at the end: working seconds before it
    spent_by_day: array[
        int
    ]  # by day and once more at the end: the same, so that a span needs one look-up for each end
    shift_by_day: tuple[Shift | None, ...]  # by day: its hours, None for rest
    shifts: tuple[Shift, ...]  # by worked day: its hours
    tentative: tuple[
        tuple[int, int], ...
    ]  # first and last ordinals that no notice has settled; sorted, not empty
    names: dict[int, str]  # why a day is not what its weekday says, or is a holiday


def compile_table(layers: Sequence[Layer]) -> Table:
    """Compile a chain of layers, general to special, as `CalendarBook.chain` gives it."""
    years = [year.year for layer in layers for year in layer.years]
    if not years:
        raise ValueError("a calendar needs at least one [[year]]: load national.toml")
    start = date(min(years) - _YEARS_BEFORE, 1, 1).toordinal()
    first = start - (start - 1) % 7
    weeks = (date(max(years) + _YEARS_AFTER, 12, 31).toordinal() - first) // 7 + 1
    works = bytearray(_WEEK * weeks)
    made_up = bytearray(7 * weeks)
    names: dict[int, str] = {}
    for layer in layers:
        for holiday in layer.holidays:
            if holiday.rest is not None:
                low, high = (day.toordinal() for day in holiday.rest)
                works[low - first : high + 1 - first] = bytes(high + 1 - low)
                made_up[low - first : high + 1 - first] = bytes(high + 1 - low)
                names.update(dict.fromkeys(range(low, high + 1), holiday.name))
            for day in holiday.work:
                ordinal = day.toordinal()
                works[ordinal - first] = 1
                made_up[ordinal - first] = day.weekday() >= 5
                names[ordinal] = holiday.name
    kinds, column = _shifts(layers, first, made_up)
    column = bytes(map(mul, column, works))  # 0, which has no hours, for days of rest
    by_day = tuple(map([None, *kinds].__getitem__, column))
    spent = list(accumulate(map([0, *(each.length for each in kinds)].__getitem__, column), initial=0))
    return Table(
        version=digest_of(layers),
        first=first,
        end=first + len(works),
        works=bytes(works),
        before=array("l", list(accumulate(works, initial=0))),
        days=array("l", list(compress(range(first, first + len(works)), works))),
        spent=array("q", [*compress(spent, works), spent[-1]]),
        spent_by_day=array("q", spent),
        shift_by_day=by_day,
        shifts=tuple(shift for shift in by_day if shift is not None),
        tentative=tuple(sorted(_tentative(layers))),
        names=names,
    )


def weekdays_before(ordinal: int) -> int:
    """How many days from Monday to Friday lie before this one, since 0001-01-01 (a Monday)."""
    weeks, rest = divmod(ordinal - 1, 7)
    return 5 * weeks + min(rest, 5)


def weekday_number(count: int) -> int:
    """The ordinal of the weekday that has `count` weekdays before it."""
    weeks, rest = divmod(count, 5)
    return 7 * weeks + rest + 1


def _shifts(layers: Sequence[Layer], first: int, made_up: bytearray) -> tuple[tuple[Shift, ...], bytes]:
    """All shifts that occur, and for each day of the table the number of its own, from 1."""
    size = len(made_up)
    found: dict[tuple[Hours, ...], int] = {}
    usual, worked_weekends = bytearray(size), bytearray(size)
    for layer in layers:
        # a make-up rule is the more special one of its layer, wherever it stands in the file
        for rule in sorted(layer.frames, key=lambda rule: rule.days is Days.MAKE_UP):
            index = found.setdefault(rule.hours, len(found) + 1)
            for low, high in _spans(rule, first, first + size):
                filled = bytes((index,)) * (high - low)
                if rule.days is Days.WORKDAY:
                    usual[low - first : high - first] = filled
                worked_weekends[low - first : high - first] = filled
    day = made_up.find(1)
    while day >= 0:
        usual[day] = worked_weekends[day]
        day = made_up.find(1, day + 1)
    return tuple(_shift(hours) for hours in found), bytes(usual)


def _spans(rule: FrameRule, first: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretches of the table that a rule speaks about, as half-open pairs of ordinals."""
    low = first if rule.first is None else max(first, rule.first.toordinal())
    high = end if rule.last is None else min(end, rule.last.toordinal() + 1)
    if rule.season is None:
        spans = [(low, high)]
    else:
        years = range(date.fromordinal(first).year - 1, date.fromordinal(end).year + 1)
        spans = [_season_in(rule.season, year) for year in years]
    for start, stop in spans:
        if max(start, low) < min(stop, high):
            yield max(start, low), min(stop, high)


def _season_in(season: Season, year: int) -> tuple[int, int]:
    over_new_year = season.last < season.first
    start = date(year, *season.first).toordinal()
    return start, date(year + over_new_year, *season.last).toordinal() + 1


def _shift(hours: Sequence[Hours]) -> Shift:
    frames = []
    length = 0
    for each in hours:
        frames.append((each.opens * 60, each.closes * 60, length))
        length += (each.closes - each.opens) * 60
    last = hours[-1].closes
    return Shift(
        frames=tuple(frames),
        length=length,
        opens=hours[0].opens * 60,
        closes=last * 60,
        close_time=None if last == 24 * 60 else time(*divmod(last, 60)),
    )


def _tentative(layers: Sequence[Layer]) -> Iterator[tuple[int, int]]:
    """The stretches whose arrangement is still to come: unsettled years and the December days next to them."""
    national = [layer for layer in layers if layer.division == NATION and layer.kind is Kind.NOTICE]
    settled = {year.year for layer in national for year in layer.years if year.status is Status.CONFIRMED}
    if settled:
        for year in range(min(settled) + 1, max(settled)):
            if year not in settled:
                yield date(year - 1, *_TAIL).toordinal(), date(year, 12, 31).toordinal()
        yield date(max(settled), *_TAIL).toordinal(), _LAST_ORDINAL
    else:
        yield 1, _LAST_ORDINAL
    for layer in layers:
        for local in layer.years:
            if layer.division != NATION and local.status is Status.PROVISIONAL:
                yield date(local.year, 1, 1).toordinal(), date(local.year, 12, 31).toordinal()
