"""10,000 deadlines due at one instant among those of 1,000,000 open cases: all settled once, with their effects.

Then deadlines that fall evenly, 500 a second, at a running node; and a day's end at which 100,000 fall together while
others go on registering cases.

Beside it in the same run: the raw statements with rows ready in memory; APScheduler with one job each in its
SQLAlchemy store; procrastinate with one delayed job each. The peers carry no ladder and no log, only the firing.

`python -m benchmarks.deadlines [--quick|--full] [--json]`
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time
from statistics import median
from typing import Any
from uuid import uuid5

import asyncpg
from msgspec.structs import replace
from sqlalchemy import func, select

from benchmarks.figures import Figures, Options, read_options
from benchmarks.ground import (
    MONDAY,
    NAMES,
    at_rest,
    copied,
    engines,
    fill,
    library,
    put_off,
    run,
    store,
    submissions,
)
from dispatcher.domain.commands import RegisterCase
from dispatcher.domain.product import LiandongProduct
from dispatcher.domain.stream import Submission
from dispatcher.domain.worktime import LEGAL_ZONE
from dispatcher.runtime.clock import ManualClock
from dispatcher.runtime.telemetry import Telemetry
from dispatcher.runtime.timers import Sweep
from dispatcher.store.database import EVERYTHING, SESSION, Database
from dispatcher.store.postgres import APPEND, CLAIM, DUE, PLANS, UPDATE_STREAMS, WRITE, written_rows
from dispatcher.store.rows import EVENT_COLUMNS, INBOX_COLUMNS, DueRow, Loaded, Rows, StoredStream
from dispatcher.store.staging import Staging
from dispatcher.store.tables import Deadlines, Outbox
from dispatcher.store.vault import Vault
from dispatcher.store.writer import Settled, Writer

FIRST = MONDAY
SECOND = MONDAY + timedelta(days=1)
BATCH = 500
SPREAD_PER_SECOND = 500
OTHERS_PER_SECOND = 40
CLOSE = clock_time(17, 30)
TRANSFER = timedelta(seconds=60)
"""The limit of the transfer clock: a case registered so long before an instant has a deadline that falls then."""


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
        rows = staging.rows()
        for changed in rows.updates:  # a stream may have another one due, in a later batch
            streams[changed[0]] = StoredStream(*changed[:8])  # type: ignore[arg-type]
        ready.append(rows)
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


class Running:
    """A clock that runs from any instant on, as a node's does."""

    steady = True

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._began = time.monotonic()

    def now(self) -> datetime:
        """The instant it shows."""
        return self._start + timedelta(seconds=time.monotonic() - self._began)

    async def until_steady(self) -> None:
        """It always is."""

    async def sleep_until(self, instant: datetime) -> None:
        """Wait for the instant."""
        await asyncio.sleep(max(0.0, (instant - self.now()).total_seconds()))


class Watched:
    """The writer as the sweep sees it, with an eye on how late each deadline was when its settlement was durable."""

    def __init__(self, writer: Writer, clock: Running) -> None:
        self._writer = writer
        self._clock = clock
        self.next_due = writer.next_due
        self.free = writer.free
        self.lateness: list[float] = []
        self.failed = 0

    async def settle_due(self, now: datetime, limit: int) -> Settled:
        """As the writer does. All of one settlement count as late as the latest of them."""
        done = await self._writer.settle_due(now, limit)
        late = done.late_max + (self._clock.now() - now)
        self.lateness += [late.total_seconds()] * done.fired
        self.failed += done.failed
        return done


async def claim_ms(url: str, now: datetime) -> float:
    """Median time in which the sweep's question finds and locks one due row among all the open ones."""
    connection: Any = await asyncpg.connect(
        Database(url).dsn, server_settings={**SESSION, **PLANS, "liandong.scope": EVERYTHING}
    )
    spent = []
    for _ in range(200):
        await connection.execute("BEGIN")
        began = time.perf_counter()
        rows = await connection.fetch(CLAIM, now, 1)
        spent.append(time.perf_counter() - began)
        await connection.execute("ROLLBACK")
        if len(rows) != 1:
            raise RuntimeError("nothing is due: there is nothing to be claimed")
    await connection.close()
    return median(spent) * 1000


