"""A whole Liandong on a manual clock: real store, real domain, real lists, real carriers; time stands until moved."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from dispatcher.domain import commands as c
from dispatcher.domain.library import Library
from dispatcher.domain.product import Answer, LiandongProduct
from dispatcher.domain.stream import Actor, Command, Role, Submission
from dispatcher.domain.values import Personal
from dispatcher.releases import build_library
from dispatcher.runtime.clock import ManualClock
from dispatcher.settings import load_settings
from dispatcher.store.database import Database
from dispatcher.store.numbers import Numbers
from dispatcher.store.vault import Vault
from dispatcher.store.writer import Writer

HOME = "630000"
HOTLINE = "12345-630100"
"""Xining's 12345."""


@cache
def library() -> Library:
    """The packaged releases with the demonstration organisation, compiled once a session."""
    settings = load_settings(None, {}, folder=Path("/nonexistent"))
    return build_library(settings.data, HOME)


def agent(platform: str = HOTLINE) -> Actor:
    """An agent of a platform who may also lead a squad there (so that one actor can run a case)."""
    role = Role.AGENT_110 if platform.startswith("110") else Role.AGENT_12345
    return Actor(
        id=f"agent@{platform}", roles=(role, Role.SQUAD_LEADER), platform=platform, division=platform[-6:]
    )


def supervisor(platform: str = HOTLINE) -> Actor:
    """A supervisor of a platform."""
    return Actor(
        id=f"supervisor@{platform}", roles=(Role.SUPERVISOR,), platform=platform, division=platform[-6:]
    )


def clerk(unit: str) -> Actor:
    """A clerk of a unit, who may also sign for its lead."""
    return Actor(
        id=f"clerk@{unit}",
        roles=(Role.CLERK, Role.LEAD),
        unit=unit,
        division=library().organisation.unit(unit).division,
    )


class World:
    """One deployment. `say` sends a command; `pass_time` moves the clock and settles what falls due on the way."""

    def __init__(self, database: Database, clock: ManualClock, writer: Writer, vault: Vault) -> None:
        self.database = database
        self.clock = clock
        self.writer = writer
        self.vault = vault
        self.numbers = Numbers(database)
        self.position = 0
        self.moved: Callable[[int], None] = lambda _: None
        self._messages = 0

    async def say(self, command: Command, actor: Actor, *, message: UUID | None = None) -> Answer:
        """Submit a command as somebody; returns what they are told."""
        self._messages += 1
        outcome = await self.writer.submit(
            Submission(
                message_id=message or uuid5(NAMESPACE_URL, f"world/{self._messages}"),
                command=command,
                actor=actor,
                salt=b"salt of the test",
            )
        )
        self.grown(outcome.position)
        return msgspec.json.decode(outcome.answer, type=Answer)

    async def call_in(self, words: str, *, platform: str = HOTLINE, key: str = "", **more: Any) -> Answer:
        """A citizen calls; the platform's agent registers it."""
        case = uuid5(NAMESPACE_URL, f"case/{platform}/{key or words}")
        number = await self.numbers.take(platform, self.clock.now().year)
        more.setdefault("division", platform[-6:])
        more.setdefault("personal", Personal(caller="13800000000", name="测试"))
        return await self.say(
            c.RegisterCase(
                case=case,
                platform=platform,
                number=f"{platform}-{self.clock.now().year}-{number:07d}",
                words=words,
                **more,
            ),
            agent(platform),
        )

    async def pass_time(self, length: timedelta) -> int:
        """Move on, settling every deadline at its own instant; returns how many fired."""
        return await self.until(self.clock.now() + length)

    async def until(self, instant: datetime) -> int:
        """Move to an instant, settling every deadline on the way at its own instant."""
        fired = 0
        while (due := await self.writer.next_due()) is not None and due <= instant:
            await self.clock.advance(max(due, self.clock.now()))
            fired += await self.settle()
        await self.clock.advance(instant)
        return fired

    async def settle(self) -> int:
        """Settle all that is due now."""
        fired = 0
        while (settled := await self.writer.settle_due(self.clock.now())).more:
            assert not settled.failed, "a deadline went into quarantine"
            fired += settled.fired
        self.grown(await self.read_position())
        return fired

    async def read_position(self) -> int:
        """The position of the log's last event."""
        async with self.database.looking() as connection:
            found = await connection.exec_driver_sql("SELECT value FROM position")
            return int(found.scalar_one())

    def grown(self, position: int) -> None:
        """Tell whoever follows the log."""
        self.position = max(position, self.position)
        self.moved(self.position)


@asynccontextmanager
async def world(database: Database, start: datetime) -> AsyncIterator[World]:
    """A deployment over a fresh database, its clock standing at ``start``."""
    clock = ManualClock(start)
    vault = Vault(bytes(range(32)))
    async with Writer(database, LiandongProduct(library()), clock, vault) as writer:
        yield World(database, clock, writer, vault)
