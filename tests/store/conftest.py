"""Fixtures of the store's tests: a writer over jars on a manual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from dispatcher.store.database import Database
from dispatcher.store.vault import Vault
from dispatcher.store.writer import Writer
from tests.support.aggregate import Jars, ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def vault() -> Vault:
    return Vault(bytes(range(32)))


@pytest.fixture
async def writer(database: Database, clock: ManualClock, vault: Vault) -> AsyncIterator[Writer]:
    async with Writer(database, Jars(), clock, vault) as made:
        yield made
