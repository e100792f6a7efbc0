"""A storm of deadlines, a starved processor, a poisoned row that moves, a frozen client: the others go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from dispatcher.domain.stream import Change, Submission
from dispatcher.runtime.clock import ManualClock
from dispatcher.runtime.telemetry import Telemetry
from dispatcher.runtime.timers import Sweep
from dispatcher.store.database import EVERYTHING, SESSION, Database
from dispatcher.store.postgres import CLAIM, WRITER
from dispatcher.store.rows import BatchSeen
from dispatcher.store.vault import Vault
from dispatcher.store.verify import verify
from dispatcher.store.writer import TICK, Writer
from tests.support.aggregate import CODEC, START, Jars, OpenJar, PutCoin, WriteNote, jar, sent

HOUR = timedelta(hours=1)


class _Slow(Jars):
    """A domain that decides slowly, as on a processor that others use."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def handle(self, states: Any, sent: Submission, *, now: Any) -> Change:
        until = time.perf_counter() + self.seconds
        while time.perf_counter() < until:
            pass
        return super().handle(states, sent, now=now)


async def _opened(writer: Writer, count: int) -> None:
    await asyncio.gather(*(writer.submit(sent(OpenJar(ref=jar(f"j{n}")), f"o{n}")) for n in range(count)))


async def test_a_starved_node_makes_smaller_batches_and_answers_everybody(
    database: Database, vault: Vault
) -> None:
    seen: list[BatchSeen] = []
    clock = ManualClock(START)
    async with Writer(database, _Slow(0.02), clock, vault, observe=seen.append) as writer:
        await _opened(writer, 60)
        clock.set(START + HOUR + TICK)
        fired = 0
        while (done := await writer.settle_due(clock.now())).more:
            fired += done.fired

    assert fired == 60
    assert sum(one.commands for one in seen if one.what == "batch") == 60
    assert max(one.commands for one in seen if one.what == "batch") < 30
    assert max(one.commands for one in seen if one.what == "settle") < 30
    assert (await verify(database, Jars(), CODEC)).faults == ()


async def test_commands_are_answered_in_between_the_settlements_of_a_storm(
    database: Database, vault: Vault
) -> None:
    order: list[str] = []
    clock = ManualClock(START)
    product = _Slow(0.0)
    async with Writer(
        database, product, clock, vault, observe=lambda seen: order.append(seen.what)
    ) as writer:
        await _opened(writer, 80)
        product.seconds = 0.005
        sweep = Sweep(writer, clock, Telemetry(), limit=500, look_ahead=HOUR)
        clock.set(START + HOUR + TICK)
        order.clear()

        async def senders() -> None:
            for n in range(6):
                await writer.submit(sent(PutCoin(ref=jar("j0")), f"p{n}"))

        fired, _ = await asyncio.gather(sweep.settle_all(), senders())

    assert fired == 80
    first, last = order.index("settle"), len(order) - order[::-1].index("settle")
    assert order[first:last].count("batch") >= 3


@pytest.mark.postgres
async def test_an_innocent_row_is_not_set_aside_for_a_poisoned_one_that_another_node_holds(
    postgres_database: Database, vault: Vault
) -> None:
    clock = ManualClock(START)
    held = asyncio.Event()

    class Meddling(Writer):
        """Another node takes the guilty row between its failure and the next claim."""

        async def _settle_once(self, *words: Any, guilty: Any = None, **more: Any) -> Any:
            if guilty is not None:
                held.set()
                async with postgres_database.writing() as other:
                    await other.execute(
                        text("SELECT 1 FROM stream WHERE id = :id FOR UPDATE"), {"id": guilty.stream_id}
                    )
                    return await super()._settle_once(*words, guilty=guilty, **more)
            return await super()._settle_once(*words, **more)

    async with Meddling(postgres_database, Jars(), clock, vault) as writer:
        await writer.submit(sent(OpenJar(ref=jar("bad"), number="rotten", minutes=1), "bad"))
        await _opened(writer, 3)
        clock.set(START + timedelta(minutes=2) + TICK)
        while (await writer.settle_due(clock.now())).more and not held.is_set():
            pass
        clock.set(START + 3 * HOUR)
        async with postgres_database.looking() as connection:
            asked = await connection.execute(
                text("SELECT count(*) FROM deadline WHERE state = 'quarantined'")
            )
            assert asked.scalar_one() == 0
        plain = Writer(postgres_database, Jars(), clock, vault)
        async with plain:
            while (await plain.settle_due(clock.now())).more:
                pass

    assert held.is_set()
    async with postgres_database.looking() as connection:
        asked = await connection.execute(
            text("SELECT stream_id, clock FROM deadline WHERE state = 'quarantined'")
        )
        assert [tuple(row) for row in asked.all()] == [(jar("bad").id, "fill")]


@pytest.fixture
async def frozen_reader(postgres_database: Database, vault: Vault) -> AsyncIterator[Any]:
    """A node's writer session that claims and is stopped in the middle of reading the answer."""
    async with Writer(postgres_database, Jars(), ManualClock(START), vault) as writer:
        for n in range(40):
            await writer.submit(sent(OpenJar(ref=jar(f"j{n}"), words="x"), f"o{n}"))
            await writer.submit(sent(WriteNote(ref=jar(f"j{n}"), words="x"), f"w{n}"))
    async with postgres_database.writing() as connection:
        # As large as the states of a storm: more than a socket takes.
        await connection.execute(text("ALTER TABLE stream ADD ballast text"))
        await connection.execute(text("UPDATE stream SET ballast = repeat(md5(id::text), 3000)"))
    session: Any = await asyncpg.connect(
        postgres_database.dsn,
        server_settings={**SESSION, "application_name": WRITER, "liandong.scope": EVERYTHING},
    )
    await session.execute("BEGIN")
    claim = await session.prepare(CLAIM.replace("s.division", "s.division, s.ballast"))
    session._transport.pause_reading()
    reading = asyncio.ensure_future(claim.fetch(START + HOUR + TICK, 500))
    yield session
    reading.cancel()
    session.terminate()
    await asyncio.gather(reading, return_exceptions=True)


@pytest.mark.postgres
async def test_a_node_frozen_while_it_reads_a_large_answer_is_cut_off_by_the_others(
    frozen_reader: Any, postgres_database: Database, vault: Vault
) -> None:
    clock = ManualClock(START + HOUR + TICK)
    async with Writer(postgres_database, Jars(), clock, vault) as writer:
        sweep = Sweep(writer, clock, Telemetry(), limit=500, look_ahead=HOUR)
        began = time.monotonic()
        while (await writer.settle_due(clock.now())).fired:  # what it does not hold yet
            pass
        assert await writer.next_due() is not None  # held

        sweep.start()
        async with asyncio.timeout(10):
            while await writer.next_due() == START + HOUR + TICK:
                clock.set(clock.now() + timedelta(seconds=0.05))
                await clock.advance(clock.now() + timedelta(seconds=0.05))
                await asyncio.sleep(0.05)
        await sweep.stop()

    assert time.monotonic() - began < 4
    assert (await verify(postgres_database, Jars(), CODEC)).faults == ()
