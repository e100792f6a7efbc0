"""The writer on PostgreSQL: set-based statements through asyncpg, a handful of round trips for each batch."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from dispatcher.store.database import EVERYTHING, POSTGRES_CONTENDED, POSTGRES_OUT_OF_REACH, Database
from dispatcher.store.engine import Again, BadData, Lost
from dispatcher.store.rows import (
    DEADLINE_COLUMNS,
    EVENT_COLUMNS,
    INBOX_COLUMNS,
    OUTBOX_COLUMNS,
    STREAM_COLUMNS,
    DueRow,
    Loaded,
    Rows,
    StoredAnswer,
    StoredStream,
)

log = logging.getLogger(__name__)

WRITER = "liandong-writer"
"""The name of the writer's sessions: they alone lock streams."""

CHANNEL = "liandong_events"
"""One NOTIFY a batch, with the new position: a hint to wake up, never the truth."""

PLANS = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""Every statement here is a walk along an index. Without statistics yet (a fresh table, a restore) PostgreSQL would
scan or sort: measured, a claim of 1,000 among 24,000 due took ten times as long."""

Columns = Sequence[tuple[str, str]]


def _names(columns: Columns) -> str:
    return ", ".join(f'"{name}"' for name, _ in columns)


def _unnest(columns: Columns, first: int = 1) -> str:
    return "unnest(" + ", ".join(f"${first + n}::{kind}[]" for n, (_, kind) in enumerate(columns)) + ")"


_LOADED = "s.id, s.stream_kind, s.version, s.head, s.last_at, s.state, s.platform, s.division"
LOCK_STREAMS = f"SELECT {_LOADED} FROM stream s WHERE s.id = ANY($1::uuid[]) ORDER BY s.id FOR UPDATE"
# The same message may reach two nodes at once, with commands about different streams: the second waits here, in
# the same round trip and before it locks any stream, and then finds the answer of the first in `ANSWERS`.
LOCK_MESSAGES_AND_STREAMS = f"""
SELECT {_LOADED} FROM stream s WHERE s.id = ANY($1::uuid[])
AND (SELECT count(pg_advisory_xact_lock(m)) FROM unnest($2::bigint[]) AS m) >= 0
ORDER BY s.id FOR UPDATE
"""
ANSWERS = "SELECT message_id, digest, answer, position FROM inbox WHERE message_id = ANY($1::uuid[])"
CLAIM = f"""
SELECT {_LOADED} FROM deadline d JOIN stream s ON s.id = d.stream_id
WHERE d.state IN ('armed', 'repaired') AND d.due < $1 ORDER BY d.due LIMIT $2 FOR UPDATE OF s SKIP LOCKED
"""
# A second look, after the locks: what was cancelled between the first look and its lock is not due any more.
DUE = """
SELECT stream_id, clock, milestone, due FROM deadline
WHERE stream_id = ANY($1::uuid[]) AND state IN ('armed', 'repaired') AND due < $2
ORDER BY due, stream_id, clock, milestone
"""
_SET_ONCE = ("title", "caller_mac")
UPDATE_STREAMS = (
    "UPDATE stream s SET "
    + ", ".join(f'"{name}" = u."{name}"' for name, _ in STREAM_COLUMNS[2:] if name not in _SET_ONCE)
    + f" FROM {_unnest(STREAM_COLUMNS)} AS u({_names(STREAM_COLUMNS)}) WHERE s.id = u.id"
)
CLEAR_STREAMS = """
UPDATE stream s SET title = NULL, caller_mac = NULL, erased = u.erased
FROM unnest($1::uuid[], $2::timestamptz[]) AS u(id, erased) WHERE s.id = u.id
"""
MOVE_DEADLINES = """
UPDATE deadline d SET platform = u.platform, division = u.division
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS u(id, platform, division) WHERE d.stream_id = u.id
"""
_TEXT = (("stream_id", "uuid"), ("no", "int"), ("field", "text"), ("words", "text"), ("salt", "bytea"))
_SEALED = (("id", "uuid"), ("sealed", "bytea"), ("wrapped", "bytea"))
_GROUPS = (STREAM_COLUMNS, DEADLINE_COLUMNS, OUTBOX_COLUMNS, _TEXT, _SEALED)
_FIRST = [1 + sum(len(columns) for columns in _GROUPS[:n]) for n in range(len(_GROUPS) + 1)]


def _filled(table: str, group: int) -> str:
    columns = _GROUPS[group]
    return f"INSERT INTO {table} ({_names(columns)}) SELECT * FROM {_unnest(columns, _FIRST[group])}"


# New rows of all kinds in one statement: a round trip for each kind costs more than the rows of most batches.
WRITE = f"""
WITH s AS ({_filled("stream", 0)}),
d AS (
  {_filled("deadline", 1)}
  ON CONFLICT (stream_id, clock, milestone) DO UPDATE SET
  {", ".join(f'"{name}" = excluded."{name}"' for name, _ in DEADLINE_COLUMNS[3:])}
),
o AS ({_filled("outbox", 2)}),
t AS ({_filled("text", 3)}),
u AS (SELECT * FROM {_unnest(_SEALED, _FIRST[4])} AS u({_names(_SEALED)})),
v AS (
  INSERT INTO vault (stream_id, sealed) SELECT id, sealed FROM u
  ON CONFLICT (stream_id) DO UPDATE SET sealed = excluded.sealed
)
INSERT INTO vault_key (stream_id, master, wrapped) SELECT id, ${_FIRST[5]}, wrapped FROM u
ON CONFLICT (stream_id) DO UPDATE SET master = excluded.master, wrapped = excluded.wrapped
"""
ERASE = """
WITH t AS (DELETE FROM text WHERE stream_id = ANY($1::uuid[])),
v AS (DELETE FROM vault WHERE stream_id = ANY($1::uuid[])),
r AS (UPDATE receipt SET address = NULL, reference = '', checksum = NULL WHERE stream_id = ANY($1::uuid[]))
DELETE FROM vault_key WHERE stream_id = ANY($1::uuid[])
"""
# A unit that stays is taken out and put in again in one statement, which a unique index refuses: keep what stays.
REPLACE_PARTIES = """
WITH u AS (SELECT * FROM unnest($2::text[], $3::uuid[]) AS u(unit, stream_id)),
gone AS (
  DELETE FROM party p WHERE p.stream_id = ANY($1::uuid[])
  AND NOT EXISTS (SELECT 1 FROM u WHERE u.unit = p.unit AND u.stream_id = p.stream_id)
)
INSERT INTO party (unit, stream_id) SELECT unit, stream_id FROM u ON CONFLICT DO NOTHING
"""
# The last statement of every batch: the counter row is locked from here to the commit, which makes positions
# gap-free and in commit order, and holds the others for the shortest time.
_E = len(EVENT_COLUMNS)
APPEND = f"""
WITH p AS (UPDATE position SET value = value + $1 WHERE id = 1 RETURNING value - $1 AS base),
e AS (
  INSERT INTO event (position, {_names(EVENT_COLUMNS)})
  SELECT p.base + u.n, {", ".join(f'u."{name}"' for name, _ in EVENT_COLUMNS)}
  FROM p, {_unnest(EVENT_COLUMNS, 2)} WITH ORDINALITY AS u({_names(EVENT_COLUMNS)}, n)
),
i AS (
  INSERT INTO inbox ({_names(INBOX_COLUMNS)})
  SELECT u.message_id, u.at, u.digest, u.answer, greatest(p.base + u.position, 0), u.checksum
  FROM p, {_unnest(INBOX_COLUMNS, 2 + _E)} AS u({_names(INBOX_COLUMNS)})
)
SELECT p.base, CASE WHEN $1 > 0 THEN pg_notify('{CHANNEL}', (p.base + $1)::text) END FROM p
"""

# A client that was stopped while it read an answer larger than its socket takes: the server waits for it and counts as
# active, so its limits for idle and for long statements do not end it, and its locks would stay for good.
FREE = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND application_name = $1
  AND pid <> pg_backend_pid() AND state = 'active' AND wait_event_type = 'Client'
  AND state_change < clock_timestamp() - interval '2 seconds'
"""

