"""Leases: who leads, in database time. For leadership and sends only; deadlines need none.

A lease is a row, not an advisory lock: an advisory lock would stay with a frozen holder for as long as its
connection lives. Whoever acts as leader carries the epoch, so that a leader of yesterday is recognised.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.store.database import Database
from dispatcher.store.errors import StoreError
from dispatcher.store.tables import Instant

EXPIRES = timedelta(seconds=2)
RENEW_EVERY = timedelta(seconds=0.7)


class LostLease(StoreError):
    """This node does not lead any more; what it wanted to do as leader must not happen."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Held until an instant of database time. ``epoch`` grows whenever the holder changes or had let it expire."""

    name: str
    holder: str
    epoch: int
    until: datetime


_TAKE = """
INSERT INTO lease AS l (name, holder, epoch, until) VALUES (:name, :holder, 1, {until})
ON CONFLICT (name) DO UPDATE SET
  epoch = CASE WHEN l.holder = excluded.holder AND l.until >= {now} THEN l.epoch ELSE l.epoch + 1 END,
  holder = excluded.holder, until = excluded.until
WHERE l.holder = excluded.holder OR l.until < {now}
RETURNING epoch, until
"""
_POSTGRES = {"now": "clock_timestamp()", "until": "clock_timestamp() + make_interval(secs => :seconds)"}
_SQLITE = {
    "now": "strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'",
    "until": "strftime('%Y-%m-%d %H:%M:%f', 'now', :seconds || ' seconds') || '000'",
}


class Leases:
    """Takes, renews and gives back leases for one holder (a node's own id)."""

    def __init__(self, database: Database, holder: str) -> None:
        self._database = database
        self._holder = holder
        self._dialect = _POSTGRES if database.is_postgres else _SQLITE

    async def take(self, name: str, expires: timedelta = EXPIRES) -> Lease | None:
        """Take or renew a lease; None while somebody else holds it."""
        statement = text(_TAKE.format(**self._dialect)).columns(until=Instant)
        asked = {"name": name, "holder": self._holder, "seconds": expires.total_seconds()}
        async with self._database.writing() as connection:
            row = (await connection.execute(statement, asked)).one_or_none()
        return (
            None if row is None else Lease(name=name, holder=self._holder, epoch=row.epoch, until=row.until)
        )

    async def give_back(self, lease: Lease) -> None:
        """Let others have it at once (a clean stop)."""
        statement = text(
            f"UPDATE lease SET until = {self._dialect['now']}"
            " WHERE name = :name AND holder = :holder AND epoch = :epoch"
        )
        async with self._database.writing() as connection:
            await connection.execute(
                statement, {"name": lease.name, "holder": lease.holder, "epoch": lease.epoch}
            )

    async def fence(self, connection: AsyncConnection, lease: Lease) -> None:
        """Make sure, inside a leader's own transaction, that it still leads; the row stays locked to the end.

        Raises:
            LostLease: it does not.
        """
        lock = " FOR UPDATE" if self._database.is_postgres else ""
        statement = text(
            f"SELECT 1 FROM lease WHERE name = :name AND holder = :holder AND epoch = :epoch"
            f" AND until >= {self._dialect['now']}{lock}"
        )
        asked = {"name": lease.name, "holder": lease.holder, "epoch": lease.epoch}
        if (await connection.execute(statement, asked)).first() is None:
            raise LostLease(f"{lease.holder} does not hold {lease.name!r} in epoch {lease.epoch} any more")
