"""A process that has loaded everything once and is forked for each node of a tempest: `python -m tests.faults.mother DIR`.

A node is what fires deadlines in `liandong serve`, without HTTP: writer, sweep, relay, auditor, on the system clock
with hands that the tempest may set. It can be told to kill or stop itself at its n-th statement of the storm.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
import signal
import sqlite3
import struct
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from dispatcher.domain.failures import failure_of
from dispatcher.domain.library import Library
from dispatcher.domain.product import LiandongProduct
from dispatcher.ports import Delivery, TryLater
from dispatcher.releases import build_library
from dispatcher.runtime.auditor import Auditor
from dispatcher.runtime.clock import SystemClock, jitter
from dispatcher.runtime.feed import Feed
from dispatcher.runtime.hands import Hands
from dispatcher.runtime.logs import start_logging
from dispatcher.runtime.relay import Patience, Relay
from dispatcher.runtime.switch import FileSwitch, Switches
from dispatcher.runtime.telemetry import Telemetry
from dispatcher.runtime.timers import Sweep
from dispatcher.settings import load_settings
from dispatcher.store import codec
from dispatcher.store.database import Database
from dispatcher.store.errors import Unavailable
from dispatcher.store.expectations import Ledger
from dispatcher.store.leases import Leases
from dispatcher.store.listen import Listener
from dispatcher.store.outbox import Outbox
from dispatcher.store.rows import BatchSeen
from dispatcher.store.vault import Vault
from dispatcher.store.writer import Writer
from dispatcher.wiring import CODEC, EFFECTS
from tests.faults.storm import CACHE

VAULT = Vault(b"the master key of a tempest".ljust(32, b"."))
SWEEP_LIMIT = 25
"""So few in one transaction that a storm of some hundreds is many transactions."""
ROUND = timedelta(seconds=0.5)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a node is to be. Paths are those of the tempest's folder; ``storm`` begins the count of statements.

    ``end``: "" or at the ``at``-th statement "kill" or "stop" itself, before it is said or after its answer.
    ``receiver``: "well", "slow" (slower than an attempt may take, now and then) or "dead" until the file ``healed``.
    """

    name: str
    url: str
    folder: str
    storm: datetime
    end: str = ""
    at: int = 0
    answered: bool = False
    receiver: str = "well"
    seed: int = 1


