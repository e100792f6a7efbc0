"""Fixtures for everybody: a fresh database on each engine, and the PostgreSQL behind one of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from dispatcher.store import schema
from dispatcher.store.database import Database
from tests.support.databases import MADE_FOR, Cluster, NoPostgres, apart, cluster


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """One PostgreSQL for the session. Where none can be started: skipped with the reason, failed in CI."""
    try:
        with cluster() as running:
            yield running
    except NoPostgres as err:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI needs PostgreSQL: {err}")
        pytest.skip(f"no PostgreSQL: {err}")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"

    async def make() -> None:
        database = Database(f"sqlite:///{path}")
        await schema.upgrade(database, MADE_FOR)
        await database.close()

    apart(make())
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine_name(request: pytest.FixtureRequest) -> str:
    """Which engine a test runs on."""
    return str(request.param)


@pytest.fixture
async def database_url(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a fresh database with the newest schema, on each engine."""
    if engine_name == "postgres":
        running: Cluster = request.getfixturevalue("postgres")
        return await running.fresh()
    path = tmp_path / "liandong.db"
    shutil.copy(request.getfixturevalue("sqlite_template"), path)
    return f"sqlite:///{path}"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A fresh database with the newest schema, on each engine."""
    made = Database(database_url)
    yield made
    await made.close()


@pytest.fixture
async def postgres_database(postgres: Cluster) -> AsyncIterator[Database]:
    """A fresh PostgreSQL database, for what only PostgreSQL can do."""
    made = Database(await postgres.fresh())
    yield made
    await made.close()
