"""Legal time: working days, office hours and due instants of one division.

Instants are aware datetimes of any zone; answers are in Asia/Shanghai, which is legal time in China. Rules, with
their sources: the day of receipt is not counted (Civil Code art. 201); a limit ends with the close of business of
its last day, a limit in calendar days at 24:00, and one that ends on a day of rest rolls forward (art. 203);
make-up workdays (调休) are working days. At the due instant exactly is in time.

Nothing raises for lack of a published calendar. Days that no notice has settled yet make an answer `provisional`.
Before the first loaded year Monday to Friday are worked and answers are not provisional: no notice is to come.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NoReturn
from zoneinfo import ZoneInfo

import msgspec

from dispatcher.domain.worktable import Shift, Table, compile_table, weekday_number, weekdays_before
from routing_rules.calendar import CalendarBook, Layer

LEGAL_ZONE: Final = ZoneInfo("Asia/Shanghai")
"""Legal time in China. Datetimes that carry this very object are reckoned with fastest."""

MIDNIGHT: Final = 24 * 60 * 60
_ORIGIN: Final = datetime(1, 1, 1, tzinfo=LEGAL_ZONE)
_MILLION: Final = 1_000_000
_MICROSECOND = timedelta(microseconds=1)
_LAST_ORDINAL = date.max.toordinal()
_NINE = time(9)
_AHEAD = timedelta(hours=8)
_STEADY_SINCE = 1992  # summer time was last kept in 1991
_LAST_YEAR = date.max.year


class Unreckonable(ValueError):
    """A question that has no answer: names the field, the value and what to give instead."""

    def __init__(self, field: str, value: object, remedy: str) -> None:
        super().__init__(f"{field} = {value}: {remedy}")
        self.field = field
        self.value = value
        self.remedy = remedy


class Due(msgspec.Struct, frozen=True):
    """When something must be done. `provisional`: a notice still to come may move it."""

    at: datetime
    provisional: bool


class Calendar:
    """The legal time of one chain of calendar layers. Immutable; equal and hashed by its version."""

    __slots__ = ("_table",)
    _table: Table

    def __init__(self, table: Table) -> None:
        object.__setattr__(self, "_table", table)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Calendar never changes; {name} cannot be set")

    @property
    def version(self) -> str:
        """The digest of the layers; the same version gives the same answers for ever."""
        return self._table.version

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Calendar) and other.version == self.version

    def __hash__(self) -> int:
        return hash(self.version)

    def __repr__(self) -> str:
        return f"Calendar({self.version[:12]})"

    # Days

    def is_workday(self, day: date) -> bool:
        """True when the day is worked: make-up weekends are, holidays are not."""
        table = self._table
        ordinal = day.toordinal()
        if table.first <= ordinal < table.end:
            return table.works[ordinal - table.first] == 1
        return (ordinal - 1) % 7 < 5

    def is_provisional(self, day: date) -> bool:
        """True when a notice still to come may change what the day is."""
        ordinal = day.toordinal()
        return self._tentative(ordinal, ordinal)

    def unsettled(self, start: datetime, end: datetime) -> bool:
        """True when a notice still to come may change any day from `start` to `end`."""
        return self._tentative(_local(start).toordinal(), _local(end).toordinal())

    def name_of(self, day: date) -> str:
        """The holiday that a day of rest or a make-up day belongs to; empty for ordinary days."""
        return self._table.names.get(day.toordinal(), "")

    def nth_workday_after(self, day: date, n: int) -> date:
        """The n-th working day after a day, which is not counted itself; n = 0 is that day or the next worked one."""
        _refuse_negative("n", n)
        return date.fromordinal(self._nth_after(day.toordinal(), n))

    def nth_workday_before(self, day: date, n: int) -> date:
        """The n-th working day before a day, which is not counted; n = 0 is that day or the last worked one."""
        _refuse_negative("n", n)
        ordinal = day.toordinal()
        return date.fromordinal(self._day(self._rank(ordinal) - n if n else self._rank(ordinal + 1) - 1))

    def workdays_between(self, start: datetime, end: datetime) -> int:
        """Working days counted as limits are: the day of `start` is not, that of `end` is. Negative when turned."""
        return self._rank(_local(end).toordinal() + 1) - self._rank(_local(start).toordinal() + 1)

    # Office hours

    def frames(self, day: date) -> tuple[tuple[datetime, datetime], ...]:
        """The stretches of office hours of a day, each (opens, closes); empty for a day of rest."""
        if not self.is_workday(day):
            return ()
        ordinal = day.toordinal()
        shift = self._shift(self._rank(ordinal))
        return tuple(
            (_instant(ordinal, opens), _instant(ordinal, closes)) for opens, closes, _ in shift.frames
        )

    def frame_open(self, day: date) -> datetime:
        """When office hours begin on a working day; Unreckonable for a day of rest."""
        return _instant(day.toordinal(), self._shift_on(day).opens)

    def frame_close(self, day: date) -> datetime:
        """Close of business of a working day; Unreckonable for a day of rest."""
        return _instant(day.toordinal(), self._shift_on(day).closes)

    def in_frame(self, at: datetime) -> bool:
        """True within office hours; an opening belongs to them, a closing does not."""
        return self.next_working_instant(at) == at

    def next_working_instant(self, at: datetime) -> datetime:
        """The instant itself within office hours, else the next opening."""
        return self._latest(self._worked(at))

    # Limits in working days and in calendar days

    def add_workdays(self, start: datetime, n: int) -> Due:
        """Close of business of the n-th working day after the day of `start`, which is not counted.

        n = 0 is the close of business of the same day or, once that is past, of the next working day.
        """
        if n < 0:
            _refuse_negative("n", n)
        local = start if start.tzinfo is LEGAL_ZONE else _local(start)
        first = local.toordinal()
        table = self._table
        day = first - table.first + 1
        if n and 0 < day <= len(table.works) and (rank := table.before[day] + n - 1) < len(table.days):
            ordinal = table.days[rank]  # the same as below, without the calls: this is the hot question
            close = table.shifts[rank].close_time
            if close is not None:
                at = datetime.combine(date.fromordinal(ordinal), close, LEGAL_ZONE)
                return Due(at, self._tentative(first, ordinal))
        ordinal = self._nth_after(first, n)
        at = self._close(ordinal)
        if n == 0 and at < local:
            ordinal = self._nth_after(first, 1)
            at = self._close(ordinal)
        return Due(at, self._tentative(first, ordinal))

    def natural_days(self, start: datetime, n: int) -> Due:
        """24:00 of the n-th calendar day after the day of `start`; a last day of rest rolls to the next working day.

        Only the last day decides whether it is provisional: the days between are counted whatever they are.
        """
        _refuse_negative("n", n)
        last = _local(start).toordinal() + n
        _refuse_beyond("n", n, last)
        ordinal = self._nth_after(last, 0)
        return Due(_instant(ordinal, MIDNIGHT), self._tentative(last, ordinal))

    def at_frame_start(self, limit: datetime, n: int, time_of_day: time = _NINE) -> datetime:
        """When the rung n working days after a limit falls: at `time_of_day`, or at the opening where that is later.

        n = 0 is the limit itself. `time_of_day` is legal time and carries no zone.
        """
        _refuse_negative("n", n)
        local = _local(limit)
        if n == 0:
            return local
        day = self.nth_workday_after(local.date(), n)
        if time_of_day.tzinfo is not None:
            raise Unreckonable("time_of_day", time_of_day, "give it without zone; it is legal time")
        return max(datetime.combine(day, time_of_day, LEGAL_ZONE), self.frame_open(day))

    # Limits in working time

    def add_worktime(self, start: datetime, amount: timedelta) -> Due:
        """The earliest instant by which `amount` of office hours has passed since `start`; zero is `start` itself."""
        if amount.days < 0:
            _refuse_negative("amount", amount)
        local = start if start.tzinfo is LEGAL_ZONE else _local(start)
        at = self._earliest(self._worked(local) + _micros(amount)) if amount else local
        return Due(at, self._tentative(local.toordinal(), at.toordinal()))

    def subtract_worktime(self, end: datetime, amount: timedelta) -> datetime:
        """The latest instant from which `amount` of office hours passes until `end`; zero is `end` itself."""
        if amount.days < 0:
            _refuse_negative("amount", amount)
        local = end if end.tzinfo is LEGAL_ZONE else _local(end)
        return self._latest(self._worked(local) - _micros(amount)) if amount else local

    def working_between(self, start: datetime, end: datetime) -> timedelta:
        """Office hours between two instants; negative when `end` is the earlier one."""
        return (self._worked(end) - self._worked(start)) * _MICROSECOND

    def remaining(self, now: datetime, due: datetime) -> timedelta:
        """Office hours left until `due`; negative once it is late and office hours have passed."""
        return self.working_between(now, due)

    # The running sums

    def _rank(self, ordinal: int) -> int:
        """Worked days before this day, counted from the first one of the table (negative before it)."""
        table = self._table
        if ordinal < table.first:
            return weekdays_before(ordinal) - weekdays_before(table.first)
        if ordinal <= table.end:
            return table.before[ordinal - table.first]
        return len(table.days) + weekdays_before(ordinal) - weekdays_before(table.end)

    def _day(self, rank: int) -> int:
        """The ordinal of the worked day that has `rank` worked days before it."""
        table = self._table
        known = len(table.days)
        if 0 <= rank < known:
            return table.days[rank]
        if rank < 0:
            ordinal = weekday_number(weekdays_before(table.first) + rank)
        else:
            ordinal = weekday_number(weekdays_before(table.end) + rank - known)
        _refuse_beyond("day", "the answer", ordinal)
        return ordinal

    def _nth_after(self, ordinal: int, n: int) -> int:
        return self._day(self._rank(ordinal + 1) + n - 1 if n else self._rank(ordinal))

    def _shift(self, rank: int) -> Shift:
        shifts = self._table.shifts
        return shifts[min(max(rank, 0), len(shifts) - 1)]

    def _shift_on(self, day: date) -> Shift:
        if not self.is_workday(day):
            raise Unreckonable(
                "day", day, "is a day of rest; ask is_workday or take nth_workday_after(day, 0)"
            )
        return self._shift(self._rank(day.toordinal()))

    def _close(self, ordinal: int) -> datetime:
        shift = self._shift(self._rank(ordinal))
        if shift.close_time is None:
            return _instant(ordinal, MIDNIGHT)
        return datetime.combine(date.fromordinal(ordinal), shift.close_time, LEGAL_ZONE)

    def _spent(self, rank: int) -> int:
        """Working seconds before the worked day of that rank."""
        table = self._table
        known = len(table.days)
        if 0 <= rank <= known:
            return table.spent[rank]
        if rank < 0:
            return rank * self._shift(0).length
        return table.spent[known] + (rank - known) * self._shift(known).length

    def _worked(self, at: datetime) -> int:
        """Working microseconds before an instant, counted from the first day of the table."""
        if at.tzinfo is not LEGAL_ZONE:
            # The store gives UTC. Only the fields are read here, and a change of zone costs ten times an addition.
            at = at + _AHEAD if at.tzinfo is UTC and _STEADY_SINCE <= at.year < _LAST_YEAR else _local(at)
        table = self._table
        ordinal = at.toordinal()
        day = ordinal - table.first
        shift: Shift | None
        if 0 <= day < len(table.works):
            spent = table.spent_by_day[day]
            shift = table.shift_by_day[day]
        else:
            rank = self._rank(ordinal)
            spent = self._spent(rank)
            shift = self._shift(rank) if (ordinal - 1) % 7 < 5 else None
        if shift is None:
            return spent * _MILLION
        moment = (at.hour * 60 + at.minute) * 60 + at.second
        for opens, closes, before in shift.frames:
            if moment < opens:
                return (spent + before) * _MILLION
            if moment < closes:
                return (spent + before + moment - opens) * _MILLION + at.microsecond
        return (spent + shift.length) * _MILLION

    def _earliest(self, target: int) -> datetime:
        """The earliest instant with `target` working microseconds before it."""
        table = self._table
        known = len(table.days)
        whole, microsecond = divmod(target, _MILLION)
        begun = whole + (microsecond > 0)  # a frame that holds a part of a second holds the whole one
        if 0 < begun <= table.spent[known]:
            rank = bisect_left(table.spent, begun) - 1
            spent = table.spent[rank]
            for opens, closes, before in table.shifts[rank].frames:
                if begun - spent <= before + closes - opens:
                    return _instant(table.days[rank], opens + whole - spent - before, microsecond)
        if begun <= 0:
            rank = -(-begun // self._shift(0).length) - 1
        else:
            rank = known - 1 - (table.spent[known] - begun) // self._shift(known).length
        spent = self._spent(rank)
        ordinal = self._day(rank)
        for opens, closes, before in self._shift(rank).frames:
            if begun - spent <= before + closes - opens:
                return _instant(ordinal, opens + whole - spent - before, microsecond)
        raise AssertionError("a working day is longer than the sum of its hours")

    def _latest(self, target: int) -> datetime:
        """The latest instant with `target` working microseconds before it."""
        table = self._table
        known = len(table.days)
        whole, microsecond = divmod(target, _MILLION)
        if 0 <= whole < table.spent[known]:
            rank = bisect_right(table.spent, whole) - 1
            rest = whole - table.spent[rank]
            for opens, closes, before in table.shifts[rank].frames:
                if rest < before + closes - opens:
                    return _instant(table.days[rank], opens + rest - before, microsecond)
        if whole < 0:
            rank = whole // self._shift(0).length
        else:
            rank = known + (whole - table.spent[known]) // self._shift(known).length
        rest = whole - self._spent(rank)
        ordinal = self._day(rank)
        for opens, closes, before in self._shift(rank).frames:
            if rest < before + closes - opens:
                return _instant(ordinal, opens + rest - before, microsecond)
        raise AssertionError("a working day is longer than the sum of its hours")

    def _tentative(self, first: int, last: int) -> bool:
        stretches = self._table.tentative
        if last < stretches[0][0]:  # nearly always; there is a stretch after every calendar
            return False
        return any(first <= high and last >= low for low, high in stretches)


class Calendars:
    """Hands out the calendar of a division; compiles each chain of layers once, when first asked."""

    def __init__(self, book: CalendarBook) -> None:
        self._book = book
        self._by_division: dict[str, Calendar] = {}
        self._by_chain: dict[tuple[str, ...], Calendar] = {}

    @property
    def version(self) -> str:
        """The digest of the whole book."""
        return self._book.digest

    def layers_of(self, division: str) -> tuple[Layer, ...]:
        """The layers that hold in a division, general to special; a DataFault for what is no code."""
        return self._book.chain(division)

    def of(self, division: str) -> Calendar:
        """The calendar of a GB/T 2260 code (6, 9 or 12 digits); a DataFault for anything else."""
        known = self._by_division.get(division)
        if known is None:
            chain = self._book.chain(division)
            ids = tuple(layer.id for layer in chain)
            known = self._by_chain.get(ids)
            if known is None:
                known = self._by_chain[ids] = Calendar(compile_table(chain))
            self._by_division[division] = known
        return known


def _local(at: datetime) -> datetime:
    """The instant in legal time."""
    if at.tzinfo is LEGAL_ZONE:
        return at
    if at.utcoffset() is None:
        raise Unreckonable("instant", at.isoformat(), "has no time zone; write one, e.g. +08:00")
    try:
        return at.astimezone(LEGAL_ZONE)
    except OverflowError as err:
        raise Unreckonable(
            "instant", at.isoformat(), "lies outside the years 1 to 9999 in legal time"
        ) from err


def _instant(ordinal: int, second: int, microsecond: int = 0) -> datetime:
    """A time of day, in seconds after local midnight; 24:00 is the next day's midnight."""
    try:
        return _ORIGIN + timedelta(
            ordinal - 1, second, microsecond
        )  # wall-clock arithmetic: no zone is asked
    except OverflowError as err:
        remedy = "lies outside the years 1 to 9999; give a smaller amount"
        raise Unreckonable("day", "the answer", remedy) from err


def _micros(amount: timedelta) -> int:
    return (amount.days * MIDNIGHT + amount.seconds) * _MILLION + amount.microseconds


def _refuse_negative(field: str, amount: int | timedelta) -> None:
    negative = amount < timedelta(0) if isinstance(amount, timedelta) else amount < 0
    if negative:
        raise Unreckonable(field, amount, "is negative; give 0 or more")


def _refuse_beyond(field: str, value: object, ordinal: int) -> None:
    if not 1 <= ordinal <= _LAST_ORDINAL:
        raise Unreckonable(field, value, "lies outside the years 1 to 9999; give a smaller amount")