DATA = ("22", "23", "54")


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn asyncpg's errors into what the writer acts on."""
    try:
        yield
    except asyncpg.UniqueViolationError as err:
        # Another node made the same stream or took the same message between our look and our insert.
        table = err.table_name or ""
        if table == "stream" or table.startswith("inbox"):
            raise Again(f"a twin in {table}") from err
        raise BadData(f"{table}: {err.constraint_name}") from err
    except asyncpg.PostgresError as err:
        state = err.sqlstate or ""
        if state.startswith(POSTGRES_CONTENDED):
            raise Again(f"{type(err).__name__} ({state})") from err
        if state.startswith(DATA):
            raise BadData(f"{type(err).__name__} ({state})") from err
        if state.startswith(POSTGRES_OUT_OF_REACH):
            raise Lost(f"{type(err).__name__} ({state})") from err
        raise
    except (UnicodeEncodeError, OverflowError) as err:
        raise BadData(type(err).__name__) from err
    except asyncpg.InterfaceError as err:
        if isinstance(err, ValueError):  # asyncpg's own "invalid input for query argument"
            raise BadData("a value does not fit its column") from err
        raise Lost(str(err)) from err
    except asyncpg.InternalClientError as err:
        # asyncpg's words for a connection that was cut between two of its own steps.
        raise Lost(type(err).__name__) from err
    except (OSError, TimeoutError) as err:
        raise Lost(type(err).__name__) from err


