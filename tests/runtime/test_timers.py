"""The sweep on real databases: in time, once, all of them, and never ended by a fault."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from dispatcher.runtime.clock import ManualClock, SystemClock
from dispatcher.runtime.feed import Feed
from dispatcher.runtime.telemetry import Telemetry
from dispatcher.runtime.timers import Sweep
from dispatcher.store.database import ALL, Database
from dispatcher.store.listen import Listener
from dispatcher.store.rows import BatchSeen
from dispatcher.store.tables import Events
from dispatcher.store.vault import Vault
from dispatcher.store.writer import Settled, Writer
from tests.support.aggregate import START, Jars, OpenJar, PutCoin, jar, sent
from tests.support.clock import TestHands

MINUTE = timedelta(minutes=1)


class _Node:
    """One process: a writer, a manual clock and a sweep; knows when a settlement or a batch was committed."""

    def __init__(self, database: Database, *, limit: int = 500, look_ahead: timedelta = 10 * MINUTE) -> None:
        self.clock = ManualClock(START)
        self.telemetry = Telemetry()
        self.committed = asyncio.Event()
        self.writer = Writer(database, Jars(), self.clock, Vault(os.urandom(32)), observe=self._seen)
        self.sweep = Sweep(self.writer, self.clock, self.telemetry, limit=limit, look_ahead=look_ahead)

    def _seen(self, seen: BatchSeen) -> None:
        if seen.what == "settle":
            self.committed.set()

    async def settled(self) -> None:
        await asyncio.wait_for(self.committed.wait(), 10)
        self.committed.clear()

    def figure(self, name: str) -> float:
        return self.telemetry.registry.get_sample_value(name) or 0.0


@pytest.fixture
async def node(database: Database) -> AsyncIterator[_Node]:
    made = _Node(database)
    async with made.writer:
        yield made
        await made.sweep.stop()


async def _rang(database: Database) -> list[datetime]:
    async with database.reading(ALL) as connection:
        found = await connection.execute(
            select(Events.at).where(Events.kind == "rang.1").order_by(col(Events.position))
        )
        return list(found.scalars())


async def _asleep(node: _Node, until: datetime) -> None:
    await asyncio.wait_for(node.clock.until_somebody_sleeps(until), 10)


async def test_a_deadline_fires_right_after_its_instant(node: _Node, database: Database) -> None:
    await node.writer.submit(sent(OpenJar(ref=jar("a"), minutes=7), "a"))
    node.sweep.start()
    await _asleep(node, START + 8 * MINUTE)

    await node.clock.advance(START + 7 * MINUTE)
    assert await _rang(database) == []
    await node.clock.advance(START + 7 * MINUTE + timedelta(milliseconds=20))
    await node.settled()

    fired = await _rang(database)
    assert len(fired) == 1
    assert timedelta() < fired[0] - (START + 7 * MINUTE) <= timedelta(milliseconds=20)


async def test_a_deadline_armed_while_the_sweep_sleeps_is_not_overslept(
    node: _Node, database: Database
) -> None:
    node.sweep.start()
    await _asleep(node, START + 10 * MINUTE)

    await node.writer.submit(sent(OpenJar(ref=jar("a"), minutes=1), "a"))
    node.sweep.committed()
    await _asleep(node, START + 2 * MINUTE)
    await node.clock.advance(START + 2 * MINUTE)
    await node.settled()

    assert len(await _rang(database)) == 1


async def test_all_that_is_due_at_once_is_settled_in_several_transactions(
    node: _Node, database: Database
) -> None:
    sweep = Sweep(node.writer, node.clock, node.telemetry, limit=3, look_ahead=MINUTE)
    await asyncio.gather(*(node.writer.submit(sent(OpenJar(ref=jar(f"{n}")), f"{n}")) for n in range(10)))
    node.clock.set(START + timedelta(days=1))

    assert await sweep.settle_all() == 20

    assert len(await _rang(database)) == 20
    assert node.figure("liandong_deadlines_fired_total") == 20
    assert await sweep.settle_all() == 0


async def test_two_nodes_settle_each_deadline_once(
    postgres_pair: tuple[_Node, _Node], database: Database
) -> None:
    one, other = postgres_pair
    await asyncio.gather(*(one.writer.submit(sent(OpenJar(ref=jar(f"{n}")), f"{n}")) for n in range(40)))
    for node in postgres_pair:
        node.clock.set(START + timedelta(days=1))

    fired = await asyncio.gather(one.sweep.settle_all(), other.sweep.settle_all())
    left = await one.sweep.settle_all()

    assert sum(fired) + left == 80
    assert len(await _rang(database)) == 80


@pytest.fixture
async def postgres_pair(database: Database, engine_name: str) -> AsyncIterator[tuple[_Node, _Node]]:
    if engine_name != "postgres":
        pytest.skip("the embedded database has one serving process")
    one, other = _Node(database, limit=7), _Node(database, limit=7)
    async with one.writer, other.writer:
        yield one, other


async def test_one_that_cannot_be_settled_is_counted_and_does_not_hold_up_the_rest(
    node: _Node, database: Database
) -> None:
    await node.writer.submit(sent(OpenJar(ref=jar("bad"), number="poison"), "bad"))
    await node.writer.submit(sent(OpenJar(ref=jar("good")), "good"))
    node.clock.set(START + timedelta(days=1))

    await node.sweep.settle_all()

    assert node.figure("liandong_deadlines_quarantined_total") == 1
    assert len(await _rang(database)) == 3


async def test_nothing_fires_while_the_clocks_part(database: Database) -> None:
    hands = TestHands(START)
    clock = SystemClock(hands=hands)
    async with Writer(database, Jars(), clock, Vault(os.urandom(32))) as writer:
        await writer.submit(sent(OpenJar(ref=jar("a")), "a"))
        sweep = Sweep(writer, clock, Telemetry(), limit=10, look_ahead=MINUTE)
        hands.pass_time(timedelta(days=1))
        hands.step_wall(timedelta(hours=1))
        await clock.refresh()

        assert await sweep.settle_all() == 0

        for _ in range(10):
            hands.pass_time(timedelta(seconds=1))
            await clock.refresh()
        assert await sweep.settle_all() == 2


async def test_the_sweep_outlives_a_database_that_was_away(database: Database) -> None:
    clock, telemetry = ManualClock(START), Telemetry()
    settled = asyncio.Event()

    class Shaky:
        """The writer's settlement behind a line that drops the first question."""

        def __init__(self, writer: Writer) -> None:
            self.writer = writer
            self.dropped = False

        async def settle_due(self, now: datetime, limit: int) -> Settled:
            if not self.dropped:
                self.dropped = True
                raise OSError("connection reset")
            done = await self.writer.settle_due(now, limit)
            if done.fired:
                settled.set()
            return done

        async def next_due(self) -> datetime | None:
            return await self.writer.next_due()

        async def free(self) -> int:
            return await self.writer.free()

    async with Writer(database, Jars(), clock, Vault(os.urandom(32))) as writer:
        await writer.submit(sent(OpenJar(ref=jar("a")), "a"))
        await writer.submit(sent(PutCoin(ref=jar("a")), "b"))
        clock.set(START + timedelta(days=1))
        sweep = Sweep(Shaky(writer), clock, telemetry, limit=10, look_ahead=MINUTE)
        sweep.start()

        await asyncio.wait_for(settled.wait(), 10)
        await sweep.stop()

    assert telemetry.registry.get_sample_value("liandong_loop_failures_total", {"loop": "sweep"}) == 1
    assert len(await _rang(database)) == 2


