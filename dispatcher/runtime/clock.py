"""Where time and chance come in: the system clock, the manual clock, fresh ids and seeded jitter.

Nothing else in the product reads a wall clock, draws an id or a random number.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import random  # noqa: TID251 - the one place; callers get a seeded function
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID, uuid4  # noqa: TID251 - the one place

from dispatcher.ports import Clock
from dispatcher.runtime.hands import Hands

_log = logging.getLogger("liandong.clock")

_REFRESH = timedelta(seconds=1)
_SLOWEST_ANSWER = timedelta(milliseconds=500)  # a slower answer says too little about which instant it means


def new_id() -> UUID:
    """A fresh random id, for commands that begin at our own edge."""
    return uuid4()


def jitter(seed: int) -> Callable[[], float]:
    """A repeatable source of numbers in [0, 1): the same seed gives the same row."""
    return random.Random(seed).random


class SteadyClock(Clock, Protocol):
    """A clock that knows whether it may be trusted: nothing is fired while it may not."""

    @property
    def steady(self) -> bool: ...

    async def until_steady(self) -> None: ...


class SystemClock:
    """Real time: the database's where one is shared, else the machine's.

    Between two refreshes it walks by the monotonic clock, so that a step of the wall clock moves nothing at once.
    When wall (or database) and monotonic clocks part by more than ``tolerance`` from one refresh to the next, the
    clock is unsteady and keeps walking on its own; it takes the new reading after both agreed for ``agreement``.
    A slow drift below the tolerance is followed at every refresh.

    Args:
        reference: asks the database what time it is; None where the machine's own clock counts (SQLite).
    """

    def __init__(
        self,
        *,
        reference: Callable[[], Awaitable[datetime]] | None = None,
        tolerance: timedelta = timedelta(seconds=2),
        agreement: timedelta = timedelta(seconds=10),
        hands: Hands | None = None,
    ) -> None:
        self._hands = hands or Hands()
        self._reference = reference
        self._tolerance = tolerance
        self._agreement = agreement
        wall, mono = self._hands.wall(), self._hands.monotonic()
        self._zero = wall - mono  # now = zero + monotonic
        self._wall = _Track(wall - mono)
        self._shared = _Track(wall - mono) if reference else None
        self._settled_once = reference is None
        self.settled: Callable[[], None] = lambda: None  # called when it may be trusted again
        self._steady = asyncio.Event()
        if self._settled_once:
            self._steady.set()

    def now(self) -> datetime:
        """The present instant (UTC)."""
        return self._zero + self._hands.monotonic()

    @property
    def steady(self) -> bool:
        """Whether deadlines may fire by this clock."""
        return self._steady.is_set()

    @property
    def offset(self) -> timedelta:
        """How far this clock is ahead of the machine's wall clock."""
        return self.now() - self._hands.wall()

    async def until_steady(self) -> None:
        """Waits until the clock may be trusted."""
        await self._steady.wait()

    async def sleep_until(self, instant: datetime) -> None:
        """Waits until the instant has come by this clock; follows its corrections."""
        while (left := instant - self.now()) > timedelta():  # noqa: ASYNC110 - time passes unannounced
            await asyncio.sleep(min(left, _REFRESH).total_seconds())

    async def refresh(self) -> None:
        """Asks the reference once and compares. A reference that does not answer changes nothing.

        Raises:
            OSError, TimeoutError: whatever the reference raises; the clock walks on.
        """
        if self._reference is not None and self._shared is not None:
            before = self._hands.monotonic()
            shared = await self._reference()
            after = self._hands.monotonic()
            if after - before <= _SLOWEST_ANSWER or not self._settled_once:
                self._shared.look(shared - (before + after) / 2, after, self._tolerance, self._agreement)
                if not self._settled_once:
                    self._shared.take()
                    self._settled_once = True
        mono = self._hands.monotonic()
        self._wall.look(self._hands.wall() - mono, mono, self._tolerance, self._agreement)
        leading = self._shared or self._wall
        self._zero = leading.zero
        self._tell(self._wall.agreed and leading.agreed)

    def _tell(self, agreed: bool) -> None:
        if agreed and not self._steady.is_set():
            self._steady.set()
            _log.info("clock steady", extra={"offset_s": self.offset.total_seconds()})
            self.settled()
        elif not agreed and self._steady.is_set():
            self._steady.clear()
            _log.error(
                "clocks part: deadlines stop firing until wall and monotonic clocks agree",
                extra={"wall_s": self._wall.apart.total_seconds()},
            )

    async def run(self) -> None:
        """Refreshes once a second until cancelled."""
        while True:
            try:
                await self.refresh()
            except (OSError, TimeoutError) as error:
                _log.warning("the database did not tell the time", extra={"error": type(error).__name__})
            await asyncio.sleep(_REFRESH.total_seconds())


