"""Ports: what the runtime needs from outside, as Protocols. Adapters implement them; fakes live beside those."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from dispatcher.domain.stream import Effect, StreamRef, Submission


class Clock(Protocol):
    """The only source of time. Instants are aware (UTC)."""

    def now(self) -> datetime: ...

    async def sleep_until(self, instant: datetime) -> None: ...


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a sender is told once its command is durable. ``repeated``: the same message came before."""

    answer: bytes
    position: int
    repeated: bool = False


class Inbox(Protocol):
    """Takes commands. Returns only after the commit; raises `Refused` for a definite no."""

    async def submit(self, sent: Submission) -> Outcome: ...


class TryLater(Exception):
    """Not known to have happened: ask again with the same key.

    Args:
        until: nothing failed, it only has to wait until this instant (a quiet hour, a receipt still to come): asking
            again then uses up no patience.
    """

    def __init__(self, why: str, *, until: datetime | None = None) -> None:
        super().__init__(why)
        self.until = until


class GiveUp(Exception):
    """It never will happen: a person or another way must take over."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One effect on its way out. ``key`` is the same at every attempt."""

    key: UUID
    ref: StreamRef
    effect: Effect
    attempt: int


class Carrier(Protocol):
    """Carries effects of some kinds to one outside system; a repeated key is harmless there."""

    async def deliver(self, delivery: Delivery) -> None:
        """Raises `TryLater` or `GiveUp`; returning means the receiver has it."""
        ...
