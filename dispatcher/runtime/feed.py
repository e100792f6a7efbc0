"""The feed: tells live screens that the log has grown. It carries positions, never contents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

from dispatcher.ports import Clock
from dispatcher.runtime.loops import Loop
from dispatcher.runtime.telemetry import Telemetry

_SOON = timedelta(milliseconds=50)


class Feed:
    """The position of the last event, as far as this process knows, and those who follow it.

    Local commits and database notices move it at once; a poll finds what a lost notice would have told. The
    position is one gap-free integer over the whole log: it is what Last-Event-ID holds.

    Args:
        read: asks the database for the position.
        poll: how long a lost notice may go unseen.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[int]],
        clock: Clock,
        telemetry: Telemetry,
        *,
        poll: timedelta = timedelta(seconds=1),
    ) -> None:
        self._read = read
        self._clock = clock
        self._telemetry = telemetry
        self._poll = poll
        self._grown = asyncio.Event()
        self._closed = False
        self._loop = Loop("feed", self.once, failed=telemetry.failure)
        self.start = self._loop.start
        self.position = 0

    def moved(self, position: int) -> None:
        """The log has grown to this position (a commit of ours, or a notice). Older news is ignored."""
        if position > self.position:
            self.position = position
            self._telemetry.position(position)
            self._wake()

    def committed(self) -> None:
        """Something was committed: ask for the position soon."""
        self._loop.nudge_soon(_SOON)

    async def follow(
        self, after: int, *, rest: timedelta = timedelta(milliseconds=300)
    ) -> AsyncIterator[int]:
        """Yields the newest position each time there is one beyond ``after``, at most once each ``rest``.

        Positions in between are passed over: whoever follows reads all events since the last one it saw. Ends
        when the feed is closed.
        """
        while not self._closed:
            if self.position <= after:
                await self._grown.wait()
                continue
            after = self.position
            yield after
            await asyncio.sleep(rest.total_seconds())

    async def once(self) -> None:
        """Looks once, then waits for the next poll."""
        self.moved(await self._read())
        await self._loop.rest(self._clock.sleep_until(self._clock.now() + self._poll))

    async def close(self) -> None:
        """Ends everybody who follows (aiohttp would wait a minute for open streams) and stops looking."""
        self._closed = True
        self._wake()
        await self._loop.stop()

    def _wake(self) -> None:
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()
