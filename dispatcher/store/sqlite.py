"""The writer on SQLite: one connection in one thread of its own, so that the loop never waits for the disk."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from dispatcher.store.database import SQLITE_CONTENDED, SQLITE_OUT_OF_REACH, Database, sqlite_pragmas
from dispatcher.store.engine import Again, BadData, Lost
from dispatcher.store.private import make_private
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


class Table:
    """A table as the writer fills it: rows become parameters, many rows become one statement.

    One statement for many rows is not quicker in itself, but the interpreter is let go once for all of them: while the
    database works, the next batch is decided. A statement a row would wait for the interpreter at every row.
    """

    MOST = 64
    """Rows in one statement at most; what is left over is written in powers of two, so that few statements are kept."""

    def __init__(self, name: str, columns: Columns, tail: str = "") -> None:
        self._head = f"INSERT INTO {name} ({_names(columns)}) VALUES "
        self._row = f"({', '.join('?' * len(columns))})"
        self._tail = tail
        self._uuids = tuple(n for n, (_, kind) in enumerate(columns) if kind == "uuid")
        self._instants = tuple(n for n, (_, kind) in enumerate(columns) if kind == "timestamptz")
        self._statements: dict[int, str] = {}

    def plain(self, rows: Iterable[Sequence[object]], times: dict[int, str]) -> list[list[object]]:
        """Rows as SQLite takes them. ``times`` keeps what was converted, by identity, while the rows live."""
        made = []
        for row in rows:
            values = list(row)
            for n in self._uuids:
                values[n] = values[n].hex  # type: ignore[attr-defined]
            for n in self._instants:
                if (at := values[n]) is not None:
                    told = times.get(id(at))
                    if told is None:
                        told = times[id(at)] = stored(at)  # type: ignore[arg-type]
                    values[n] = told
            made.append(values)
        return made

    def write(self, connection: sqlite3.Connection, rows: Sequence[Sequence[object]]) -> None:
        """Insert plain rows."""
        start, size = 0, self.MOST
        while start < len(rows):
            while size > len(rows) - start:
                size //= 2
            values = [value for row in rows[start : start + size] for value in row]
            connection.execute(self.statement(size), values)
            start += size

    def statement(self, size: int) -> str:
        """The statement that takes so many rows."""
        if size not in self._statements:
            self._statements[size] = self._head + ", ".join([self._row] * size) + self._tail
        return self._statements[size]


def _replacing(columns: Columns, *keys: str) -> str:
    changed = ", ".join(f'"{name}" = excluded."{name}"' for name, _ in columns if name not in keys)
    return f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changed}"


_LOADED = "s.id, s.stream_kind, s.version, s.head, s.last_at, s.state, s.platform, s.division"
LOAD_STREAMS = f"SELECT {_LOADED} FROM json_each(?) j CROSS JOIN stream s ON s.id = j.value"
ANSWERS = (
    "SELECT i.message_id, i.digest, i.answer, i.position"
    " FROM json_each(?) j CROSS JOIN inbox i ON i.message_id = j.value"
)
STANDS = "SELECT s.id, s.version FROM json_each(?) j CROSS JOIN stream s ON s.id = j.value"
TAKEN = "SELECT i.message_id FROM json_each(?) j CROSS JOIN inbox i ON i.message_id = j.value"
CLAIM = """
SELECT stream_id, clock, milestone, due FROM deadline
WHERE state IN ('armed', 'repaired') AND due < ? ORDER BY due, stream_id, clock, milestone LIMIT ?
"""
# The last two, title and caller_mac, are set once, with the stream.
UPDATE_STREAM = (
    "UPDATE stream SET " + ", ".join(f'"{name}" = ?' for name, _ in STREAM_COLUMNS[2:-2]) + " WHERE id = ?"
)
CLEAR_RECEIPTS = "UPDATE receipt SET address = NULL, reference = '', checksum = NULL WHERE stream_id = ?"
CLEAR_STREAM = "UPDATE stream SET title = NULL, caller_mac = NULL, erased = ?2 WHERE id = ?1"
MOVE_DEADLINES = "UPDATE deadline SET platform = ?2, division = ?3 WHERE stream_id = ?1"
_TEXT = (("stream_id", "uuid"), ("no", "int"), ("field", "text"), ("words", "text"), ("salt", "bytea"))
_VAULT = (("stream_id", "uuid"), ("sealed", "bytea"))
_KEY = (("stream_id", "uuid"), ("master", "text"), ("wrapped", "bytea"))
STREAMS = Table("stream", STREAM_COLUMNS)
DEADLINES = Table(
    "deadline", DEADLINE_COLUMNS, _replacing(DEADLINE_COLUMNS, "stream_id", "clock", "milestone")
)
OUTBOX = Table("outbox", OUTBOX_COLUMNS)
TEXTS = Table("text", _TEXT)
PARTIES = Table("party", (("unit", "text"), ("stream_id", "uuid")))
VAULT = Table("vault", _VAULT, _replacing(_VAULT, "stream_id"))
KEYS = Table("vault_key", _KEY, _replacing(_KEY, "stream_id"))
EVENTS = Table("event", (("position", "bigint"), *EVENT_COLUMNS))
INBOX = Table("inbox", INBOX_COLUMNS)


def stored(instant: datetime) -> str:
    """An instant as `tables.Instant` keeps it on SQLite: UTC, fixed width, so that text sorts as time."""
    return instant.astimezone(UTC).isoformat(" ", "microseconds")[:26]


def instant(text: str) -> datetime:
    """The instant behind a stored text."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _listed(ids: Iterable[UUID]) -> str:
    return "[" + ",".join(f'"{id_.hex}"' for id_ in ids) + "]"


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
    except OSError as err:  # the folder cannot be made
        raise Lost(type(err).__name__) from err