async def spread(url: str, product: LiandongProduct, start: datetime, seconds: int) -> list[float]:
    """500 deadlines fall each second, evenly, at a running node: how late each was settled, in seconds."""
    count = SPREAD_PER_SECOND * seconds
    work = dangers(count, first=300_000_000)
    vault = Vault(b"benchmark".ljust(32, b"."))
    first = start + timedelta(seconds=10)
    connection: Any = await asyncpg.connect(
        Database(url).dsn, server_settings={**SESSION, "liandong.scope": EVERYTHING}
    )
    for begin in range(0, count, BATCH):
        rows = Rows()
        for n, sent in enumerate(work[begin : begin + BATCH], begin):
            falls = first + timedelta(seconds=n / SPREAD_PER_SECOND)
            staging = Staging(product, vault, Loaded(streams={}, answers={}), falls - TRANSFER)
            staging.submit(sent, b"")
            made = staging.rows()
            rows.inserts += made.inserts
            rows.deadlines += made.deadlines
            rows.texts += made.texts
            rows.sealed += made.sealed
            rows.events += made.events
        await connection.execute("BEGIN")
        await connection.execute(WRITE, *written_rows(rows), "raw")
        events = tuple(zip(*rows.events, strict=True))
        await connection.fetchval(APPEND, len(rows.events), *events, *((),) * len(INBOX_COLUMNS))
        await connection.execute("COMMIT")
    await connection.close()
    database = Database(url)
    await at_rest(database)
    clock = Running(first - timedelta(seconds=1))
    async with Writer(database, product, clock, vault) as writer:
        watched = Watched(writer, clock)
        sweep = Sweep(watched, clock, Telemetry(), limit=BATCH, look_ahead=timedelta(milliseconds=500))
        sweep.start()
        await clock.sleep_until(first + timedelta(seconds=seconds))
        while len(watched.lateness) < count and clock.now() < first + timedelta(seconds=seconds * 4):
            # a machine that cannot follow is late, and is to be shown as late
            await clock.sleep_until(clock.now() + timedelta(milliseconds=100))
        await sweep.stop()
    await database.close()
    if len(watched.lateness) < count or watched.failed:
        raise RuntimeError(f"{len(watched.lateness)} of {count} were settled, {watched.failed} failed")
    return watched.lateness


async def close_of_business(
    url: str, product: LiandongProduct, due: datetime
) -> tuple[float, int, int, list[float], int]:
    """The day ends: all that falls at ``due`` is drained while others go on registering, 40 cases a second.

    Seconds, settled, failed, each command's time in seconds, effects planned.
    """
    database = Database(url)
    clock = Running(due + timedelta(milliseconds=1))
    vault = Vault(b"benchmark".ljust(32, b"."))
    spent: list[float] = []
    over = asyncio.Event()
    async with Writer(database, product, clock, vault) as writer:
        before = await effects_of(database)
        watched = Watched(writer, clock)
        sweep = Sweep(watched, clock, Telemetry(), limit=BATCH, look_ahead=timedelta(seconds=1))

        async def one(sent: Submission) -> None:
            began = time.perf_counter()
            await writer.submit(sent)
            spent.append(time.perf_counter() - began)

        async def others() -> None:
            waiting = []
            for sent in submissions(200 * OTHERS_PER_SECOND, first=400_000_000):
                if over.is_set():
                    break
                waiting.append(asyncio.create_task(one(sent)))
                await asyncio.sleep(1 / OTHERS_PER_SECOND)
            await asyncio.gather(*waiting)

        going_on = asyncio.create_task(others())
        began = time.perf_counter()
        fired = await sweep.settle_all()
        taken = time.perf_counter() - began
        over.set()
        await going_on
        planned = await effects_of(database) - before
    await database.close()
    return taken, fired, watched.failed, spent, planned


async def effects_of(database: Database) -> int:
    """How many effects the outbox has."""
    async with database.looking() as connection:
        return int((await connection.execute(select(func.count()).select_from(Outbox))).scalar_one())


def dangers(count: int, first: int) -> list[Submission]:
    """Intakes that start a transfer to 110, whose clock runs sixty seconds."""
    (pattern,) = submissions(1)
    assert isinstance(pattern.command, RegisterCase)
    made = []
    for n in range(first, first + count):
        command = replace(
            pattern.command,
            case=uuid5(NAMES, f"danger/{n}"),
            number=f"D{n:09d}",
            title="",
            words="有人持刀追着人砍,快来人",
        )
        made.append(replace(pattern, message_id=uuid5(NAMES, f"danger message/{n}"), command=command))
    return made


