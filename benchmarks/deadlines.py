"""10,000 deadlines due at one instant among 1,000,000 open ones: all settled once, with their effects.

Beside it in the same run: the raw statements with rows ready in memory; APScheduler with one job each in its
SQLAlchemy store; procrastinate with one delayed job each. The peers carry no ladder and no log, only the firing.

`python -m benchmarks.deadlines [--quick|--full] [--json]`
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from sqlalchemy import func, select

from benchmarks.figures import Figures, Options, read_options
from benchmarks.ground import MONDAY, engines, fill, library, put_off, store, submissions
from dispatcher.domain.product import LiandongProduct
from dispatcher.runtime.clock import ManualClock
from dispatcher.store.database import EVERYTHING, SESSION, Database
from dispatcher.store.postgres import APPEND, CLAIM, DUE, UPDATE_STREAMS, WRITE, written_rows
from dispatcher.store.rows import EVENT_COLUMNS, INBOX_COLUMNS, DueRow, Loaded, Rows, StoredStream
from dispatcher.store.staging import Staging
from dispatcher.store.tables import Deadlines
from dispatcher.store.vault import Vault
from dispatcher.store.writer import Writer

FIRST = MONDAY
SECOND = MONDAY + timedelta(days=1)
BATCH = 500


async def arm(writer: Writer, count: int, first: int) -> None:
    """Register cases whose assignment falls due at the next working day's close, all at one instant."""
    for start in range(0, count, BATCH):
        work = submissions(min(BATCH, count - start), first=first + start)
        await asyncio.gather(*(writer.submit(sent) for sent in work))


async def the_instant(database: Database, at_least: int, after: datetime) -> datetime:
    """The first instant after ``after`` at which that many deadlines fall together."""
    row = Deadlines.__table__.c  # type: ignore[attr-defined]
    question = (
        select(row.due)
        .where(row.state == "armed", row.due > after)
        .group_by(row.due)
        .having(func.count() >= at_least)
        .order_by(row.due)
        .limit(1)
    )
    async with database.looking() as connection:
        return (await connection.execute(question)).scalar_one()  # type: ignore[no-any-return]


async def settle_all(writer: Writer, now: datetime) -> tuple[float, int, int]:
    """Loop until nothing is due; seconds, settled, failed."""
    fired = failed = 0
    began = time.perf_counter()
    while True:
        done = await writer.settle_due(now, BATCH)
        fired += done.fired
        failed += done.failed
        if not done.more:
            return time.perf_counter() - began, fired, failed


async def raw_settle(url: str, product: LiandongProduct, now: datetime) -> tuple[float, int]:
    """The writer's own statements, their rows made ahead: claim, look again, write, append, commit."""
    connection: Any = await asyncpg.connect(
        Database(url).dsn,
        server_settings={**SESSION, "liandong.scope": EVERYTHING, "idle_in_transaction_session_timeout": "0"},
    )
    vault = Vault(b"benchmark".ljust(32, b"."))
    ready: list[Rows] = []
    await connection.execute("BEGIN")
    claimed = await connection.fetch(CLAIM.replace("LIMIT $2", "LIMIT ALL"), now)
    streams = {row[0]: StoredStream(*row) for row in claimed}
    due = [DueRow(*row) for row in await connection.fetch(DUE, list(streams), now)]
    await connection.execute("ROLLBACK")
    for start in range(0, len(due), BATCH):
        part = due[start : start + BATCH]
        loaded = Loaded(streams={row.stream_id: streams[row.stream_id] for row in part}, answers={})
        staging = Staging(product, vault, loaded, now)
        for row in part:
            staging.settle(row, staging.expiry(row))
        ready.append(staging.rows())
    columns = [
        (
            tuple(zip(*rows.updates, strict=True)),
            written_rows(rows),
            len(rows.events),
            tuple(zip(*rows.events, strict=True)) if rows.events else ((),) * len(EVENT_COLUMNS),
            ((),) * len(INBOX_COLUMNS),
        )
        for rows in ready
    ]
    began = time.perf_counter()
    for updates, written, count, events, answers in columns:
        await connection.execute("BEGIN")
        rows = await connection.fetch(CLAIM, now, BATCH)
        await connection.fetch(DUE, [row[0] for row in rows], now)
        await connection.execute(UPDATE_STREAMS, *updates)
        await connection.execute(WRITE, *written, "raw")
        await connection.fetchval(APPEND, count, *events, *answers)
        await connection.execute("COMMIT")
    taken = time.perf_counter() - began
    await connection.close()
    return taken, len(due)


def apscheduler_settle(url: str, count: int) -> float:
    """One APScheduler job each in its SQLAlchemy store, all due at one instant: seconds until the last has run."""
    from threading import Event

    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
    from apscheduler.schedulers.background import BackgroundScheduler
    from sqlalchemy import create_engine

    engine = create_engine(_psycopg(url) if url.startswith("postgresql") else url)
    scheduler = BackgroundScheduler(
        jobstores={"default": SQLAlchemyJobStore(engine=engine)},
        executors={"default": ThreadPoolExecutor(8)},
        job_defaults={"misfire_grace_time": None},
        timezone=UTC,
    )
    RUNS.reset(count)
    scheduler.start(paused=True)
    past = datetime(2026, 1, 1, tzinfo=UTC)
    for n in range(count):
        scheduler.add_job(fire, "date", run_date=past, args=[n], id=f"d{n}", replace_existing=True)
    began = time.perf_counter()
    scheduler.resume()
    finished: Event = RUNS.finished
    finished.wait(600)
    taken = time.perf_counter() - began
    scheduler.shutdown(wait=True)
    engine.dispose()
    return taken


