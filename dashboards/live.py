"""The live feed: one maker of frames for each view that somebody watches, encoded once for all who watch it.

A frame holds what changed since the one before; whoever missed that one gets a whole screen. Frames follow the log's
position (at most three or four a second) and a slow beat, which keeps the seconds left true over lunch and midnight.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final, Protocol
from uuid import UUID

import msgspec
from msgspec.structs import replace

from dashboards.screen import Line, Screen, build, legal_midnight
from dispatcher.domain.library import Library
from dispatcher.ports import Clock
from dispatcher.store.database import Scope
from dispatcher.views.board import Counts, Narrowing, OpenCase

_log = logging.getLogger("liandong.live")

BEAT: Final = timedelta(seconds=5)
REST: Final = timedelta(milliseconds=300)
_FAULT_PAUSE: Final = timedelta(seconds=2)
_COST = 10  # counting may take a tenth of the time at most
_SOONEST_COUNT = timedelta(seconds=1)
_MOST_TALLIES = 64


class Feed(Protocol):
    """Tells how far the log is. `follow` ends when the process drains."""

    position: int

    def follow(self, after: int, *, rest: timedelta = REST) -> AsyncIterator[int]: ...


class Reads(Protocol):
    """The two questions of the page (`dispatcher.views.board.Board`)."""

    async def nearest(self, scope: Scope, narrowing: Narrowing) -> tuple[OpenCase, ...]: ...

    async def counts(self, scope: Scope, since: datetime) -> Counts: ...


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody watches: as whom, and narrowed to what."""

    scope: Scope
    narrowing: Narrowing


class Frame:
    """One state of a screen, with its way from the one before; each encoded when first asked for."""

    def __init__(self, no: int, screen: Screen, before: Screen | None) -> None:
        self.no = no
        self.screen = screen
        self._before = before

    @cached_property
    def whole(self) -> bytes:
        """The server-sent event that replaces everything."""
        return self._event({}, [line.id for line in self.screen.lines], self.screen.lines)

    @cached_property
    def step(self) -> bytes:
        """The server-sent event for those who have the frame before."""
        if self._before is None:
            return self.whole
        known = {line.id: _still(line) for line in self._before.lines}
        changed = tuple(line for line in self.screen.lines if known.get(line.id) != _still(line))
        order = [line.id for line in self.screen.lines]
        moved = order != [line.id for line in self._before.lines]
        return self._event({"step": True}, order if moved else None, changed)

    def _event(self, head: dict[str, object], order: list[UUID] | None, lines: tuple[Line, ...]) -> bytes:
        screen = self.screen
        body = msgspec.json.encode(
            head
            | {
                "at": screen.at,
                "position": screen.position,
                "order": order,
                "lines": lines,
                "left": [line.left for line in screen.lines],
                "late": [line.late for line in screen.lines],
                "hours": screen.hours,
                "figures": screen.figures,
                "regions": screen.regions,
                "bars": screen.bars,
            }
        )
        return b"id: %d\nevent: frame\ndata: %s\n\n" % (screen.position, body)


def _still(line: Line) -> Line:
    """A line without what passes by itself."""
    return replace(line, left=0, late=False)


class _Reel:
    """Makes the frames of one view while it is watched."""

    def __init__(self, view: View, live: Live) -> None:
        self.view = view
        self.watchers = 0
        self.frame: Frame | None = None
        self.ended = False
        self._live = live
        self._wanted = asyncio.Event()
        self._made = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="live-view")

    async def after(self, no: int) -> Frame | None:
        """Waits for a frame later than ``no``; None when there will be no more."""
        while not self.ended:
            if self.frame is not None and self.frame.no > no:
                return self.frame
            await self._made.wait()
        return None

    def stop(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as parts:
                making = parts.create_task(self._make())
                beating = parts.create_task(self._beat())
                async for _ in self._live.feed.follow(self._live.feed.position):
                    self._wanted.set()
                making.cancel()
                beating.cancel()
        finally:
            self.ended = True
            self._tell()

    async def _make(self) -> None:
        self._wanted.set()
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                screen = await self._live.screen(self.view)
            except Exception as error:  # noqa: BLE001 - the top of a runtime loop: the screen comes back by itself
                _log.error(
                    "a live screen could not be read", extra={"error": type(error).__name__}, exc_info=error
                )
                await asyncio.sleep(_FAULT_PAUSE.total_seconds())
                self._wanted.set()
                continue
            before = self.frame
            self.frame = Frame(before.no + 1 if before else 1, screen, before.screen if before else None)
            self._tell()

    async def _beat(self) -> None:
        while True:
            await self._live.clock.sleep_until(self._live.clock.now() + BEAT)
            self._wanted.set()

    def _tell(self) -> None:
        made, self._made = self._made, asyncio.Event()
        made.set()


class _Tally:
    """The counts of one scope, taken no more often than a tenth of the time allows."""

    def __init__(self) -> None:
        self._counts = Counts()
        self._taken: datetime | None = None
        self._cost = timedelta()
        self._lock = asyncio.Lock()

    async def counts(self, reads: Reads, scope: Scope, at: datetime) -> Counts:
        fresh = self._taken is not None and at - self._taken < max(_SOONEST_COUNT, self._cost * _COST)
        if fresh or (self._lock.locked() and self._taken is not None):
            return self._counts
        async with self._lock:
            began = time.perf_counter()
            self._counts = await reads.counts(scope, legal_midnight(at))
            self._cost = timedelta(seconds=time.perf_counter() - began)
            self._taken = at
        return self._counts


class Live:
    """All views that are being watched."""

    def __init__(self, reads: Reads, feed: Feed, clock: Clock, library: Callable[[], Library]) -> None:
        self.feed = feed
        self.clock = clock
        self._reads = reads
        self._library = library
        self._reels: dict[View, _Reel] = {}
        self._tallies: dict[Scope, _Tally] = {}

    @property
    def watchers(self) -> int:
        """How many streams are open."""
        return sum(reel.watchers for reel in self._reels.values())

    async def screen(self, view: View) -> Screen:
        """The screen as it is now."""
        at = self.clock.now()
        position = self.feed.position  # before reading: what is read is at least as new
        cases = await self._reads.nearest(view.scope, view.narrowing)
        if view.scope not in self._tallies and len(self._tallies) >= _MOST_TALLIES:
            self._tallies.clear()
        tally = self._tallies.setdefault(view.scope, _Tally())
        counts = await tally.counts(self._reads, view.scope, at)
        return build(cases, counts, self._library(), at=at, position=position)

    async def watch(self, view: View) -> AsyncGenerator[bytes]:
        """Server-sent events, the whole screen first. Ends when the process drains.

        The first is whole whatever the watcher had: a page and a reel may have read the same position a commit
        apart, and one screen costs less than the doubt.
        """
        reel = self._reels.get(view)
        if reel is None or reel.ended:
            reel = self._reels[view] = _Reel(view, self)
        reel.watchers += 1
        try:
            frame, seen = await reel.after(0), -1
            while frame is not None:
                yield frame.step if frame.no == seen + 1 else frame.whole
                seen = frame.no
                frame = await reel.after(seen)
        finally:
            reel.watchers -= 1
            if not reel.watchers:
                reel.stop()
                if self._reels.get(view) is reel:
                    del self._reels[view]
