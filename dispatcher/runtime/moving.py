"""Carries a new calendar or policy over all open cases: surveyed without a trace, or moved in chunks by the writer.

Idempotent by itself: a case that moved already is surveyed as unmoved. So whoever was killed is followed by anybody,
and a node that decided a case by the old calendar a moment too long mends it by carrying the same order out again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import cast
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from msgspec.structs import replace

from dispatcher.domain import events as e
from dispatcher.domain.case import Case
from dispatcher.domain.clocks import recompute
from dispatcher.domain.commands import CASE, MoveDeadlines
from dispatcher.domain.errors import Refused
from dispatcher.domain.library import Library
from dispatcher.domain.moving import moves_of
from dispatcher.domain.stream import Actor, Role, Submission
from dispatcher.ports import Clock, Inbox
from dispatcher.runtime.clock import SteadyClock
from dispatcher.runtime.loops import Loop
from dispatcher.runtime.telemetry import Telemetry
from dispatcher.store import codec
from dispatcher.store.batches import CALENDAR, DONE, FAILED, RUNNING, Batch, Batches
from dispatcher.store.errors import Failed
from dispatcher.store.leases import Leases

CHUNK = 500
LEASE = "moving"
LOOK_EVERY = timedelta(seconds=2)
HOLD = timedelta(seconds=10)
"""How long a node that died while carrying out an order keeps the others waiting."""
_log = logging.getLogger("liandong.moving")
_MESSAGES = uuid5(NAMESPACE_URL, "urn:liandong:batch")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A case that an order moves, at the version that was looked at."""

    case: UUID
    number: str
    platform: str
    version: int
    moves: tuple[e.Moved, ...]


async def survey(
    batches: Batches, batch: Batch, library: Library, clock: Clock
) -> AsyncIterator[tuple[int, list[Found]]]:
    """What the order would move under ``library``, chunk by chunk: (cases looked at, those that move)."""
    policy = batch.target if batch.what != CALENDAR else ""
    after: UUID | None = None
    while page := await batches.candidates(batch, after, CHUNK):
        after = page[-1].ref.id
        found = []
        for candidate in page:
            if candidate.ref.kind != CASE:
                continue
            case = cast("Case", codec.decode_state(candidate.state, Case))
            other = policy if case.policy != policy else ""
            moved = recompute(case, clock.now(), library, policy=other)
            if moved is None and not other:
                continue
            runs = moved.runs if moved is not None else ()
            found.append(
                Found(
                    case=case.id,
                    number=case.number,
                    platform=case.platform,
                    version=candidate.version,
                    moves=moves_of(case, runs, library),
                )
            )
        yield len(page), found


def _untold(_seen: int, _found: list[Found]) -> None:
    """Nobody watches."""


async def carry_out(
    batches: Batches,
    batch: Batch,
    library: Library,
    inbox: Inbox,
    clock: Clock,
    leases: Leases,
    *,
    told: Callable[[int, list[Found]], None] = _untold,
) -> Batch | None:
    """Move what the order moves, one process at a time.

    Returns:
        The order as it stands then: done, or failed with the count of cases that could not be moved. None: another
        process is at it, or has taken it over.

    Raises:
        Unavailable: the database cannot take commands; what is moved is moved, carry it out again.
    """
    lease = await leases.take(LEASE, expires=HOLD)
    if lease is None:
        return None
    try:
        return await _carry(batches, batch, library, inbox, clock, leases, told)
    finally:
        await leases.give_back(lease)


async def _carry(
    batches: Batches,
    batch: Batch,
    library: Library,
    inbox: Inbox,
    clock: Clock,
    leases: Leases,
    told: Callable[[int, list[Found]], None],
) -> Batch | None:
    policy = batch.target if batch.what != CALENDAR else ""
    actor = Actor(id=batch.by, roles=(Role.SYSTEM,))
    batch = replace(await batches.get(batch.id) or batch, seen=0, failed=0)
    async for looked, found in survey(batches, batch, library, clock):
        if await leases.take(LEASE, expires=HOLD) is None:
            return None
        sent = [
            inbox.submit(
                Submission(
                    message_id=uuid5(_MESSAGES, f"{batch.id}/{one.case}/{one.version}"),
                    command=MoveDeadlines(case=one.case, batch=batch.id, reason=batch.reason, policy=policy),
                    actor=actor,
                )
            )
            for one in found
        ]
        bad = 0
        for one, answer in zip(found, await asyncio.gather(*sent, return_exceptions=True), strict=True):
            if isinstance(answer, Refused | Failed):
                bad += 1
                _log.error("a case was not moved", extra={"case": str(one.case), "why": str(answer)})
            elif isinstance(answer, BaseException):
                raise answer
        told(looked, found)
        batch = replace(
            batch,
            seen=batch.seen + looked,
            moved=batch.moved + len(found) - bad,
            failed=batch.failed + bad,
        )
        await batches.mark(batch)
    moved = await batches.moved(batch, str(e.DeadlinesMoved.__struct_config__.tag))
    batch = replace(batch, moved=moved, state=FAILED if batch.failed else DONE)
    await batches.mark(batch)
    return batch


class ReleaseWatch:
    """Looks for calendars and policies that others put into the database, takes them, and finishes open orders.

    A node that has taken a calendar carries the newest order out once more: what it decided by the old one meanwhile
    is counted again. One node at a time, under a lease.
    """

    def __init__(
        self,
        take: Callable[[], Awaitable[bool]],
        batches: Batches,
        leases: Leases,
        library: Callable[[], Library],
        inbox: Inbox,
        clock: SteadyClock,
        telemetry: Telemetry,
    ) -> None:
        self._take = take
        self._batches = batches
        self._leases = leases
        self._library = library
        self._inbox = inbox
        self._clock = clock
        self._owed = False
        self._loop = Loop("releases", self.once, failed=telemetry.failure)

    async def start(self) -> None:
        """Begins to look."""
        self._loop.start()

    async def stop(self) -> None:
        """Looks no more; a chunk under way is finished."""
        await self._loop.stop()

    def look_now(self) -> None:
        """Something was put there (SIGHUP)."""
        self._owed = True
        self._loop.nudge()

    async def once(self) -> None:
        """One look, and a rest."""
        await self.look()
        await self._loop.rest(self._clock.sleep_until(self._clock.now() + LOOK_EVERY))

    async def look(self) -> None:
        """Takes what is new and finishes what is open."""
        if await self._take():
            self._owed = True
            _log.info("a calendar or policy was taken into force from the database")
        orders = await self._batches.all()
        owed = [order for order in orders if order.state == RUNNING]
        if self._owed and orders and not owed:
            owed = orders[-1:]
        if await self._finish(owed):
            self._owed = False

    async def _finish(self, orders: Sequence[Batch]) -> bool:
        """Whether nothing is left: another process that is at it may have passed what this one decided too late."""
        library = self._library()
        finished = True
        for order in orders:
            known = library.calendars.version if order.what == CALENDAR else library.policy.digest
            if order.target != known:
                continue  # superseded by a later one, or not taken yet
            done = await carry_out(self._batches, order, library, self._inbox, self._clock, self._leases)
            if done is None:
                finished = False
            else:
                _log.info(
                    "an order over open cases was carried out", extra={"batch": done.id, "moved": done.moved}
                )
        return finished