@pytest.mark.postgres
async def test_what_another_node_arms_is_not_overslept_though_that_node_fires_nothing(
    postgres_database: Database,
) -> None:
    """Whoever armed it may be a command line, or die before it is due: the hint wakes the others at once."""
    clock, telemetry = SystemClock(reference=postgres_database.now), Telemetry()
    await clock.refresh()
    settled = asyncio.Event()
    vault = Vault(os.urandom(32))

    def seen(batch: BatchSeen) -> None:
        if batch.what == "settle":
            settled.set()

    async with Writer(postgres_database, Jars(), clock, vault, observe=seen) as writer:
        sweep = Sweep(writer, clock, telemetry, limit=10, look_ahead=timedelta(minutes=10))
        async with Listener(postgres_database, poll=timedelta(minutes=10)) as listener:
            feed = Feed(listener.beyond, telemetry, sweep.committed)
            feed.start()
            sweep.start()
            async with Writer(postgres_database, Jars(), _Ahead(clock), vault) as other:
                await other.submit(sent(OpenJar(ref=jar("a"), minutes=1), "a"))

            await asyncio.wait_for(settled.wait(), 10)
            await sweep.stop()
            await feed.stop()

    (rang,) = (await _rang(postgres_database))[:1]
    async with postgres_database.looking() as connection:
        due = (await connection.execute(text("SELECT due FROM deadline WHERE clock = 'seal'"))).scalar_one()
    assert timedelta() < rang - due < timedelta(seconds=1)


class _Ahead:
    """A clock by which a jar's limit of a minute falls in a fifth of a second."""

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now() - MINUTE + timedelta(seconds=0.2)

    async def sleep_until(self, instant: datetime) -> None:
        await self._clock.sleep_until(instant)
