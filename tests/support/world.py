"""A whole Liandong on a manual clock: wiring's own core and adapters, real store, real lists; time stands until moved."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from aiohttp import web

from adapters.http_api.intake import case_number
from dispatcher.domain import commands as c
from dispatcher.domain.case import Case
from dispatcher.domain.library import Library
from dispatcher.domain.product import Answer
from dispatcher.domain.stream import Actor, Command, Effect, Role, Submission
from dispatcher.domain.values import Personal
from dispatcher.ports import Carrier
from dispatcher.releases import build_library
from dispatcher.runtime.clock import ManualClock
from dispatcher.runtime.service import Attached
from dispatcher.settings import Settings, load_settings
from dispatcher.store.numbers import Numbers
from dispatcher.views.outgoing import OutgoingCases
from dispatcher.wiring import EFFECTS, SPECS, AdapterSpec, Built, Core, OpenStore, build_core, carriers_of

HOME = "630000"
HOTLINE = "12345-630100"
"""Xining's 12345."""
POLICE = "110-630102"
"""The 110 of Xining's 城东区."""


@cache
def library() -> Library:
    """The packaged releases with the demonstration organisation, compiled once a session."""
    return build_library(_settings({}).data, HOME)


def _settings(env: dict[str, str]) -> Settings:
    return load_settings(None, env, folder=Path("/nonexistent"))


def agent(platform: str = HOTLINE) -> Actor:
    """An agent of a platform who may also lead a squad there, so that one actor can run a case."""
    role = Role.AGENT_110 if platform.startswith("110") else Role.AGENT_12345
    return Actor(
        id=f"agent@{platform}", roles=(role, Role.SQUAD_LEADER), platform=platform, division=platform[-6:]
    )


def clerk(unit: str) -> Actor:
    """A clerk of a unit who may also sign for its lead."""
    division = library().organisation.unit(unit).division
    return Actor(id=f"clerk@{unit}", roles=(Role.CLERK, Role.LEAD), unit=unit, division=division)


def unit_of(kind: str, division: str = "630102") -> str:
    """The code of the unit of this kind that answers for a division."""
    unit = library().organisation.resolve(kind, division)
    assert unit is not None, f"no {kind} for {division}"
    return unit.code


class World:
    """One deployment. `say` sends a command; `pass_time` settles what falls due on the way and sends what goes out."""

    def __init__(self, core: Core, clock: ManualClock, attached: Sequence[Attached]) -> None:
        self.core = core
        self.clock = clock
        self.attached = tuple(attached)
        self.numbers = Numbers(core.database)
        self.cases = OutgoingCases(core.database, core.vault)
        self._messages = 0

    async def say(self, command: Command, actor: Actor) -> Answer:
        """Submit a command as somebody and look what the log has grown to; returns what they are told."""
        self._messages += 1
        outcome = await self.core.inbox.submit(
            Submission(
                message_id=uuid5(NAMESPACE_URL, f"world/{self._messages}"),
                command=command,
                actor=actor,
            )
        )
        self.core.feed.moved(outcome.position)
        return msgspec.json.decode(outcome.answer, type=Answer)

    async def call_in(self, words: str, *, platform: str = HOTLINE, key: str = "", **more: Any) -> Answer:
        """A citizen calls; the platform's agent registers it."""
        number = await self.numbers.take(platform, self.clock.now().year)
        more.setdefault("division", platform[-6:])
        more.setdefault("personal", Personal(caller="09715550123", name="测试"))
        command = c.RegisterCase(
            case=uuid5(NAMESPACE_URL, f"case/{platform}/{key or words}"),
            platform=platform,
            number=case_number(platform, self.clock.now().year, number),
            words=words,
            **more,
        )
        return await self.say(command, agent(platform))

    async def case(self, id_: UUID) -> Case:
        """The case as it stands."""
        found = await self.cases.get(id_)
        assert found is not None, f"no case {id_}"
        return found.case

    async def send(self) -> int:
        """Send what waits in the outbox; returns how many attempts were made."""
        made = await self.core.relay.flush()
        self.core.feed.moved(await self.position())
        return made

    async def pass_time(self, length: timedelta) -> int:
        """Move on, settling every deadline at its own instant; returns how many fired."""
        return await self.until(self.clock.now() + length)

    async def until(self, instant: datetime) -> int:
        """Move to an instant. What fell due on the way was settled at its own instant, and its effects were sent."""
        fired = 0
        await self.send()
        while (due := await self._next()) is not None and due <= instant:
            await self.clock.advance(max(due, self.clock.now()))
            fired += await self.core.sweep.settle_all()
            await self.send()
        await self.clock.advance(instant)
        await self.send()
        return fired

    async def _next(self) -> datetime | None:
        """When something falls due, or what waits in the outbox may go."""
        waits = await self.core.outbox.next_try()
        if waits is not None and waits <= self.clock.now():
            waits = None  # it stands behind another one
        return min(
            (due for due in (await self.core.writer.next_due(), waits) if due is not None), default=None
        )

    async def position(self) -> int:
        """The position of the log's last event."""
        async with self.core.database.looking() as connection:
            return int((await connection.exec_driver_sql("SELECT value FROM position")).scalar_one())

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """The HTTP side of all adapters on a free port of loopback; yields the address, ending with a slash."""
        app = web.Application()
        for attached in self.attached:
            app.add_routes(attached.routes)
            for prefix, sub in attached.mounts:
                app.add_subapp(prefix, sub)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
        finally:
            self.core.feed.close()
            await runner.cleanup()


@asynccontextmanager
async def world(
    url: str, folder: Path, start: datetime, *, specs: Sequence[AdapterSpec] = SPECS, **env: str
) -> AsyncIterator[World]:
    """A deployment over a database, its clock standing at ``start``, its key and its files in ``folder``."""
    settings = _settings(
        {"LIANDONG_DATABASE_URL": url, "LIANDONG_VAULT_KEY_FILE": str(folder / "vault.key"), **env}
    )
    clock = ManualClock(start)
    carriers: dict[type[Effect], Carrier] = {}
    core = build_core(settings, clock=clock, carriers=carriers)
    who = carriers_of(specs, EFFECTS)
    attached = []
    for spec in specs:
        built = spec.build(core)
        attached.append(built.attached)
        if built.carrier is not None:
            carriers.update({effect: built.carrier for effect, kind in who.items() if kind == spec.kind})
    store = OpenStore(core, serving=False)
    await store.open()
    try:
        yield World(core, clock, attached)
    finally:
        await store.drain()
        await store.close()


def instead(kind: str, make: Callable[[Core], Carrier]) -> tuple[AdapterSpec, ...]:
    """Wiring's adapters with another carrier in the place of the one of that kind."""

    def build(core: Core) -> Built:
        return Built(attached=Attached(kind=kind), carrier=make(core))

    return tuple(dataclasses.replace(spec, build=build) if spec.kind == kind else spec for spec in SPECS)
