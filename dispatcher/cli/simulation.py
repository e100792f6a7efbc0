"""A simulation: the real write path on a manual clock, stepping from one event to the next.

The next instant is that of the next message, the next due deadline or the next act of a rehearsed person, whichever
comes first. Used by `replay` and to give `demo` a past.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from adapters.linkage.inbound import served_by
from adapters.rehearsal.callers import Arrival, Callers, NumberSource
from adapters.rehearsal.cast import Cast
from adapters.rehearsal.chance import Chances
from adapters.rehearsal.rehearsal import Rehearsal
from dispatcher.domain.case import Case
from dispatcher.domain.errors import Refused
from dispatcher.domain.library import Library
from dispatcher.domain.stream import Change, Effect, Product, StreamRef, Submission
from dispatcher.ports import Carrier, Inbox
from dispatcher.runtime.clock import ManualClock, jitter
from dispatcher.settings import Settings
from dispatcher.store.errors import Failed
from dispatcher.store.numbers import Numbers
from dispatcher.wiring import EFFECTS, SPECS, Core, OpenStore, build_core, carriers_of
from routing_rules.demo import demo_behaviour

RELAY_EVERY = timedelta(hours=12)
"""Simulated time between two runs of the relay while nobody waits for another platform; notices lie till then."""

_LIMIT = 500
_STANDSTILL = 5_000


class StandsStill(RuntimeError):
    """Time does not advance although work is done: a fault of ours, named by what repeats."""


class Progress(msgspec.Struct, kw_only=True):
    """What a simulation has done. ``turned_away`` are messages refused at the door: id, why."""

    registered: int = 0
    acts: int = 0
    settled: int = 0
    quarantined: int = 0
    sent: int = 0
    steps: int = 0
    turned_away: list[tuple[str, str]] = []


class ErrorLog(logging.Handler):
    """Counts what was logged as an error: none is expected."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Counts it by its words."""
        why = getattr(record, "why", "")
        self.seen[f"{record.name}: {record.getMessage()}{' — ' if why else ''}{why}"] += 1


class Seen:
    """The product, with an eye on the cases it decides: a hundred times cheaper than reading the log back each step.

    What is decided and then rolled back is decided again and seen again; a case that never was stored would show as
    refusals of what its actors do next, which fail the run.
    """

    def __init__(self, product: Product) -> None:
        self._product = product
        self._cases: dict[UUID, Case] = {}
        self.fold = product.fold
        self.row = product.row
        self.parties = product.parties
        self.deadlines = product.deadlines
        self.expire = product.expire
        self.state_type = product.state_type

    def handle(
        self, states: Mapping[StreamRef, msgspec.Struct | None], sent: Submission, *, now: datetime
    ) -> Change:
        """As `Product.handle`."""
        change = self._product.handle(states, sent, now=now)
        for ref, state in change.states.items():
            if isinstance(state, Case):
                self._cases[ref.id] = state
        return change

    async def changed(self) -> list[Case]:
        """The cases decided since the last look, in the order of their ids."""
        cases, self._cases = self._cases, {}
        return [cases[id_] for id_ in sorted(cases)]


class Holder(Protocol):
    """Holds the product that decides (`dispatcher.runtime.handling.Reloadable`)."""

    current: Product


class SettledCount(Protocol):
    """How many due deadlines one call settled, and how many it could not."""

    @property
    def fired(self) -> int: ...

    @property
    def failed(self) -> int: ...


class Settles(Protocol):
    """Tells and settles what is due (`dispatcher.store.writer.Writer`)."""

    async def next_due(self) -> datetime | None: ...

    async def settle_due(self, now: datetime, limit: int, /) -> SettledCount: ...


