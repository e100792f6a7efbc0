"""Opaque cursors: the sort key of the last row shown. Pages are read by key, never by counting rows from the start."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from uuid import UUID

import msgspec


class BadCursor(ValueError):
    """The cursor was not given out by this question with this order."""

    def __init__(self, cursor: str) -> None:
        super().__init__("use the cursor exactly as the page before gave it, with the same order")
        self.value = cursor[:120]


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended: the order it was read in, the instant (microseconds since 1970, UTC) and the row's id."""

    order: str
    instant: int
    id: UUID
    more: str = ""

    @property
    def at(self) -> datetime:
        """The instant of the last row (UTC)."""
        return _EPOCH + _MICROSECOND * self.instant


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC) - _EPOCH
_FURTHEST = 253_402_300_799_000_000  # the last second that a datetime can hold


def cursor_of(order: str, at: datetime | None, id_: UUID, more: str = "") -> str:
    """The cursor that goes on after this row."""
    instant = 0 if at is None else (at - _EPOCH) // _MICROSECOND
    packed = msgspec.msgpack.encode(Mark(order, instant, id_, more))
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def read_cursor(cursor: str, order: str) -> Mark:
    """What a cursor says.

    Raises:
        BadCursor: it is none, or one of another order.
    """
    try:
        packed = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        mark = msgspec.msgpack.decode(packed, type=Mark)
    except (binascii.Error, UnicodeEncodeError, ValueError, msgspec.MsgspecError) as err:
        raise BadCursor(cursor) from err
    if mark.order != order or not -_FURTHEST // 4 <= mark.instant <= _FURTHEST:
        raise BadCursor(cursor)
    return mark
