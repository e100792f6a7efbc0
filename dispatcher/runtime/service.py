"""The service: starts every part in order, says when it listens, drains and stops in the order that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from aiohttp import web

from dispatcher.runtime.auditor import Auditor
from dispatcher.runtime.clock import SystemClock
from dispatcher.runtime.feed import Feed
from dispatcher.runtime.housekeeping import Housekeeping
from dispatcher.runtime.reactor import Line, put_away_reactor, stop_lines
from dispatcher.runtime.relay import Relay
from dispatcher.runtime.telemetry import Telemetry
from dispatcher.runtime.timers import Sweep
from dispatcher.runtime.web import Mount, Readiness, build_root
from dispatcher.settings import Settings

_log = logging.getLogger("liandong.service")

_ANSWER_WITHIN = timedelta(seconds=1)


class Stage(StrEnum):
    """Where the process is in its life."""

    STARTING = "starting"
    SERVING = "serving"
    STOPPING = "stopping"


class Store(Protocol):
    """What the service asks of the store: to be open while it runs, and what the time is. All may be called twice."""

    async def open(self) -> None: ...

    async def drain(self) -> None: ...

    async def close(self) -> None: ...

    async def now(self) -> datetime: ...


async def _nothing() -> None:
    """For adapters that take no calls of their own."""


@dataclass(frozen=True, kw_only=True)
class Attached:
    """An adapter or a set of pages as the service sees it; wiring makes these.

    ``routes`` answer HTTP at the root, ``mounts`` each under its prefix. ``lines`` are Twisted services. ``start`` runs after the store is open, ``stop_taking``
    when the process drains and must return once no new call or message is taken.
    """

    kind: str
    routes: tuple[web.AbstractRouteDef, ...] = ()
    mounts: tuple[Mount, ...] = ()
    lines: tuple[Line, ...] = ()
    start: Callable[[], Awaitable[None]] = _nothing
    stop_taking: Callable[[], Awaitable[None]] = _nothing


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Everything a service runs, built by wiring."""

    store: Store
    clock: SystemClock
    telemetry: Telemetry
    sweep: Sweep
    relay: Relay
    feed: Feed
    housekeeping: Housekeeping
    auditor: Auditor
    attached: tuple[Attached, ...] = ()
    reload: Callable[[], Awaitable[None]] = field(default=_nothing)


