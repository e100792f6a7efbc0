"""The rehearsal in real time: messages arrive at a rate, and everybody acts, hurried by a factor (the demonstration)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from adapters.rehearsal.callers import Arrival, Callers
from adapters.rehearsal.chance import Chances
from adapters.rehearsal.rehearsal import Rehearsal
from dispatcher.domain.errors import Refused
from dispatcher.ports import Clock
from dispatcher.store.errors import StoreError
from routing_rules.demo import DemoMessage

_log = logging.getLogger("liandong.rehearsal")

_GLANCE = timedelta(seconds=1)
_PAUSE = timedelta(seconds=5)


class LiveRehearsal:
    """Plays until stopped. Whatever goes wrong is logged and tried again: the demonstration goes on.

    Args:
        rate: messages a minute; 0 lets nobody call.
    """

    def __init__(
        self,
        rehearsal: Rehearsal,
        callers: Callers,
        messages: Sequence[DemoMessage],
        clock: Clock,
        chances: Chances,
        *,
        rate: float,
    ) -> None:
        self._rehearsal = rehearsal
        self._callers = callers
        self._messages = messages
        self._clock = clock
        self._chances = chances
        self._gap = timedelta(minutes=1) / rate if rate else None
        self._count = 0
        self._next: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to play."""
        self._next = self._clock.now() + _GLANCE if self._gap else None
        self._task = asyncio.create_task(self._play(), name="rehearsal")

    async def stop(self) -> None:
        """Nobody calls or acts any more; what was sent is on its way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _play(self) -> None:
        while True:
            try:
                await self._turn()
            except (Refused, StoreError) as no:
                _log.warning("the rehearsal pauses", extra={"why": str(no)})
                await self._clock.sleep_until(self._clock.now() + _PAUSE)
            except Exception as error:  # noqa: BLE001 - the top of the loop: the demonstration outlives a fault of its actors
                _log.error("an actor failed", extra={"error": type(error).__name__}, exc_info=error)
                await self._clock.sleep_until(self._clock.now() + _PAUSE)

    async def _turn(self) -> None:
        now = self._clock.now()
        if self._gap is not None and self._next is not None and self._next <= now:
            self._next = max(self._next + self._gap * self._unevenly(), now)
            await self._callers.register(self._arrival(now))
        await self._rehearsal.look(now)
        await self._rehearsal.act(now)
        waits = [now + _GLANCE, self._rehearsal.next_at(), self._next]
        await self._clock.sleep_until(min(at for at in waits if at is not None))

    def _unevenly(self) -> float:
        return 2 * self._chances.of("gap", self._count).fraction()

    def _arrival(self, now: datetime) -> Arrival:
        """One of the messages, in an order that differs from round to round."""
        draw = self._chances.of("message", self._count)
        self._count += 1
        return arrival_of(draw.pick(self._messages), at=now, name=f"{now.isoformat()}/{self._count}")


def arrival_of(message: DemoMessage, *, at: datetime, name: str) -> Arrival:
    """A message of the demonstration as it arrives."""
    return Arrival(
        at=at,
        id=f"{message.id}/{name}",
        title=message.title,
        text=message.text,
        line=message.line,
        division=message.division,
        channel=message.channel,
    )
