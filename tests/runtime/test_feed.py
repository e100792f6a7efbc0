"""The feed on real databases: followers hear of growth, at their own pace, until it is closed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from dispatcher.runtime.clock import ManualClock
from dispatcher.runtime.feed import Feed
from dispatcher.runtime.telemetry import Telemetry
from dispatcher.store.database import Database
from dispatcher.store.listen import Listener
from dispatcher.store.vault import Vault
from dispatcher.store.writer import Writer
from tests.support.aggregate import START, Jars, OpenJar, PutCoin, jar, sent

AT_ONCE = timedelta()


@pytest.fixture
async def writer(database: Database) -> AsyncIterator[Writer]:
    async with Writer(database, Jars(), ManualClock(START), Vault(os.urandom(32))) as made:
        yield made


@pytest.fixture
async def feed(database: Database) -> AsyncIterator[Feed]:
    async with Listener(database, poll=timedelta(milliseconds=50)) as listener:
        made = Feed(listener.beyond, Telemetry())
        yield made
        made.close()
        await made.stop()


async def _next(follower: AsyncIterator[int]) -> int:
    return await asyncio.wait_for(anext(follower), 10)


async def test_a_follower_hears_of_what_it_has_not_seen(writer: Writer, feed: Feed) -> None:
    outcome = await writer.submit(sent(OpenJar(ref=jar("a")), "a"))
    feed.start()

    assert await _next(feed.follow(0, rest=AT_ONCE)) == outcome.position


async def test_a_follower_that_has_seen_everything_waits_for_the_next_commit(
    writer: Writer, feed: Feed
) -> None:
    opened = await writer.submit(sent(OpenJar(ref=jar("a")), "a"))
    feed.start()
    follower = feed.follow(0, rest=AT_ONCE)
    assert await _next(follower) == opened.position

    put = await writer.submit(sent(PutCoin(ref=jar("a")), "b"))

    assert await _next(follower) == put.position > opened.position


async def test_positions_in_between_are_passed_over(feed: Feed) -> None:
    follower = feed.follow(0, rest=AT_ONCE)
    feed.moved(1)
    assert await _next(follower) == 1

    for position in (2, 3, 4):
        feed.moved(position)

    assert await _next(follower) == 4


async def test_older_news_moves_nothing_back(feed: Feed) -> None:
    feed.moved(9)
    feed.moved(5)

    assert feed.position == 9


async def test_closing_ends_every_follower_that_waits(feed: Feed) -> None:
    async def follow() -> list[int]:
        return [position async for position in feed.follow(0, rest=AT_ONCE)]

    followers = [asyncio.ensure_future(follow()) for _ in range(3)]
    await asyncio.sleep(0)

    feed.close()

    assert await asyncio.wait_for(asyncio.gather(*followers), 5) == [[], [], []]
