"""Waiting for new events: PostgreSQL's NOTIFY as a hint, the position counter as the truth, polling as the net."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any, Self

import asyncpg
from sqlalchemy import text

from dispatcher.store.database import Database
from dispatcher.store.postgres import CHANNEL

log = logging.getLogger(__name__)

POLL = timedelta(seconds=1)


class Listener:
    """Wakes those who follow the log. A lost connection costs latency (one poll), never an event."""

    def __init__(self, database: Database, *, poll: timedelta = POLL) -> None:
        self._database = database
        self._poll = poll.total_seconds()
        self._hint = asyncio.Event()
        self._connection: Any = None

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None and not self._connection.is_closed():
            await self._connection.close()
        self._connection = None

    def hint(self, *_: object) -> None:
        """Something was committed in this process (wire it to `Writer`'s observe)."""
        self._hint.set()

    async def position(self) -> int:
        """The position of the last event."""
        async with self._database.looking() as connection:
            return int(
                (await connection.execute(text("SELECT value FROM position WHERE id = 1"))).scalar_one()
            )

    async def beyond(self, position: int, timeout: timedelta) -> int:  # noqa: ASYNC109 - the caller polls too
        """Wait until there are events after ``position``; returns the newest position, or the same in the end."""
        end = asyncio.get_running_loop().time() + timeout.total_seconds()
        while True:
            self._hint.clear()
            newest = await self.position()
            left = end - asyncio.get_running_loop().time()
            if newest > position or left <= 0:
                return newest
            try:
                async with asyncio.timeout(min(self._poll, left)):
                    await self._hint.wait()
            except TimeoutError:
                await self._listen()

    async def _listen(self) -> None:
        if not self._database.is_postgres or (
            self._connection is not None and not self._connection.is_closed()
        ):
            return
        try:
            self._connection = await asyncpg.connect(
                self._database.dsn, timeout=5, server_settings={"application_name": "liandong-listen"}
            )
            await self._connection.add_listener(CHANNEL, self.hint)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as err:
            log.warning("not listening, polling instead: %s", type(err).__name__)
