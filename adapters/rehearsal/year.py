"""A year of calls and messages: how many on which day, at which hour, about what. Pure but for the chances handed in.

The shapes follow public figures in kind, not in number: people call by day and on working days; at the start of the
heating season complaints about heating are a multiple of what they were before (银川 12345, first week of heating 2017:
a third of everything); a storm brings a day's calls to about three times the usual (海口 12345: 1.04万 against 3,500). The
numbers below are assumptions of this product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from adapters.rehearsal.callers import Arrival
from adapters.rehearsal.chance import Chances
from routing_rules.demo import DemoMessage

_LEGAL = ZoneInfo("Asia/Shanghai")


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Weights; each list is read against its own mean.

    ``heating`` says for each month how many times as often heating is spoken of, with ``heating_first`` in the first week
    (from 15 October, the season on the plateau). ``storm`` is how many times a usual day its first day brings, of the
    storm's matters only; it halves each day. ``holiday`` is the share of a usual day that the first days of a year and a
    day of rest bring to 12345.
    """

    hours: tuple[float, ...] = (
        *(0.9, 0.6, 0.5, 0.4, 0.4, 0.6, 1.2, 2.4, 5.5, 8.0, 8.6, 7.4),
        *(4.2, 4.6, 6.6, 7.4, 7.0, 5.6, 4.6, 4.4, 4.0, 3.2, 2.2, 1.4),
    )
    weekdays: tuple[float, ...] = (1.16, 1.10, 1.06, 1.05, 1.03, 0.84, 0.76)
    holiday: float = 0.7
    heating_words: tuple[str, ...] = ("暖", "热力")
    heating: tuple[float, ...] = (4.0, 3.0, 2.5, 1.5, *(0.15,) * 5, 4.0, 5.0, 4.0)
    heating_out: float = 0.15
    heating_first: float = 12.0
    storm_words: tuple[str, ...] = ("雪", "停电", "树倒", "积水", "暴雨", "大风")
    storm: float = 2.0
    storm_days: int = 4
    storm_months: tuple[int, ...] = (3, 4, 7, 8, 11)
    new_year_words: tuple[str, ...] = ("爆竹", "烟花", "噪", "音响", "欠薪", "工资")
    new_year: float = 4.0


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """One day: its legal date, how heavy it is, and how the topics weigh on it. ``storm`` 0 on a quiet day."""

    day: date
    weight: float
    heating: float
    storm: float
    new_year: float


def days_of(
    first: date, count: int, rests: Callable[[date], bool], chances: Chances, shape: Shape
) -> list[Day]:
    """The days of a run. One storm comes in each whole or begun year, in one of its months if the run has such a day.

    Args:
        rests: whether a legal date is a day of rest.
    """
    all_days = [first + timedelta(days=number) for number in range(count)]
    storms: dict[date, float] = {}
    for begin in range(0, count, 365):
        could = [day for day in all_days[begin : begin + 365] if day.month in shape.storm_months]
        could = could or all_days[begin : begin + 365]
        start = chances.of("storm", begin).pick(could)
        for number in range(shape.storm_days):
            storms[start + timedelta(days=number)] = shape.storm / 2**number
    return [
        Day(
            day=day,
            weight=shape.weekdays[day.weekday()]
            * (shape.holiday if rests(day) and day.weekday() < 5 else 1.0)
            * (0.9 + 0.2 * chances.of("day", day).fraction()),
            heating=_heating(day, shape),
            storm=storms.get(day, 0.0),
            new_year=shape.new_year if (day.month, day.day) in _NEW_YEAR or _spring(day) else 1.0,
        )
        for day in all_days
    ]


_NEW_YEAR = frozenset({(12, 30), (12, 31), (1, 1), (1, 2)})


def _spring(day: date) -> bool:
    """The weeks in which wages are asked for and fireworks let off before the Spring Festival, wherever it falls."""
    return (1, 20) <= (day.month, day.day) <= (2, 10)


def _heating(day: date, shape: Shape) -> float:
    if day.month == 10 and 15 <= day.day < 22:
        return shape.heating_first
    if (day.month == 10 and day.day < 15) or (day.month == 4 and day.day > 15):
        return shape.heating_out
    return shape.heating[day.month - 1]


def arrivals(
    days: Sequence[Day],
    cases: int,
    messages: Sequence[DemoMessage],
    divisions: Sequence[str],
    chances: Chances,
    shape: Shape,
) -> Iterator[Arrival]:
    """So many messages over these days, in the order of their instants.

    Args:
        divisions: where they come from, each as likely; empty: from where each message says.
    """
    heating = [_about(message, shape.heating_words) for message in messages]
    storm = [_about(message, shape.storm_words) for message in messages]
    new_year = [_about(message, shape.new_year_words) for message in messages]
    base = [
        day.weight * _mean(day, heating, new_year) + day.storm for day in days
    ]  # a heavy topic makes the day longer, and takes nothing from the others
    total = sum(base)
    taken, exact = 0, 0.0
    for day, weight in zip(days, base, strict=True):
        exact += cases * weight / total
        number = round(exact) - taken
        taken += number
        draw = chances.of("calls", day.day)
        share = day.storm / weight if day.storm else 0.0
        usual = [
            (day.heating if warm else 1.0) * (day.new_year if loud else 1.0)
            for warm, loud in zip(heating, new_year, strict=True)
        ]
        stormy = [float(one) for one in storm]
        found: list[Arrival] = []
        for serial in range(number):
            hour = draw.weighed(shape.hours)
            second = int(draw.fraction() * 3600)
            weights = stormy if any(stormy) and draw.happens(share) else usual
            message = messages[draw.weighed(weights)]
            division = draw.pick(divisions) if divisions else message.division
            at = datetime.combine(day.day, time(hour), _LEGAL) + timedelta(seconds=second)
            found.append(
                Arrival(
                    at=at,
                    id=f"{day.day.isoformat()}/{serial}",
                    title=message.title,
                    text=message.text,
                    line=message.line,
                    division=division,
                    channel=message.channel,
                )
            )
        yield from sorted(found, key=lambda one: (one.at, one.id))


def _about(message: DemoMessage, words: Sequence[str]) -> bool:
    return any(word in message.title or word in message.text for word in words)


def _mean(day: Day, heating: Sequence[bool], new_year: Sequence[bool]) -> float:
    weights = [
        (day.heating if warm else 1.0) * (day.new_year if loud else 1.0)
        for warm, loud in zip(heating, new_year, strict=True)
    ]
    return sum(weights) / len(weights)
