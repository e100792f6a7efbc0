"""Word that comes back about notices: delivery receipts of gateways, the end of a call. The carrier acts on it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol
from uuid import UUID

from dispatcher.ports import CallEnd, Clock
from dispatcher.store.receipts import Receipts, ReceiptState

_log = logging.getLogger("liandong.notice")


CALL_WORDS: Final[Mapping[CallEnd, str]] = MappingProxyType(
    {
        CallEnd.HEARD: "answered, but nobody pressed the key",
        CallEnd.NO_ANSWER: "nobody answered",
        CallEnd.BUSY: "the line was busy",
        CallEnd.FAILED: "the call could not be placed",
    }
)


class Outbox(Protocol):
    """The store's side (`dispatcher.store.outbox.Outbox`)."""

    async def look_again(self, key: UUID, now: datetime, *, sent: bool) -> bool: ...


class Reports:
    """Keeps what a channel says about a message, and wakes the notice that waits for it.

    A message that counted as sent and did not arrive goes on to the next channel.

    Args:
        nudge: tells the relay that there is something to send.
    """

    def __init__(self, receipts: Receipts, outbox: Outbox, clock: Clock, nudge: Callable[[], None]) -> None:
        self._receipts = receipts
        self._outbox = outbox
        self._clock = clock
        self._nudge = nudge

    async def ended(self, name: str, how: CallEnd) -> bool:
        """How a duty call ended (`dispatcher.ports.CallEnds`). Only a person's key counts: a machine answers too."""
        state = ReceiptState.CONFIRMED if how is CallEnd.CONFIRMED else ReceiptState.FAILED
        return await self.heard("phone", name, state, "" if how is CallEnd.CONFIRMED else CALL_WORDS[how])

    async def heard(self, channel: str, reference: str, state: ReceiptState, why: str = "") -> bool:
        """False: no such message is known yet; whoever says it should say it again in a moment."""
        now = self._clock.now()
        word = await self._receipts.word(channel, reference, state, why, now)
        if word is None:
            return False
        before, after = word.before, word.after
        if before.state is not ReceiptState.TAKEN or after.state is before.state:
            return True  # said twice, or too late: another channel was asked meanwhile
        waited_for = before.until is not None
        if waited_for or after.state in (ReceiptState.FAILED, ReceiptState.CONFIRMED):
            if after.state is ReceiptState.FAILED:
                _log.warning(
                    "a notice did not arrive", extra={"key": after.key, "channel": channel, "why": why}
                )
            await self._outbox.look_again(after.key, now, sent=not waited_for)
            self._nudge()
        return True
