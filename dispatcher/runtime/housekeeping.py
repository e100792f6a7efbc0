"""Housekeeping: daily and hourly chores by APScheduler, which is the alarm clock and never the memory.

Nothing that matters depends on one run: a chore that was missed is done by the next run, or by hand.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from zoneinfo import ZoneInfo

import msgspec
from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from dispatcher.runtime.telemetry import Telemetry

_log = logging.getLogger("liandong.housekeeping")

LEGAL_ZONE = ZoneInfo("Asia/Shanghai")


class Chore(msgspec.Struct, frozen=True, kw_only=True):
    """Work done by the calendar, in legal time.

    ``when`` is a crontab line ("10 0 * * *": ten past midnight). ``do`` must bear being done twice.
    ``alone``: only by one node at a time, under the lease of that name.
    """

    name: str
    when: str
    do: Callable[[], Awaitable[object]]
    alone: bool = True


Lead = Callable[[str], AbstractAsyncContextManager[bool]]
"""Holds the named lease inside the block; yields False where another node has it."""


class Housekeeping:
    """Runs chores when their time comes.

    Args:
        lead: asks for the lease of a chore.
    """

    def __init__(self, chores: Sequence[Chore], lead: Lead, telemetry: Telemetry) -> None:
        self._chores = tuple(chores)
        self._lead = lead
        self._telemetry = telemetry
        self._scheduler = AsyncIOScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": AsyncIOExecutor()},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone=LEGAL_ZONE,
        )

    def start(self) -> None:
        """Winds the alarm clock on the running loop."""
        for chore in self._chores:
            self._scheduler.add_job(
                self.run,
                CronTrigger.from_crontab(chore.when, timezone=LEGAL_ZONE),
                args=(chore,),
                id=chore.name,
            )
        self._scheduler.start()

    def stop(self) -> None:
        """Stops the alarm clock; a chore under way is a transaction of its own and may be cut off."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def run(self, chore: Chore) -> bool:
        """Does one chore now, if this node may.

        Returns:
            Whether it was done.
        """
        try:
            if chore.alone:
                async with self._lead(chore.name) as leading:
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
        _log.info("a chore was done", extra={"chore": chore.name})
        return True
