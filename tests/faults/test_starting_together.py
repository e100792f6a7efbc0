"""Nodes that start at the same instant on one database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from dispatcher.store.database import Database
from dispatcher.store.releases import Release, Releases

NOW = datetime(2026, 11, 2, 2, tzinfo=UTC)


async def test_a_release_kept_by_many_at_once_is_kept_once(database: Database) -> None:
    release = Release(digest="d1", kind="lists", content=b"list", signers=(), effective_from=NOW, created=NOW)
    nodes = [Database(database.dsn, pool=1) for _ in range(4)]

    try:
        kept = await asyncio.gather(*(Releases(node).put(release) for node in nodes))
    finally:
        for node in nodes:
            await node.close()

    assert sorted(kept) == [False, False, False, True]
    assert await Releases(database).of_kind("lists") == [release]
