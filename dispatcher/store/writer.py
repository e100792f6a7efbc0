"""The writer: the only transaction. Commands queue, share a commit, and are answered after it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Self, TypeVar
from uuid import UUID

import msgspec

from dispatcher.domain.errors import Refused
from dispatcher.domain.stream import Product, Submission
from dispatcher.ports import Clock, Outcome
from dispatcher.store import codec
from dispatcher.store.database import Database
from dispatcher.store.engine import Again, BadData, Engine, Lost, Transaction
from dispatcher.store.errors import Failed, Unavailable
from dispatcher.store.postgres import PostgresEngine
from dispatcher.store.rows import BatchSeen, DueRow, Loaded, Observe
from dispatcher.store.sqlite import SqliteEngine
from dispatcher.store.staging import Repeated, Staged, Staging
from dispatcher.store.vault import Vault

log = logging.getLogger(__name__)
T = TypeVar("T")

ATTEMPTS = 6
"""How often a rolled-back batch is tried before its senders are told to come again."""

BOX = 0.25
"""Seconds of deciding after which a batch is closed: what is left comes into the next one. A node that gets little
of its processor makes smaller batches, instead of losing its transaction to the database's limit for idle ones."""

SETTLE_BOX = 0.15
FAIR_BOX = 0.03
"""The same for settlements, and while commands come in: a storm of deadlines is drained in between them."""

COME_IN = 1.0
"""Seconds after a command in which others are expected."""

LANES = 2
"""Batches under way at once: one is decided while the database works on the other."""