def _lock(message: UUID) -> int:
    """The advisory lock of a message id: its last 64 bits, signed. Two that fall together only wait for each other."""
    low = message.int & 0xFFFF_FFFF_FFFF_FFFF
    return low - 2**64 if low >= 2**63 else low


async def _keep(_connection: object) -> None:
    """Leave a session's settings as they are between uses; asyncpg's own reset costs a round trip."""


class PostgresTransaction:
    """One transaction on one connection."""

    def __init__(self, connection: Any, master: str) -> None:
        self._connection = connection
        self._master = master
        self.finished = False

    async def load(self, streams: Sequence[UUID], messages: Sequence[UUID]) -> Loaded:
        with translated():
            if messages:
                locks = sorted({_lock(message) for message in messages})
                rows = await self._connection.fetch(LOCK_MESSAGES_AND_STREAMS, list(streams), locks)
            else:
                rows = await self._connection.fetch(LOCK_STREAMS, list(streams)) if streams else ()
            answers = await self._connection.fetch(ANSWERS, list(messages)) if messages else ()
        return Loaded(
            streams={row[0]: StoredStream(*row) for row in rows},
            answers={row[0]: StoredAnswer(*row) for row in answers},
        )

    async def claim(self, now: datetime, limit: int) -> tuple[Loaded, list[DueRow]]:
        with translated():
            rows = await self._connection.fetch(CLAIM, now, limit)
            streams = {row[0]: StoredStream(*row) for row in rows}
            due = await self._connection.fetch(DUE, list(streams), now) if streams else ()
        return Loaded(streams=streams, answers={}), [DueRow(*row) for row in due]

    async def commit(self, rows: Rows) -> int:
        run = self._connection.execute
        with translated():
            if rows.erased:
                await run(ERASE, rows.erased)
            if rows.clears:
                await run(CLEAR_STREAMS, *zip(*rows.clears, strict=True))
            if rows.updates:
                await run(UPDATE_STREAMS, *zip(*rows.updates, strict=True))
            if rows.moved:
                await run(MOVE_DEADLINES, *zip(*rows.moved, strict=True))
            if rows.parties:
                await run(REPLACE_PARTIES, *_parties(rows))
            if written := written_rows(rows):
                await run(WRITE, *written, self._master)
            base: int = await self._connection.fetchval(
                APPEND,
                len(rows.events),
                *_columns(rows.events, len(EVENT_COLUMNS)),
                *_columns(rows.answers, len(INBOX_COLUMNS)),
            )
            await run("COMMIT")
        self.finished = True
        return base


