"""What a calendar says: layers of working days and office hours, general to special.

A calendar is a chain of layers, general to special: the State Council's notices, a province, a prefecture,
a county, then exceptional orders of the same. A later layer wins, day by day and hour by hour. Dates are legal
dates in China; hours are wall-clock in Asia/Shanghai. `calendar_files` reads layers from TOML.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from routing_rules.strict import DataFault

NATION: Final = "000000"
"""The division of the national layer. GB/T 2260 gives the country no code; six zeros are ours."""

_DAY = timedelta(days=1)


class Kind(StrEnum):
    """What a file is: the yearly arrangement, or an exceptional order that overrides every arrangement."""

    NOTICE = "notice"
    ORDER = "order"


class Status(StrEnum):
    """Whether a year rests on a published notice, or only on the statute until the notice comes."""

    CONFIRMED = "confirmed"
    PROVISIONAL = "provisional"


class Days(StrEnum):
    """Which working days an hours rule speaks about: all of them, or worked weekends (调休) alone."""

    WORKDAY = "workday"
    MAKE_UP = "make-up"


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of office hours in minutes after midnight; 1440 is the midnight that ends the day."""

    opens: int
    closes: int


class Season(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of every year, both days included, as (month, day); it may run over New Year."""

    first: tuple[int, int]
    last: tuple[int, int]

    def holds(self, day: date) -> bool:
        """True when the day lies in the season."""
        here = (day.month, day.day)
        if self.first <= self.last:
            return self.first <= here <= self.last
        return here >= self.first or here <= self.last


class FrameRule(msgspec.Struct, frozen=True, kw_only=True):
    """Office hours for some days: between two dates (both included, None is open), within a season, or both."""

    days: Days
    hours: tuple[Hours, ...]
    first: date | None
    last: date | None
    season: Season | None

    def holds(self, day: date) -> bool:
        """True when the rule speaks about that day (whether it is worked is another question)."""
        if self.first is not None and day < self.first:
            return False
        if self.last is not None and day > self.last:
            return False
        return self.season is None or self.season.holds(day)


class Year(msgspec.Struct, frozen=True, kw_only=True):
    """A year that one authority has arranged, and where that is written."""

    year: int
    status: Status
    source: str


class Holiday(msgspec.Struct, frozen=True, kw_only=True):
    """A named holiday: its days of rest (first and last, both included) and the days worked in exchange.

    `year` is the year whose notice says so; it may reach back into December before (2006, 2018).
    """

    year: int
    name: str
    rest: tuple[date, date] | None
    work: tuple[date, ...]

    def rest_days(self) -> Iterator[date]:
        """Every day of rest, weekends among them."""
        if self.rest is not None:
            day, last = self.rest
            while day <= last:
                yield day
                day += _DAY


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One file: what one authority says for one division and all that lies in it."""

    id: str
    name: str
    division: str
    kind: Kind
    issued: date | None
    source: str
    frames: tuple[FrameRule, ...]
    years: tuple[Year, ...]
    holidays: tuple[Holiday, ...]

    def digest(self) -> str:
        """SHA-256 (hex) of the content; comments and layout of the file do not count."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()

    def covers(self, division: str) -> bool:
        """True when the six-digit code is this layer's own or lies in it (codes nest by pairs of digits)."""
        reach = 2 * self.level
        return division[:reach] == self.division[:reach]

    @property
    def level(self) -> int:
        """0 nation, 1 province, 2 prefecture, 3 county."""
        return (len(self.division.rstrip("0")) + 1) // 2


class CalendarBook(msgspec.Struct, frozen=True, kw_only=True):
    """All layers in the order in which they apply; a provisional year is gone once its notice is in."""

    layers: tuple[Layer, ...]
    digest: str

    def chain(self, division: str) -> tuple[Layer, ...]:
        """The layers that hold in a division, general to special.

        Takes GB/T 2260 codes (6 digits) and the longer ones of townships and villages (9 or 12); a DataFault
        for anything else. A code that no layer knows has the national calendar.
        """
        if re.fullmatch(r"[0-9]{6}(?:[0-9]{3}){0,2}", division) is None:
            raise DataFault(
                "calendar", "division", division, "give a GB/T 2260 code of 6, 9 or 12 digits, e.g. 630102"
            )
        return tuple(layer for layer in self.layers if layer.covers(division[:6]))


def digest_of(layers: Sequence[Layer]) -> str:
    """The version of a calendar: SHA-256 (hex) over its layers in order."""
    return hashlib.sha256("\n".join(layer.digest() for layer in layers).encode()).hexdigest()
