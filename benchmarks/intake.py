"""Full intake (classify → rule → decide → case, events, deadlines, outbox; durable; acknowledged), 64 senders.

At the inbox, and over HTTP from another process. Beside it in the same run: (a) the same rows inserted set-based without any of our code, in the batches the writer
made, on the same full tables; (b) the same work through one ORM session for each request.

`python -m benchmarks.intake [--quick|--full] [--json]`
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

import asyncpg
from aiohttp import web
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.figures import Figures, Options, read_options
from benchmarks.ground import AGENT, MONDAY, engines, fill, library, run, store, submissions
from dispatcher.domain.product import LiandongProduct
from dispatcher.domain.stream import Submission
from dispatcher.runtime.clock import ManualClock, new_id
from dispatcher.store import codec, tables
from dispatcher.store.database import EVERYTHING, SESSION, Database, sqlite_pragmas
from dispatcher.store.postgres import APPEND, WRITE, written_rows
from dispatcher.store.rows import (
    DEADLINE_COLUMNS,
    EVENT_COLUMNS,
    INBOX_COLUMNS,
    OUTBOX_COLUMNS,
    STREAM_COLUMNS,
    Loaded,
    Rows,
)
from dispatcher.store.sqlite import DEADLINES, EVENTS, INBOX, KEYS, OUTBOX, STREAMS, TEXTS, VAULT, Table
from dispatcher.store.staging import Staging
from dispatcher.store.vault import Vault
from dispatcher.store.writer import Writer

SENDERS = 64


async def at_inbox(writer: Writer, work: Sequence[Submission]) -> tuple[float, list[float]]:
    """Seconds for all, and each one's latency, with 64 senders that wait for every answer."""
    waiting = iter(work)
    latencies: list[float] = []

    async def sender() -> None:
        for sent in waiting:
            began = time.perf_counter()
            await writer.submit(sent)
            latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(sender() for _ in range(SENDERS)))
    return time.perf_counter() - began, latencies


@asynccontextmanager
async def served(
    database: Database, writer: Writer, product: LiandongProduct, clock: ManualClock
) -> AsyncIterator[tuple[int, str]]:
    """The HTTP API over the same writer, as a node serves it: its port, and a token for the senders."""
    from adapters.http_api.app import PREFIX, build
    from adapters.http_api.identity import KeptTokens
    from adapters.http_api.services import Services
    from dispatcher.store.accounts import Accounts
    from dispatcher.store.numbers import Numbers
    from dispatcher.store.outbox import Outbox
    from dispatcher.wiring import CODEC

    accounts = Accounts(database)
    await accounts.put(AGENT, AGENT.id, clock.now())
    services = Services(
        inbox=writer,
        database=database,
        codec=CODEC,
        vault=Vault(b"benchmark".ljust(32, b".")),
        clock=clock,
        library=lambda: product.library,
        accounts=KeptTokens(accounts),
        numbers=Numbers(database),
        letters=Outbox(database, CODEC),
        new_id=new_id,
        body_limit=2**20,
    )
    root = web.Application(client_max_size=2**20)
    root.add_subapp(PREFIX, build(services))
    runner = web.AppRunner(root, handle_signals=False, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=SENDERS * 2).start()
        yield runner.addresses[0][1], await accounts.new_token(AGENT.id, "bench", clock.now())
    finally:
        await runner.cleanup()


async def over_http(port: int, token: str, count: int, first: int) -> tuple[float, list[float]]:
    """As `at_inbox`, from another process over 64 connections."""
    words = ("127.0.0.1", str(port), token, str(count), str(first), str(SENDERS))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from benchmarks.sender import main; main()",
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdout.readline()
    process.stdin.write(b"go\n")
    told = await process.stdout.readline()
    if await process.wait():
        raise RuntimeError("the senders failed; their words are above")
    found = json.loads(told)
    return found["seconds"], found["latencies"]


def staged(product: LiandongProduct, work: Sequence[Submission]) -> list[Rows]:
    """The very rows our writer would write for this work, in batches of 64, made ahead of the raw measurement."""
    vault = Vault(b"benchmark".ljust(32, b"."))
    batches = []
    for start in range(0, len(work), SENDERS):
        staging = Staging(product, vault, Loaded(streams={}, answers={}), MONDAY)
        for sent in work[start : start + SENDERS]:
            staging.submit(sent, codec.command_digest(sent.command, sent.actor.id, vault.command_key))
        batches.append(staging.rows())
    return batches


