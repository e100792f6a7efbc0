"""Watches what comes in: marks the nth call of a number about one matter, and tells of many calls about one event.

It follows the log, so every way in is watched and no call waits for it. One node leads under a lease. What it finds goes
back in as commands whose ids follow from what was found: read again after a kill, they are the same messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from dispatcher.domain import commands as c
from dispatcher.domain.case import Case
from dispatcher.domain.errors import KeyReused, Refused
from dispatcher.domain.library import Library
from dispatcher.domain.stream import Actor, Role, Submission
from dispatcher.ports import Clock, Inbox
from dispatcher.runtime.feed import Feed
from dispatcher.runtime.loops import Loop
from dispatcher.runtime.telemetry import Telemetry
from dispatcher.store.database import Database
from dispatcher.store.errors import Failed
from dispatcher.store.leases import Lease, Leases
from dispatcher.store.marks import Mark
from dispatcher.store.neighbours import registered
from dispatcher.views.related import Asked, Looked, asked_of, look, parent_of
from routing_rules.ruling import Urgency

WATCHER = Actor(id="gathering", roles=(Role.SYSTEM,))
LEASE = "gathering"
HOLD = timedelta(seconds=10)
"""A leader that dies is followed by another node after this time."""
RENEW_EVERY = timedelta(seconds=3)
KEEP_EVERY = timedelta(seconds=2)
"""How much is read again after a kill, at most."""
STRETCH = 2000
"""Positions of the log read at a time."""
MOST_CASES = 200
"""Cases of an event that its telling names."""
_BEHIND = timedelta(seconds=1)
_IDS = uuid5(NAMESPACE_URL, "urn:liandong:gathering")
_log = logging.getLogger("liandong.gathering")


class Gathering:
    """Looks at each registration once, in the order of the log."""

    def __init__(
        self,
        database: Database,
        inbox: Inbox,
        leases: Leases,
        feed: Feed,
        clock: Clock,
        telemetry: Telemetry,
        library: Callable[[], Library],
    ) -> None:
        self._database = database
        self._inbox = inbox
        self._leases = leases
        self._feed = feed
        self._clock = clock
        self._library = library
        self._mark = Mark(database, "gathering")
        self._lease: Lease | None = None
        self._renewed: datetime | None = None
        self._kept: datetime | None = None
        self._position = 0
        self._unkept = False
        self._loop = Loop("gathering", self._round, failed=telemetry.failure)

    async def start(self) -> None:
        """Begins to read."""
        self._loop.start()

    async def stop(self) -> None:
        """Ends after the round under way; what was read is kept and the lease given back."""
        await self._loop.stop()
        if self._lease is not None and await self._leads():
            await self._keep()
            await self._leases.give_back(self._lease)
            self._lease = None

    async def _round(self) -> None:
        behind = await self.once()
        if behind is None:
            await self._loop.rest(asyncio.sleep(_BEHIND.total_seconds()))
        elif not behind:
            await self._loop.rest(self._growth())

    async def _growth(self) -> None:
        """Waits until the log has grown, or until what was read is to be kept."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KEEP_EVERY.total_seconds() if self._unkept else None):
                async for _ in self._feed.follow(self._position, rest=timedelta()):
                    return
                await asyncio.sleep(_BEHIND.total_seconds())  # the feed is closed: the stop is near

    async def once(self) -> bool | None:
        """Look at the registrations of the next stretch.

        Returns:
            Whether there is more to read; None while another node leads.
        """
        if not await self._leads():
            return None
        ids, end = await registered(self._database, self._position, STRETCH)
        for start in range(0, len(ids), 100):
            for asked, case in await asked_of(self._database, ids[start : start + 100]):
                if not case.imported:
                    await self._look(asked, case)
        self._unkept = self._unkept or end > self._position
        self._position = end
        now = self._clock.now()
        if self._unkept and (self._kept is None or now - self._kept >= KEEP_EVERY):
            await self._keep()
        return end < self._feed.position

    async def _leads(self) -> bool:
        now = self._clock.now()
        if self._lease is not None and self._renewed is not None and now - self._renewed < RENEW_EVERY:
            return True
        before = self._lease
        self._lease = await self._leases.take(LEASE, expires=HOLD)
        self._renewed = now
        if self._lease is None:
            return False
        if before is None or before.epoch != self._lease.epoch:
            self._position = await self._mark.get(now)
        return True

    async def _keep(self) -> None:
        now = self._clock.now()
        await self._mark.put(self._position, now)
        self._kept, self._unkept = now, False

    async def _look(self, asked: Asked, case: Case) -> None:
        library = self._library()
        looked = await look(self._database, library, asked)
        if looked.again:
            await self._submit(f"repeat/{case.id}", _repeat(case, looked))
        rule = library.duplicates.event_of(looked.event)
        step = rule.step(looked.people) if rule is not None else 0
        if rule is None or not step:
            return
        parent = parent_of(looked.crowd) or case.id
        cases = [one.case.id for one in looked.crowd] + [case.id]
        command = c.ReportSurge(
            case=parent,
            event=rule.id,
            size=looked.people,
            cases=tuple(id_ for id_ in cases if id_ != parent)[-MOST_CASES:],
        )
        await self._submit(f"surge/{parent}/{rule.id}/{step}", command)

    async def _submit(self, name: str, command: c.CaseCommand) -> None:
        sent = Submission(message_id=uuid5(_IDS, name), command=command, actor=WATCHER)
        try:
            await self._inbox.submit(sent)
        except KeyReused:
            return  # told before, when fewer cases were known
        except (Refused, Failed) as error:
            _log.error("what was found could not be stored", extra={"about": name, "error": str(error)[:200]})


def _repeat(case: Case, looked: Looked) -> c.ReportRepeat:
    hows = [one.how for one in looked.again]
    return c.ReportRepeat(
        case=case.id,
        how="supplement" if "supplement" in hows else hows[0],
        earlier=tuple(one.case.id for one in looked.again),
        urgent=any(one.state.is_open and one.state.matter.urgency == Urgency.urgent for one in looked.again),
    )
