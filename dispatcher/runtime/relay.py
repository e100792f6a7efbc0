"""The relay: takes effects from the outbox to their carriers, in order within each lane, until they are there.

It marks its own rows and changes nothing else. What an effect led to comes back as a new command.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from dispatcher.domain.errors import Refused
from dispatcher.domain.stream import Effect, Submission
from dispatcher.ports import Carrier, Delivery, GiveUp, Inbox, TryLater
from dispatcher.runtime.clock import SteadyClock
from dispatcher.runtime.loops import Loop
from dispatcher.runtime.telemetry import Telemetry

_log = logging.getLogger("liandong.relay")

_WHY_LENGTH = 300  # what a receiver answered is kept to this length
_SOON = timedelta(
    milliseconds=10
)  # the data goes ahead of the voice by 300 ms at most (plan III.3): look at once


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """The head of a lane, ours to send until ``until``; ``created`` is when its command was committed."""

    delivery: Delivery
    created: datetime
    until: datetime


class Outbox(Protocol):
    """The store's side: only heads of lanes are claimed, a dead letter blocks its lane."""

    async def claim(self, now: datetime, until: datetime, limit: int) -> Sequence[Claimed]: ...

    async def sent(self, claimed: Claimed, at: datetime) -> None: ...

    async def later(self, claimed: Claimed, next_try: datetime, why: str) -> None: ...

    async def dead(self, claimed: Claimed, at: datetime, why: str) -> None: ...

    async def next_try(self) -> datetime | None: ...

    async def paused(self) -> bool: ...


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long one attempt may take, how pauses grow, and when a person must look."""

    attempt: timedelta
    backoff: timedelta
    cap: timedelta
    total: timedelta

    def pause(self, attempt: int, chance: float) -> timedelta:
        """The pause after the ``attempt``-th failure (from 1): doubling, capped, ±25 % by ``chance`` in [0, 1)."""
        doublings: int = 2 ** min(attempt - 1, 20)
        return min(self.backoff * doublings, self.cap) * (0.75 + chance / 2)


class Relay:
    """Sends what the outbox holds.

    Args:
        carriers: who carries which kind of effect; wiring has seen to it that each kind has one.
        failure_of: the command that tells the domain of an effect that will never happen, if it wants to know. Its
            message id comes from the delivery's key, so that a crash between telling and marking tells nothing twice.
        chance: numbers in [0, 1) for jitter.
    """

    def __init__(
        self,
        outbox: Outbox,
        carriers: Mapping[type[Effect], Carrier],
        inbox: Inbox,
        clock: SteadyClock,
        telemetry: Telemetry,
        *,
        failure_of: Callable[[Delivery, str], Submission | None],
        patience: Patience,
        lanes: int,
        look_ahead: timedelta,
        chance: Callable[[], float],
    ) -> None:
        self._outbox = outbox
        self._carriers = carriers
        self._inbox = inbox
        self._clock = clock
        self._telemetry = telemetry
        self._failure_of = failure_of
        self._patience = patience
        self._lanes = lanes
        self._look_ahead = look_ahead
        self._chance = chance
        self._flying: set[asyncio.Task[None]] = set()
        self._loop = Loop("relay", self.once, failed=telemetry.failure)
        self.start = self._loop.start
        self.is_paused = False

    def committed(self) -> None:
        """Something was committed and may want sending."""
        self._loop.nudge_soon(_SOON)

    async def stop(self, drain: timedelta) -> None:
        """Claims nothing more, waits for what is under way, and cuts off what is not back within ``drain``.

        What is cut off stays claimed in the outbox and is sent again, with the same key, once its claim ends.
        """
        await self._loop.stop()
        if self._flying:
            _, late = await asyncio.wait(self._flying, timeout=drain.total_seconds())
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def once(self) -> None:
        """Sends lane heads as far as there are free hands, then waits for a nudge, a free hand or the next try."""
        if not self._clock.steady:
            await self._loop.rest(self._clock.until_steady())
            return
        self.is_paused = await self._outbox.paused()
        if self.is_paused:
            await self._sleep(self._clock.now() + self._look_ahead)
            return
        free = self._lanes - len(self._flying)
        claimed = await self._claim(free) if free else ()
        for each in claimed:
            self._fly(each)
        if free and len(claimed) == free and not self._loop.stopping:
            return  # there may be more
        now = self._clock.now()
        next_try = await self._outbox.next_try() if len(self._flying) < self._lanes else None
        far = now + self._look_ahead
        await self._sleep(far if next_try is None or next_try <= now else min(next_try, far))

    async def flush(self) -> int:
        """Sends all that can be sent at the present instant and waits until it is back (simulation and tests).

        Returns:
            How many attempts were made.
        """
        made = 0
        while not await self._outbox.paused() and (claimed := await self._claim(self._lanes)):
            made += len(claimed)
            await asyncio.gather(*(self._send(each) for each in claimed))
        return made

    async def _claim(self, limit: int) -> Sequence[Claimed]:
        now = self._clock.now()
        # Twice the attempt: time to mark the row before anybody else may think that we died.
        return await self._outbox.claim(now, now + self._patience.attempt * 2, limit)

    async def _sleep(self, until: datetime) -> None:
        await self._loop.rest(self._clock.sleep_until(until))

    def _fly(self, claimed: Claimed) -> None:
        task = asyncio.create_task(self._send(claimed), name=f"deliver {claimed.delivery.key}")
        self._flying.add(task)
        task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The mark could not be written: the claim runs out and the effect is sent again with the same key.
            self._telemetry.failure("relay")
            _log.error("an outcome could not be kept", extra={"error": type(error).__name__}, exc_info=error)
        self._loop.nudge()

    async def _send(self, claimed: Claimed) -> None:
        """One attempt, and what became of it."""
        delivery = claimed.delivery
        effect = type(delivery.effect).__name__
        given_up: str | None = None
        try:
            async with asyncio.timeout(self._patience.attempt.total_seconds()):
                await self._carriers[type(delivery.effect)].deliver(delivery)
        except GiveUp as error:
            given_up = str(error)
            why = given_up
        except TryLater as error:
            why = str(error)
        except TimeoutError:
            why = f"no answer within {self._patience.attempt.total_seconds():g} s"
        except Exception as error:  # noqa: BLE001 - the top of a runtime loop: a broken carrier must not stop the others
            why = f"the carrier broke: {type(error).__name__}"
            _log.error("a carrier broke", extra={"effect": effect, "key": delivery.key}, exc_info=error)
        else:
            await self._outbox.sent(claimed, self._clock.now())
            self._telemetry.attempt(effect, "sent")
            return
        now = self._clock.now()
        if given_up is None and now - claimed.created >= self._patience.total:
            given_up = f"patience used up: {why}"
        if given_up is None:
            pause = self._patience.pause(delivery.attempt, self._chance())
            await self._outbox.later(claimed, now + pause, why[:_WHY_LENGTH])
            self._telemetry.attempt(effect, "later")
            return
        await self._bury(claimed, given_up[:_WHY_LENGTH])
        self._telemetry.attempt(effect, "dead")

    async def _bury(self, claimed: Claimed, why: str) -> None:
        """Tells the domain first, then marks the dead letter: a crash in between repeats a harmless message."""
        _log.error(
            "an effect will not happen; a person must look",
            extra={"effect": type(claimed.delivery.effect).__name__, "key": claimed.delivery.key, "why": why},
        )
        told = self._failure_of(claimed.delivery, why)
        if told is not None:
            try:
                await self._inbox.submit(told)
            except Refused as refused:
                _log.info("nobody waits for this outcome any more", extra={"code": refused.code})
        await self._outbox.dead(claimed, self._clock.now(), why)
