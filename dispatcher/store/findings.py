"""What `verify` found and where: faults, values as both engines give them, and the search for the byte that changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

MOST_FAULTS = 200
MOST_TRIES = 500_000
"""Values that a run tries in search of the bytes that changed: some seconds at most, however much is damaged."""
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as the log says. No personal data.

    ``what`` is the kind of proof that failed; ``version`` 0 means the stream as a whole. ``table``, ``row`` and
    ``column`` say where, as far as it can be told: a row that was changed in several places names no column.
    """

    what: str
    detail: str
    stream: str = ""
    version: int = 0
    table: str = ""
    row: str = ""
    column: str = ""


class Findings:
    """The faults of one run, and what it counted."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.events = self.deadlines = self.texts = self.erased = self.quarantined = self.effects = 0
        self.unproved = 0
        self._tries = MOST_TRIES

    @property
    def full(self) -> bool:
        """Enough was found."""
        return len(self.faults) >= MOST_FAULTS

    def add(
        self,
        what: str,
        detail: str,
        *,
        table: str = "",
        row: str = "",
        column: str = "",
        stream: str = "",
        version: int = 0,
    ) -> None:
        """Note a fault."""
        self.faults.append(
            Fault(
                what=what, detail=detail, stream=stream, version=version, table=table, row=row, column=column
            )
        )

    def search(
        self, row: Mapping[str, Any], columns: Iterable[str], good: Callable[[Mapping[str, Any]], bool]
    ) -> str:
        """The column in which one byte put back makes the row good again; empty where there is none."""
        for name, changed in _one_byte_off(row, columns):
            self._tries -= 1
            if self._tries < 0:
                break
            if _holds(good, changed):
                return name
        return ""


def _one_byte_off(row: Mapping[str, Any], columns: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The row with every possible change of one bit, then of one byte, undone. A digest of 128 bits or more does not
    fit by chance, so the column where it does is the one that changed."""
    names = sorted(columns, key=lambda name: len(str(row[name])))
    for masks in ([1 << bit for bit in range(8)], range(1, 256)):
        for name in names:
            for value in _neighbours(row[name], masks):
                yield name, {**row, name: value}


def _holds(good: Callable[[Mapping[str, Any]], bool], row: Mapping[str, Any]) -> bool:
    try:
        return good(row)
    except (ValueError, TypeError, OverflowError):
        return False


def _neighbours(value: Any, masks: Iterable[int]) -> Iterator[Any]:
    """The values that differ in one byte, or lack the last one."""
    match value:
        case bool():
            yield not value
        case bytes():
            yield value[:-1]
            for place in range(len(value)):
                for mask in masks:
                    yield value[:place] + bytes([value[place] ^ mask]) + value[place + 1 :]
        case str():
            for raw in _neighbours(value.encode("utf-8", "surrogateescape"), masks):
                yield raw.decode("utf-8", "surrogateescape")
        case UUID():
            for raw in _neighbours(value.bytes, masks):
                if len(raw) == 16:
                    yield UUID(bytes=raw)
        case int():
            for shift in range(0, 64, 8):
                for mask in masks:
                    yield value ^ (mask << shift)
        case datetime():
            micros = (value.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
            for other in _neighbours(micros, masks):
                if abs(other) < 1 << 57:
                    yield _EPOCH + timedelta(microseconds=other)
        case _:
            return


def uuid_of(value: Any) -> UUID:
    """An id as PostgreSQL (UUID) or SQLite (hex) gives it. Raises ValueError."""
    return value if isinstance(value, UUID) else UUID(str(value))


def instant_of(value: Any) -> datetime:
    """An instant as either engine gives it. Raises ValueError."""
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    text = str(value)
    found = datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
    if found.isoformat(" ", "microseconds")[:26] != text:
        raise ValueError(f"{text!r} is no instant as we write them")
    return found


def is_instant(value: Any, wanted: datetime | None) -> bool:
    """Whether a column holds this instant, and nothing that cannot be read."""
    if value is None or wanted is None:
        return value is wanted
    try:
        return instant_of(value) == wanted
    except ValueError:
        return False


def name_of(value: Any) -> str:
    """An id for people, also where it was damaged."""
    try:
        return str(uuid_of(value))
    except ValueError:
        return ascii(value)
