"""The relay on real databases: in order within a lane, again with the same key, and dead letters told to the domain."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from uuid import UUID

import pytest

from dispatcher.domain.stream import SYSTEM, Submission
from dispatcher.ports import Delivery, GiveUp, TryLater
from dispatcher.runtime.clock import ManualClock, jitter
from dispatcher.runtime.relay import Patience, Relay
from dispatcher.runtime.telemetry import Telemetry
from dispatcher.store.database import Database
from dispatcher.store.outbox import Outbox
from dispatcher.store.vault import Vault
from dispatcher.store.writer import Writer
from tests.support.aggregate import (
    CODEC,
    START,
    EmptyJar,
    Jars,
    OpenJar,
    PutCoin,
    Tell,
    jar,
    name,
    sent,
)

PATIENCE = Patience(
    attempt=timedelta(seconds=5),
    backoff=timedelta(seconds=1),
    cap=timedelta(seconds=8),
    total=timedelta(seconds=20),
)


class _Desk:
    """A receiver that keeps what it got by key, and can be told to fail in the ways a receiver fails."""

    def __init__(self) -> None:
        self.got: list[tuple[str, int]] = []
        self.keys: list[object] = []
        self.fault: Callable[[], Exception] | None = None
        self.arrived = asyncio.Event()
        self.hold: asyncio.Event | None = None

    async def deliver(self, delivery: Delivery) -> None:
        assert isinstance(delivery.effect, Tell)
        self.keys.append(delivery.key)
        if self.hold is not None:
            self.arrived.set()
            await self.hold.wait()
        if self.fault is not None:
            raise self.fault()
        self.got.append((delivery.effect.what, delivery.attempt))
        self.arrived.set()


class _Node:
    def __init__(self, database: Database) -> None:
        self.clock = ManualClock(START)
        self.telemetry = Telemetry()
        self.desk = _Desk()
        self.outbox = Outbox(database, CODEC)
        self.writer = Writer(database, Jars(), self.clock, Vault(os.urandom(32)))
        self.told: list[str] = []
        self.relay = self.made(PATIENCE)

    def made(self, patience: Patience) -> Relay:
        return Relay(
            self.outbox,
            {Tell: self.desk},
            self.writer,
            self.clock,
            self.telemetry,
            failure_of=self._failure_of,
            patience=patience,
            lanes=4,
            look_ahead=timedelta(minutes=1),
            chance=jitter(1),
        )

    def _failure_of(self, delivery: Delivery, why: str) -> Submission | None:
        self.told.append(why)
        return Submission(
            message_id=name(f"{delivery.key} failed"), command=EmptyJar(ref=delivery.ref), actor=SYSTEM
        )

    def tried(self, outcome: str) -> float:
        labels = {"effect": "Tell", "outcome": outcome}
        return self.telemetry.registry.get_sample_value("liandong_outbox_attempts_total", labels) or 0.0


@pytest.fixture
async def node(database: Database) -> AsyncIterator[_Node]:
    made = _Node(database)
    async with made.writer:
        yield made
        await made.relay.stop(timedelta(seconds=5))


async def _open(node: _Node, word: str = "a") -> None:
    await node.writer.submit(sent(OpenJar(ref=jar(word)), f"open {word}"))


async def test_an_effect_goes_out_once_after_its_commit(node: _Node) -> None:
    await _open(node)

    assert await node.relay.flush() == 1

    assert node.desk.got == [("opened", 1)]
    assert await node.relay.flush() == 0
    assert node.tried("sent") == 1


async def test_in_the_background_a_commit_is_sent_without_anybody_asking(node: _Node) -> None:
    node.relay.start()
    await asyncio.wait_for(node.clock.until_somebody_sleeps(START + timedelta(minutes=2)), 10)

    await _open(node)
    node.relay.committed()

    await asyncio.wait_for(node.desk.arrived.wait(), 10)
    await node.relay.stop(timedelta(seconds=5))
    assert node.desk.got == [("opened", 1)]
    assert (await node.outbox.depth()).ready == 0


async def test_a_receiver_that_is_away_is_asked_again_with_the_same_key(node: _Node) -> None:
    await _open(node)
    node.desk.fault = lambda: TryLater("line busy")
    await node.relay.flush()
    assert await node.relay.flush() == 0

    node.desk.fault = None
    node.clock.set(START + timedelta(seconds=2))
    await node.relay.flush()

    assert node.desk.got == [("opened", 2)]
    assert len(set(node.desk.keys)) == 1
    assert node.told == []


async def test_what_comes_later_in_a_lane_waits_for_what_came_before(node: _Node) -> None:
    await _open(node)
    await node.writer.submit(sent(PutCoin(ref=jar("a"), coins=500), "rich"))
    node.desk.fault = lambda: TryLater("line busy")
    await node.relay.flush()
    assert len(node.desk.keys) == 1

    node.desk.fault = None
    node.clock.set(START + timedelta(seconds=2))
    await node.relay.flush()

    assert [what for what, _ in node.desk.got] == ["opened", "rich"]


async def test_lanes_of_other_streams_do_not_wait(node: _Node) -> None:
    await _open(node, "a")
    node.desk.fault = lambda: TryLater("line busy")
    await node.relay.flush()
    node.desk.fault = None

    await _open(node, "b")
    await node.relay.flush()

    assert node.desk.got == [("opened", 1)]


async def test_what_will_never_happen_is_told_to_the_domain_and_blocks_its_lane(node: _Node) -> None:
    await _open(node)
    node.desk.fault = lambda: GiveUp("no such desk")

    await node.relay.flush()

    assert node.told == ["no such desk"]
    letters = await node.outbox.dead_letters()
    assert [(letter.state, letter.last_error) for letter in letters] == [("dead", "no such desk")]
    put = await node.writer.submit(sent(PutCoin(ref=jar("a"), coins=500), "rich"))
    assert put.position > 1
    assert await node.relay.flush() == 0


async def test_a_dead_letter_that_a_person_resends_goes_out(node: _Node) -> None:
    await _open(node)
    node.desk.fault = lambda: GiveUp("no such desk")
    await node.relay.flush()
    letter = (await node.outbox.dead_letters())[0]

    node.desk.fault = None
    await node.outbox.resend(letter.key, node.clock.now())
    await node.relay.flush()

    assert [what for what, _ in node.desk.got] == ["opened"]


async def test_patience_ends_and_then_the_domain_is_told_once(node: _Node) -> None:
    await _open(node)
    node.desk.fault = lambda: TryLater("line busy")

    for _ in range(12):
        await node.relay.flush()
        node.clock.set(node.clock.now() + timedelta(seconds=10))

    # Pauses of 1, 2, 4, 8 and 8 seconds fill 20; the sixth attempt is the last.
    assert len(node.desk.keys) == 6
    assert node.told == ["patience used up: line busy"]


async def test_a_domain_that_no_longer_cares_does_not_keep_the_letter_alive(node: _Node) -> None:
    await _open(node)
    node.desk.fault = lambda: GiveUp("no such desk")
    relay = Relay(
        node.outbox,
        {Tell: node.desk},
        node.writer,
        node.clock,
        node.telemetry,
        failure_of=lambda delivery, _: sent(OpenJar(ref=delivery.ref), "opened twice"),
        patience=PATIENCE,
        lanes=4,
        look_ahead=timedelta(minutes=1),
        chance=jitter(1),
    )

    await relay.flush()

    assert (await node.outbox.depth()).dead == 1


async def test_a_carrier_that_breaks_is_tried_again_and_stops_nobody(node: _Node) -> None:
    await _open(node)
    node.desk.fault = lambda: ZeroDivisionError("a fault of the carrier")

    await node.relay.flush()

    assert node.tried("later") == 1
    assert (await node.outbox.depth()).ready == 1


async def test_a_receiver_that_never_answers_costs_one_attempt(node: _Node) -> None:
    await _open(node)
    node.desk.hold = asyncio.Event()
    hasty = node.made(
        Patience(
            attempt=timedelta(milliseconds=20),
            backoff=timedelta(seconds=1),
            cap=timedelta(seconds=8),
            total=PATIENCE.total,
        )
    )

    await hasty.flush()

    assert node.tried("later") == 1
    assert node.desk.got == []


async def test_while_paused_nothing_is_sent(node: _Node) -> None:
    await _open(node)
    await node.outbox.pause("admin", START, "restored from a backup")

    assert await node.relay.flush() == 0
    await node.outbox.resume()
    assert await node.relay.flush() == 1


async def test_stopping_waits_for_what_is_under_way(node: _Node) -> None:
    await _open(node)
    node.desk.hold = asyncio.Event()
    node.relay.start()
    await asyncio.wait_for(node.desk.arrived.wait(), 10)

    stopping = asyncio.create_task(node.relay.stop(timedelta(seconds=10)))
    await asyncio.sleep(0)
    assert not stopping.done()
    node.desk.hold.set()
    await asyncio.wait_for(stopping, 10)

    assert node.desk.got == [("opened", 1)]
    assert (await node.outbox.depth()).ready == 0


async def test_what_is_cut_off_at_the_stop_is_sent_again_after_its_claim(node: _Node) -> None:
    await _open(node)
    node.desk.hold = asyncio.Event()
    node.relay.start()
    await asyncio.wait_for(node.desk.arrived.wait(), 10)

    await node.relay.stop(timedelta())
    node.desk.hold = None
    node.clock.set(START + timedelta(seconds=11))
    await node.relay.flush()

    assert node.desk.got == [("opened", 2)]
    assert len(set(node.desk.keys)) == 1


@pytest.mark.parametrize(
    ("attempt", "low", "high"),
    [(1, 0.75, 1.25), (2, 1.5, 2.5), (4, 6.0, 10.0), (5, 6.0, 10.0), (900, 6.0, 10.0)],
)
def test_pauses_double_up_to_the_cap_with_a_quarter_of_jitter(attempt: int, low: float, high: float) -> None:
    chances = (0.0, 0.5, 0.999)

    pauses = [PATIENCE.pause(attempt, chance).total_seconds() for chance in chances]

    assert low == pauses[0] < pauses[1] < pauses[2] < high


@pytest.mark.parametrize(("attempt", "ended"), [(1, False), (5, False), (6, True), (7, True), (10**6, True)])
def test_patience_is_counted_in_attempts(attempt: int, ended: bool) -> None:
    assert PATIENCE.used_up(attempt) is ended


async def test_what_only_waits_for_its_hour_uses_up_no_patience(node: _Node) -> None:
    opens = START + timedelta(days=3)
    node.desk.fault = lambda: TryLater("not at night", until=opens)
    await _open(node)

    assert await node.relay.flush() == 1
    await node.clock.advance(opens - timedelta(seconds=1))
    assert await node.relay.flush() == 0
    await node.clock.advance(opens)
    node.desk.fault = None
    assert await node.relay.flush() == 1

    assert node.desk.got == [("opened", 1)]
    assert node.tried("held") == 1


async def test_word_about_what_was_sent_brings_it_back_to_its_carrier(node: _Node) -> None:
    await _open(node)
    await node.relay.flush()
    (key,) = node.desk.keys

    assert await node.outbox.look_again(UUID(str(key)), node.clock.now(), sent=True)
    assert await node.relay.flush() == 1

    assert [attempt for _, attempt in node.desk.got] == [1, 2]
    assert not await node.outbox.look_again(UUID(int=1), node.clock.now(), sent=True)
