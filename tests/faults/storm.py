"""A real node under load that is killed, frozen or stopped, started again, and called to account at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import aiohttp
from aiohttp import web

from dispatcher.domain.stream import Actor, Role
from dispatcher.runtime.clock import jitter
from dispatcher.runtime.hands import Hands
from dispatcher.store.accounts import Accounts
from dispatcher.store.database import Database
from tests.runtime.nodes import environment
from tests.support.cases import HEATING, KNIFE, LAMP, LIGHTING, UNCLEAR
from tests.support.library import HOTLINE, clerk

SENDERS = 8
AGENT = Actor(
    id="storm-agent", roles=(Role.AGENT_12345, Role.SQUAD_LEADER), platform=HOTLINE, division="630100"
)
CLERK = clerk(LIGHTING)
SHORT = {"assign": "2s", "sign": "1s", "transfer": "4s", "return": "3s"}
"""Limits of a policy under which deadlines fall due while the storm lasts."""

# Lists are compiled once for all storms: how long a first start takes is not what is tried here.
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "liandong"
CALM = 15
"""Looks, a fifth of a second apart, at which nothing may have changed."""
PATIENCE = 180.0
"""Seconds until something that must happen is given up as not happening."""

_LIMIT = re.compile(r"^  (working_days = \d+|natural = .*|target_days = .*|amber_days_left = .*)\n", re.M)


def hasty_policy(folder: Path, short: Mapping[str, str] = SHORT) -> Path:
    """The shipped policy with some limits of seconds instead of working days."""
    shutil.copytree(str(resources.files("routing_rules").joinpath("data", "policy")), folder)
    path = folder / "qinghai.toml"
    clocks = path.read_text().split("[[clock]]\n")
    for n, one in enumerate(clocks):
        found = re.match(r'id = "([a-z-]+)"', one)
        if found and found[1] in short:
            limits = one.split("  [[clock.limit]]\n")
            rest = [f'  natural = "{short[found[1]]}"\n' + _LIMIT.sub("", each) for each in limits[1:]]
            clocks[n] = "  [[clock.limit]]\n".join([limits[0], *rest])
    path.write_text("[[clock]]\n".join(clocks))
    return folder


class Receiver:
    """A webhook that honours keys, and is not always well: it forgets to answer, or says that it cannot now."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self.taken: dict[UUID, dict[str, Any]] = {}
        self.faults: list[str] = []

    async def hook(self, request: web.Request) -> web.Response:
        """Takes a notice."""
        body = await request.json()
        key = UUID(request.headers["Idempotency-Key"])
        luck = self._chance()
        if luck < 0.05:
            return web.Response(status=503)
        content = {name: body[name] for name in ("key", "kind", "case", "template", "to", "level")}
        known = self.taken.setdefault(key, content)
        if known != content:
            self.faults.append(f"key {key} came with two contents: {known} and {content}")
        if luck < 0.10 and request.transport is not None:
            request.transport.abort()  # taken, but the answer is lost
        return web.Response()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listens on a free port; yields the address."""
        app = web.Application()
        app.add_routes([web.post("/hook", self.hook)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        finally:
            await runner.cleanup()


class Life:
    """One process of a node."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self.log = log

    async def ready(self) -> None:
        """It says its address."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await self.process.stdout.readline()
        assert line.startswith(b"Open "), f"the node did not start: {self.log.read_text()[-2000:]}"

    async def kill(self) -> None:
        """kill -9."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def end(self) -> int:
        """SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()

    def errors(self) -> list[str]:
        """What it logged as an error."""
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [str(line.get("words")) for line in lines if line.get("level") == "error"]


@dataclass
class Books:
    """What senders know: every request with its definite answer."""

    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    requests: dict[str, tuple[str, dict[str, Any], str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    repeats: int = 0

    @property
    def registered(self) -> int:
        """How many cases the desk was told are registered."""
        return sum(status == 201 for status, _ in self.answers.values())


class Storm:
    """Nodes over one database, senders that never give up, a receiver, and the clock of chance.

    Args:
        seed: everything that is drawn follows from it; the machine's own timing does not.
    """

    def __init__(self, url: str, folder: Path, seed: int) -> None:
        self.url = url
        self.folder = folder
        self.chance = jitter(seed)
        self.receiver = Receiver(jitter(seed + 1))
        self.books = Books()
        self.lives: list[Life] = []
        self._ports = [_free_port(), _free_port()]
        self._stopping = asyncio.Event()
        self._tokens: dict[str, str] = {}
        self._settings: dict[str, str] = {}

    @contextlib.asynccontextmanager
    async def blowing(self) -> AsyncIterator[Storm]:
        """Accounts are made and the receiver listens; at the end no process is left."""
        policy = hasty_policy(self.folder / "policy")
        database = Database(self.url)
        accounts = Accounts(database)
        now = Hands().wall()
        for actor in (AGENT, CLERK):
            await accounts.put(actor, actor.id, now)
            self._tokens[actor.id] = await accounts.new_token(actor.id, "storm", now)
        await database.close()
        async with self.receiver.listening() as hook:
            self._settings = {
                "LIANDONG_DATABASE_URL": self.url,
                "LIANDONG_DATA_POLICY": str(policy),
                "LIANDONG_DATA_CACHE": str(CACHE),
                "PYTHONDONTWRITEBYTECODE": "",
                "LIANDONG_NOTICES_WEBHOOK_URL": hook,
                "LIANDONG_RUNTIME_RELAY_ATTEMPT": "1s",
                "LIANDONG_RUNTIME_RELAY_BACKOFF": "100ms",
                "LIANDONG_RUNTIME_LOOK_AHEAD": "1s",
                "LIANDONG_RUNTIME_CLOCK_TOLERANCE": "30s",
            }
            try:
                yield self
            finally:
                self._stopping.set()
                for life in self.lives:
                    await life.kill()

    async def start(self, node: int = 0) -> Life:
        """Start a node; it is not ready yet."""
        log = self.folder / f"life-{len(self.lives)}.jsonl"
        with log.open("wb") as errors:
            process = await self._run(["serve"], errors, LIANDONG_HTTP_PORT=str(self._ports[node]))
        life = Life(process, log)
        self.lives.append(life)
        return life

    async def verify(self) -> list[str]:
        """What `liandong verify` says against it."""
        process = await self._run(["verify", "--json"], asyncio.subprocess.PIPE)
        out, err = await process.communicate()
        return [] if process.returncode == 0 else [f"verify: {out.decode()[-2000:]}{err.decode()[-2000:]}"]

    async def _run(
        self, words: list[str], errors: IO[bytes] | int, **more: str
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "dispatcher",
            *words,
            cwd=self.folder,
            env=environment(self.folder, **self._settings, **more),
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )

    # senders

    @contextlib.asynccontextmanager
    async def senders(self, count: int = SENDERS) -> AsyncIterator[None]:
        """Senders at work inside the block; at its end each finishes what it has begun."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            working = [asyncio.create_task(self._sender(session, n)) for n in range(count)]
            try:
                yield
            finally:
                self._stopping.set()
                async with asyncio.timeout(PATIENCE):
                    await asyncio.gather(*working)

    async def _sender(self, session: aiohttp.ClientSession, n: int) -> None:
        job = 0
        while not self._stopping.is_set():
            job += 1
            await self._job(session, f"{n}-{job}")

    async def _job(self, session: aiohttp.ClientSession, name: str) -> None:
        """A case from its call on, as far as chance takes it."""
        words = (LAMP, LAMP, HEATING, KNIFE, UNCLEAR)[int(self.chance() * 5)]
        body = {
            "words": words,
            "division": "630102",
            "personal": {"caller": "13900000000", "name": "测试"},
        }
        status, answer = await self._insist(session, f"{name}-call", "calls", body, AGENT.id)
        if status != 201:
            return
        case = json.loads(answer)["case"]
        steps: tuple[tuple[str, dict[str, Any], str], ...] = (
            ("assign-case", {"lead": LIGHTING}, AGENT.id),
            ("sign-for", {}, CLERK.id),
            ("reply-case", {"words": "已经修好。", "result": "solved"}, CLERK.id),
        )
        for step, body, who in steps:
            if self.chance() < 0.2:
                return
            status, _ = await self._insist(session, f"{name}-{step}", f"cases/{case}/{step}", body, who)
            if status != 200:
                return

    async def _insist(
        self, session: aiohttp.ClientSession, key: str, path: str, body: dict[str, Any], who: str
    ) -> tuple[int, str]:
        """Ask until there is a definite answer, at whichever node answers."""
        self.books.requests[key] = (path, body, who)
        attempt = 0
        while True:
            port = self._ports[attempt % len(self._ports)]
            attempt += 1
            try:
                status, answer, _ = await self._post(session, port, key, path, body, who)
            except (aiohttp.ClientError, OSError, TimeoutError):
                await asyncio.sleep(0.02)
                continue
            if status in (408, 425, 429) or status >= 500:
                if status == 500:
                    self.books.faults.append(f"{key}: {status} {answer[:300]}")
                await asyncio.sleep(0.05)
                continue
            break
        self.books.repeats += attempt > 1
        self.books.answers[key] = (status, answer)
        if status not in (200, 201) and (status != 409 or "key-reused" in answer):
            self.books.faults.append(f"{key}: {status} {answer[:300]}")
        return status, answer

    async def _post(
        self, session: aiohttp.ClientSession, port: int, key: str, path: str, body: dict[str, Any], who: str
    ) -> tuple[int, str, bool]:
        headers = {"Authorization": f"Bearer {self._tokens[who]}", "Idempotency-Key": key}
        async with session.post(
            f"http://127.0.0.1:{port}/api/v1/{path}", json=body, headers=headers
        ) as answer:
            return answer.status, await answer.text(), "Idempotent-Replay" in answer.headers

    async def ask_again(self) -> list[str]:
        """Every acknowledged command, sent once more: the same answer, and nothing happens."""
        faults = []
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            for key, (status, answer) in self.books.answers.items():
                if status not in (200, 201):
                    continue
                again = await self._post(session, self._ports[0], key, *self.books.requests[key])
                if again != (status, answer, True):
                    faults.append(f"{key}: acknowledged with {status} {answer[:200]}, now {again}")
        return faults

    def stop_senders(self) -> None:
        """No sender begins anything new."""
        self._stopping.set()

    async def pass_time(self, low: float, high: float) -> None:
        """Let a drawn number of seconds pass: the instant of a kill is part of what is tried."""
        await asyncio.sleep(low + (high - low) * self.chance())


