"""The database goes away in the middle: every sender gets a true answer, nothing is lost, nothing happens twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from dispatcher.ports import Outcome
from dispatcher.store.database import Database
from dispatcher.store.errors import Unavailable
from dispatcher.store.vault import Vault
from dispatcher.store.verify import verify
from dispatcher.store.writer import TICK, Writer
from tests.support.aggregate import CODEC, Jars, ManualClock, OpenJar, PutCoin, jar, sent
from tests.support.databases import Cluster

CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name LIKE 'liandong%' AND datname = '{name}' AND pid <> pg_backend_pid()
"""


async def cut(postgres: Cluster, database: Database) -> None:
    await postgres.execute(CUT.format(name=database.url.database))


@pytest.mark.postgres
async def test_connections_cut_again_and_again_lose_and_double_nothing(
    postgres: Cluster, postgres_database: Database, clock: ManualClock, vault: Vault
) -> None:
    async with Writer(postgres_database, Jars(), clock, vault, largest_batch=4) as writer:
        await writer.submit(sent(OpenJar(ref=jar("a")), "open"))
        senders = [
            asyncio.create_task(writer.submit(sent(PutCoin(ref=jar("a")), f"p{n}"))) for n in range(120)
        ]
        for _ in range(3):
            await cut(postgres, postgres_database)
        answers = await asyncio.gather(*senders, return_exceptions=True)

        unanswered = [n for n, answer in enumerate(answers) if isinstance(answer, BaseException)]
        assert all(isinstance(answers[n], Unavailable) for n in unanswered)
        for n in range(120):  # whoever asks again is told what happened, or it happens now
            assert isinstance(await writer.submit(sent(PutCoin(ref=jar("a")), f"p{n}")), Outcome)
        assert (await writer.submit(sent(PutCoin(ref=jar("a")), "last"))).answer.endswith(b":121}")

    assert (await verify(postgres_database, Jars(), CODEC)).faults == ()


@pytest.mark.postgres
async def test_a_sweep_survives_a_cut_connection(
    postgres: Cluster, postgres_database: Database, clock: ManualClock, vault: Vault
) -> None:
    async with Writer(postgres_database, Jars(), clock, vault) as writer:
        await asyncio.gather(*(writer.submit(sent(OpenJar(ref=jar(f"j{n}")), f"o{n}")) for n in range(30)))
        clock.advance(timedelta(hours=1) + TICK)

        sweeping = asyncio.create_task(writer.settle_due(clock.now()))
        await cut(postgres, postgres_database)
        fired = (await sweeping).fired
        while (more := await writer.settle_due(clock.now())).more:
            fired += more.fired

    async with postgres_database.looking() as connection:
        told = await connection.execute(text("SELECT count(*) FROM outbox WHERE receiver = 'supervisor'"))
        assert told.scalar_one() == 30
    assert fired <= 30  # a commit whose answer was lost is not counted, and not repeated either


async def test_a_database_that_is_not_there_is_said_at_the_start(
    engine_name: str, clock: ManualClock, vault: Vault
) -> None:
    urls = {"sqlite": "sqlite:////proc/none/x.db", "postgres": "postgresql://nobody@/x?host=/proc/none"}
    writer = Writer(Database(urls[engine_name]), Jars(), clock, vault)

    with pytest.raises(Unavailable):
        await writer.start()
    with pytest.raises(Unavailable):
        await writer.submit(sent(OpenJar(ref=jar("a")), "m"))
    await writer.close()


async def test_two_writers_of_one_database_lose_nothing_of_each_other(
    database: Database, clock: ManualClock, vault: Vault
) -> None:
    twin = Database(database.url.render_as_string(hide_password=False))
    async with Writer(database, Jars(), clock, vault) as one, Writer(twin, Jars(), clock, vault) as other:
        await one.submit(sent(OpenJar(ref=jar("a")), "open"))

        answers = await asyncio.gather(
            *(
                writer.submit(sent(PutCoin(ref=jar("a")), f"{name}{n}"))
                for n in range(60)
                for name, writer in (("one", one), ("other", other))
            )
        )
        repeated = await asyncio.gather(
            *(writer.submit(sent(PutCoin(ref=jar("a")), "one7")) for writer in (one, other))
        )

    await twin.close()
    assert sorted(answer.position for answer in answers) == list(range(2, 122))
    assert [answer.repeated for answer in repeated] == [True, True]
    assert (await verify(database, Jars(), CODEC)).faults == ()
