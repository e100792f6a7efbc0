"""Batches over all open cases: a new calendar or policy is written down with its order first, then carried out.

The order and the releases it needs are one transaction, so a process that dies at any instant leaves either nothing or
an order that anybody can finish. What it has done is in the cases' own logs; the flag only tells people.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from dispatcher.domain.stream import LIVE, StreamRef
from dispatcher.store.checksums import with_checksum
from dispatcher.store.database import Database
from dispatcher.store.releases import Release, release_values
from dispatcher.store.tables import Table

_flag = Table.metadata.tables["flag"]
_release = Table.metadata.tables["release"]
_stream = Table.metadata.tables["stream"]
_event = Table.metadata.tables["event"]
_position = Table.metadata.tables["position"]
_deadline = Table.metadata.tables["deadline"]
_PREFIX = "batch:"

CALENDAR, POLICY = "calendar", "policy"
RUNNING, DONE, FAILED, SUPERSEDED = "running", "done", "failed", "superseded"
"""How an order stands. One with cases that failed is not tried again by itself; a person asks for it."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """One order. ``id`` follows from what it brings about, so that the same order is never given twice.

    ``what`` is "calendar" or "policy", ``target`` the full digest of it, ``first``/``last`` bound the settled days that
    an order made days of rest. ``reason`` is the maker's, ``second`` and ``second_reason`` the other person's.
    The log stood at ``position`` when the order was given.
    """

    id: str
    what: str
    target: str
    reason: str
    by: str
    at: datetime
    second: str = ""
    second_reason: str = ""
    rests_from: datetime | None = None
    rests_until: datetime | None = None
    position: int = 0
    state: str = RUNNING
    seen: int = 0
    moved: int = 0
    failed: int = 0


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that a batch may concern, as it stands."""

    ref: StreamRef
    version: int
    state: bytes


class Batches:
    """The orders given in this store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, batch: Batch, releases: Sequence[Release]) -> Batch:
        """Write the order and what it needs, or find it given already.

        Returns:
            The order as it is kept: the one given before where there is one, to be carried on.
        """
        insert = postgresql.insert if self._database.is_postgres else sqlite.insert
        async with self._database.writing() as connection:
            position = (await connection.execute(select(_position.c.value))).scalar_one()
            batch = msgspec.structs.replace(batch, position=position)
            for release in releases:
                await connection.execute(
                    insert(_release).values(**release_values(release)).on_conflict_do_nothing()
                )
            row = _row(batch)
            await connection.execute(insert(_flag).values(**row).on_conflict_do_nothing())
            kept = await connection.execute(select(_flag.c.value).where(_flag.c.name == row["name"]))
            return msgspec.json.decode(kept.scalar_one(), type=Batch)

    async def get(self, id_: str) -> Batch | None:
        """An order as it stands, None when nobody gave it."""
        statement = select(_flag.c.value).where(_flag.c.name == _PREFIX + id_)
        async with self._database.looking() as connection:
            value = (await connection.execute(statement)).scalar()
        return None if value is None else msgspec.json.decode(value, type=Batch)

    async def mark(self, batch: Batch) -> None:
        """Tell how far it is."""
        async with self._database.writing() as connection:
            await connection.execute(
                update(_flag).where(_flag.c.name == _PREFIX + batch.id).values(_row(batch))
            )

    async def moved(self, batch: Batch, kind: str) -> int:
        """How many streams the order has given an event of this kind, by the log: whoever carried it out, however often
        they were killed."""
        c = _event.c
        statement = select(func.count(c.stream_id.distinct())).where(
            c.position > batch.position, c.kind == kind, c.by == batch.by
        )
        async with self._database.looking() as connection:
            return int((await connection.execute(statement)).scalar_one())

    async def supersede(self, batch: Batch) -> None:
        """Orders of the same kind that were broken off before this one are not carried on."""
        for other in await self.all():
            if other.what == batch.what and other.state == RUNNING and other.id != batch.id:
                await self.mark(msgspec.structs.replace(other, state=SUPERSEDED))

    async def all(self) -> list[Batch]:
        """Every order, the oldest first."""
        statement = select(_flag.c.value).where(_flag.c.name.startswith(_PREFIX)).order_by(_flag.c.at)
        async with self._database.looking() as connection:
            found = (await connection.execute(statement)).scalars().all()
        return [msgspec.json.decode(value, type=Batch) for value in found]

    async def candidates(self, batch: Batch, after: UUID | None, limit: int) -> list[Candidate]:
        """Streams that the order may concern, by id after ``after``.

        For a calendar those with a provisional milestone, with one on days that became days of rest, or paused (their
        limits stand still and are not armed); for a policy all that still owe something.
        """
        c, d = _stream.c, _deadline.c
        armed: list[ColumnElement[bool]] = [d.stream_id == c.id, d.state.in_(LIVE)]
        if batch.what == CALENDAR and batch.rests_from is not None and batch.rests_until is not None:
            armed.append(or_(d.provisional.is_(True), d.due.between(batch.rests_from, batch.rests_until)))
        elif batch.what == CALENDAR:
            armed.append(d.provisional.is_(True))
        statement = (
            select(c.id, c.stream_kind, c.version, c.state)
            .where(or_(c.stage == "paused", select(d.stream_id).where(*armed).exists()))
            .order_by(c.id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(c.id > after)
        async with self._database.looking() as connection:
            rows = (await connection.execute(statement)).all()
        return [
            Candidate(ref=StreamRef(row.stream_kind, row.id), version=row.version, state=row.state)
            for row in rows
        ]


def _row(batch: Batch) -> dict[str, object]:
    """The flag in which an order is kept."""
    value = msgspec.json.encode(batch).decode()
    return with_checksum("flag", {"name": _PREFIX + batch.id, "value": value, "by": batch.by, "at": batch.at})
