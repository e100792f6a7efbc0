"""Links that misbehave, one class for each way, and one that does not. They ship with the adapter."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid5

from adapters.linkage.outbound import Link
from adapters.linkage.wire import Order, Receipt, ResultNote
from dispatcher.ports import GiveUp, TryLater


class RecordingLink:
    """Takes everything, once for each key, and remembers it."""

    def __init__(self) -> None:
        self.orders: dict[UUID, Order] = {}
        self.notes: dict[UUID, ResultNote] = {}

    async def hand(self, order: Order, key: UUID) -> Receipt:
        """One order for each key."""
        self.orders.setdefault(key, order)
        case = uuid5(key, "case")
        return Receipt(case=case, number=f"{order.to}-2026-{case.int % 10**7:07d}")

    async def report(self, note: ResultNote, key: UUID) -> None:
        """One note for each key."""
        self.notes.setdefault(key, note)


class DeadLink:
    """Nobody is there: the line is down or the host refuses."""

    async def hand(self, order: Order, key: UUID) -> Receipt:
        raise TryLater(f"{order.to} cannot be reached")

    async def report(self, note: ResultNote, key: UUID) -> None:
        raise TryLater(f"{note.to} cannot be reached")


class SlowLink:
    """Takes the call and never answers; the relay's patience ends the attempt."""

    async def hand(self, order: Order, key: UUID) -> Receipt:
        await asyncio.Event().wait()
        raise AssertionError("unreachable: the event is never set")

    async def report(self, note: ResultNote, key: UUID) -> None:
        await asyncio.Event().wait()


class RejectingLink:
    """Says no, for good."""

    async def hand(self, order: Order, key: UUID) -> Receipt:
        raise GiveUp(f"{order.to} refused it: not its division")

    async def report(self, note: ResultNote, key: UUID) -> None:
        raise GiveUp(f"{note.to} refused it: unknown number")


class DeafLink:
    """Takes what comes and loses its own answer, the first time for each key: it did happen."""

    def __init__(self, behind: Link) -> None:
        self._behind = behind
        self._heard: set[UUID] = set()

    async def hand(self, order: Order, key: UUID) -> Receipt:
        receipt = await self._behind.hand(order, key)
        self._lose(key)
        return receipt

    async def report(self, note: ResultNote, key: UUID) -> None:
        await self._behind.report(note, key)
        self._lose(key)

    def _lose(self, key: UUID) -> None:
        if key not in self._heard:
            self._heard.add(key)
            raise TryLater("the answer was lost")