def _parties(rows: Rows) -> tuple[list[UUID], list[str], list[UUID]]:
    named = [(unit, id_) for id_, units in rows.parties.items() for unit in units]
    return list(rows.parties), [unit for unit, _ in named], [id_ for _, id_ in named]


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> Sequence[Sequence[object]]:
    return tuple(zip(*rows, strict=True)) if rows else ((),) * width


def written_rows(rows: Rows) -> list[Sequence[object]]:
    """The columns that `WRITE` takes, or none where there is nothing for it. The master key's name comes after them."""
    groups: tuple[Sequence[tuple[object, ...]], ...] = (
        rows.inserts,
        rows.deadlines,
        rows.outbox,
        rows.texts,
        rows.sealed,
    )
    if not any(groups):
        return []
    return [
        column
        for group, columns in zip(groups, _GROUPS, strict=True)
        for column in _columns(group, len(columns))
    ]


class PostgresEngine:
    """The writer's own connections to PostgreSQL, which see everything."""

    def __init__(self, database: Database, master: str) -> None:
        self._database = database
        self._master = master
        self._pool: Any = None

    async def open(self) -> None:
        """Connect.

        Raises:
            Lost: the server cannot be reached.
        """
        with translated():
            self._pool = await asyncpg.create_pool(
                self._database.dsn,
                min_size=1,
                max_size=3,
                timeout=10,
                command_timeout=30,
                max_inactive_connection_lifetime=0,
                reset=_keep,
                server_settings={
                    **self._database.session,
                    **PLANS,
                    "application_name": WRITER,
                    "liandong.scope": EVERYTHING,
                },
            )

    async def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    @contextlib.asynccontextmanager
    async def transaction(self, *, hopeful: bool = False) -> AsyncIterator[PostgresTransaction]:
        """Begin; rolled back unless committed. Rows are locked however hopeful the caller: they cost no more here."""
        with translated():
            connection = await self._pool.acquire()
        try:
            with translated():
                await connection.execute("BEGIN")
            transaction = PostgresTransaction(connection, self._master)
            try:
                yield transaction
            finally:
                if not transaction.finished:
                    await _roll_back(connection)
        finally:
            await self._pool.release(connection)

    async def free(self) -> int:
        """Cut off writers whose clients have not listened for two seconds in the middle of a statement."""
        with translated():
            async with self._pool.acquire() as connection:
                cut: int = await connection.fetchval(FREE, WRITER)
        if cut:
            log.warning("%d sessions of frozen nodes were cut off", cut)
        return cut

    async def next_due(self) -> datetime | None:
        """The earliest instant of an armed deadline."""
        with translated():
            async with self._pool.acquire() as connection:
                value: datetime | None = await connection.fetchval(
                    "SELECT min(due) FROM deadline WHERE state IN ('armed', 'repaired')"
                )
        return value


async def _roll_back(connection: Any) -> None:
    """Roll back, or drop the connection: it must never go back to the pool inside a transaction."""
    clean = False
    try:
        with translated():
            await connection.execute("ROLLBACK")
        clean = True
    except (Lost, Again) as err:
        log.warning("a connection was lost in a transaction: %s", err)
    finally:
        if not clean:
            with contextlib.suppress(asyncpg.InterfaceError):  # the pool may have taken it back already
                connection.terminate()
