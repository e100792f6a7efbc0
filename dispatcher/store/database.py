"""One database, two engines: plain URLs, connections for writes and for scoped reads, whose clock, who serves."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import URL, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from dispatcher.store.errors import AlreadyServing, BadUrl
from dispatcher.store.private import make_private

SESSION: Mapping[str, str] = {
    "application_name": "liandong",
    "timezone": "UTC",
    "jit": "off",
    # A node frozen in the middle of a transaction must not keep due rows from the others.
    "idle_in_transaction_session_timeout": "2000",
    "lock_timeout": "5000",
    "statement_timeout": "20000",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""Settings of every PostgreSQL session, in milliseconds and seconds as PostgreSQL takes them."""

SQLITE_CONTENDED = ("SQLITE_BUSY", "SQLITE_LOCKED")
SQLITE_OUT_OF_REACH = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY")
"""Beginnings of SQLite's error names: somebody else holds the file; the file cannot be read or written."""

POSTGRES_CONTENDED = ("40", "55P03", "57014")
POSTGRES_OUT_OF_REACH = ("08", "25P03", "25006", "53", "57P", "58")
"""Beginnings of PostgreSQL's SQLSTATE: somebody else holds the rows, or took too long; the server cannot be asked."""

EVERYTHING = "*"
PLATFORM_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
DIVISION_CODE = re.compile(r"[0-9]{2,12}")


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader may see: rows of these platforms within these divisions' trees. Empty means nothing.

    ``unit`` narrows it to cases that a unit has a part in; empty narrows nothing.

    ``platforms`` are platform ids; ``divisions`` GB/T 2260 codes, whose trailing 00 pairs mean the whole tree
    ("630000" the province, "630100" its capital). ("*",) means all of them.
    """

    platforms: tuple[str, ...] = ()
    divisions: tuple[str, ...] = ()
    unit: str = ""

    def __post_init__(self) -> None:
        # The values travel to PostgreSQL in one comma-separated setting each, the divisions as LIKE patterns.
        for platform in self.platforms:
            if platform != EVERYTHING and not PLATFORM_ID.fullmatch(platform):
                raise ValueError(f"platform {platform!r}: letters, digits and - . _ : only")
        for division in self.divisions:
            if division != EVERYTHING and not DIVISION_CODE.fullmatch(division):
                raise ValueError(f"division {division!r}: 2 to 12 digits (GB/T 2260)")

    def patterns(self) -> tuple[str, ...]:
        """The divisions as LIKE patterns over the codes of places."""
        return tuple("%" if code == EVERYTHING else tree_prefix(code) + "%" for code in self.divisions)


def out_of_reach(err: Exception) -> bool:
    """Whether a question failed because the database could not be asked (cut, frozen, full, contended), not because
    it was asked wrongly. Then the same question may be asked again; otherwise the fault is ours."""
    if isinstance(err, ConnectionError | TimeoutError):
        return True
    if not isinstance(err, DBAPIError):
        return False
    if name := str(getattr(err.orig, "sqlite_errorname", "")):
        return name.startswith(SQLITE_CONTENDED + SQLITE_OUT_OF_REACH)
    if state := str(getattr(err.orig, "sqlstate", None) or ""):
        return state.startswith(POSTGRES_CONTENDED + POSTGRES_OUT_OF_REACH)
    return isinstance(err, (InterfaceError, InternalError, OperationalError))


ALL = Scope(platforms=(EVERYTHING,), divisions=(EVERYTHING,))


def tree_prefix(division: str) -> str:
    """The prefix that all codes in a division's tree share: "630000" → "63", "630102" → "630102", "" → ""."""
    code = division
    while len(code) > 2 and code.endswith("00") and len(code) % 2 == 0:
        code = code[:-2]
    return code


