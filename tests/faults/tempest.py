"""A tempest: many deadlines fall at once while nodes die, freeze, jump in time, lose database, disk and receivers.

All that is drawn follows from a seed; the machine's own timing does not. Afterwards the log, read by a fold of its
own, is held against the rows, the outbox, what receivers got and `verify`: what was lost, doubled, and how late.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import signal
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import msgspec
from sqlalchemy import Executable, delete, func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.domain import commands as c
from dispatcher.domain.library import Library
from dispatcher.domain.product import LiandongProduct
from dispatcher.domain.stream import LIVE, DeadlineState, Submission
from dispatcher.domain.values import Personal
from dispatcher.runtime.clock import SystemClock, jitter, new_id
from dispatcher.runtime.hands import Hands
from dispatcher.store.database import Database
from dispatcher.store.tables import Table
from dispatcher.store.verify import verify
from dispatcher.store.writer import Writer
from dispatcher.wiring import CODEC
from tests.faults.mother import VAULT, Order, library_of
from tests.faults.storm import hasty_policy
from tests.support.cases import KNIFE, LAMP
from tests.support.databases import OWNER, TEMPLATE, Cluster
from tests.support.library import AGENT, HOTLINE

PATIENCE = 60.0
"""Seconds after which what has not come to rest never will."""
TOP = Path(__file__).resolve().parents[2]
CASES = 160
LIMIT = timedelta(seconds=2)
"""From registration to the limit that makes the storm."""

_NEVER = datetime.max.replace(tzinfo=UTC)
_deadline, _stream, _outbox = (Table.metadata.tables[name] for name in ("deadline", "stream", "outbox"))

ON_POSTGRES = ("kill-half", "die", "freeze", "jump", "restart", "poison", "deleted", "slow", "dead", "full")
ON_SQLITE = ("kill", "die", "freeze", "poison", "deleted", "slow", "dead", "full")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one run. ``late_ms``: from the limit to the commit, of those that nobody had tampered with."""

    seed: int
    engine: str
    faults: tuple[str, ...]
    fired: int
    lost: int
    doubled: int
    late_ms: int
    wrong: tuple[str, ...]


class Mother:
    """The process that nodes are forked from, and the policy that all of them decide by."""

    def __init__(self, folder: Path) -> None:
        self.policy = hasty_policy(folder / "hasty", {"assign": f"{LIMIT.total_seconds():.0f}s"})
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.mother", str(self.policy)],
            cwd=TOP,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        assert self._out.readline() == b"ready\n"
        self.library = _library(self.policy)

    def bear(self, order: Order) -> int:
        """Fork a node; its pid."""
        self._in.write(msgspec.json.encode(order) + b"\n")
        self._in.flush()
        return int(self._out.readline())

    def close(self) -> None:
        """Nodes see that she is gone, and go."""
        self._in.close()
        self._process.wait(20)
        self._out.close()


@cache
def _library(policy: Path) -> Library:
    return library_of(policy)