class _Track:
    """One reading of "instant minus monotonic", followed while it changes little and doubted when it steps."""

    def __init__(self, zero: datetime) -> None:
        self.zero = zero
        self.apart = timedelta()
        self._doubted: datetime | None = None
        self._since = timedelta()

    @property
    def agreed(self) -> bool:
        return self._doubted is None

    def look(self, zero: datetime, mono: timedelta, tolerance: timedelta, agreement: timedelta) -> None:
        self.apart = zero - self.zero
        if self._doubted is None:
            if abs(self.apart) <= tolerance:
                self.zero = zero
            else:
                self._doubted, self._since = zero, mono
        elif abs(zero - self._doubted) > tolerance:
            self._doubted, self._since = zero, mono  # it stepped again
        else:
            self._doubted = zero
            if mono - self._since >= agreement:
                self.take()

    def take(self) -> None:
        """Accepts the doubted reading, if there is one."""
        if self._doubted is not None:
            self.zero = self._doubted
            self._doubted = None


class ManualClock:
    """A clock that stands until it is moved: replay, simulation and tests run years in seconds by it.

    Args:
        start: the first instant (aware).
    """

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)
        self._order = itertools.count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._fell_asleep = asyncio.Event()

    steady = True

    def now(self) -> datetime:
        """The instant it stands at (UTC)."""
        return self._now

    async def until_steady(self) -> None:
        """Returns at once: it is always steady."""

    async def sleep_until(self, instant: datetime) -> None:
        """Waits until somebody advances the clock to the instant."""
        if instant <= self._now:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (instant, next(self._order), woken))
        self._fell_asleep.set()
        await woken

    @property
    def next_wake(self) -> datetime | None:
        """The earliest instant that somebody waits for."""
        return min((instant for instant, _, woken in self._sleepers if not woken.done()), default=None)

    async def until_somebody_sleeps(self, no_later_than: datetime) -> None:
        """Waits until somebody waits for an instant up to ``no_later_than``: then advancing to it will wake them."""
        while (wake := self.next_wake) is None or wake > no_later_than:
            self._fell_asleep.clear()
            await self._fell_asleep.wait()

    def set(self, to: datetime) -> None:
        """Moves to the instant without waking anybody in between (replay, where nobody sleeps).

        Raises:
            ValueError: the instant lies in the past of this clock.
        """
        if to < self._now:
            raise ValueError(f"the clock stands at {self._now.isoformat()} and goes forward only")
        self._now = to.astimezone(UTC)

    async def advance(self, to: datetime, *, turns: int = 8) -> int:
        """Moves to the instant, waking sleepers in the order of their instants, each at its own.

        After each one the loop gets ``turns`` turns, so that what it does without outside work is done, and a
        sleeper that sleeps again before ``to`` is woken again. Work in threads or sockets is not waited for.

        Returns:
            How many were woken.

        Raises:
            ValueError: the instant lies in the past of this clock.
        """
        woken = 0
        while self._sleepers and self._sleepers[0][0] <= to:
            instant, _, sleeper = heapq.heappop(self._sleepers)
            if sleeper.done():
                continue
            self.set(max(instant, self._now))
            sleeper.set_result(None)
            woken += 1
            for _ in range(turns):
                await asyncio.sleep(0)
        self.set(to)
        return woken
