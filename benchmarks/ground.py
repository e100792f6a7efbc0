"""What the store's benchmarks stand on: real engines with real durability, the shipped lists, full tables."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid5

import asyncpg
from sqlalchemy import text

from dispatcher.cli.serve import loop_factory
from dispatcher.data_files import packaged_files
from dispatcher.domain.commands import RegisterCase
from dispatcher.domain.library import Library
from dispatcher.domain.product import LiandongProduct
from dispatcher.domain.stream import Actor, Role, Submission
from dispatcher.domain.values import Personal
from dispatcher.releases import build_library
from dispatcher.runtime.clock import ManualClock
from dispatcher.settings import load_settings
from dispatcher.store import schema
from dispatcher.store.database import EVERYTHING, Database
from dispatcher.store.tables import Table
from dispatcher.store.vault import Vault
from dispatcher.store.writer import Writer
from routing_rules.demo import demo_messages
from tests.support.databases import cluster

NAMES = UUID("7c0e3b0e-5d0f-4f6a-9a39-6c8d3f0b7a11")
MONDAY = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
AGENT = Actor(
    id="bench-agent", roles=(Role.AGENT_12345, Role.SQUAD_LEADER), platform="12345-630000", division="630000"
)
DURABLE = (
    "max_connections=120",
    "shared_buffers=1GB",
    "wal_buffers=32MB",
    "max_wal_size=8GB",
    "checkpoint_timeout=30min",
    "autovacuum=on",
    "listen_addresses=",
    "logging_collector=off",
    "log_min_messages=fatal",
)
"""fsync, full_page_writes and synchronous_commit stay at PostgreSQL's own defaults: on."""


T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run on the loop that a node runs on."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(work)


def library() -> Library:
    """The shipped releases, as a node loads them."""
    settings = load_settings(None, {})
    return build_library(settings.data, "630000")


def submissions(count: int, first: int = 0) -> list[Submission]:
    """Intakes of our own sample messages, over and over under fresh ids."""
    messages = [m for m in demo_messages(packaged_files("demo")["messages.toml"]) if len(m.text) > 15]
    made = []
    for n in range(first, first + count):
        message = messages[n % len(messages)]
        command = RegisterCase(
            case=uuid5(NAMES, f"case/{n}"),
            platform="12345-630000",
            number=f"B{n:09d}",
            title=message.title,
            words=message.text,
            division=message.division,
            personal=Personal(caller=f"139{n % 10**8:08d}", name="演示"),
            caller_mac=n.to_bytes(32, "big"),
        )
        made.append(Submission(message_id=uuid5(NAMES, f"message/{n}"), command=command, actor=AGENT))
    return made


