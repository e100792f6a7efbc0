"""Housekeeping on real databases: every chore runs, one node at a time, and a failing one harms nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from dispatcher.runtime.clock import SystemClock
from dispatcher.runtime.housekeeping import Chore, Housekeeping
from dispatcher.runtime.telemetry import Telemetry
from dispatcher.settings import load_settings
from dispatcher.store.database import Database
from dispatcher.store.leases import Leases
from dispatcher.store.merkle import read_anchors
from dispatcher.wiring import Core, chores, writing


@pytest.fixture
async def core(database_url: str, tmp_path: Path) -> AsyncIterator[Core]:
    settings = load_settings(
        None,
        {
            "LIANDONG_DATABASE_URL": database_url,
            "LIANDONG_DATABASE_ANCHOR_FILE": str(tmp_path / "anchors.jsonl"),
            "LIANDONG_VAULT_KEY_FILE": str(tmp_path / "vault.key"),
            "LIANDONG_DATA_CACHE": str(tmp_path / "cache"),
        },
        folder=tmp_path,
    )
    async with writing(settings) as made:
        yield made


def _keeper(database: Database, node: str, *those: Chore) -> Housekeeping:
    return Housekeeping(those, Leases(database, node), Telemetry())


async def test_every_chore_of_ours_runs_and_bears_being_run_again(core: Core, tmp_path: Path) -> None:
    ours = chores(core)
    keeper = Housekeeping(ours, Leases(core.database, "node-1"), core.telemetry)

    done = [await keeper.run(chore) for _ in range(2) for chore in ours]

    assert all(done)
    assert [made.position for made in read_anchors(tmp_path / "anchors.jsonl")] == [0, 0]
    assert core.telemetry.registry.get_sample_value("liandong_outbox_depth", {"state": "ready"}) == 0


async def test_a_chore_is_done_by_one_node_at_a_time(database: Database) -> None:
    began, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        began.set()
        await may_end.wait()

    chore = Chore(name="anchor", when="5 0 * * *", do=slow)
    one, other = _keeper(database, "node-1", chore), _keeper(database, "node-2", chore)
    first = asyncio.create_task(one.run(chore))
    await asyncio.wait_for(began.wait(), 10)

    assert not await other.run(chore)

    may_end.set()
    assert await first
    assert await other.run(chore)


async def test_a_chore_that_every_node_does_asks_for_no_lease(database: Database) -> None:
    done: list[str] = []

    async def note() -> None:
        done.append("done")

    chore = Chore(name="measure", when="* * * * *", do=note, alone=False)

    assert await _keeper(database, "node-1", chore).run(chore)
    assert await _keeper(database, "node-2", chore).run(chore)
    assert done == ["done", "done"]


async def test_a_chore_that_fails_is_counted_and_gives_its_lease_back(database: Database) -> None:
    async def broken() -> None:
        raise RuntimeError("disk full")

    chore = Chore(name="anchor", when="5 0 * * *", do=broken)
    telemetry = Telemetry()
    keeper = Housekeeping((chore,), Leases(database, "node-1"), telemetry)

    assert not await keeper.run(chore)

    counted = telemetry.registry.get_sample_value("liandong_loop_failures_total", {"loop": "chore anchor"})
    assert counted == 1
    assert await Leases(database, "node-2").take("anchor") is not None


async def test_what_is_done_again_and_again_rings_soon_also_after_the_clock_was_set(
    database: Database,
) -> None:
    async def nothing() -> None:
        raise AssertionError("it is stopped before it rings")

    chore = Chore(name="audit", when=timedelta(seconds=15), do=nothing, alone=False)
    keeper = _keeper(database, "node-1", chore)
    keeper.start()
    first = keeper.next_run("audit")

    keeper.rewind()

    rings = keeper.next_run("audit")
    keeper.stop()
    assert first is not None
    assert rings is not None
    assert timedelta() < rings - SystemClock().now() <= timedelta(seconds=15)
    assert rings > first


async def test_the_alarm_clock_rings_by_legal_time_and_stops(database: Database) -> None:
    async def nothing() -> None:
        raise AssertionError("midnight is not now")

    chore = Chore(name="anchor", when="5 0 * * *", do=nothing)
    keeper = _keeper(database, "node-1", chore)

    keeper.start()
    rings = keeper.next_run("anchor")
    keeper.stop()

    assert rings is not None
    assert rings > SystemClock().now()
    assert rings.strftime("%H:%M %z") == "00:05 +0800"
