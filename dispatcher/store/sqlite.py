"""The writer on SQLite: one connection in one thread of its own, so that the loop never waits for the disk."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from dispatcher.store.database import SQLITE_CONTENDED, SQLITE_OUT_OF_REACH, Database, sqlite_pragmas
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

T = TypeVar("T")
Columns = Sequence[tuple[str, str]]


def _names(columns: Columns) -> str:
    return ", ".join(f'"{name}"' for name, _ in columns)


def _insert(table: str, columns: Columns) -> str:
    return f"INSERT INTO {table} ({_names(columns)}) VALUES ({', '.join('?' * len(columns))})"


_LOADED = "s.id, s.stream_kind, s.version, s.head, s.last_at, s.state, s.platform, s.division"
LOAD_STREAM = f"SELECT {_LOADED} FROM stream s WHERE s.id = ?"
ANSWER = "SELECT message_id, digest, answer, position FROM inbox WHERE message_id = ?"
CLAIM = """
SELECT stream_id, clock, milestone, due FROM deadline
WHERE state IN ('armed', 'repaired') AND due < ? ORDER BY due, stream_id, clock, milestone LIMIT ?
"""
INSERT_STREAM = _insert("stream", STREAM_COLUMNS)
_KEPT = ("title", "caller_mac")
UPDATE_STREAM = (
    "UPDATE stream SET "
    + ", ".join(
        f'"{name}" = ' + (f'COALESCE(?, "{name}")' if name in _KEPT else "?")
        for name, _ in STREAM_COLUMNS[2:]
    )
    + " WHERE id = ?"
)
CLEAR_RECEIPTS = "UPDATE receipt SET address = NULL, reference = '' WHERE stream_id = ?"
CLEAR_STREAM = "UPDATE stream SET title = NULL, caller_mac = NULL, erased = ?2 WHERE id = ?1"
MOVE_DEADLINES = "UPDATE deadline SET platform = ?2, division = ?3 WHERE stream_id = ?1"
UPSERT_DEADLINE = (
    _insert("deadline", DEADLINE_COLUMNS)
    + " ON CONFLICT (stream_id, clock, milestone) DO UPDATE SET "
    + ", ".join(f'"{name}" = excluded."{name}"' for name, _ in DEADLINE_COLUMNS[3:])
)
INSERT_OUTBOX = _insert("outbox", OUTBOX_COLUMNS)
INSERT_TEXT = "INSERT INTO text (stream_id, no, field, words, salt) VALUES (?, ?, ?, ?, ?)"
INSERT_EVENT = _insert("event", (("position", "bigint"), *EVENT_COLUMNS))
INSERT_ANSWER = _insert("inbox", INBOX_COLUMNS)
UPSERT_VAULT = """
INSERT INTO vault (stream_id, sealed) VALUES (?, ?)
ON CONFLICT (stream_id) DO UPDATE SET sealed = excluded.sealed
"""
UPSERT_KEY = """
INSERT INTO vault_key (stream_id, master, wrapped) VALUES (?, ?, ?)
ON CONFLICT (stream_id) DO UPDATE SET master = excluded.master, wrapped = excluded.wrapped
"""


def stored(instant: datetime) -> str:
    """An instant as `tables.Instant` keeps it on SQLite: UTC, fixed width, so that text sorts as time."""
    return instant.astimezone(UTC).isoformat(" ", "microseconds")[:26]


def instant(text: str) -> datetime:
    """The instant behind a stored text."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _plain(value: object) -> object:
    if type(value) is str or type(value) is int or type(value) is bytes:
        return value
    if isinstance(value, datetime):
        return stored(value)
    if isinstance(value, UUID):
        return value.hex
    return value


