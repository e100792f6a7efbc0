"""The feed: followers hear of growth, at their own pace, until it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from dispatcher.runtime.clock import ManualClock, SystemClock
from dispatcher.runtime.feed import Feed
from dispatcher.runtime.telemetry import Telemetry

AT_ONCE = timedelta()


class _Log:
    """A log that has grown to some position."""

    def __init__(self) -> None:
        self.position = 0
        self.asked = asyncio.Event()

    async def read(self) -> int:
        self.asked.set()
        return self.position


async def _next(follower: AsyncIterator[int]) -> int:
    return await asyncio.wait_for(anext(follower), 5)


async def test_a_follower_hears_at_once_of_what_it_has_not_seen() -> None:
    feed = Feed(_Log().read, SystemClock(), Telemetry())
    feed.moved(7)

    assert await _next(feed.follow(3, rest=AT_ONCE)) == 7


async def test_a_follower_that_has_seen_everything_waits_for_growth() -> None:
    feed = Feed(_Log().read, SystemClock(), Telemetry())
    feed.moved(7)
    waiting = asyncio.ensure_future(anext(feed.follow(7, rest=AT_ONCE)))
    await asyncio.sleep(0)
    assert not waiting.done()

    feed.moved(8)

    assert await asyncio.wait_for(waiting, 5) == 8


async def test_positions_in_between_are_passed_over() -> None:
    feed = Feed(_Log().read, SystemClock(), Telemetry())
    follower = feed.follow(0, rest=AT_ONCE)
    feed.moved(1)
    assert await _next(follower) == 1

    for position in (2, 3, 4):
        feed.moved(position)

    assert await _next(follower) == 4


async def test_older_news_moves_nothing_back() -> None:
    feed = Feed(_Log().read, SystemClock(), Telemetry())

    feed.moved(9)
    feed.moved(5)

    assert feed.position == 9


async def test_growth_that_nobody_told_is_found_by_the_poll() -> None:
    clock = ManualClock(datetime(2026, 3, 2, tzinfo=UTC))
    log = _Log()
    feed = Feed(log.read, clock, Telemetry(), poll=timedelta(seconds=1))
    feed.start()
    await asyncio.wait_for(log.asked.wait(), 5)
    waiting = asyncio.ensure_future(anext(feed.follow(0, rest=AT_ONCE)))
    await asyncio.sleep(0)

    log.position = 12
    await clock.advance(clock.now() + timedelta(seconds=2))

    assert await asyncio.wait_for(waiting, 5) == 12
    await feed.close()


async def test_closing_ends_every_follower_that_waits() -> None:
    feed = Feed(_Log().read, SystemClock(), Telemetry())

    async def follow() -> list[int]:
        return [position async for position in feed.follow(0, rest=AT_ONCE)]

    followers = [asyncio.ensure_future(follow()) for _ in range(3)]
    await asyncio.sleep(0)

    await feed.close()

    assert await asyncio.wait_for(asyncio.gather(*followers), 5) == [[], [], []]
