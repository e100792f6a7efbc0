"""The feed: tells live screens that the log has grown. It carries positions, never contents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

from dispatcher.runtime.loops import Loop
from dispatcher.runtime.telemetry import Telemetry

_LONGEST_WAIT = timedelta(seconds=1)
_BREATH = timedelta(milliseconds=50)


def _nobody() -> None:
    """Nobody else wants to know."""


class Feed:
    """The position of the last event, as far as this process knows, and those who follow it.

    The position is one gap-free integer over the whole log: it is what Last-Event-ID holds.

    Args:
        beyond: waits until the log has grown beyond a position, at most so long, and answers the newest position
            (`dispatcher.store.listen.Listener.beyond`).
        grown: told of each growth, also by another node's hand: the sweep looks whether something is due sooner.
    """

    def __init__(
        self,
        beyond: Callable[[int, timedelta], Awaitable[int]],
        telemetry: Telemetry,
        grown: Callable[[], None] = _nobody,
    ) -> None:
        self._beyond = beyond
        self._telemetry = telemetry
        self._tell = grown
        self._grown = asyncio.Event()
        self._closed = False
        self._loop = Loop("feed", self.once, failed=telemetry.failure)
        self.start = self._loop.start
        self.stop = self._loop.stop
        self.position = 0

    def moved(self, position: int) -> None:
        """The log has grown to this position (so somebody says). Older news is ignored."""
        if position > self.position:
            self.position = position
            self._telemetry.position(position)
            self._wake()
            self._tell()

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
        """Waits for growth and tells it. Growth within one breath is told once."""
        newest = await self._beyond(self.position, _LONGEST_WAIT)
        if newest > self.position:
            self.moved(newest)
            await self._loop.rest(asyncio.sleep(_BREATH.total_seconds()))

    def close(self) -> None:
        """Ends everybody who follows: aiohttp would wait a minute for open streams."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()