class SqliteTransaction:
    """One transaction that holds the file from its beginning to its end; each method is one trip to the thread."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine
        self.finished = False

    async def load(self, streams: Sequence[UUID], messages: Sequence[UUID]) -> Loaded:
        return await self._engine.run(lambda c: _load(c, streams, messages))

    async def claim(self, now: datetime, limit: int) -> tuple[Loaded, list[DueRow]]:
        return await self._engine.run(lambda c: _claim(c, now, limit))

    async def commit(self, rows: Rows) -> int:
        base = await self._engine.run(lambda c: _commit(c, rows, self._engine.master))
        self.finished = True
        return base


class HopefulTransaction:
    """Reads without holding the file, and stores only where all that it has read still stands.

    Between reading and writing the batch is decided, while the file belongs to the batch before it.
    """

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine
        self._versions: dict[UUID, int] = {}
        self._absent: list[UUID] = []
        self._untaken: list[UUID] = []

    async def load(self, streams: Sequence[UUID], messages: Sequence[UUID]) -> Loaded:
        loaded = await self._engine.look(lambda c: _load(c, streams, messages))
        self._versions |= {id_: stream.version for id_, stream in loaded.streams.items()}
        self._absent += [id_ for id_ in streams if id_ not in loaded.streams]
        self._untaken += [id_ for id_ in messages if id_ not in loaded.answers]
        return loaded

    async def claim(self, now: datetime, limit: int) -> tuple[Loaded, list[DueRow]]:
        raise AssertionError("due deadlines are claimed under the lock")

    async def commit(self, rows: Rows) -> int:
        async with self._engine.turn():
            return await self._engine.run(lambda c: self._commit(c, rows))

    def _commit(self, c: sqlite3.Connection, rows: Rows) -> int:
        c.execute("BEGIN IMMEDIATE")
        try:
            expected = {id_.hex: version for id_, version in self._versions.items()}
            stands = dict(c.execute(STANDS, (_listed((*self._versions, *self._absent)),)))
            if stands != expected or c.execute(TAKEN, (_listed(self._untaken),)).fetchone():
                raise Again("another writer was faster")
            return _commit(c, rows, self._engine.master)
        finally:
            _roll_back(c)


def _load(c: sqlite3.Connection, streams: Sequence[UUID], messages: Sequence[UUID]) -> Loaded:
    found: dict[UUID, StoredStream] = {}
    if streams:
        for row in c.execute(LOAD_STREAMS, (_listed(streams),)):
            id_ = UUID(row[0])
            found[id_] = StoredStream(id_, row[1], row[2], row[3], instant(row[4]), *row[5:])
    answers: dict[UUID, StoredAnswer] = {}
    if messages:
        for row in c.execute(ANSWERS, (_listed(messages),)):
            message_id = UUID(row[0])
            answers[message_id] = StoredAnswer(message_id, *row[1:])
    return Loaded(streams=found, answers=answers)


def _claim(c: sqlite3.Connection, now: datetime, limit: int) -> tuple[Loaded, list[DueRow]]:
    due = [
        DueRow(UUID(row[0]), row[1], row[2], instant(row[3]))
        for row in c.execute(CLAIM, (stored(now), limit))
    ]
    return _load(c, list(dict.fromkeys(row.stream_id for row in due)), ()), due


def _commit(c: sqlite3.Connection, rows: Rows, master: str) -> int:
    times: dict[int, str] = {}
    for table in ("text", "vault", "vault_key"):
        c.executemany(f"DELETE FROM {table} WHERE stream_id = ?", [(id_.hex,) for id_ in rows.erased])
    c.executemany(CLEAR_RECEIPTS, [(id_.hex,) for id_ in rows.erased])
    STREAMS.write(c, STREAMS.plain(rows.inserts, times))
    c.executemany(CLEAR_STREAM, [(id_.hex, stored(at)) for id_, at in rows.clears])
    c.executemany(UPDATE_STREAM, [[*row[2:-2], row[0]] for row in STREAMS.plain(rows.updates, times)])
    c.executemany(MOVE_DEADLINES, [(id_.hex, *scope) for id_, *scope in rows.moved])
    DEADLINES.write(c, DEADLINES.plain(rows.deadlines, times))
    OUTBOX.write(c, OUTBOX.plain(rows.outbox, times))
    TEXTS.write(c, TEXTS.plain(rows.texts, times))
    for id_, units in rows.parties.items():
        c.execute("DELETE FROM party WHERE stream_id = ?", (id_.hex,))
        PARTIES.write(c, [(unit, id_.hex) for unit in units])
    VAULT.write(c, [(id_.hex, sealed) for id_, sealed, _ in rows.sealed])
    KEYS.write(c, [(id_.hex, master, wrapped) for id_, _, wrapped in rows.sealed])
    count = len(rows.events)
    (last,) = c.execute(
        "UPDATE position SET value = value + ? WHERE id = 1 RETURNING value", (count,)
    ).fetchone()
    base: int = last - count
    EVENTS.write(c, EVENTS.plain(((base + n, *row) for n, row in enumerate(rows.events, 1)), times))
    answers = ((*row[:4], max(base + int(str(row[4])), 0), row[5]) for row in rows.answers)
    INBOX.write(c, INBOX.plain(answers, times))
    c.execute("COMMIT")
    return base


class _Thread:
    """A connection with a thread of its own, so that the loop never waits for the disk."""

    def __init__(self, name: str, connect: Callable[[], sqlite3.Connection]) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._connect = connect
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Connect. Raises Lost, Again."""

        def connect() -> None:
            with translated():
                self._connection = self._connect()

        await asyncio.get_running_loop().run_in_executor(self._thread, connect)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do some work in the thread. Raises Again, Lost, BadData: translated from sqlite3's own."""

        def in_thread() -> T:
            assert self._connection is not None
            with translated():
                return work(self._connection)

        return await asyncio.get_running_loop().run_in_executor(self._thread, in_thread)

    async def close(self) -> None:
        """Disconnect and end the thread."""
        if self._connection is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown()


