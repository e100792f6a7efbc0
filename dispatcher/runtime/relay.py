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
_BLOCKED = timedelta(seconds=1)


class Outbox(Protocol):
    """The store's side: only heads of lanes are claimed, a dead letter blocks its lane, a claim ends by itself."""

    async def claim(self, now: datetime, *, limit: int, hold: timedelta) -> Sequence[Delivery]: ...

    async def sent(self, deliveries: Sequence[Delivery], now: datetime) -> int: ...

    async def try_later(self, delivery: Delivery, next_try: datetime, error: str) -> bool: ...

    async def hold(self, delivery: Delivery, until: datetime, why: str) -> bool: ...

    async def dead(self, delivery: Delivery, error: str) -> bool: ...

    async def next_try(self) -> datetime | None: ...

    async def paused(self) -> str: ...


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long one attempt may take, how pauses grow, and when a person must look."""

    attempt: timedelta
    backoff: timedelta
    cap: timedelta
    total: timedelta

    def pause(self, attempt: int, chance: float) -> timedelta:
        """The pause after the ``attempt``-th failure (from 1): doubling, capped, ±25 % by ``chance`` in [0, 1)."""
        return self._grown(attempt) * (0.75 + chance / 2)

    def used_up(self, attempt: int) -> bool:
        """Whether the pauses so far fill the whole patience.

        Counted in attempts, not from the effect's birth: a node that was down for a day has not tried for a day,
        and a dead letter that a person resends gets all of it again.
        """
        spent, doubling = timedelta(), 1
        while doubling < attempt and spent < self.total:
            if self._grown(doubling) == self.cap:
                return spent + self.cap * (attempt - doubling) >= self.total
            spent += self._grown(doubling)
            doubling += 1
        return spent >= self.total

    def _grown(self, attempt: int) -> timedelta:
        doublings: int = 2 ** min(attempt - 1, 20)
        return min(self.backoff * doublings, self.cap)


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
        self._arrived: list[Delivery] = []
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
        await self._mark_arrived()

    async def once(self) -> None:
        """Sends lane heads as far as there are free hands, then waits for a nudge, a free hand or the next try."""
        if not self._clock.steady:
            await self._loop.rest(self._clock.until_steady())
            return
        await self._mark_arrived()
        free = self._lanes - len(self._flying)
        claimed = await self._claim(free) if free else ()
        for each in claimed:
            self._fly(each)
        if claimed and len(claimed) == free:
            return  # there may be more
        now = self._clock.now()
        wakes = now + self._look_ahead
        if free and not claimed:
            self.is_paused = bool(await self._outbox.paused())
            next_try = await self._outbox.next_try()
            if next_try is not None:
                # One that is due and was not claimed stands behind a dead letter, or became due just now.
                wakes = min(wakes, max(next_try, now + _BLOCKED))
        await self._loop.rest(self._clock.sleep_until(wakes))

    async def flush(self) -> int:
        """Sends all that can be sent at the present instant and waits until it is back (simulation and tests).

        Returns:
            How many attempts were made.
        """
        made = 0
        while claimed := await self._claim(self._lanes):
            made += len(claimed)
            await asyncio.gather(*(self._send(each) for each in claimed))
            await self._mark_arrived()
        return made

    async def _claim(self, limit: int) -> Sequence[Delivery]:
        # Held for twice the attempt: time to mark the row before anybody else may think that we died.
        return await self._outbox.claim(self._clock.now(), limit=limit, hold=self._patience.attempt * 2)

    async def _mark_arrived(self) -> None:
        """Marks what arrived, many in one transaction. If that fails they are marked in the next round."""
        arrived, self._arrived = self._arrived, []
        if not arrived:
            return
        try:
            await self._outbox.sent(arrived, self._clock.now())
        except BaseException:
            self._arrived = arrived + self._arrived
            raise

    def _fly(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._send(delivery), name=f"deliver {delivery.key}")
        self._flying.add(task)
        task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The mark could not be written: the claim runs out and the effect is sent again with the same key.
            self._telemetry.failure("relay")
            _log.error("an outcome could not be kept", extra={"error": type(error).__name__}, exc_info=error)
        self._loop.nudge()

    async def _send(self, delivery: Delivery) -> None:
        """One attempt, and what became of it."""
        effect = type(delivery.effect).__name__
        given_up = False
        try:
            async with asyncio.timeout(self._patience.attempt.total_seconds()):
                await self._carriers[type(delivery.effect)].deliver(delivery)
        except GiveUp as error:
            given_up, why = True, str(error)
        except TryLater as error:
            why = str(error)
            if error.until is not None:
                await self._outbox.hold(delivery, error.until, why[:_WHY_LENGTH])
                self._telemetry.attempt(effect, "held")
                return
        except TimeoutError:
            why = f"no answer within {self._patience.attempt.total_seconds():g} s"
        except Exception as error:  # noqa: BLE001 - the top of a runtime loop: a broken carrier must not stop the others
            why = f"the carrier broke: {type(error).__name__}"
            _log.error("a carrier broke", extra={"effect": effect, "key": delivery.key}, exc_info=error)
        else:
            self._arrived.append(delivery)
            self._telemetry.attempt(effect, "sent")
            return
        if not given_up and self._patience.used_up(delivery.attempt):
            given_up, why = True, f"patience used up: {why}"
        if given_up:
            await self._bury(delivery, why[:_WHY_LENGTH])
            self._telemetry.attempt(effect, "dead")
            return
        pause = self._patience.pause(delivery.attempt, self._chance())
        await self._outbox.try_later(delivery, self._clock.now() + pause, why[:_WHY_LENGTH])
        self._telemetry.attempt(effect, "later")

    async def _bury(self, delivery: Delivery, why: str) -> None:
        """Tells the domain first, then marks the dead letter: a crash in between repeats a harmless message."""
        _log.error(
            "an effect will not happen; a person must look",
            extra={"effect": type(delivery.effect).__name__, "key": delivery.key, "why": why},
        )
        told = self._failure_of(delivery, why)
        if told is not None:
            try:
                await self._inbox.submit(told)
            except Refused as refused:
                _log.info("nobody waits for this outcome any more", extra={"code": refused.code})
        await self._outbox.dead(delivery, why)