def _rows(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    return [[_plain(value) for value in row] for row in rows]


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn sqlite3's errors into what the writer acts on."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.DataError, UnicodeEncodeError, OverflowError) as err:
        raise BadData(f"{type(err).__name__}: {getattr(err, 'sqlite_errorname', '')}") from err
    except sqlite3.OperationalError as err:
        name = getattr(err, "sqlite_errorname", "")
        if name.startswith(SQLITE_CONTENDED):
            raise Again(name) from err
        if name.startswith(SQLITE_OUT_OF_REACH):
            raise Lost(name) from err
        raise
    except (sqlite3.InterfaceError, sqlite3.ProgrammingError) as err:
        raise BadData(type(err).__name__) from err


class SqliteTransaction:
    """One transaction; each method is one trip to the thread."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine
        self.finished = False

    async def load(self, streams: Sequence[UUID], messages: Sequence[UUID]) -> Loaded:
        return await self._engine.run(lambda c: self._load(c, streams, messages))

    async def claim(self, now: datetime, limit: int) -> tuple[Loaded, list[DueRow]]:
        return await self._engine.run(lambda c: self._claim(c, now, limit))

    async def commit(self, rows: Rows) -> int:
        base = await self._engine.run(lambda c: self._commit(c, rows))
        self.finished = True
        return base

    def _load(self, c: sqlite3.Connection, streams: Iterable[UUID], messages: Iterable[UUID]) -> Loaded:
        found: dict[UUID, StoredStream] = {}
        for id_ in streams:
            row = c.execute(LOAD_STREAM, (id_.hex,)).fetchone()
            if row is not None:
                found[id_] = StoredStream(id_, row[1], row[2], row[3], instant(row[4]), *row[5:])
        answers: dict[UUID, StoredAnswer] = {}
        for message_id in messages:
            row = c.execute(ANSWER, (message_id.hex,)).fetchone()
            if row is not None:
                answers[message_id] = StoredAnswer(message_id, *row[1:])
        return Loaded(streams=found, answers=answers)

    def _claim(self, c: sqlite3.Connection, now: datetime, limit: int) -> tuple[Loaded, list[DueRow]]:
        due = [
            DueRow(UUID(row[0]), row[1], row[2], instant(row[3]))
            for row in c.execute(CLAIM, (stored(now), limit))
        ]
        return self._load(c, dict.fromkeys(row.stream_id for row in due), ()), due

    def _commit(self, c: sqlite3.Connection, rows: Rows) -> int:
        for table in ("text", "vault", "vault_key"):
            c.executemany(f"DELETE FROM {table} WHERE stream_id = ?", [(id_.hex,) for id_ in rows.erased])
        c.executemany(CLEAR_RECEIPTS, [(id_.hex,) for id_ in rows.erased])
        c.executemany(INSERT_STREAM, _rows(rows.inserts))
        c.executemany(CLEAR_STREAM, _rows(rows.clears))
        c.executemany(UPDATE_STREAM, [[*row[2:], row[0]] for row in _rows(rows.updates)])
        c.executemany(MOVE_DEADLINES, _rows(rows.moved))
        c.executemany(UPSERT_DEADLINE, _rows(rows.deadlines))
        c.executemany(INSERT_OUTBOX, _rows(rows.outbox))
        c.executemany(INSERT_TEXT, _rows(rows.texts))
        c.executemany(UPSERT_VAULT, [(id_.hex, sealed) for id_, sealed, _ in rows.sealed])
        c.executemany(
            UPSERT_KEY, [(id_.hex, self._engine.master, wrapped) for id_, _, wrapped in rows.sealed]
        )
        count = len(rows.events)
        (last,) = c.execute(
            "UPDATE position SET value = value + ? WHERE id = 1 RETURNING value", (count,)
        ).fetchone()
        base: int = last - count
        c.executemany(INSERT_EVENT, [[base + n, *row] for n, row in enumerate(_rows(rows.events), 1)])
        c.executemany(INSERT_ANSWER, [[*row[:4], base + int(str(row[4]))] for row in _rows(rows.answers)])
        c.execute("COMMIT")
        return base


class SqliteEngine:
    """The writer's connection to the SQLite file, in its own thread."""

    def __init__(self, database: Database, master: str) -> None:
        self._database = database
        self.master = master
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Open the file.

        Raises:
            Lost: it cannot be opened.
        """
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="liandong-sqlite")
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connect)

    async def close(self) -> None:
        """Close the file and end the thread."""
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        await asyncio.get_running_loop().run_in_executor(thread, self._disconnect)
        thread.shutdown()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do some work in the connection's thread.

        Raises:
            Again, Lost, BadData: translated from sqlite3's own.
        """
        if self._thread is None:
            raise Lost("the database is closed")

        def in_thread() -> T:
            assert self._connection is not None
            with translated():
                return work(self._connection)

        return await asyncio.get_running_loop().run_in_executor(self._thread, in_thread)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqliteTransaction]:
        """Begin when it is this writer's turn; rolled back unless committed."""
        async with self._database.turn():
            await self.run(lambda c: c.execute("BEGIN IMMEDIATE"))
            transaction = SqliteTransaction(self)
            try:
                yield transaction
            finally:
                if not transaction.finished:
                    await self.run(_roll_back)

    async def free(self) -> int:
        """Nobody else has a transaction for long: the kernel unlocks for the dead, and one process serves."""
        return 0

    async def next_due(self) -> datetime | None:
        """The earliest instant of an armed deadline."""
        (value,) = await self.run(
            lambda c: c.execute(
                "SELECT min(due) FROM deadline WHERE state IN ('armed', 'repaired')"
            ).fetchone()
        )
        return None if value is None else instant(value)

    def _connect(self) -> None:
        assert self._database.path is not None
        with translated():
            self._connection = sqlite3.connect(
                self._database.path, isolation_level=None, cached_statements=256
            )
            for pragma in sqlite_pragmas():
                self._connection.execute(pragma)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _roll_back(connection: sqlite3.Connection) -> None:
    # After a full disk or a cancelled sender the transaction may be over already.
    if connection.in_transaction:
        connection.execute("ROLLBACK")
