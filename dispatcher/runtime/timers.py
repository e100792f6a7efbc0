"""The sweep: settles due deadlines. The database row is the truth; this only looks ahead and wakes in time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from dispatcher.runtime.clock import SteadyClock
from dispatcher.runtime.loops import Loop
from dispatcher.runtime.telemetry import Telemetry

_BREATH = timedelta(milliseconds=20)  # what is due and not ours (another node settles it) must not spin us
_GATHER = timedelta(milliseconds=5)  # what falls so soon after one another shares a transaction
_HELD = timedelta(seconds=1)  # due for so long and not to be had: somebody holds it, perhaps for good
_LONGEST_PAUSE = timedelta(seconds=1)  # after a fault: a database that comes back must not be waited for
_SOON = timedelta(milliseconds=50)  # one look for all the commits of that time


class Settled(Protocol):
    """What one settlement did. ``more``: due rows are left; ``late_max``: how late the latest one was."""

    @property
    def fired(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def more(self) -> bool: ...
    @property
    def late_max(self) -> timedelta: ...


class Deadlines(Protocol):
    """Who settles: the writer of the store."""

    async def settle_due(self, now: datetime, limit: int) -> Settled: ...

    async def next_due(self) -> datetime | None: ...

    async def free(self) -> int: ...


class Sweep:
    """Fires deadlines when they are due, once over all nodes (the store's claim sees to that).

    Args:
        limit: most rows settled in one transaction.
        look_ahead: longest sleep, which bounds how late a deadline armed by another node can be.
    """

    def __init__(
        self,
        deadlines: Deadlines,
        clock: SteadyClock,
        telemetry: Telemetry,
        *,
        limit: int,
        look_ahead: timedelta,
    ) -> None:
        self._deadlines = deadlines
        self._clock = clock
        self._telemetry = telemetry
        self._limit = limit
        self._look_ahead = look_ahead
        self._freed: datetime | None = None
        self._loop = Loop("sweep", self.once, failed=telemetry.failure, longest=_LONGEST_PAUSE)
        self.start = self._loop.start
        self.stop = self._loop.stop

    def committed(self) -> None:
        """Something was committed and may be due before the present wake-up: look again, soon."""
        self._loop.nudge_soon(_SOON)

    async def once(self) -> None:
        """Settles all that is due, then waits for the next due instant, a nudge or the look-ahead."""
        if not self._clock.steady:
            await self._loop.rest(self._clock.until_steady())
            return
        await self.settle_all()
        due = await self._deadlines.next_due()
        now = self._clock.now()
        if due is not None and now - due > _HELD and (self._freed is None or now - self._freed > _HELD):
            self._freed = now
            await self._deadlines.free()
        wakes = now + self._look_ahead if due is None else min(due, now + self._look_ahead)
        pause = _GATHER if due is None or due > now else _BREATH
        await self._loop.rest(self._clock.sleep_until(max(wakes, now + pause)))

    async def settle_all(self) -> int:
        """Settles until nothing is due at the present instant.

        Returns:
            How many deadlines fired.
        """
        fired = 0
        while self._clock.steady and not self._loop.stopping:
            settled = await self._deadlines.settle_due(self._clock.now(), self._limit)
            self._telemetry.settled(settled.fired, settled.failed, settled.late_max)
            fired += settled.fired
            if not settled.more or not (settled.fired or settled.failed):
                break  # what is left is being settled by another node
        return fired
