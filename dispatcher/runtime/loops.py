"""What every runtime loop shares: no fault ends it, it backs off, it can be nudged, it stops between two rounds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta

_log = logging.getLogger("liandong.runtime")

_FIRST_PAUSE = timedelta(milliseconds=100)
_LONGEST_PAUSE = timedelta(seconds=5)


class Loop:
    """Runs rounds in the background until stopped.

    A round that fails is logged, counted and followed by a pause that doubles up to ``longest``; one that succeeds
    resets it. Within a round, waiting is done through `rest`, which a nudge or the stop ends; work is never cut off.

    Args:
        name: names the loop in logs and metrics.
        once: one round.
        failed: counts a failed round.
        longest: the longest pause after one.
    """

    def __init__(
        self,
        name: str,
        once: Callable[[], Awaitable[None]],
        *,
        failed: Callable[[str], None],
        longest: timedelta = _LONGEST_PAUSE,
    ) -> None:
        self._longest = longest
        self._name = name
        self._once = once
        self._failed = failed
        self._nudged = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._soon: asyncio.TimerHandle | None = None
        self.stopping = False

    def nudge(self) -> None:
        """Ends the present rest, or the next one if none is taken."""
        self._nudged.set()

    def nudge_soon(self, after: timedelta) -> None:
        """Nudges once ``after`` has passed; further calls until then are covered by it."""
        if self._soon is None and not self.stopping:
            self._soon = asyncio.get_running_loop().call_later(after.total_seconds(), self._due)

    def _due(self) -> None:
        self._soon = None
        self.nudge()

    def start(self) -> None:
        """Begins the first round."""
        self.stopping = False
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Waits until the round under way is over. Harmless when the loop does not run."""
        self.stopping = True
        self.nudge()
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if self._task is not None:
            await self._task
        self._task = None

    async def rest(self, until: Coroutine[None, None, None]) -> None:
        """Waits for ``until``, a nudge or the stop, whichever comes first."""
        waiting = {asyncio.ensure_future(until), asyncio.ensure_future(self._nudged.wait())}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for left in waiting:
                left.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        if not self.stopping:
            self._nudged.clear()

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self.stopping:
            try:
                await self._once()
            except Exception as error:  # noqa: BLE001 - the top of a runtime loop: it must outlive any fault
                self._failed(self._name)
                _log.error(
                    "a round failed and will be tried again",
                    extra={"loop": self._name, "error": type(error).__name__},
                    exc_info=error,
                )
                await self.rest(asyncio.sleep(pause.total_seconds()))
                pause = min(pause * 2, self._longest)
            else:
                pause = _FIRST_PAUSE
