"""Housekeeping: daily and hourly chores by APScheduler, which is the alarm clock and never the memory.

Nothing that matters depends on one run: a chore that was missed is done by the next run, or by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec
from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from dispatcher.domain.worktime import LEGAL_ZONE
from dispatcher.runtime.telemetry import Telemetry
from dispatcher.store.leases import RENEW_EVERY, Lease

_log = logging.getLogger("liandong.housekeeping")


class Chore(msgspec.Struct, frozen=True, kw_only=True):
    """Work done by the calendar, in legal time, or again and again.

    ``when`` is a crontab line ("10 0 * * *": ten past midnight), or how long to wait between two times.
    ``do`` must bear being done twice. ``alone``: only by one node at a time, under the lease of that name.
    """

    name: str
    when: str | timedelta
    do: Callable[[], Awaitable[object]]
    alone: bool = True


def _trigger(chore: Chore) -> CronTrigger | IntervalTrigger:
    if isinstance(chore.when, timedelta):
        return IntervalTrigger(seconds=chore.when.total_seconds(), timezone=LEGAL_ZONE)
    return CronTrigger.from_crontab(chore.when, timezone=LEGAL_ZONE)


class Leases(Protocol):
    """The store's leases, for one node."""

    async def take(self, name: str) -> Lease | None: ...

    async def give_back(self, lease: Lease) -> None: ...


class Housekeeping:
    """Runs chores when their time comes.

    Args:
        leases: those of this node.
    """

    def __init__(self, chores: Sequence[Chore], leases: Leases, telemetry: Telemetry) -> None:
        self._chores = tuple(chores)
        self._leases = leases
        self._telemetry = telemetry
        # That a round still runs when the next one is due is no news; what fails in one is told by `run`.
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
        self._scheduler = AsyncIOScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": AsyncIOExecutor()},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone=LEGAL_ZONE,
        )

    def start(self) -> None:
        """Winds the alarm clock on the running loop."""
        for chore in self._chores:
            self._scheduler.add_job(self.run, _trigger(chore), args=(chore,), id=chore.name)
        self._scheduler.start()

    def rewind(self) -> None:
        """Winds the alarm clock anew: it goes by the wall clock, and that was set to another time."""
        if self._scheduler.running:
            for chore in self._chores:
                self._scheduler.reschedule_job(chore.name, trigger=_trigger(chore))

    def stop(self) -> None:
        """Stops the alarm clock; a chore under way is a transaction of its own and may be cut off."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def next_run(self, name: str) -> datetime | None:
        """When a chore comes next (legal time); None when it is not wound."""
        job = self._scheduler.get_job(name)
        rings: datetime | None = job.next_run_time if job else None
        return rings

    async def run(self, chore: Chore) -> bool:
        """Does one chore now, if this node may.

        Returns:
            Whether it was done.
        """
        try:
            if chore.alone:
                async with self._leading(chore.name) as leading:
                    if not leading:
                        return False
                    await chore.do()
            else:
                await chore.do()
        except Exception as error:  # noqa: BLE001 - the top of a runtime loop: the next run comes
            self._telemetry.failure(f"chore {chore.name}")
            _log.error(
                "a chore failed",
                extra={"chore": chore.name, "error": type(error).__name__},
                exc_info=error,
            )
            return False
        often = isinstance(chore.when, timedelta)
        _log.log(logging.DEBUG if often else logging.INFO, "a chore was done", extra={"chore": chore.name})
        return True

    @contextlib.asynccontextmanager
    async def _leading(self, name: str) -> AsyncIterator[bool]:
        """Holds the lease of that name inside the block; False where another node has it."""
        lease = await self._leases.take(name)
        if lease is None:
            yield False
            return
        renewing = asyncio.create_task(self._renew(name), name=f"lease {name}")
        try:
            yield True
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            await self._leases.give_back(lease)

    async def _renew(self, name: str) -> None:
        """Renews until cancelled or overtaken; chores bear being done twice, so being overtaken harms nothing."""
        lease: Lease | None
        while True:
            await asyncio.sleep(RENEW_EVERY.total_seconds())
            lease = await self._leases.take(name)
            if lease is None:
                return