SWITCH = 0.001
"""Seconds for which one thread may keep the interpreter while another waits for it. Python's own 5 ms are longer than
most statements: the database would stand still between two of them while a batch is decided."""


class SqliteEngine:
    """The writer's connections to the SQLite file: one writes; another reads what the next batch needs meanwhile."""

    def __init__(self, database: Database, master: str) -> None:
        self._database = database
        self.master = master
        self._writes: _Thread | None = None
        self._reads: _Thread | None = None

    async def open(self) -> None:
        """Open the file.

        Raises:
            Lost: it cannot be opened.
        """
        sys.setswitchinterval(min(SWITCH, sys.getswitchinterval()))
        self._writes = _Thread("liandong-sqlite", self._connect)
        self._reads = _Thread("liandong-sqlite-reads", self._connect)
        await self._writes.open()
        await self._reads.open()

    async def close(self) -> None:
        """Close the file and end the threads."""
        for thread in (self._reads, self._writes):
            if thread is not None:
                await thread.close()
        self._reads = self._writes = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do some work in the writing connection's thread.

        Raises:
            Again, Lost, BadData: translated from sqlite3's own.
        """
        if self._writes is None:
            raise Lost("the database is closed")
        return await self._writes.run(work)

    async def look(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Read something beside the writing connection.

        Raises:
            Again, Lost, BadData: translated from sqlite3's own.
        """
        if self._reads is None:
            raise Lost("the database is closed")
        return await self._reads.run(work)

    def turn(self) -> contextlib.AbstractAsyncContextManager[None]:
        """This process's turn to write."""
        return self._database.turn()

    @contextlib.asynccontextmanager
    async def transaction(
        self, *, hopeful: bool = False
    ) -> AsyncIterator[SqliteTransaction | HopefulTransaction]:
        """Begin when it is this writer's turn, or hopefully; rolled back unless committed."""
        if hopeful:
            yield HopefulTransaction(self)
            return
        async with self.turn():
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

    def _connect(self) -> sqlite3.Connection:
        assert self._database.path is not None
        make_private(self._database.path)
        connection = sqlite3.connect(str(self._database.path), isolation_level=None, cached_statements=256)
        for pragma in sqlite_pragmas(lasting=self._database.lasting):
            connection.execute(pragma)
        return connection


def _roll_back(connection: sqlite3.Connection) -> None:
    # After a full disk or a cancelled sender the transaction may be over already.
    if connection.in_transaction:
        connection.execute("ROLLBACK")