async def measure(name: str, url: str, options: Options, figures: Figures) -> None:
    """One engine: fill, arm two instants, settle one by raw statements and one by the writer."""
    held = options.pick(quick=20_000, normal=1_000_000, full=1_800_000)
    count = options.pick(quick=1_000, normal=10_000, full=10_000)
    registered = count * 3 // 2  # the sample's danger calls fall due within minutes, at instants of their own
    product = LiandongProduct(library())
    clock = ManualClock(FIRST)
    async with store(url, product, clock) as (database, writer):
        open_ones = await fill(database, writer, held)
        await put_off(database)
        await arm(writer, registered, first=1)
        await clock.advance(SECOND)
        await arm(writer, registered, first=2_000_000)
        await at_rest(database)
        now = await the_instant(database, count // 2, FIRST) + timedelta(seconds=1)
        bare = 0.0
        if database.is_postgres:
            figures.add(f"{name}_open", open_ones, "deadlines")
            taken = await claim_ms(url, now)
            figures.add(f"{name}_claim_ms", taken, "ms", "< 1", taken < 1)
            taken, raw_count = await raw_settle(url, product, now)
            bare = raw_count / taken
        # what the raw statements settled or what fell before is out of the way; the second instant is ours
        last = await the_instant(database, count // 2, now)
        now = last + timedelta(seconds=1)
        while (await writer.settle_due(last - timedelta(seconds=1), BATCH)).more:
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
    if name == "postgres":
        await at_the_close(url, product, last, options, figures)


async def at_the_close(
    url: str, product: LiandongProduct, last: datetime, options: Options, figures: Figures
) -> None:
    """On the same tables: deadlines spread evenly, then a day's end at which they all fall."""
    length = options.pick(quick=4, normal=20, full=60)
    many = options.pick(quick=5_000, normal=100_000, full=100_000)
    third = SECOND + timedelta(days=1)
    clock = ManualClock(third)
    async with store(url, product, clock) as (database, writer):
        await arm(writer, 2_500, first=3_000_000)
        due = last
        while due == last or due.astimezone(LEGAL_ZONE).time() != CLOSE:  # rungs fall at other hours
            due = await the_instant(database, 1_000, due + timedelta(seconds=1))
        falling = await copied(database, due, many)
        # whatever falls earlier, danger calls of the sample among it, is out of the way
        while (await writer.settle_due(due - timedelta(minutes=5), BATCH)).more:
            pass
    late = sorted(await spread(url, product, due - timedelta(minutes=4), length))
    p99 = late[int(len(late) * 0.99)] * 1000
    figures.add("postgres_spread_lateness_p99_ms", p99, "ms", "< 50", p99 < 50)
    figures.add("postgres_spread_lateness_p50_ms", median(late) * 1000, "ms")
    figures.add("postgres_spread_settled", len(late), "deadlines")
    seconds, fired, failed, spent, planned = await close_of_business(url, product, due)
    spent.sort()
    p99 = spent[int(len(spent) * 0.99)] * 1000
    figures.add("postgres_close_settled", fired, "deadlines", f">= {falling}", fired >= falling)
    figures.add("postgres_close_failed", failed, "deadlines", "0", failed == 0)
    figures.add("postgres_close_effects", planned, "effects", ">= 1", planned >= 1)
    figures.add("postgres_close_seconds", seconds, "s", "< 60", seconds < 60)
    figures.add("postgres_close_others_p99_ms", p99, "ms", "< 200", p99 < 200)
    figures.add("postgres_close_others", len(spent), "commands")


def main() -> int:
    """Measure both engines and the peers."""
    options = read_options(
        "deadlines due at one instant, beside raw statements, APScheduler and procrastinate"
    )
    figures = Figures()
    peers = options.pick(quick=300, normal=10_000, full=10_000)
    for name in ("sqlite", "postgres"):
        with engines((name,)) as urls:
            run(measure(name, urls[name], options, figures))
    ours = figures.value("postgres_per_s")
    with engines(("postgres",)) as urls:
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