async def raw_postgres(url: str, batches: Sequence[Rows]) -> float:
    """The same statements on the same tables, rows ready in memory, one commit a batch."""
    connection: Any = await asyncpg.connect(
        Database(url).dsn, server_settings={**SESSION, "liandong.scope": EVERYTHING}
    )
    columns = [
        (
            written_rows(rows),
            len(rows.events),
            tuple(zip(*rows.events, strict=True)),
            tuple(zip(*rows.answers, strict=True)),
        )
        for rows in batches
    ]
    began = time.perf_counter()
    for written, count, events, answers in columns:
        await connection.execute("BEGIN")
        await connection.execute(WRITE, *written, "raw")
        await connection.fetchval(APPEND, count, *events, *answers)
        await connection.execute("COMMIT")
    taken = time.perf_counter() - began
    await connection.close()
    return taken


def raw_sqlite(path: str, batches: Sequence[Rows]) -> float:
    """As on PostgreSQL, through executemany on one connection."""
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
    for pragma in sqlite_pragmas():
        connection.execute(pragma)
    (base,) = connection.execute("SELECT value FROM position").fetchone()
    ready: list[list[tuple[str, list[list[object]]]]] = []

    def one(table: Table, values: Sequence[Sequence[object]]) -> tuple[str, list[list[object]]]:
        return table.statement(1), table.plain(values, {})

    for rows in batches:
        events = [[base + n, *row] for n, row in enumerate(rows.events, 1)]
        base += len(events)
        ready.append(
            [
                one(STREAMS, rows.inserts),
                one(DEADLINES, rows.deadlines),
                one(OUTBOX, rows.outbox),
                one(TEXTS, rows.texts),
                one(VAULT, [(id_, sealed) for id_, sealed, _ in rows.sealed]),
                one(KEYS, [(id_, "raw", wrapped) for id_, _, wrapped in rows.sealed]),
                ("UPDATE position SET value = value + ?", [[len(events)]]),
                one(EVENTS, events),
                one(INBOX, rows.answers),
            ]
        )
    began = time.perf_counter()
    for statements in ready:
        connection.execute("BEGIN IMMEDIATE")
        for statement, values in statements:
            connection.executemany(statement, values)
        connection.execute("COMMIT")
    taken = time.perf_counter() - began
    connection.close()
    return taken


async def through_orm(database: Database, product: LiandongProduct, work: Sequence[Submission]) -> float:
    """One ORM session a request, committing its own rows: the same decision, the same tables, 64 at a time.

    Done as somebody who knows the ORM does it: rows are added and flushed together (SQLAlchemy sends each table's as one
    statement), nothing is read back, the pool is as large as it may be. The peer is spared what costs us: it looks up
    neither message nor case, and draws positions in memory instead of from the counter row, which would put its commits
    in single file.
    """
    vault = Vault(b"benchmark".ljust(32, b"."))
    waiting = iter(work)
    table_of = {
        "inserts": tables.Streams,
        "deadlines": tables.Deadlines,
        "outbox": tables.Outbox,
        "texts": tables.Texts,
    }
    position = asyncio.Lock()
    async with database.looking() as connection:
        found = await connection.execute(tables.Position.__table__.select())  # type: ignore[attr-defined]
        at = [int(found.one().value)]

    async def request(sent: Submission) -> None:
        staging = Staging(product, vault, Loaded(streams={}, answers={}), MONDAY)
        staging.submit(sent, codec.command_digest(sent.command, sent.actor.id, vault.command_key))
        rows = staging.rows()
        names = {
            "inserts": [n for n, _ in STREAM_COLUMNS],
            "deadlines": [n for n, _ in DEADLINE_COLUMNS],
            "outbox": [n for n, _ in OUTBOX_COLUMNS],
            "texts": ["stream_id", "no", "field", "words", "salt"],
        }
        async with database.writing() as connection, AsyncSession(connection) as session:
            for group, columns in names.items():
                for row in getattr(rows, group):
                    session.add(table_of[group](**_fields(columns, row)))
            async with position:
                base = at[0]
                at[0] += len(rows.events)
            for n, event in enumerate(rows.events, 1):
                fields = dict(zip([c for c, _ in EVENT_COLUMNS], event, strict=True))
                session.add(tables.Events(**_fields(["position", *fields], (base + n, *event))))
            for id_, sealed, wrapped in rows.sealed:
                session.add(tables.VaultRows(stream_id=id_, sealed=sealed))
                session.add(tables.VaultKeys(stream_id=id_, master="orm", wrapped=wrapped))
            await session.execute(
                insert(tables.Inbox).values(
                    [dict(zip([c for c, _ in INBOX_COLUMNS], answer, strict=True)) for answer in rows.answers]
                )
            )
            await session.flush()

    async def sender() -> None:
        for sent in waiting:
            await request(sent)

    began = time.perf_counter()
    await asyncio.gather(*(sender() for _ in range(SENDERS)))
    taken = time.perf_counter() - began
    async with database.writing() as connection:
        await connection.execute(update(tables.Position).values(value=at[0]))
    return taken


