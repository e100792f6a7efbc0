"""Ports: what the runtime needs from outside, as Protocols. Adapters implement them; fakes live beside those."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
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


class DutyCall(msgspec.Struct, frozen=True, kw_only=True):
    """Ring a duty telephone, read a text to whoever answers, and ask for a key to be pressed.

    ``id`` is the same at every attempt; ``number`` as the roster writes it; ``confirm`` is the key ("1"); it rings for
    ``ring_for`` at most. The text holds no personal data of a citizen.
    """

    id: UUID
    number: str
    words: str
    language: str
    confirm: str
    ring_for: timedelta


class CallEnd(StrEnum):
    """How a duty call ended."""

    CONFIRMED = "confirmed"  # a person pressed the key
    HEARD = "heard"  # answered, and no key was pressed: perhaps a machine
    NO_ANSWER = "no-answer"
    BUSY = "busy"
    FAILED = "failed"  # no such number, no line, the switch lost it


class Caller(Protocol):
    """The switch, for calls that the dispatcher places itself.

    How a call ended is told to a `CallEnds` once, after `ring` returned; where the switch loses a call without a word,
    whoever asked stops waiting by a limit of their own.
    """

    async def ring(self, call: DutyCall) -> str:
        """Have a call placed; returns the switch's own name for it at once, not when it is answered.

        A second `ring` with the same id while the first call lasts is the same call.

        Raises:
            TryLater: not known to have been placed. GiveUp: the switch refuses the number.
        """
        ...


class CallEnds(Protocol):
    """Takes word of how calls ended."""

    async def ended(self, name: str, how: CallEnd) -> bool:
        """False: no such call is known (yet); say it again in a moment."""
        ...


class Carrier(Protocol):
    """Carries effects of some kinds to one outside system; a repeated key is harmless there."""

    async def deliver(self, delivery: Delivery) -> None:
        """Raises `TryLater` or `GiveUp`; returning means the receiver has it."""
        ...