class _Runs:
    """Counts firings of the peers."""

    def __init__(self) -> None:
        self.reset(0)

    def reset(self, wanted: int) -> None:
        from threading import Event, Lock

        self.wanted = wanted
        self.done = 0
        self.lock = Lock()
        self.finished = Event()

    def one(self) -> None:
        with self.lock:
            self.done += 1
            if self.done >= self.wanted:
                self.finished.set()


RUNS = _Runs()


def fire(_n: int) -> None:
    """What a peer's job does: nothing but be counted."""
    RUNS.one()


async def procrastinate_settle(url: str, count: int) -> float:
    """One procrastinate job each, scheduled for one past instant, one worker with 64 at a time."""
    import procrastinate

    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=_libpq(url)))
    done = asyncio.Event()
    seen = [0]

    @app.task(name="fire", queue="bench")
    async def job(n: int) -> None:
        seen[0] += 1
        if seen[0] >= count:
            done.set()

    past = datetime(2026, 1, 1, tzinfo=UTC)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for start in range(0, count, 1000):
            await job.configure(schedule_at=past).batch_defer_async(
                *[{"n": n} for n in range(start, min(count, start + 1000))]  # type: ignore[arg-type]
            )
        began = time.perf_counter()
        worker = asyncio.create_task(
            app.run_worker_async(
                queues=["bench"],
                concurrency=64,
                wait=True,
                install_signal_handlers=False,
                listen_notify=False,
            )
        )
        await done.wait()
        taken = time.perf_counter() - began
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    return taken


def _libpq(url: str) -> str:
    from urllib.parse import parse_qs, urlsplit

    parts = urlsplit(url)
    return f"host={parse_qs(parts.query)['host'][0]} user={parts.username} dbname={parts.path.lstrip('/')}"


def _psycopg(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


async def measure(name: str, url: str, options: Options, figures: Figures) -> None:
    """One engine: fill, arm two instants, settle one by raw statements and one by the writer."""
    held = options.pick(quick=20_000, normal=100_000, full=1_000_000)
    count = options.pick(quick=1_000, normal=5_000, full=10_000)
    registered = count * 5 // 4  # the sample's danger calls fall due within minutes, at instants of their own
    product = LiandongProduct(library())
    clock = ManualClock(FIRST)
    async with store(url, product, clock) as (database, writer):
        open_ones = await fill(database, writer, held)
        await put_off(database)
        await arm(writer, registered, first=1)
        await clock.advance(SECOND)
        await arm(writer, registered, first=2_000_000)
        now = await the_instant(database, count // 2, FIRST) + timedelta(seconds=1)
        bare = 0.0
        if database.is_postgres:
            taken, raw_count = await raw_settle(url, product, now)
            bare = raw_count / taken
        # what the raw statements settled or what fell before is out of the way; the second instant is ours
        now = await the_instant(database, count // 2, now) + timedelta(seconds=1)
        while (
            database.is_postgres is False
            and (await writer.settle_due(now - timedelta(seconds=2), BATCH)).more
        ):
            pass
        seconds, fired, failed = await settle_all(writer, now)
    rate = fired / seconds
    if bare:
        figures.add(f"{name}_of_raw", rate / bare, "share", ">= 0.35", rate / bare >= 0.35)
        figures.add(f"{name}_raw_per_s", bare, "deadlines/s")
    figures.add(f"{name}_settled", fired, "deadlines", f">= {count}", fired >= count)
    figures.add(f"{name}_failed", failed, "deadlines", "0", failed == 0)
    figures.add(f"{name}_seconds", seconds, "s", "< 5", seconds < 5)
    figures.add(f"{name}_per_s", rate, "deadlines/s")
    figures.add(f"{name}_open", open_ones, "deadlines")


def main() -> int:
    """Measure both engines and the peers."""
    options = read_options(
        "deadlines due at one instant, beside raw statements, APScheduler and procrastinate"
    )
    figures = Figures()
    peers = options.pick(quick=300, normal=2_000, full=10_000)
    with engines(("postgres", "sqlite")) as urls:
        for name, url in urls.items():
            asyncio.run(measure(name, url, options, figures))
    with engines(("postgres",)) as urls:
        ours = figures.value("postgres_per_s")
        rate = peers / asyncio.run(procrastinate_settle(urls["postgres"], peers))
        figures.add("postgres_times_procrastinate", ours / rate, "times")
        figures.add("procrastinate_per_s", rate, "jobs/s")
    with engines(("postgres",)) as urls:
        rate = peers / apscheduler_settle(urls["postgres"], peers)
        figures.add("postgres_times_apscheduler", ours / rate, "times")
        figures.add("apscheduler_per_s", rate, "jobs/s")
    figures.print_all(options.as_json)
    return 0 if figures.all_ok else 1


if __name__ == "__main__":
    raise SystemExit(main())