@contextmanager
def engines(which: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """URLs of fresh, durable databases: PostgreSQL on its own socket, SQLite on the disk of the checkout."""
    with tempfile.TemporaryDirectory(prefix="liandong-bench-", dir=os.environ.get("BENCH_DIR")) as folder:
        urls = {"sqlite": f"sqlite:///{folder}/bench.db"} if "sqlite" in which else {}
        if "postgres" not in which:
            yield urls
            return
        with cluster(DURABLE) as running:
            urls["postgres"] = asyncio.run(running.empty())
            yield urls


@asynccontextmanager
async def store(
    url: str, product: LiandongProduct, clock: ManualClock
) -> AsyncIterator[tuple[Database, Writer]]:
    """An upgraded database with its writer running."""
    database = Database(url)
    try:
        await schema.upgrade(database, clock.now())
        vault = Vault(b"benchmark".ljust(32, b"."))
        async with Writer(database, product, clock, vault, largest_batch=256) as writer:
            yield database, writer
    finally:
        await database.close()


async def fill(database: Database, writer: Writer, wanted: int, seeds: int = 2000) -> int:
    """Full tables: real cases written by the writer, then copied by SQL under new ids until there are enough.

    Call it on an empty store. Indexes are built after the copying, and the disk is at rest when this returns. Returns
    how many deadlines are open then.
    """
    seeds = min(seeds, wanted)
    for start in range(0, seeds, 500):
        batch = submissions(min(500, seeds - start), first=10**8 + start)
        await asyncio.gather(*(writer.submit(sent) for sent in batch))
    copies = wanted // seeds - 1
    if copies:
        await writer.close()  # SQLite is copied best by somebody who is alone
        await (_copy_postgres(database, copies) if database.is_postgres else _copy_sqlite(database, copies))
        await writer.start()
    async with database.looking() as connection:
        held = (await connection.execute(text("SELECT count(*) FROM stream"))).scalar_one()
        armed = (
            await connection.execute(text("SELECT count(*) FROM deadline WHERE state = 'armed'"))
        ).scalar_one()
    if held != seeds * (copies + 1):
        raise RuntimeError(f"{held} cases after filling, {seeds * (copies + 1)} were wanted")
    return int(armed)


async def put_off(database: Database) -> None:
    """Move every armed deadline far ahead, so that only those armed afterwards fall due."""
    async with database.writing() as connection:
        if database.is_postgres:
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            moved = "due + interval '2000 days'"
        else:
            moved = "(strftime('%Y', due) + 5) || substr(due, 5)"
        await connection.execute(text(f"UPDATE deadline SET due = {moved} WHERE state = 'armed'"))
    if database.is_postgres:
        async with database.writing() as connection:
            await connection.execute(text("ANALYZE deadline"))


_COPIED: dict[str, tuple[str, ...]] = {
    "stream": ("id",),
    "deadline": ("stream_id",),
    "text": ("stream_id",),
    "vault": ("stream_id",),
    "vault_key": ("stream_id",),
    "event": ("stream_id", "message_id"),
    "inbox": ("message_id",),
}
"""Tables that are copied, and their ids. The outbox is left as the seeds made it: effects that were sent long ago."""

_SPREAD = 2654435761
"""Knuth's multiplicative constant: the first eight digits of an id move by it from copy to copy, so that the copies of
a case lie apart in every index, as ids of their own would."""


def _copying(*, postgres: bool) -> Iterator[str]:
    """One INSERT … SELECT a table. ``copy(c)`` counts the copies, ``seed(old, head, tail)`` knows the ids' parts. On
    PostgreSQL a copied state names its new id, so that it can be decided on."""
    for table, ids in _COPIED.items():
        columns = [column.name for column in Table.metadata.tables[table].columns]
        picked = {name: f't."{name}"' for name in columns}
        source = f"copy n CROSS JOIN {table} t"
        for name in ids:
            head = f"({name}_.head + n.c * {_SPREAD}) % 4294967296"
            picked[name] = (
                f"(lpad(to_hex({head}), 8, '0') || {name}_.tail)::uuid"
                if postgres
                else f"printf('%08x', {head}) || {name}_.tail"
            )
            source += f" {'' if postgres else 'CROSS '}JOIN seed {name}_ ON {name}_.old = t.{name}"
        if table == "stream" and postgres:
            picked["state"] = (
                f"overlay(t.state placing convert_to({picked['id']}::text, 'UTF8')"
                " from position(convert_to(t.id::text, 'UTF8') in t.state) for 36)"
            )
        if "position" in columns:
            picked["position"] = "t.position + n.c * (SELECT value FROM position)"
        named = ", ".join(f'"{name}"' for name in columns)
        yield f"INSERT INTO {table} ({named}) SELECT {', '.join(picked.values())} FROM {source}"


_INDEXES = """
SELECT c.conname, pg_get_constraintdef(c.oid), i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid WHERE i.indrelid = $1::regclass
"""


async def _copy_postgres(database: Database, copies: int) -> None:
    """All there is, with the indexes built anew afterwards."""
    connection: Any = await asyncpg.connect(database.dsn, server_settings={"liandong.scope": EVERYTHING})
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL maintenance_work_mem = '512MB'; SET LOCAL work_mem = '256MB'")
            rebuilt = []
            for table in _COPIED:
                for constraint, its, index, definition in await connection.fetch(_INDEXES, table):
                    if constraint is not None:
                        await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")
                        rebuilt.append(f"ALTER TABLE {table} ADD CONSTRAINT {constraint} {its}")
                    else:
                        await connection.execute(f"DROP INDEX {index}")
                        rebuilt.append(definition.replace(" ON ONLY ", " ON "))
            await _multiply(connection, copies, "SELECT id FROM stream UNION SELECT message_id FROM inbox")
            for statement in rebuilt:
                await connection.execute(statement)
        for table in _COPIED:
            await connection.execute(f"VACUUM (ANALYZE) {table}")
    finally:
        await connection.close()
    await at_rest(database)


async def _multiply(connection: Any, copies: int, ids: str) -> None:
    await connection.execute(
        f"CREATE TEMP TABLE copy ON COMMIT DROP AS SELECT c::bigint FROM generate_series(1, {copies}) c;"
        "CREATE TEMP TABLE seed ON COMMIT DROP AS SELECT id AS old, ('x' || left(id::text, 8))::bit(32)::bigint"
        f" AS head, substr(replace(id::text, '-', ''), 9) AS tail FROM ({ids}) s;"
        "ANALYZE copy; ANALYZE seed"
    )
    for statement in _copying(postgres=True):
        await connection.execute(statement)
    await connection.execute(f"UPDATE position SET value = value * ({copies} + 1)")


async def copied(database: Database, due: datetime, wanted: int) -> int:
    """On PostgreSQL: copy the cases that have a deadline falling at ``due`` until so many fall then; how many do."""
    connection: Any = await asyncpg.connect(database.dsn, server_settings={"liandong.scope": EVERYTHING})
    falling = "FROM deadline WHERE due = $1 AND state = 'armed'"
    try:
        async with connection.transaction():
            there = await connection.fetchval(f"SELECT count(*) {falling}", due)
            await connection.execute(
                "CREATE TEMP TABLE chosen (id uuid) ON COMMIT DROP",
            )
            await connection.execute(f"INSERT INTO chosen SELECT DISTINCT stream_id {falling}", due)
            await _multiply(
                connection,
                -(-wanted // there) - 1,
                "SELECT id FROM chosen UNION SELECT message_id FROM event JOIN chosen ON stream_id = chosen.id",
            )
            there = await connection.fetchval(f"SELECT count(*) {falling}", due)
        await connection.execute("VACUUM (ANALYZE) deadline")
    finally:
        await connection.close()
    await at_rest(database)
    return int(there)


async def at_rest(database: Database) -> None:
    """Write everything to the disk now, so that what is measured next does not pay for what was done before."""
    if not database.is_postgres:
        return
    host = parse_qs(urlsplit(database.dsn).query)["host"][0]
    keeper: Any = await asyncpg.connect(host=host, user="keeper", database="postgres")
    await keeper.execute("CHECKPOINT")
    await keeper.close()


async def _copy_sqlite(database: Database, copies: int) -> None:
    """On a connection of its own, without a journal: nobody else is there yet."""

    def work() -> None:
        connection = sqlite3.connect(str(database.path), isolation_level=None)
        for pragma in (
            "journal_mode = DELETE",
            "journal_mode = OFF",
            "synchronous = OFF",
            "cache_size = -524288",
        ):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN EXCLUSIVE")
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            f" AND tbl_name IN ({', '.join('?' * len(_COPIED))})",
            list(_COPIED),
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute("CREATE TEMP TABLE copy (c INTEGER PRIMARY KEY)")
        connection.executemany("INSERT INTO copy VALUES (?)", [(c,) for c in range(1, copies + 1)])
        connection.execute(
            "CREATE TEMP TABLE seed (old TEXT PRIMARY KEY, head INTEGER, tail TEXT) WITHOUT ROWID"
        )
        ids = connection.execute("SELECT id FROM stream UNION SELECT message_id FROM inbox").fetchall()
        connection.executemany(
            "INSERT INTO seed VALUES (?, ?, ?)", [(old, int(old[:8], 16), old[8:]) for (old,) in ids]
        )
        for statement in (*_copying(postgres=False), *(sql for _, sql in indexes)):
            connection.execute(statement)
        connection.execute(f"UPDATE position SET value = value * ({copies} + 1)")
        connection.execute("COMMIT")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
        descriptor = os.open(str(database.path), os.O_RDWR)
        os.fsync(descriptor)
        os.close(descriptor)

    await database.close()
    async with database.turn():
        await asyncio.to_thread(work)