class Service:
    """One process of Liandong.

    Start: clock, store, adapters, lines, feed, sweep, relay, alarm clock, and HTTP last. Stop: unready, live streams
    end, nothing new is taken, HTTP ends, sweep and relay finish, the writer drains, lines stop, then the alarm clock,
    and the database is closed last.

    Args:
        listening: a socket that listens already; whoever connected to it meanwhile is answered. None: listen as set.
    """

    def __init__(self, settings: Settings, parts: Parts, *, listening: socket.socket | None = None) -> None:
        self._settings = settings
        self._listening = listening
        self._parts = parts
        self._stage = Stage.STARTING
        self._runner: web.AppRunner | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._reloading = asyncio.Lock()
        self._reloads: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        """Starts everything.

        Returns:
            The address that answers, such as "http://127.0.0.1:8345/".

        Raises:
            OSError: the address cannot be listened on. Whatever the store raises. What was started is stopped.
        """
        try:
            return await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> str:
        parts, http = self._parts, self._settings.http
        await parts.store.open()
        await parts.clock.refresh()
        self._ticking = asyncio.create_task(parts.clock.run(), name="clock")
        for attached in parts.attached:
            await attached.start()
            for line in attached.lines:
                line.startService()
        parts.feed.start()
        parts.sweep.start()
        parts.relay.start()
        parts.housekeeping.start()
        parts.clock.settled = parts.housekeeping.rewind
        root = build_root(
            [route for attached in parts.attached for route in attached.routes],
            [mount for attached in parts.attached for mount in attached.mounts],
            readiness=self.readiness,
            telemetry=parts.telemetry,
            metrics_for=self._settings.telemetry,
            body_limit=http.body_limit,
        )
        self._runner = web.AppRunner(
            root,
            handle_signals=False,
            access_log=None,
            shutdown_timeout=self._settings.runtime.drain.total_seconds(),
        )
        await self._runner.setup()
        if self._listening is not None:
            await web.SockSite(self._runner, self._listening).start()
        else:
            await web.TCPSite(self._runner, http.host, http.port, reuse_address=True).start()
        self._stage = Stage.SERVING
        port: int = self._runner.addresses[0][1]
        return f"http://{_shown(http.host)}:{port}/"

    async def run(self, started: Callable[[str], None]) -> None:
        """Starts, serves until SIGTERM or SIGINT, stops. SIGHUP reads the lists again.

        Args:
            started: told the address once it really answers.
        """
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
        try:
            address = await self.start()
            started(address)
            _log.info("serving", extra={"address": address})
            await ended.wait()
            await self.stop()
            _log.info("stopped")
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    async def stop(self) -> None:
        """Stops everything that was started, in the order that loses nothing. May be called twice."""
        parts, drain = self._parts, self._settings.runtime.drain
        self._stage = Stage.STOPPING
        parts.feed.close()
        await self._step("taking", _all([attached.stop_taking() for attached in parts.attached]))
        if self._runner is not None:
            await self._step("http", self._runner.cleanup())
        await self._step("feed", parts.feed.stop())
        await self._step("sweep", parts.sweep.stop())
        await self._step("relay", parts.relay.stop(drain))
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking
        await self._step("store", parts.store.drain())
        lines = [line for attached in parts.attached for line in attached.lines]
        await self._step("lines", stop_lines(lines))
        parts.housekeeping.stop()
        await self._step("database", parts.store.close())
        await self._step("reactor", put_away_reactor())

    async def _step(self, name: str, work: Awaitable[None]) -> None:
        """One step of stopping. A step that fails is told and does not keep the next ones from being done."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the top: the writer must be drained whatever else fails
            self._parts.telemetry.failure(f"stop {name}")
            _log.error("a part did not stop cleanly", extra={"part": name}, exc_info=error)

    async def readiness(self) -> Readiness:
        """Whether this node should get work now."""
        parts = self._parts
        reasons: list[str] = []
        if self._stage is not Stage.SERVING:
            reasons.append(self._stage.value)
        if not parts.clock.steady:
            reasons.append("clocks part")
        database = await self._database_state()
        if database != "up":
            reasons.append(f"database {database}")
        offset = parts.clock.offset
        return Readiness(
            ready=not reasons,
            stage=self._stage.value,
            reasons=tuple(reasons),
            clock_steady=parts.clock.steady,
            clock_offset_s=round(offset.total_seconds(), 6),
            database=database,
            relay="paused" if parts.relay.is_paused else "running",
            position=parts.feed.position,
            audit=_audit(parts.auditor),
            alarms=parts.auditor.alarms,
        )

    async def _database_state(self) -> str:
        if self._stage is not Stage.SERVING:
            return "not asked"  # a question would open it again
        try:
            async with asyncio.timeout(_ANSWER_WITHIN.total_seconds()):
                await self._parts.store.now()
        except (OSError, TimeoutError):
            return "down"
        return "up"

    async def reload(self) -> bool:
        """Reads lists and calendars again; on a fault the old ones stay in force.

        Returns:
            Whether the new ones were taken.
        """
        async with self._reloading:
            try:
                await self._parts.reload()
            except Exception as error:  # noqa: BLE001 - a bad list must never end the service
                self._parts.telemetry.reloaded(taken=False)
                _log.error(
                    "lists were not taken; the old ones stay in force", extra={"faults": _words(error)}
                )
                return False
            self._parts.telemetry.reloaded(taken=True)
            _log.info("lists were read again")
            return True

    def _reload_soon(self) -> None:
        task = asyncio.get_running_loop().create_task(self._reload_and_forget(), name="reload")
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reload_and_forget(self) -> None:
        await self.reload()


def _audit(auditor: Auditor) -> str:
    account = auditor.account
    if account is None or account.at is None:
        return "not yet"
    return "clean" if account.clean else "missing" if account.missing else "behind"


async def _all(works: Sequence[Awaitable[None]]) -> None:
    await asyncio.gather(*works)


def _shown(host: str) -> str:
    """A host that a browser on this machine can open."""
    if host in ("0.0.0.0", "::", ""):  # listening everywhere is the operator's choice
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _words(error: BaseException) -> str:
    """All faults of a group, one after the other."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_words(each) for each in error.exceptions)
    return f"{type(error).__name__}: {error}"