class Database:
    """Where everything is kept. Open it once for each process; `close` when done.

    ``turn`` is held around every write of this process on SQLite, so that its connections never wait for each
    other in the database (which polls); on PostgreSQL it is not needed and never contended.
    """

    def __init__(self, url: str, *, pool: int = 5, lasting: bool = True) -> None:
        """Check the URL; nothing is opened yet.

        Args:
            pool: connections for reads, and as many again for bursts.
            lasting: a commit outlives a power cut. Without, it waits for no disk and the newest may be lost then
                (the database stays whole): for rehearsals only, where nobody acts on an answer.

        Raises:
            BadUrl: neither ``sqlite:///PATH`` nor ``postgresql://USER@HOST/NAME``.
        """
        self.url = parse_url(url)
        self.is_postgres = self.url.get_backend_name() == "postgresql"
        self.path = None if self.is_postgres else Path(str(self.url.database))
        self._pool = pool
        self.lasting = lasting
        self._turn = asyncio.Lock()
        self._engines: dict[str, AsyncEngine] = {}

    @property
    def dsn(self) -> str:
        """The URL as asyncpg takes it."""
        return self.url.render_as_string(hide_password=False)

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    @property
    def session(self) -> dict[str, str]:
        """Settings of its PostgreSQL sessions."""
        return dict(SESSION) if self.lasting else {**SESSION, "synchronous_commit": "off"}

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for this process's turn to write (SQLite only)."""
        if self.is_postgres:
            yield
            return
        async with self._turn:
            yield

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that sees and may change everything; committed at the end."""
        async with self.turn(), self._engine("write").begin() as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def reading(self, scope: Scope) -> AsyncIterator[AsyncConnection]:
        """A read-only transaction that sees what ``scope`` allows.

        On PostgreSQL row-level security enforces it; on SQLite the views' own conditions do (`views` always adds
        them, so that neither engine rests on one safeguard).
        """
        async with self._engine("read").begin() as connection:
            if self.is_postgres:
                await connection.execute(
                    text(
                        "SELECT set_config('liandong.platforms', :platforms, true),"
                        " set_config('liandong.divisions', :divisions, true),"
                        " set_config('liandong.unit', :unit, true)"
                    ),
                    {
                        "platforms": ",".join(scope.platforms),
                        "divisions": ",".join(scope.patterns()),
                        "unit": scope.unit,
                    },
                )
            yield connection

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator[AsyncConnection]:
        """A transaction for the store's own questions, which sees everything and waits for no writer."""
        async with self._engine("write" if self.is_postgres else "read").begin() as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """One unchanging view of everything, for as long as it takes; writers go on meanwhile."""
        async with self.looking() as connection:
            if self.is_postgres:
                await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
                await connection.execute(text("SET LOCAL statement_timeout = 0"))
                await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            yield connection

    async def now(self) -> datetime:
        """Database time (UTC). On SQLite that is this host's."""
        statement = (
            "SELECT clock_timestamp()" if self.is_postgres else "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')"
        )
        async with self._engine("read").connect() as connection:
            value = (await connection.execute(text(statement))).scalar_one()
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        return datetime.fromisoformat(str(value)).replace(tzinfo=UTC)

    async def close(self) -> None:
        """Close every connection of the read and write engines."""
        for engine in self._engines.values():
            await engine.dispose()
        self._engines.clear()

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Hold the right to serve a SQLite file; PostgreSQL takes many nodes.

        Raises:
            AlreadyServing: another process has it. A killed process loses it at once (the kernel unlocks).
        """
        if self.path is None:
            yield
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as err:
                raise AlreadyServing(str(self.path)) from err
            yield
        finally:
            os.close(handle)

    def _engine(self, use: str) -> AsyncEngine:
        if use not in self._engines:
            self._engines[use] = self._postgres(use) if self.is_postgres else self._sqlite(use)
        return self._engines[use]

    def _postgres(self, use: str) -> AsyncEngine:
        settings = self.session
        if use == "write":
            settings["liandong.scope"] = EVERYTHING
        else:
            settings["default_transaction_read_only"] = "on"
        return create_async_engine(
            self.url.set(drivername="postgresql+asyncpg"),
            pool_size=self._pool,
            max_overflow=self._pool,
            pool_pre_ping=True,
            pool_timeout=10,
            connect_args={"server_settings": settings, "timeout": 10},
        )

    def _sqlite(self, use: str) -> AsyncEngine:
        assert self.path is not None
        make_private(self.path)
        engine = create_async_engine(
            self.url.set(drivername="sqlite+aiosqlite"),
            pool_size=1 if use == "write" else self._pool,
            max_overflow=0,
            pool_timeout=30,
        )

        def on_connect(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # we say BEGIN ourselves, below
            cursor = connection.cursor()
            for pragma in sqlite_pragmas(lasting=self.lasting):
                cursor.execute(pragma)
            if use == "read":
                cursor.execute("PRAGMA query_only = ON")
                # Text that was damaged on the disk must come back as it is, for `verify` to say where.
                connection.driver_connection.text_factory = _as_it_is
            cursor.close()

        def on_begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if use == "write" else "BEGIN")

        event.listen(engine.sync_engine, "connect", on_connect)
        event.listen(engine.sync_engine, "begin", on_begin)
        return engine


def _as_it_is(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def sqlite_pragmas(*, lasting: bool = True) -> tuple[str, ...]:
    """What every SQLite connection of ours sets: durable commits, readers that never block the writer."""
    return (
        "PRAGMA busy_timeout = 5000",
        "PRAGMA journal_mode = WAL",
        f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}",
        "PRAGMA cache_size = -65536",
        "PRAGMA wal_autocheckpoint = 4000",  # 16 MB: a page that many batches change is copied back once
        "PRAGMA temp_store = MEMORY",
    )


def parse_url(url: str) -> URL:
    """Read a plain database URL.

    Raises:
        BadUrl: it is neither ``sqlite:///PATH`` nor ``postgresql://USER@HOST/NAME``.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as err:
        raise BadUrl(
            "(unreadable)", "write sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME"
        ) from err
    shown = parsed.render_as_string(hide_password=True)
    if parsed.drivername == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise BadUrl(shown, "name a file: sqlite:///var/liandong.db (memory would lose every case)")
        if urlsplit(url).netloc:
            raise BadUrl(shown, "three slashes before a relative path, four before an absolute one")
        return parsed
    if parsed.drivername in ("postgresql", "postgres"):
        if not parsed.database:
            raise BadUrl(shown, "name the database: postgresql://USER@HOST/NAME")
        return parsed.set(drivername="postgresql")
    if parsed.drivername.startswith(("postgresql+", "sqlite+")):
        raise BadUrl(shown, "leave the driver out; Liandong chooses it")
    raise BadUrl(shown, "only sqlite and postgresql are supported")