async def account(storm: Storm) -> list[str]:
    """Everything that is wrong in the database at the end, when nothing is under way any more."""
    database = Database(storm.url)
    faults: list[str] = []

    async def ask(statement: str) -> list[Any]:
        async with database.looking() as connection:
            return list((await connection.exec_driver_sql(statement)).all())

    try:
        registered = [
            row[0]
            for row in await ask(
                f"SELECT stream_id FROM event WHERE kind = 'case-registered.1' AND by = '{AGENT.id}'"
            )
        ]
        if len(registered) != storm.books.registered or len(set(registered)) != len(registered):
            faults.append(f"{storm.books.registered} were acknowledged, {len(registered)} are registered")
        reached = Counter(
            (str(row[0]), said["clock"], said["milestone"])
            for row in await ask("SELECT stream_id, body FROM event WHERE kind = 'milestone-reached.1'")
            for said in [json.loads(row[1])]
        )
        fired = [
            (str(row[0]), row[1], row[2])
            for row in await ask("SELECT stream_id, clock, milestone FROM deadline WHERE state = 'fired'")
        ]
        faults += [f"{one} fired {n} times" for one, n in reached.items() if n > 1]
        faults += [f"{one} is fired and nothing tells of it" for one in fired if not reached[one]]
        if not fired:
            faults.append("no deadline fell due: the storm proves nothing of them")
        outbox = await ask("SELECT key, stream_id, receiver, kind, body, state, last_error FROM outbox")
        for content, n in Counter((str(r[1]), r[2], r[3], bytes(r[4])) for r in outbox).items():
            if n > 1:
                faults.append(f"{content} was planned {n} times")
        faults += [f"{row[3]} {row[0]} is {row[5]}: {row[6]}" for row in outbox if row[5] != "sent"]
        posted = {_uuid(row[0]) for row in outbox if not row[3].startswith(("pass-order", "return-result"))}
        # What a killed node was just sending is not sent any more when its clock has stopped meanwhile, and says so.
        overtaken = {_uuid(row[0]) for row in await ask("SELECT key FROM receipt WHERE state = 'overtaken'")}
        taken = storm.receiver.taken.keys()
        if lost := posted - taken - overtaken:
            faults.append(f"{len(posted)} notices were sent, {len(lost)} of them were not received")
        if unplanned := taken - posted:
            faults.append(f"{len(unplanned)} notices were received that nobody planned")
        if not posted:
            faults.append("nothing was sent: the storm proves nothing of effects")
        passed = [row for row in outbox if row[3].startswith("pass-order")]
        taken_over = await ask(
            "SELECT count(*) FROM event WHERE kind = 'case-registered.1' AND by <> 'storm-agent'"
        )
        if taken_over[0][0] != len(passed):
            faults.append(f"{len(passed)} orders were passed on, {taken_over[0][0]} were registered there")
    finally:
        await database.close()
    return faults + storm.receiver.faults + storm.books.faults


