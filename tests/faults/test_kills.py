"""Real nodes under load, killed, stopped, frozen and cut off: nothing acknowledged is lost, nothing happens twice."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from tests.faults.storm import Life, Storm, account, killed, latest, settled
from tests.support.databases import Cluster, cluster

FROZEN = """
SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND state = 'idle in transaction'
"""

HOLDS_NO_LONGER = timedelta(seconds=3)
"""A frozen node's transaction is ended by the database after 2 s; the others look at least once a second."""

BUSY = timedelta(seconds=2)
"""What a machine that runs everything else beside this test may take for its part."""


@pytest.fixture
def own_postgres() -> Iterator[Cluster]:
    """A PostgreSQL that may be crashed."""
    with cluster() as running:
        yield running


async def test_killed_three_times_on_sqlite(sqlite_template: Path, tmp_path: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "liandong.db")
    storm = Storm(f"sqlite:///{tmp_path}/liandong.db", tmp_path, seed=1)

    assert await killed(storm, 3) == []
    assert storm.books.registered > 3


@pytest.mark.postgres
async def test_killed_twice_on_postgresql(postgres: Cluster, tmp_path: Path) -> None:
    storm = Storm(await postgres.fresh(), tmp_path, seed=2)

    assert await killed(storm, 2) == []
    assert storm.books.registered > 3


async def test_sigterm_under_load_drains_and_loses_nothing(sqlite_template: Path, tmp_path: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "liandong.db")
    storm = Storm(f"sqlite:///{tmp_path}/liandong.db", tmp_path, seed=3)
    async with storm.blowing():
        async with storm.senders():
            life = await storm.start()
            await life.ready()
            await storm.pass_time(0.5, 1.5)

            assert await life.end() == 0
            assert life.errors() == []

            life = await storm.start()
            await life.ready()
            storm.stop_senders()
        assert await settled(storm, life) == []


@pytest.mark.postgres
async def test_a_node_killed_and_another_frozen_keep_nothing_from_the_third(
    postgres: Cluster, tmp_path: Path
) -> None:
    url = await postgres.fresh()
    storm = Storm(url, tmp_path, seed=4)
    async with storm.blowing():
        async with storm.senders():
            first, second = await storm.start(0), await storm.start(1)
            await first.ready()
            await second.ready()
            await storm.pass_time(0.3, 0.6)
            await first.kill()
            third = await storm.start(0)
            await third.ready()

            await _freeze(second, postgres, url)
            await storm.pass_time(3.0, 4.0)
            second.process.send_signal(signal.SIGCONT)
            await storm.pass_time(0.5, 1.0)
            storm.stop_senders()
        assert await second.end() == 0
        assert await settled(storm, third) == []
        assert await latest(url) < HOLDS_NO_LONGER + BUSY


async def _freeze(life: Life, postgres: Cluster, url: str) -> None:
    """SIGSTOP, at an instant at which it holds a transaction open."""
    connection = await asyncpg.connect(
        host=str(postgres.socket), user=postgres.superuser, database="postgres"
    )
    question = FROZEN.format(name=url.split("@/")[1].split("?")[0])
    try:
        for _ in range(2000):
            life.process.send_signal(signal.SIGSTOP)
            if await _still_open(connection, question):
                return
            life.process.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.003)
        raise AssertionError("the node was never seen in the middle of a transaction")
    finally:
        await connection.close()


async def _still_open(connection: asyncpg.Connection, question: str) -> bool:
    """A transaction of the stopped process: open now, and a moment later too (the other node's are short)."""
    for _ in range(3):
        if not await connection.fetchval(question):
            return False
        await asyncio.sleep(0.05)
    return True


@pytest.mark.postgres
async def test_a_database_that_crashes_under_load_comes_back_to_a_node_that_waited(
    own_postgres: Cluster, tmp_path: Path
) -> None:
    storm = Storm(await own_postgres.fresh(), tmp_path, seed=5)
    async with storm.blowing():
        async with storm.senders():
            life = await storm.start()
            await life.ready()
            await storm.pass_time(0.5, 1.0)
            for _ in range(2):
                await asyncio.to_thread(own_postgres.crash)
                await storm.pass_time(0.2, 1.0)
                own_postgres.start()
                await storm.pass_time(1.5, 2.5)
            assert life.process.returncode is None
            storm.stop_senders()
        assert await settled(storm, life) == []
        assert await account(storm) == []
