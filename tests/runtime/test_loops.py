"""Loops: a fault never ends one, a nudge is never lost, the stop waits for the round under way."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from dispatcher.runtime.loops import Loop


async def test_a_failing_round_is_counted_and_the_loop_goes_on() -> None:
    counted: list[str] = []
    rounds = 0
    recovered = asyncio.Event()

    async def once() -> None:
        nonlocal rounds
        rounds += 1
        if rounds < 3:
            raise RuntimeError("the database went away")
        recovered.set()
        await loop.rest(asyncio.sleep(60))

    loop = Loop("sweep", once, failed=counted.append)
    loop.start()
    loop.nudge()

    await asyncio.wait_for(recovered.wait(), 5)
    await loop.stop()

    assert counted == ["sweep", "sweep"]


async def test_a_nudge_before_the_rest_ends_the_rest_at_once() -> None:
    rested = asyncio.Event()

    async def once() -> None:
        await loop.rest(asyncio.sleep(60))
        rested.set()
        await loop.rest(asyncio.sleep(60))

    loop = Loop("sweep", once, failed=lambda _: None)
    loop.nudge()
    loop.start()

    await asyncio.wait_for(rested.wait(), 5)
    await loop.stop()


async def test_many_nudges_soon_are_one_round() -> None:
    rounds = 0
    second, third = asyncio.Event(), asyncio.Event()

    async def once() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 2:
            second.set()
        if rounds == 3:
            third.set()
        await loop.rest(asyncio.sleep(60))

    loop = Loop("feed", once, failed=lambda _: None)
    loop.start()
    await asyncio.sleep(0)
    for _ in range(100):
        loop.nudge_soon(timedelta(milliseconds=5))
    await asyncio.wait_for(second.wait(), 5)
    for _ in range(100):
        loop.nudge_soon(timedelta(milliseconds=5))

    await asyncio.wait_for(third.wait(), 5)
    await loop.stop()

    assert rounds == 3


async def test_the_stop_waits_for_the_round_under_way_and_begins_no_other() -> None:
    began, may_end = asyncio.Event(), asyncio.Event()
    ended = 0

    async def once() -> None:
        nonlocal ended
        began.set()
        await may_end.wait()
        ended += 1

    loop = Loop("sweep", once, failed=lambda _: None)
    loop.start()
    await began.wait()

    stopping = asyncio.create_task(loop.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    may_end.set()
    await asyncio.wait_for(stopping, 5)

    assert ended == 1


async def test_stopping_a_loop_that_never_ran_is_harmless() -> None:
    async def once() -> None:
        raise AssertionError("nobody asked for a round")

    loop = Loop("sweep", once, failed=lambda _: None)

    await asyncio.wait_for(loop.stop(), 5)