async def latest(url: str) -> timedelta:
    """How long after its instant the latest deadline was settled."""
    database = Database(url)
    try:
        async with database.looking() as connection:
            asked = await connection.exec_driver_sql(
                "SELECT at, body FROM event WHERE kind = 'milestone-reached.1'"
            )
            rows: list[Any] = list(asked.all())
        return max(_instant(at) - datetime.fromisoformat(json.loads(body)["due"]) for at, body in rows)
    finally:
        await database.close()


async def quiet(url: str) -> None:
    """Wait until nothing is due, nothing waits to be sent, and nothing more is said for longer than the log's readers
    take to hear of it: what they report starts clocks and notices of its own.
    """
    database = Database(url)
    calm, before = 0, -1
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                now = Hands().wall()
                async with database.looking() as connection:
                    due = (
                        await connection.exec_driver_sql(
                            "SELECT min(due) FROM deadline WHERE state = 'armed'"
                        )
                    ).scalar()
                    ready = (
                        await connection.exec_driver_sql("SELECT count(*) FROM outbox WHERE state = 'ready'")
                    ).scalar()
                    said = (await connection.exec_driver_sql("SELECT value FROM position")).scalar_one()
                at_rest = not ready and (due is None or (_instant(due) - now).total_seconds() > 30)
                calm, before = (calm + 1 if at_rest and said == before else 0), said
                if calm == CALM:
                    return
                await asyncio.sleep(0.2)
    finally:
        await database.close()