TICK = timedelta(microseconds=1)


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What one call of `Writer.settle_due` did.

    ``more``: there may be further due rows, call again. ``late_max``: how long after its instant the latest of
    these was settled.
    """

    fired: int
    failed: int
    more: bool
    late_max: timedelta


class _Sent:
    """A queued submission and the future its sender waits on.

    ``keys`` are its streams and its message id: two submissions that share one are written in arrival order.
    """

    __slots__ = ("digest", "future", "keys", "sent")

    def __init__(
        self, sent: Submission, keys: frozenset[UUID], digest: bytes, future: asyncio.Future[Outcome]
    ) -> None:
        self.sent = sent
        self.keys = keys
        self.digest = digest
        self.future = future

    def answer(self, outcome: Outcome) -> None:
        if not self.future.done():  # a sender may have gone; its command stands all the same
            self.future.set_result(outcome)

    def refuse(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class _Poisoned(Exception):
    """The database does not take a settlement. ``row`` is the first of it; alone, it is the guilty one."""

    def __init__(self, row: DueRow, why: str) -> None:
        super().__init__(why)
        self.row = row
        self.why = why


def _unseen(_seen: BatchSeen) -> None:
    """Nobody looks."""


class Writer:
    """Takes commands and settles deadlines. One for each process; several processes may share a PostgreSQL."""

    def __init__(
        self,
        database: Database,
        product: Product,
        clock: Clock,
        vault: Vault,
        *,
        observe: Observe = _unseen,
        largest_batch: int = 256,
        longest_queue: int = 20_000,
    ) -> None:
        self._product = product
        self._clock = clock
        self._vault = vault
        self._observe = observe
        self._largest = largest_batch
        self._longest = longest_queue
        self._queue: deque[_Sent] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._flying: set[UUID] = set()
        self._lanes: list[asyncio.Task[None]] = []
        self._idle = 0
        self._came = -COME_IN
        self._engine: Engine = (
            PostgresEngine(database, vault.master)
            if database.is_postgres
            else SqliteEngine(database, vault.master)
        )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Connect and begin to take commands.

        Raises:
            Unavailable: the database cannot be reached.
        """
        try:
            await self._engine.open()
        except Lost as err:
            raise Unavailable(f"the database cannot be reached: {err}") from err
        self._closing = False
        self._idle = 0
        self._lanes = [
            asyncio.create_task(self._write_batches(), name=f"store-writer-{n}") for n in range(LANES)
        ]

    async def close(self) -> None:
        """Take no more commands, finish those queued, disconnect."""
        self._closing = True
        self._wake.set()
        await asyncio.gather(*self._lanes)
        self._lanes = []
        await self._engine.close()

    @property
    def queued(self) -> int:
        """How many commands wait."""
        return len(self._queue)

    async def submit(self, sent: Submission) -> Outcome:
        """Carry out one command; returns after its commit.

        A sender that is cancelled while waiting breaks nothing: its command may or may not be carried out, and
        asking again with the same message id tells.

        Raises:
            Refused: a definite no; nothing changed.
            Failed: a fault of ours or of its data; nothing changed.
            Unavailable: the database cannot take commands now; ask again with the same message id.
        """
        if self._closing or not self._lanes or any(lane.done() for lane in self._lanes):
            raise Unavailable("the writer is stopping")
        if len(self._queue) >= self._longest:
            raise Unavailable(f"{len(self._queue)} commands are waiting already")
        try:
            digest = codec.command_digest(sent.command, sent.actor.id, self._vault.command_key)
        except (UnicodeEncodeError, TypeError, ValueError) as err:
            raise Failed(f"{type(sent.command).__name__} cannot be encoded ({type(err).__name__})") from err
        entry = _Sent(sent, self._keys(sent), digest, asyncio.get_running_loop().create_future())
        self._queue.append(entry)
        self._came = time.perf_counter()
        self._wake.set()
        return await entry.future

    async def settle_due(self, now: datetime, limit: int = 500) -> Settled:
        """Settle up to ``limit`` deadlines that are due at ``now``, each together with its effects.

        Claimed and settled in one transaction. A deadline is due after its instant: exactly at it is in time.
        One that cannot be settled goes into quarantine and does not hold up the others.

        Raises:
            Unavailable: the database cannot be reached; nothing is lost, call again.
        """
        # Tried again it is later: an event never says that it happened long before its commit.
        return await self._insist(
            lambda attempt: self._settle(max(now, self._clock.now()) if attempt else now, limit, attempt)
        )

    async def free(self) -> int:
        """Cut off sessions of nodes that were frozen in the middle of a transaction; returns how many.

        The database itself ends those that are idle for two seconds. It cannot end one whose client stopped reading
        an answer half-way; the other nodes do.

        Raises:
            Unavailable: the database cannot be reached.
        """
        return await self._insist(lambda _attempt: self._engine.free())

    async def next_due(self) -> datetime | None:
        """The first instant at which `settle_due` finds work, or None while nothing is armed.

        That is one microsecond after the earliest armed deadline, because exactly at it is in time.

        Raises:
            Unavailable: the database cannot be reached.
        """

        async def ask(_attempt: int) -> datetime | None:
            return await self._engine.next_due()

        earliest = await self._insist(ask)
        return None if earliest is None else earliest + TICK

    async def _write_batches(self) -> None:
        """One lane: take what may be taken, write it, again. While one lane waits for the database, another decides."""
        while True:
            batch = self._next_batch()
            if batch:
                keys = [key for entry in batch for key in entry.keys]
                self._flying.update(keys)
                try:
                    await self._write(batch)
                except Exception as err:  # the top of the writer's loop: log, answer, go on
                    log.error("a batch of %d commands failed", len(batch), exc_info=err)
                    for entry in batch:
                        entry.refuse(Failed(f"the store failed ({type(err).__name__})"))
                finally:
                    self._flying.difference_update(keys)
                    self._wake.set()  # what had to wait for these streams need not any more
                continue
            if self._closing and not self._queue:
                return
            self._wake.clear()
            self._idle += 1
            try:
                await self._wake.wait()
            finally:
                self._idle -= 1

    def _next_batch(self) -> list[_Sent]:
        """What this lane writes now: its share of the queue, in arrival order, and nothing that touches a stream or
        message that another lane is writing or that somebody earlier in the queue still waits for."""
        share = -(-len(self._queue) // (self._idle + 1))
        limit = min(self._largest, max(share, 1))
        batch: list[_Sent] = []
        waiting: list[_Sent] = []
        held: set[UUID] = set()
        while self._queue and len(batch) < limit and len(waiting) <= self._largest:
            entry = self._queue.popleft()
            if entry.future.done():
                continue
            if self._flying.isdisjoint(entry.keys) and held.isdisjoint(entry.keys):
                batch.append(entry)
            else:
                held |= entry.keys
                waiting.append(entry)
        self._queue.extendleft(reversed(waiting))
        return batch

    async def _write(self, batch: Sequence[_Sent]) -> None:
        """Write a batch; on bad data, its halves one after the other, down to the guilty command."""
        left = batch
        try:
            while left:
                left = await self._insist(partial(self._write_once, left))
        except Unavailable as err:
            log.warning("%d commands could not be stored: %s", len(left), err)
            for entry in left:
                entry.refuse(Unavailable(str(err)))
        except BadData as err:
            if len(left) == 1:
                entry = left[0]
                name = type(entry.sent.command).__name__
                log.error("the database does not take what %s wrote: %s", name, err)
                entry.refuse(Failed(f"{name} could not be stored ({err})"))
                return
            middle = len(left) // 2
            await self._write(left[:middle])
            await self._write(left[middle:])

    async def _insist(self, work: Callable[[int], Awaitable[T]]) -> T:
        """Try again what fails for a passing reason, a little later each time."""
        for attempt in range(ATTEMPTS):
            try:
                return await work(attempt)
            except (Again, Lost) as err:
                log.warning("attempt %d was rolled back: %s", attempt + 1, err)
                last = err
            await asyncio.sleep(0.01 * 3**attempt)
        raise Unavailable(str(last)) from last

    async def _write_once(self, batch: Sequence[_Sent], attempt: int) -> Sequence[_Sent]:
        """One transaction. Returns those for which there was no time left."""
        began = time.perf_counter()
        done: list[tuple[_Sent, Staged | Repeated]] = []
        refused: list[tuple[_Sent, Refused | Failed]] = []
        named = {ref.id for entry in batch for ref in entry.sent.command.streams()}
        async with self._engine.transaction(hopeful=attempt == 0) as transaction:
            loaded = await transaction.load(sorted(named), [entry.sent.message_id for entry in batch])
            patient = attempt < ATTEMPTS - 1
            staging = Staging(self._product, self._vault, loaded, self._clock.now(), patient=patient)
            until = time.perf_counter() + BOX
            for place, entry in enumerate(batch):
                if place and time.perf_counter() > until:
                    break
                try:
                    done.append((entry, staging.submit(entry.sent, entry.digest)))
                except (Refused, Failed) as err:
                    refused.append((entry, err))
            rows = staging.rows()
            base = 0 if rows.empty else await transaction.commit(rows)
        for entry, result in done:
            if isinstance(result, Repeated):
                position = result.position if result.ordinal < 0 else base + result.ordinal
                entry.answer(Outcome(answer=result.answer, position=position, repeated=True))
            else:
                entry.answer(Outcome(answer=result.answer, position=base + result.ordinal))
        for entry, no in refused:
            entry.refuse(no)
        failed = sum(isinstance(no, Failed) for _, no in refused)
        self._observe(
            BatchSeen(
                what="batch",
                commands=len(done) + len(refused),
                refused=len(refused) - failed,
                failed=failed,
                events=len(rows.events),
                position=base + len(rows.events),
                seconds=time.perf_counter() - began,
                retries=attempt,
            )
        )
        return batch[len(done) + len(refused) :]

    def _keys(self, sent: Submission) -> frozenset[UUID]:
        try:
            return frozenset((*(ref.id for ref in sent.command.streams()), sent.message_id))
        except Exception as err:  # a fault in one command's class refuses that command only
            name = type(sent.command).__name__
            log.error("%s does not name its streams", name, exc_info=err)
            raise Failed(f"{name} does not name its streams") from err

    async def _settle(self, now: datetime, limit: int, attempt: int) -> Settled:
        """Settle one claim; rows that the database does not take are found by halving and quarantined."""
        try:
            return await self._settle_once(now, limit, attempt)
        except _Poisoned as err:
            if limit > 1:
                first = await self._insist(lambda again: self._settle(now, max(1, limit // 2), again))
                return msgspec.structs.replace(first, more=True)
            log.error("the database does not take a settlement: %s", err.why)
            guilty = err.row
            return await self._insist(lambda again: self._settle_once(now, 1, again, guilty=guilty))

    async def _settle_once(
        self, now: datetime, limit: int, attempt: int, *, guilty: DueRow | None = None
    ) -> Settled:
        """Claim and settle, or (``guilty``) set aside the one row that the database did not take just before.

        Raises:
            _Poisoned: the database does not take one of these.
        """
        began = time.perf_counter()
        async with self._engine.transaction() as transaction:
            loaded, due = await transaction.claim(now, limit)
            if not due:
                return Settled(fired=0, failed=0, more=False, late_max=timedelta())
            due = due[:limit]  # the streams' other due rows wait for the next call
            staging = Staging(self._product, self._vault, loaded, now, patient=attempt < ATTEMPTS - 1)
            # Another node may have taken the guilty one meanwhile: what was claimed instead is innocent.
            if guilty is not None and due[0] == guilty:
                staging.quarantine(due[0])
                done, failed = 1, 1
            else:
                done, failed = await self._stage_due(transaction, staging, loaded, due)
            rows = staging.rows()
            try:
                base = await transaction.commit(rows)
            except BadData as err:
                raise _Poisoned(due[0], str(err)) from err
        due = due[:done]
        self._observe(
            BatchSeen(
                what="settle",
                commands=len(due),
                refused=0,
                failed=failed,
                events=len(rows.events),
                position=base + len(rows.events),
                seconds=time.perf_counter() - began,
                retries=attempt,
            )
        )
        return Settled(
            fired=len(due) - failed,
            failed=failed,
            more=True,
            late_max=now - min(row.due for row in due),
        )

    def _commands_come(self) -> bool:
        return bool(self._queue) or time.perf_counter() - self._came < COME_IN

    async def _stage_due(
        self, transaction: Transaction, staging: Staging, loaded: Loaded, due: Sequence[DueRow]
    ) -> tuple[int, int]:
        """Stage settlements while there is time; returns how many, and how many of them went into quarantine."""
        sent = [(row, staging.expiry(row)) for row in due]
        others: set[UUID] = set()
        for _, one in sent:
            if one is not None:
                others.update(ref.id for ref in one.command.streams())
        if others := others - loaded.streams.keys():
            loaded.streams.update((await transaction.load(sorted(others), ())).streams)
        until = time.perf_counter() + (FAIR_BOX if self._commands_come() else SETTLE_BOX)
        done = failed = 0
        for row, one in sent:
            if done and time.perf_counter() > until:
                break
            failed += not staging.settle(row, one)
            done += 1
        return done, failed