class Tempest:
    """One run.

    Args:
        chosen: faults instead of drawn ones.
        disk: the small disk on which the database lies, or None.
    """

    def __init__(
        self,
        mother: Mother,
        url: str,
        folder: Path,
        seed: int,
        *,
        postgres: Cluster | None = None,
        chosen: Sequence[str] = (),
        disk: Path | None = None,
        cases: int = CASES,
    ) -> None:
        self._mother = mother
        self._url = url
        self._folder = folder
        self._seed = seed
        self._postgres = postgres
        self._disk = disk
        self._cases = cases
        self._chance = jitter(seed)
        self._pids: dict[str, int] = {}
        self._nodes: list[str] = []
        self._ends: dict[str, str] = {}
        self.poisoned: set[UUID] = set()
        self.touched: set[UUID] = set()
        self.storm = self.over = Hands().wall()
        kinds = ON_POSTGRES if postgres else ON_SQLITE
        drawn = [kind for kind in kinds if kind != "full" or disk is not None]
        self.faults = tuple(chosen) or tuple(
            dict.fromkeys(drawn[int(self._chance() * len(drawn))] for _ in range(3))
        )

    # nodes

    def _bear(self, *, end: str = "", receiver: str = "") -> str:
        name = f"node-{len(self._nodes)}"
        (self._folder / f"{name}.hands").write_bytes(struct.pack("d", 0.0))
        if not receiver:
            receiver = next((kind for kind in ("dead", "slow") if kind in self.faults), "well")
        order = Order(
            name=name,
            url=self._url,
            folder=str(self._folder),
            storm=self.storm,
            end=end,
            at=1 + int(self._chance() * 24),
            answered=self._chance() < 0.5,
            receiver=receiver,
            seed=self._seed * 100 + len(self._nodes),
        )
        self._nodes.append(name)
        self._pids[name] = self._mother.bear(order)
        return name

    def _alive(self, name: str) -> bool:
        try:
            os.kill(self._pids[name], 0)
        except ProcessLookupError:
            return False
        return True

    def _signal(self, name: str, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pids[name], number)

    # the run

    async def run(self) -> Result:
        """Everything, from the first node to the account."""
        database = Database(self._url, pool=1)
        try:
            await self._register(database)
            ending = [kind for kind in self.faults if kind in ("die", "freeze")]
            count = 2 + int(self._chance() * 3) if self._postgres else 1
            for kind in ending[:count]:
                self._ends[kind] = self._bear(end={"die": "kill", "freeze": "stop"}[kind])
            while len(self._nodes) < count:
                self._bear()
            await asyncio.gather(*(self._do(kind, database) for kind in self.faults))
            (self._folder / "healed").touch()
            if not any(self._alive(name) for name in self._nodes):
                self._bear()
            await _until(lambda: self._at_rest(database), "nothing came to rest")
            wrong = await self._end()
            return await self._account(database, wrong)
        finally:
            for name in self._nodes:
                self._signal(name, signal.SIGKILL)
            await database.close()

    async def _register(self, database: Database) -> None:
        """Register the cases; the storm begins when the first of them falls due."""
        clock = SystemClock(reference=database.now if database.is_postgres else None)
        await clock.refresh()
        self.storm = clock.now() + LIMIT
        async with Writer(database, LiandongProduct(self._mother.library), clock, VAULT) as writer:
            await asyncio.gather(*(writer.submit(self._call(n)) for n in range(self._cases)))
        self.over = clock.now() + LIMIT

    def _call(self, n: int) -> Submission:
        command = c.RegisterCase(
            case=self._case(n),
            platform=HOTLINE,
            number=f"{HOTLINE}-2026-{n:06d}",
            words=KNIFE if n % 20 == 19 else LAMP,
            division="630102",
            personal=Personal(caller="13900000000", name="测试"),
        )
        return Submission(message_id=new_id(), command=command, actor=AGENT)

    def _case(self, n: int) -> UUID:
        return uuid5(UUID(int=self._seed), f"case/{n}")

    async def _sleep(self, low: float, high: float) -> None:
        await asyncio.sleep(low + (high - low) * self._chance())

    async def _do(self, kind: str, database: Database) -> None:
        """One fault, from its instant to its end."""
        if kind not in ("poison", "deleted"):
            before = 0.3 if kind == "full" else 0.0
            await asyncio.sleep(max(0.0, (self.storm - Hands().wall()).total_seconds() - before))
        match kind:
            case "kill-half":
                await self._sleep(0.0, 1.0)
                for name in self._nodes[-max(1, len(self._nodes) // 2) :]:
                    self._signal(name, signal.SIGKILL)
            case "kill":
                await self._sleep(0.0, 0.7)
                self._signal(self._nodes[0], signal.SIGKILL)
                await self._sleep(0.0, 0.5)
                self._bear()
            case "die":
                await self._sleep(1.5, 2.5)
            case "freeze" if kind in self._ends:
                await asyncio.sleep(3.5)
                self._signal(self._ends[kind], signal.SIGCONT)
            case "jump":
                name = self._nodes[0]
                self._set(name, 3600.0 if self._chance() < 0.5 else -3600.0)
                await self._sleep(1.0, 2.5)
                if self._chance() < 0.5:
                    self._set(name, 0.0)
            case "restart":
                assert self._postgres is not None
                await self._sleep(0.0, 0.7)
                await asyncio.to_thread(self._postgres.crash)
                await self._sleep(0.2, 1.0)
                self._postgres.start()
            case "poison":
                case_ = self._drawn()
                self.poisoned.add(case_)
                await self._meddle(
                    database, update(_stream).where(_stream.c.id == case_).values(state=b"\x00")
                )
            case "deleted":
                await self._sleep(0.0, 2.5)
                for case_ in (self._drawn(), self._drawn()):
                    self.touched.add(case_)
                    live = _deadline.c.state == DeadlineState.ARMED.value
                    await self._meddle(
                        database, delete(_deadline).where(_deadline.c.stream_id == case_, live)
                    )
            case "full":
                await self._sleep(0.0, 0.4)
                await self._fill()
            case _:
                await self._sleep(1.0, 2.0)

    def _drawn(self) -> UUID:
        return self._case(int(self._chance() * self._cases))

    def _set(self, name: str, seconds: float) -> None:
        """Set a node's wall clock off."""
        with (self._folder / f"{name}.hands").open("r+b") as hands:
            hands.write(struct.pack("d", seconds))

    async def _meddle(self, database: Database, statement: Executable) -> None:
        """A hand in the database; it insists, while others lock the row or the database is away."""

        async def tried() -> bool:
            try:
                async with database.writing() as connection:
                    await connection.execute(statement)
            except (DBAPIError, OSError):
                return False
            return True

        await _until(tried, "the hand never got its row")

    async def _fill(self) -> None:
        """Fill the disk to the last byte for a while."""
        assert self._disk is not None
        ballast = self._disk / "ballast"
        with ballast.open("wb", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass
        await asyncio.sleep(1.5)
        ballast.unlink()

    async def _at_rest(self, database: Database) -> bool:
        """Nothing is due by the log, every row is there again, and nothing waits to be sent."""
        try:
            log = await self._log(database)
            if log.armed(self.over, but=self.poisoned):
                return False
            async with database.looking() as connection:
                rows = select(_deadline.c.stream_id).where(_deadline.c.state.in_(LIVE))
                live = [one for (one,) in (await connection.execute(rows)).all() if one not in self.poisoned]
                if len(live) != len(log.armed(_NEVER, but=self.poisoned)):
                    return False
                ready = select(func.count()).select_from(_outbox).where(_outbox.c.state != "sent")
                return not (await connection.execute(ready)).scalar_one()
        except (DBAPIError, OSError):
            return False

    async def _end(self) -> list[str]:
        """SIGTERM to all that live; who did not end."""
        for name in self._nodes:
            self._signal(name, signal.SIGCONT)
            self._signal(name, signal.SIGTERM)
        try:
            await _until(lambda: not any(map(self._alive, self._nodes)), "a node did not end")
        except AssertionError as err:
            return [str(err)]
        return []

    # the account

    async def _log(self, database: Database) -> _Log:
        event = Table.metadata.tables["event"]
        asked = select(event.c.stream_id, event.c.at, event.c.kind, event.c.body).order_by(event.c.position)
        log = _Log()
        async with database.looking() as connection:
            for stream, at, kind, body in (await connection.execute(asked)).all():
                log.take(stream, at, kind, json.loads(body))
        return log

    async def _account(self, database: Database, wrong: list[str]) -> Result:
        log = await self._log(database)
        lost = log.armed(self.over, but=self.poisoned)
        doubled = [f"{key} fired {n} times" for key, n in log.reached.items() if n > 1]
        wrong += [f"fired before its instant: {key}" for key in log.early]
        if log.registered != self._cases:
            wrong.append(f"{log.registered} of {self._cases} cases are registered")
        async with database.looking() as connection:
            due = select(_deadline.c.stream_id).where(
                _deadline.c.state.in_(LIVE), _deadline.c.due < self.over
            )
            lost += [
                f"live row of {stream}"
                for (stream,) in (await connection.execute(due)).all()
                if stream not in self.poisoned
            ]
            aside = select(_deadline.c.stream_id).where(_deadline.c.state == DeadlineState.QUARANTINED.value)
            wrong += [
                f"set aside without a cause: {stream}"
                for (stream,) in (await connection.execute(aside)).all()
                if stream not in self.poisoned
            ]
            letters = (
                await connection.execute(
                    select(
                        _outbox.c.key, _outbox.c.stream_id, _outbox.c.receiver, _outbox.c.kind, _outbox.c.body
                    )
                )
            ).all()
            late = await self._lateness(connection, log)
        planned = Counter((str(s), receiver, kind, bytes(body)) for _, s, receiver, kind, body in letters)
        doubled += [f"{what[:3]} was planned {n} times" for what, n in planned.items() if n > 1]
        wrong += self._receipts({str(key) for key, *_ in letters})
        proved = await verify(database, LiandongProduct(self._mother.library), CODEC)
        wrong += [
            f"verify: {fault}"
            for fault in proved.faults
            if UUID(fault.stream or str(UUID(int=0))) not in self.poisoned
        ]
        return Result(
            seed=self._seed,
            engine="postgres" if database.is_postgres else "sqlite",
            faults=self.faults,
            fired=sum(log.reached.values()),
            lost=len(lost),
            doubled=len(doubled),
            late_ms=round(late.total_seconds() * 1000),
            wrong=tuple((*lost, *doubled, *wrong)[:20]),
        )

    def _receipts(self, keys: set[str]) -> list[str]:
        received: dict[str, str] = {}
        wrong = []
        file = self._folder / "received"
        for line in file.read_bytes().splitlines() if file.exists() else ():
            key, content = json.loads(line)
            if received.setdefault(key, content) != content:
                wrong.append(f"key {key} came with two contents")
        if received.keys() != keys:
            wrong.append(f"{len(keys)} effects were planned, {len(received)} were received")
        return wrong

    async def _lateness(self, connection: AsyncConnection, log: _Log) -> timedelta:
        """From the instant to the commit on PostgreSQL (which keeps its time), else to the event."""
        spared = self.poisoned | self.touched
        if self._postgres is None:
            return max((late for stream, late in log.late if stream not in spared), default=timedelta())
        asked = text(
            "SELECT stream_id, pg_xact_commit_timestamp(xmin) - due FROM deadline WHERE state = 'fired'"
        )
        rows: Sequence[Any] = (await connection.execute(asked)).all()
        return max((late for stream, late in rows if stream not in spared), default=timedelta())


class _Log:
    """A fold of its own: which milestones are armed, and which fired."""

    def __init__(self) -> None:
        self._armed: dict[tuple[UUID, str], dict[str, datetime]] = {}
        self.reached: Counter[tuple[str, str, str, str]] = Counter()
        self.early: list[str] = []
        self.late: list[tuple[UUID, timedelta]] = []
        self.registered = 0

    def take(self, stream: UUID, at: datetime, kind: str, body: dict[str, Any]) -> None:
        """One event."""
        if kind == "case-registered.1":
            self.registered += 1
        elif kind == "clocks-set.1":
            for run in body["runs"]:
                self._armed[stream, run["clock"]] = _armed(run.get("armed", ()))
        elif kind == "milestone-reached.1":
            due = datetime.fromisoformat(body["due"])
            self.reached[str(stream), body["clock"], body["milestone"], body["due"]] += 1
            self.late.append((stream, at - due))
            if at <= due:
                self.early.append(f"{stream} {body['clock']}/{body['milestone']}")
            armed = self._armed[stream, body["clock"]]
            armed.pop(body["milestone"], None)
            armed.update(_armed(body.get("next", ())))

    def armed(self, before: datetime, *, but: set[UUID]) -> list[str]:
        """What should have fired before an instant, and did not."""
        return [
            f"{stream} {clock}/{milestone} of {due.isoformat()}"
            for (stream, clock), armed in self._armed.items()
            if stream not in but
            for milestone, due in armed.items()
            if due < before
        ]


def _armed(listed: Sequence[dict[str, str]]) -> dict[str, datetime]:
    return {one["milestone"]: datetime.fromisoformat(one["due"]) for one in listed}


async def _until(good: Callable[[], bool | Awaitable[bool]], words: str) -> None:
    end = asyncio.get_running_loop().time() + PATIENCE
    while True:
        found = good()
        if found if isinstance(found, bool) else await found:
            return
        assert asyncio.get_running_loop().time() < end, words
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def database_on(postgres: Cluster, disk: Path) -> AsyncIterator[str]:
    """A PostgreSQL database whose tables lie on a disk; the server's own log does not. Yields its URL."""
    space = disk / "space"
    space.mkdir()
    if os.geteuid() == 0:  # the server runs as nobody then
        nobody = pwd.getpwnam("nobody")
        os.chown(space, nobody.pw_uid, nobody.pw_gid)
    name = f"on_{space.parent.name.replace('-', '_')}"
    await postgres.execute(
        f"CREATE TABLESPACE {name} LOCATION '{space}'",
        f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER {OWNER} TABLESPACE {name}",
    )
    try:
        yield postgres.url(name)
    finally:
        await postgres.execute(f"DROP DATABASE {name} WITH (FORCE)", f"DROP TABLESPACE {name}")


@contextlib.contextmanager
def small_disk(megabytes: int = 32) -> Iterator[Path]:
    """A disk of its own that can be filled (tmpfs), in a folder that everybody may enter.

    Raises:
        PermissionError: nothing may be mounted here.
    """
    folder = Path(tempfile.mkdtemp(prefix="liandong-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        folder.rmdir()
        raise PermissionError(mounted.stderr.strip() or "mount failed")
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()