class Flushes(Protocol):
    """Sends what waits to go out (`dispatcher.runtime.relay.Relay`)."""

    async def flush(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What a simulation stands on: an open core with its database, or memory (`dispatcher.cli.memory`)."""

    library: Library
    platforms: Sequence[str]
    product: Holder
    inbox: Inbox
    numbers: NumberSource
    writer: Settles
    relay: Flushes


def ground_of(core: Core) -> Ground:
    """The real write path."""
    return Ground(
        library=core.library.library,
        platforms=core.settings.deployment.platforms,
        product=core.product,
        inbox=core.inbox,
        numbers=Numbers(core.database),
        writer=core.writer,
        relay=core.relay,
    )


class _Waiting:
    """Messages still to come, of which only the first is looked at: a year of them need not lie in memory."""

    def __init__(self, arrivals: Iterable[Arrival]) -> None:
        self._rest = iter(arrivals)
        self.first = next(self._rest, None)

    def take(self) -> Arrival:
        """The first one."""
        taken = self.first
        assert taken is not None, "looked at before it is taken"
        self.first = next(self._rest, None)
        return taken


class Simulation:
    """One run over a ground whose clock is manual."""

    def __init__(
        self,
        ground: Ground,
        clock: ManualClock,
        *,
        origin: str,
        home: str,
        seed: int,
        behaviour: bytes,
        relay_every: timedelta = RELAY_EVERY,
    ) -> None:
        library = ground.library
        self._ground = ground
        self._clock = clock
        self._cast = Cast(
            library,
            Chances(seed, jitter),
            served=served_by(ground.platforms),
            behaviours=demo_behaviour(behaviour),
        )
        self._seen = Seen(ground.product.current)
        ground.product.current = self._seen
        self.rehearsal = Rehearsal(self._cast, ground.inbox, self._seen, seed=seed)
        self.callers = Callers(ground.inbox, ground.numbers, library, origin=origin, home=home, seed=seed)
        self.progress = Progress()
        self._relayed = clock.now()
        self._relay_every = relay_every
        self._due: datetime | None = None
        self._idle_steps = 0

    async def run(
        self,
        arrivals: Iterable[Arrival],
        *,
        until: datetime | None = None,
        told: Callable[[int], object] = lambda _registered: None,
    ) -> None:
        """Play until nothing more happens, or until an instant.

        Args:
            arrivals: in the order of their instants.
            told: called with how many messages were registered since the last call.

        Raises:
            StandsStill: the actors and the deadlines chase each other at one instant.
        """
        waiting = _Waiting(arrivals)
        while (at := await self._next(waiting)) is not None and (until is None or at <= until):
            self._set(at)
            if self._due is not None and self._due <= at:
                self.progress.settled += await self._settle(at)
            batch: list[Arrival] = []
            while waiting.first is not None and waiting.first.at <= at:
                batch.append(waiting.take())
            if batch:
                await asyncio.gather(*(self._register(arrival) for arrival in batch))
                told(len(batch))
            acts = await self.rehearsal.act(at)
            self.progress.acts += acts
            if batch or acts:
                await self.rehearsal.look(at)
            if self.rehearsal.between or at - self._relayed >= self._relay_every:
                await self._relay(at)
            self.progress.steps += 1
        if until is not None:
            self._set(until)
        await self._relay(self._clock.now())

    async def _next(self, waiting: _Waiting) -> datetime | None:
        self._due = await self._ground.writer.next_due()
        instants = [
            at
            for at in (self._due, self.rehearsal.next_at(), waiting.first.at if waiting.first else None)
            if at is not None
        ]
        return max(min(instants), self._clock.now()) if instants else None

    def _set(self, at: datetime) -> None:
        if at > self._clock.now():
            self._clock.set(at)
            self._idle_steps = 0
            return
        self._idle_steps += 1
        if self._idle_steps > _STANDSTILL:
            raise StandsStill(f"{_STANDSTILL} steps at {at.isoformat()}")

    async def _settle(self, at: datetime) -> int:
        """What is due now; the rest of a large batch comes with the next step, at the same instant."""
        settled = await self._ground.writer.settle_due(at, _LIMIT)
        self.progress.quarantined += settled.failed
        await self.rehearsal.look(at)
        return settled.fired

    async def _register(self, arrival: Arrival) -> None:
        try:
            await self.callers.register(arrival)
        except (Refused, Failed) as refused:
            self.progress.turned_away.append((arrival.id, str(refused)))
        else:
            self.progress.registered += 1

    async def _relay(self, at: datetime) -> None:
        self._relayed = at
        self.progress.sent += await self._ground.relay.flush()
        await self.rehearsal.look(at)


@contextlib.asynccontextmanager
async def simulated(settings: Settings, clock: ManualClock) -> AsyncIterator[Core]:
    """An open core on a manual clock, with the carriers of this deployment's adapters.

    Raises:
        ExceptionGroup: the lists have faults. StoreError: the database cannot be used, or is served by somebody.
    """
    carriers: dict[type[Effect], Carrier] = {}
    core = build_core(settings, clock=clock, carriers=carriers, lasting=False)
    who = carriers_of(SPECS, EFFECTS)
    for spec in SPECS:
        if spec.carries and (carrier := spec.build(core).carrier) is not None:
            carriers.update({effect: carrier for effect, kind in who.items() if kind == spec.kind})
    store = OpenStore(core, serving=True)  # time is ours alone: nobody else may settle deadlines meanwhile
    try:
        await store.open()
        yield core
    finally:
        await store.drain()
        await store.close()
