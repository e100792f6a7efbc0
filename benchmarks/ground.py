"""What the store's benchmarks stand on: real engines with real durability, the shipped lists, full tables."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid5

from sqlalchemy import text

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
from dispatcher.store.database import Database
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

    Call it on an empty store. Returns how many deadlines are open then.
    """
    seeds = min(seeds, wanted)
    for start in range(0, seeds, 500):
        batch = submissions(min(500, seeds - start), first=10**8 + start)
        await asyncio.gather(*(writer.submit(sent) for sent in batch))
    copies = wanted // seeds - 1
    statements = _copy_postgres(copies) if database.is_postgres else _copy_sqlite(copies)
    async with database.writing() as connection:
        for statement in statements:
            await connection.execute(text(statement))
        if database.is_postgres:
            await connection.execute(text("ANALYZE"))
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


_TABLES = {
    "stream": "id",
    "deadline": "stream_id",
    "text": "stream_id",
    "vault": "stream_id",
    "vault_key": "stream_id",
}


def _copy_postgres(copies: int) -> Iterator[str]:
    """One INSERT … SELECT a table; the id of copy c is md5(id/c), the message id likewise."""
    yield "SET LOCAL statement_timeout = 0"
    yield "SET LOCAL lock_timeout = 0"
    for table, key in _TABLES.items():
        columns = (
            (
                "(SELECT string_agg(CASE WHEN column_name = 'K' THEN 'md5(t.K::text || c)::uuid' ELSE 't.\"' "
                "|| column_name || '\"' END, ', ' ORDER BY ordinal_position) FROM information_schema.columns "
                "WHERE table_name = 'T' AND table_schema = 'public')"
            )
            .replace("'K'", f"'{key}'")
            .replace("'T'", f"'{table}'")
            .replace("t.K::", f"t.{key}::")
        )
        yield (
            f"DO $$ BEGIN EXECUTE 'INSERT INTO {table} SELECT ' || {columns} || "
            f"' FROM {table} t, generate_series(1, {copies}) c'; END $$"
        )
    yield "CREATE TEMP TABLE seed AS SELECT count(*) AS n FROM event"
    for table, ids in (("event", ("stream_id", "message_id")), ("inbox", ("message_id",))):
        cases = " ".join(f"WHEN '{one}' THEN 'md5(t.{one}::text || c)::uuid'" for one in ids)
        yield (
            f"DO $$ BEGIN EXECUTE 'INSERT INTO {table} SELECT ' || (SELECT string_agg(CASE column_name {cases} "
            "WHEN 'position' THEN 't.position + c * (SELECT n FROM seed)' "
            "ELSE 't.\"' || column_name || '\"' END, ', ' ORDER BY ordinal_position) "
            f"FROM information_schema.columns WHERE table_name = '{table}' AND table_schema = 'public') "
            f"|| ' FROM {table} t, generate_series(1, {copies}) c'; END $$"
        )
    yield f"UPDATE position SET value = value * ({copies} + 1)"


def _copy_sqlite(copies: int) -> Iterator[str]:
    """As on PostgreSQL, with ids drawn into a map first."""
    numbers = f"WITH RECURSIVE c(c) AS (SELECT 1 UNION ALL SELECT c + 1 FROM c WHERE c < {copies})"
    yield (
        f"CREATE TEMP TABLE ids AS {numbers} SELECT id AS old, c, lower(hex(randomblob(16))) AS new FROM stream, c"
    )
    yield "CREATE INDEX temp.ids_old ON ids (old, c)"
    yield (
        f"CREATE TEMP TABLE msg AS {numbers} SELECT message_id AS old, c, lower(hex(randomblob(16))) AS new FROM inbox, c"
    )
    yield "CREATE INDEX temp.msg_old ON msg (old, c)"
    yield "CREATE TEMP TABLE seed AS SELECT count(*) AS n FROM event"
    for table, key in _TABLES.items():
        yield _sqlite_insert(table, {key: "i.new"}, f"{table} t JOIN ids i ON i.old = t.{key}")
    yield _sqlite_insert(
        "event",
        {"stream_id": "i.new", "message_id": "m.new", "position": "t.position + i.c * (SELECT n FROM seed)"},
        "event t JOIN ids i ON i.old = t.stream_id JOIN msg m ON m.old = t.message_id AND m.c = i.c",
    )
    yield _sqlite_insert(
        "inbox",
        {"message_id": "m.new", "position": "t.position + m.c * (SELECT n FROM seed)"},
        "inbox t JOIN msg m ON m.old = t.message_id",
    )
    yield f"UPDATE position SET value = value * ({copies} + 1)"


def _sqlite_insert(table: str, replaced: dict[str, str], source: str) -> str:
    from dispatcher.store import tables

    columns = [column.name for column in tables.Table.metadata.tables[table].columns]
    picked = ", ".join(replaced.get(name, f't."{name}"') for name in columns)
    named = ", ".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table} ({named}) SELECT {picked} FROM {source}"