def _instant(stored: datetime | str) -> datetime:
    return datetime.fromisoformat(stored).replace(tzinfo=UTC) if isinstance(stored, str) else stored


def _uuid(stored: object) -> UUID:
    return stored if isinstance(stored, UUID) else UUID(str(stored))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


async def settled(storm: Storm, life: Life) -> list[str]:
    """Let everything come to rest, and call everybody to account."""
    await quiet(storm.url)
    faults = await storm.ask_again()
    if (code := await life.end()) != 0:
        faults.append(f"SIGTERM ended with {code}")
    return faults + await storm.verify() + await account(storm)


async def killed(storm: Storm, kills: int) -> list[str]:
    """Kill the node so many times at drawn instants; returns all that is wrong afterwards."""
    async with storm.blowing():
        async with storm.senders():
            for _ in range(kills):
                life = await storm.start()
                if storm.chance() > 0.15:  # else it is killed while it starts
                    await life.ready()
                await storm.pass_time(0.05, 1.5)
                if life.process.returncode is not None:
                    return [f"a node ended by itself: {life.log.read_text()[-2000:]}"]
                await life.kill()
            life = await storm.start()
            await life.ready()
            await storm.pass_time(0.5, 1.0)
            storm.stop_senders()
        faults = await settled(storm, life)
        return faults + [f"logged: {words}" for life in storm.lives for words in life.errors()]
