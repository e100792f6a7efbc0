"""Due deadlines: settled once each with their effects, whoever races; poison is set aside and holds nobody up."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from dispatcher.domain.errors import KeyReused, Refused
from dispatcher.ports import Outcome
from dispatcher.store.database import Database
from dispatcher.store.vault import Vault
from dispatcher.store.verify import verify
from dispatcher.store.writer import TICK, Settled, Writer
from tests.support.aggregate import (
    CODEC,
    START,
    CarryAway,
    EmptyJar,
    Jars,
    ManualClock,
    OpenJar,
    PutCoin,
    jar,
    sent,
)

HOUR = timedelta(hours=1)


async def states(database: Database) -> dict[tuple[str, str], int]:
    async with database.looking() as connection:
        found = await connection.execute(
            text("SELECT clock, state, count(*) FROM deadline GROUP BY clock, state")
        )
        return {(row[0], row[1]): row[2] for row in found}


async def told(database: Database) -> int:
    async with database.looking() as connection:
        found = await connection.execute(text("SELECT count(*) FROM outbox WHERE receiver = 'supervisor'"))
        return int(found.scalar_one())


async def settle_all(writer: Writer, clock: ManualClock, limit: int = 500) -> list[Settled]:
    done: list[Settled] = []
    while (one := await writer.settle_due(clock.now(), limit)).more:
        done.append(one)
    return done


async def test_a_deadline_is_settled_once_with_its_effect(
    writer: Writer, database: Database, clock: ManualClock
) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))
    clock.advance(HOUR + timedelta(seconds=3))

    first = await writer.settle_due(clock.now())
    second = await writer.settle_due(clock.now())

    assert first == Settled(fired=1, failed=0, more=True, late_max=timedelta(seconds=3))
    assert second == Settled(fired=0, failed=0, more=False, late_max=timedelta())
    assert await states(database) == {("seal", "fired"): 1, ("fill", "armed"): 1}
    assert await told(database) == 1


async def test_exactly_at_the_instant_is_still_in_time(
    writer: Writer, database: Database, clock: ManualClock
) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))
    clock.advance(HOUR)

    assert not (await writer.settle_due(clock.now())).more
    assert await writer.next_due() == START + HOUR + TICK
    assert (await writer.settle_due(START + HOUR + TICK)).fired == 1


async def test_nothing_armed_means_nothing_to_wait_for(writer: Writer) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))
    await writer.submit(sent(EmptyJar(ref=jar("a")), "m2"))

    assert await writer.next_due() is None


async def test_a_cancelled_deadline_never_fires(
    writer: Writer, database: Database, clock: ManualClock
) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))
    await writer.submit(sent(EmptyJar(ref=jar("a")), "m2"))
    clock.advance(3 * HOUR)

    assert await settle_all(writer, clock) == []
    assert await told(database) == 0


async def test_poison_goes_into_quarantine_and_the_others_fire(
    writer: Writer, database: Database, clock: ManualClock
) -> None:
    for n in range(5):
        await writer.submit(sent(OpenJar(ref=jar(f"j{n}"), number="poison" if n == 2 else ""), f"o{n}"))
    clock.advance(HOUR + TICK)

    done = await settle_all(writer, clock)

    assert [(one.fired, one.failed) for one in done] == [(4, 1)]
    assert await states(database) == {("seal", "fired"): 4, ("seal", "quarantined"): 1, ("fill", "armed"): 5}
    report = await verify(database, Jars(), CODEC)
    assert report.good
    assert report.quarantined == 1


@pytest.mark.postgres
async def test_a_settlement_the_database_refuses_is_found_and_set_aside(
    postgres_database: Database, clock: ManualClock, vault: Vault
) -> None:
    async with Writer(postgres_database, Jars(), clock, vault) as writer:
        for n in range(9):
            number = "rotten" if n == 4 else ""  # rotten ones become too long for PostgreSQL's index
            await writer.submit(sent(OpenJar(ref=jar(f"j{n}"), number=number, minutes=1), f"o{n}"))
        clock.advance(HOUR)

        await settle_all(writer, clock)

    assert await states(postgres_database) == {
        ("seal", "fired"): 9,
        ("fill", "fired"): 8,
        ("fill", "quarantined"): 1,
    }
    assert (await verify(postgres_database, Jars(), CODEC)).good


async def test_an_armed_row_that_the_state_knows_nothing_of_does_not_spin(
    writer: Writer, database: Database, clock: ManualClock
) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))
    await writer.submit(sent(EmptyJar(ref=jar("a")), "m2"))
    async with database.writing() as connection:
        await connection.execute(text("UPDATE deadline SET state = 'armed' WHERE clock = 'seal'"))
    clock.advance(3 * HOUR)

    done = await settle_all(writer, clock)

    assert [(one.fired, one.failed) for one in done] == [(0, 1)]
    assert await states(database) == {("seal", "quarantined"): 1, ("fill", "cancelled"): 1}


async def test_a_quarantined_row_follows_its_stream(
    writer: Writer, database: Database, clock: ManualClock
) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a"), number="poison"), "m1"))
    clock.advance(HOUR + TICK)
    await settle_all(writer, clock)

    await writer.submit(sent(CarryAway(ref=jar("a"), platform="110-630200", division="630200"), "m2"))

    assert (await verify(database, Jars(), CODEC)).good


async def test_small_claims_settle_everything(writer: Writer, database: Database, clock: ManualClock) -> None:
    await asyncio.gather(*(writer.submit(sent(OpenJar(ref=jar(f"j{n}")), f"o{n}")) for n in range(23)))
    clock.advance(3 * HOUR)

    done = await settle_all(writer, clock, 4)

    assert sum(one.fired for one in done) == 46
    assert await states(database) == {("seal", "fired"): 23, ("fill", "fired"): 23}


async def test_sweepers_and_senders_race_and_each_deadline_ends_once(
    database: Database, clock: ManualClock, vault: Vault
) -> None:
    jars = 60
    async with Writer(database, Jars(), clock, vault) as one:
        await asyncio.gather(*(one.submit(sent(OpenJar(ref=jar(f"j{n}")), f"o{n}")) for n in range(jars)))
        clock.advance(HOUR + TICK)
        # On SQLite a second writer in one process takes turns; on PostgreSQL it is another node.
        async with Writer(database, Jars(), clock, vault) as two:
            await asyncio.gather(
                *(settle_all(node, clock, 7) for node in (one, two, one, two)),
                *((one, two)[n % 2].submit(sent(PutCoin(ref=jar(f"j{n}")), f"p{n}")) for n in range(jars)),
                *(
                    (one, two)[n % 2].submit(sent(EmptyJar(ref=jar(f"j{n}")), f"e{n}"))
                    for n in range(0, jars, 3)
                ),
            )
            await settle_all(one, clock)

    found = await states(database)
    assert found[("seal", "fired")] + found.get(("seal", "cancelled"), 0) == jars
    assert await told(database) == found[("seal", "fired")]
    assert (await verify(database, Jars(), CODEC)).faults == ()


@pytest.mark.parametrize("rounds", [3])
async def test_two_writers_never_lose_or_double_a_position(
    database: Database, clock: ManualClock, vault: Vault, rounds: int
) -> None:
    count = 40
    async with Writer(database, Jars(), clock, vault) as one, Writer(database, Jars(), clock, vault) as two:
        # Both nodes get every message: of each pair exactly one is carried out, the other is told so.
        for turn in range(rounds):
            answers = await asyncio.gather(
                *(
                    node.submit(
                        sent(OpenJar(ref=jar(f"j{n}")), f"o{n}")
                        if turn == 0
                        else sent(PutCoin(ref=jar(f"j{n % 5}")), f"p{turn}/{n}")
                    )
                    for n in range(count)
                    for node in (one, two)
                ),
                return_exceptions=True,
            )
            assert [a for a in answers if isinstance(a, BaseException)] == []
            fresh = [a for a in answers if not isinstance(a, BaseException) and not a.repeated]
            assert len(fresh) == count
            assert len({a.position for a in fresh}) == count

    report = await verify(database, Jars(), CODEC)
    assert report.faults == ()
    assert report.position == rounds * count


async def test_two_nodes_that_make_the_same_stream_agree_on_one(
    database: Database, clock: ManualClock, vault: Vault
) -> None:
    async with Writer(database, Jars(), clock, vault) as one, Writer(database, Jars(), clock, vault) as two:
        answers = await asyncio.gather(
            *(
                node.submit(sent(OpenJar(ref=jar(f"j{n}")), f"{id(node)}/{n}"))
                for n in range(30)
                for node in (one, two)
            ),
            return_exceptions=True,
        )

    assert sum(isinstance(answer, Refused) for answer in answers) == 30
    assert (await verify(database, Jars(), CODEC)).position == 30


@pytest.mark.postgres
async def test_a_frozen_node_does_not_keep_due_rows_from_the_others(
    postgres_database: Database, clock: ManualClock, vault: Vault
) -> None:
    async with Writer(postgres_database, Jars(), clock, vault) as writer:
        await asyncio.gather(*(writer.submit(sent(OpenJar(ref=jar(f"j{n}")), f"o{n}")) for n in range(6)))
        clock.advance(HOUR + TICK)
        async with postgres_database.writing() as frozen:
            await frozen.execute(text("SELECT 1 FROM stream WHERE id = :id FOR UPDATE"), {"id": jar("j0").id})

            settled = await writer.settle_due(clock.now())

            assert settled.fired == 5
        assert (await writer.settle_due(clock.now())).fired == 1


@pytest.mark.postgres
async def test_one_message_at_two_nodes_about_different_streams_is_carried_out_once(
    postgres_database: Database, clock: ManualClock, vault: Vault
) -> None:
    async with (
        Writer(postgres_database, Jars(), clock, vault) as one,
        Writer(postgres_database, Jars(), clock, vault) as two,
    ):
        await asyncio.gather(*(one.submit(sent(OpenJar(ref=jar(f"j{n}")), f"o{n}")) for n in range(2)))
        outcomes = await asyncio.gather(
            *(
                node.submit(sent(PutCoin(ref=jar(f"j{n}")), f"twin{m}"))
                for m in range(60)
                for n, node in enumerate((one, two))
            ),
            return_exceptions=True,
        )

    done = [isinstance(outcome, Outcome) for outcome in outcomes]
    assert [done[m] + done[m + 1] for m in range(0, 120, 2)] == [1] * 60
    assert {type(outcome) for outcome in outcomes} == {Outcome, KeyReused}
    report = await verify(postgres_database, Jars(), CODEC)
    assert (report.events, report.faults) == (62, ())