def _fields(columns: Sequence[str], row: Sequence[object]) -> dict[str, Any]:
    return dict(zip(columns, row, strict=True))


async def measure(name: str, url: str, options: Options, figures: Figures) -> None:
    """One engine."""
    count = options.pick(quick=4_000, normal=20_000, full=30_000)
    orm_count = options.pick(quick=400, normal=1_500, full=3_000)
    http_count = options.pick(quick=1_500, normal=6_000, full=12_000)
    held = options.pick(quick=20_000, normal=1_000_000, full=1_000_000)
    product = LiandongProduct(library())
    clock = ManualClock(MONDAY)
    async with store(url, product, clock) as (database, writer):
        await fill(database, writer, held)
        await at_inbox(writer, submissions(500, first=50_000_000))
        rates: dict[str, list[float]] = {"ours": [], "raw": [], "orm": [], "http": []}
        latencies: list[float] = []
        http_latencies: list[float] = []
        rounds = 3
        async with served(database, writer, product, clock) as (port, token):
            for turn in range(rounds):  # in turn, so that a noisy machine is noisy for all of them
                share = count // rounds
                taken, spent = await at_inbox(writer, submissions(share, first=turn * share))
                rates["ours"].append(share / taken)
                latencies += spent
                batches = staged(product, submissions(share, first=60_000_000 + turn * share))
                if database.is_postgres:
                    raw = await raw_postgres(url, batches)
                else:
                    raw = await asyncio.to_thread(raw_sqlite, str(database.path), batches)
                rates["raw"].append(share / raw)
                share = orm_count // rounds
                work = submissions(share, first=70_000_000 + turn * share)
                rates["orm"].append(share / await through_orm(database, product, work))
                share = http_count // rounds
                taken, spent = await over_http(port, token, share, 80_000_000 + turn * share)
                rates["http"].append(share / taken)
                http_latencies += spent
    ours, raw, orm, http = (median(rates[each]) for each in ("ours", "raw", "orm", "http"))
    figures.add(f"{name}_of_raw", ours / raw, "share", ">= 0.35", ours / raw >= 0.35)
    figures.add(f"{name}_times_orm", ours / orm, "times", ">= 10", ours / orm >= 10)
    figures.add(f"{name}_per_s", ours, "cases/s")
    figures.add(f"{name}_raw_per_s", raw, "cases/s")
    figures.add(f"{name}_orm_per_s", orm, "cases/s")
    figures.add(f"{name}_p99_ms", _p99(latencies), "ms")
    figures.add(f"{name}_http_per_s", http, "cases/s")
    figures.add(f"{name}_http_share_of_inbox", http / ours, "share")
    figures.add(f"{name}_http_p99_ms", _p99(http_latencies), "ms")
    figures.add(f"{name}_held_cases", held, "cases")


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)] * 1000


def main() -> int:
    """Measure both engines."""
    options = read_options("full intake beside the raw engine and beside an ORM session for each request")
    figures = Figures()
    with engines(("postgres", "sqlite")) as urls:
        for name, url in urls.items():
            run(measure(name, url, options, figures))
    figures.print_all(options.as_json)
    return 0 if figures.all_ok else 1


if __name__ == "__main__":
    raise SystemExit(main())
