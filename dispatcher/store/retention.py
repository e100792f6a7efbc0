"""Retention: which streams have reached the end of their keeping, and what is left of one that was erased.

The erasure itself is a command like any other: its decision looks at legal holds and records the event, and the
writer destroys key, sealed fields, texts, title and search digest in the same transaction (`Change.erased`).
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import func, select

from dispatcher.domain.stream import StreamRef
from dispatcher.store.database import Database
from dispatcher.store.tables import Table

_stream = Table.metadata.tables["stream"]
_PERSONAL = ("text", "vault", "vault_key")


class Expired(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that nothing has happened to since the end of its keeping began."""

    ref: StreamRef
    platform: str
    last_at: datetime


class Leftovers(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stream's personal data are or may still be, for the erasure report.

    ``rows`` counts what this database still holds by table, all zero after an erasure. Effects in ``outbox`` hold
    ids and codes only. ``elsewhere`` names the places that this database cannot empty.
    """

    ref: StreamRef
    erased: datetime | None
    rows: dict[str, int]
    outbox: int
    elsewhere: tuple[str, ...] = (
        "database backups: unreadable once the key backups from before the erasure are destroyed",
        "key backups made before the erasure",
        "log files: they hold ids, no personal fields",
        "receivers that were sent notices or hand-over orders",
    )


async def expired(
    database: Database,
    platform: str,
    before: datetime,
    *,
    kind: str,
    after: UUID | None = None,
    limit: int = 500,
) -> list[Expired]:
    """Streams of a kind and platform that are closed, not erased, and untouched since ``before``, by id after ``after``.

    A legal hold is in the state, so the command decides on it, not this list.
    """
    c = _stream.c
    statement = (
        select(c.id, c.stream_kind, c.platform, c.last_at)
        .where(
            c.stream_kind == kind,
            c.platform == platform,
            c.open.is_(False),
            c.erased.is_(None),
            c.last_at < before,
        )
        .order_by(c.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(c.id > after)
    async with database.looking() as connection:
        rows = (await connection.execute(statement)).all()
    return [
        Expired(ref=StreamRef(row.stream_kind, row.id), platform=row.platform, last_at=row.last_at)
        for row in rows
    ]


async def leftovers(database: Database, ref: StreamRef) -> Leftovers:
    """What is still there of a stream's personal data."""
    async with database.looking() as connection:
        counted: dict[str, int] = {}
        for name in (*_PERSONAL, "outbox"):
            table = Table.metadata.tables[name]
            count = select(func.count()).select_from(table).where(table.c.stream_id == ref.id)
            counted[name] = (await connection.execute(count)).scalar_one()
        c = _stream.c
        row = (
            await connection.execute(select(c.title, c.caller_mac, c.erased).where(c.id == ref.id))
        ).one_or_none()
    outbox = counted.pop("outbox")
    counted["stream"] = int(row is not None and (row.title is not None or row.caller_mac is not None))
    return Leftovers(ref=ref, erased=row.erased if row is not None else None, rows=counted, outbox=outbox)