class SetHands(Hands):
    """The machine's clocks, the wall clock off by what the tempest wrote into a file."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._off = mmap.mmap(file.fileno(), 8)

    def wall(self) -> datetime:
        return super().wall() + timedelta(seconds=struct.unpack("d", self._off[:8])[0])


class Noted:
    """A receiver of everything: notes each delivery in a file that all nodes share."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._chance = jitter(order.seed)
        self._file = os.open(f"{order.folder}/received", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._healed = Path(order.folder) / "healed"

    async def deliver(self, delivery: Delivery) -> None:
        """Takes it, late or not at all."""
        sick = not self._healed.exists()
        if sick and self._order.receiver == "dead":
            raise TryLater("nobody there")
        line = msgspec.json.encode([str(delivery.key), codec.encode(delivery.effect).decode()]) + b"\n"
        os.write(self._file, line)
        if sick and self._order.receiver == "slow" and self._chance() < 0.5:
            await asyncio.sleep(5)  # it was taken, and the answer comes too late


def _count(order: Order) -> Callable[[bool], None]:
    said = [0]

    def one(answered: bool) -> None:
        if answered == order.answered and Hands().wall() >= order.storm:
            said[0] += 1
            if said[0] == order.at:
                os.kill(os.getpid(), signal.SIGKILL if order.end == "kill" else signal.SIGSTOP)

    return one


def _watch(order: Order) -> None:
    """Count statements of both drivers, in this process only."""
    one = _count(order)
    for method in ("execute", "fetch", "fetchval"):
        plain = getattr(asyncpg.Connection, method)

        def watched(plain: Any) -> Any:
            async def saying(*words: Any, **more: Any) -> Any:
                one(False)
                found = await plain(*words, **more)
                one(True)
                return found

            return saying

        setattr(asyncpg.Connection, method, watched(plain))
    connect = sqlite3.connect

    def traced(*words: Any, **more: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = connect(*words, **more)
        made.set_trace_callback(lambda _: one(order.answered))
        return made

    sqlite3.connect = traced  # type: ignore[assignment]


async def node(order: Order, library: Library) -> None:
    """Runs until SIGTERM, or until the mother is gone."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    folder = Path(order.folder)
    database, telemetry = Database(order.url, pool=2), Telemetry()
    clock = SystemClock(
        reference=database.now if database.is_postgres else None,
        agreement=timedelta(seconds=1),
        hands=SetHands(folder / f"{order.name}.hands"),
    )
    listener = Listener(database)
    writer = Writer(database, LiandongProduct(library), clock, VAULT, observe=lambda seen: committed(seen))
    sweep = Sweep(writer, clock, telemetry, limit=SWEEP_LIMIT, look_ahead=timedelta(seconds=1))
    relay = Relay(
        Outbox(database, CODEC),
        dict.fromkeys(EFFECTS, Noted(order)),
        writer,
        clock,
        telemetry,
        failure_of=lambda delivery, why: failure_of(delivery.key, delivery.effect, why),
        patience=Patience(
            attempt=timedelta(seconds=0.5),
            backoff=timedelta(seconds=0.1),
            cap=timedelta(seconds=1),
            total=timedelta(hours=6),
        ),
        lanes=32,
        look_ahead=timedelta(seconds=1),
        chance=jitter(order.seed),
    )

    def committed(seen: BatchSeen) -> None:
        if seen.events:
            listener.hint()
            relay.committed()
            sweep.committed()

    auditor = Auditor(
        Ledger(database),
        writer,
        Leases(database, order.name),
        clock,
        telemetry,
        Switches((FileSwitch(folder / "alive"),), timedelta()),
        every=ROUND,
        grace=timedelta(seconds=4),
        holds=timedelta(seconds=2),
    )

    async def audit() -> None:
        while not ended.is_set():
            try:
                await auditor.once()
            except Exception as error:
                logging.getLogger("tempest").warning("a round of the auditor failed", exc_info=error)
            await asyncio.sleep(ROUND.total_seconds())

    mother = os.getppid()
    while True:
        try:
            await clock.refresh()
            await writer.start()
            break
        except (OSError, Unavailable):
            await asyncio.sleep(0.1)
    await listener.__aenter__()
    feed = Feed(listener.beyond, telemetry, sweep.committed)
    feed.start()
    beside = [asyncio.create_task(work) for work in (clock.run(), audit())]
    sweep.start()
    relay.start()
    (folder / f"{order.name}.up").touch()
    while not ended.is_set() and os.getppid() == mother:
        try:
            async with asyncio.timeout(0.2):
                await ended.wait()
        except TimeoutError:
            continue
    await feed.stop()
    await sweep.stop()
    await relay.stop(timedelta(seconds=5))
    for task in beside:
        task.cancel()
    await asyncio.gather(*beside, return_exceptions=True)
    await writer.close()
    await listener.__aexit__()
    await database.close()


def library_of(policy: Path) -> Library:
    """Everything packaged, under another policy."""
    chosen = {"LIANDONG_DATA_POLICY": str(policy), "LIANDONG_DATA_CACHE": str(CACHE)}
    return build_library(load_settings(None, chosen, folder=policy).data, "630000")


def main() -> None:
    """Forks a node for each order on standard input; answers its pid."""
    library = library_of(Path(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        order = msgspec.json.decode(line, type=Order)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                sys.stdin.close()
                log = os.open(f"{order.folder}/{order.name}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                os.dup2(log, 1)
                os.dup2(log, 2)
                start_logging("info")
                if order.end:
                    _watch(order)
                asyncio.run(node(order, library))
                code = 0
            finally:
                os._exit(code)
        print(pid, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
