"""The clocks: steps are doubted, drift is followed, sleepers wake in order."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from dispatcher.runtime.clock import ManualClock, SystemClock, jitter
from tests.support.clock import TestHands

SECOND = timedelta(seconds=1)
START = datetime(2026, 3, 2, 1, tzinfo=UTC)


def _firing(clock: SystemClock) -> bool:
    """A function, because mypy believes that a property keeps the value it was compared with."""
    return clock.steady


async def _walk(clock: SystemClock, hands: TestHands, seconds: int) -> None:
    for _ in range(seconds):
        hands.pass_time(SECOND)
        await clock.refresh()


async def test_a_small_correction_of_the_wall_clock_is_followed() -> None:
    hands = TestHands()
    clock = SystemClock(hands=hands)

    hands.step_wall(timedelta(milliseconds=900))
    await clock.refresh()

    assert _firing(clock)
    assert clock.now() == hands.wall()


async def test_a_step_of_the_wall_clock_moves_nothing_until_the_next_look() -> None:
    hands = TestHands()
    clock = SystemClock(hands=hands)
    before = clock.now()

    hands.step_wall(timedelta(days=1))

    assert clock.now() == before


@pytest.mark.parametrize("step", [timedelta(seconds=3), timedelta(hours=-1)])
async def test_a_large_step_stops_firing_until_the_clocks_agree_for_ten_seconds(step: timedelta) -> None:
    hands = TestHands()
    clock = SystemClock(hands=hands)
    hands.step_wall(step)

    await clock.refresh()
    assert not _firing(clock)
    await _walk(clock, hands, 9)
    assert not _firing(clock)
    assert clock.now() == hands.wall() - step
    await _walk(clock, hands, 1)

    assert _firing(clock)
    assert clock.now() == hands.wall()


async def test_a_second_step_while_in_doubt_starts_the_wait_again() -> None:
    hands = TestHands()
    clock = SystemClock(hands=hands)
    hands.step_wall(timedelta(seconds=30))
    await clock.refresh()
    await _walk(clock, hands, 9)

    hands.step_wall(timedelta(seconds=-30))
    await _walk(clock, hands, 9)
    assert not _firing(clock)
    await _walk(clock, hands, 2)

    assert _firing(clock)


async def test_whoever_waits_for_a_steady_clock_goes_on_when_it_is() -> None:
    hands = TestHands()
    clock = SystemClock(hands=hands)
    hands.step_wall(timedelta(seconds=30))
    await clock.refresh()
    waiting = asyncio.ensure_future(clock.until_steady())
    await asyncio.sleep(0)
    assert not waiting.done()

    await _walk(clock, hands, 10)

    await asyncio.wait_for(waiting, 1)


class _Database:
    """A database clock that runs ahead of the machine by a fixed time."""

    def __init__(self, hands: TestHands, ahead: timedelta) -> None:
        self.hands = hands
        self.ahead = ahead
        self.round_trip = timedelta()
        self.reachable = True

    async def now(self) -> datetime:
        if not self.reachable:
            raise OSError("no route")
        self.hands.pass_time(self.round_trip / 2)
        said = self.hands.wall() + self.ahead
        self.hands.pass_time(self.round_trip / 2)
        return said


async def test_the_database_clock_counts_from_the_first_answer_however_far_it_is_off() -> None:
    hands = TestHands()
    database = _Database(hands, timedelta(minutes=7))
    clock = SystemClock(hands=hands, reference=database.now)
    assert not _firing(clock)

    await clock.refresh()

    assert _firing(clock)
    assert clock.offset == timedelta(minutes=7)


async def test_half_the_round_trip_is_taken_off_and_a_slow_answer_is_ignored() -> None:
    hands = TestHands()
    database = _Database(hands, timedelta(minutes=7))
    clock = SystemClock(hands=hands, reference=database.now)
    database.round_trip = timedelta(milliseconds=100)
    await clock.refresh()
    assert clock.offset == timedelta(minutes=7)

    database.round_trip = timedelta(seconds=3)
    database.ahead += timedelta(seconds=1)
    await clock.refresh()

    assert clock.offset == timedelta(minutes=7)


async def test_a_step_of_the_database_clock_is_doubted_too() -> None:
    hands = TestHands()
    database = _Database(hands, timedelta())
    clock = SystemClock(hands=hands, reference=database.now)
    await clock.refresh()

    database.ahead = timedelta(seconds=5)
    await _walk(clock, hands, 1)
    assert not _firing(clock)
    await _walk(clock, hands, 10)

    assert _firing(clock)
    assert clock.offset == timedelta(seconds=5)


@pytest.mark.parametrize("ppm", [500, -500])
async def test_an_hour_of_slewing_is_followed_without_a_doubt(ppm: int) -> None:
    hands = TestHands()
    database = _Database(hands, timedelta())
    clock = SystemClock(hands=hands, reference=database.now)
    await clock.refresh()
    furthest, before = timedelta(), clock.now()

    for _ in range(3600):
        hands.pass_time(SECOND)
        hands.step_wall(SECOND * ppm / 1_000_000)
        furthest = max(furthest, abs(clock.now() - hands.wall()))
        await clock.refresh()
        assert _firing(clock)
        assert clock.now() > before
        before = clock.now()

    assert furthest <= timedelta(milliseconds=1)
    assert clock.now() == hands.wall()


async def test_the_alarm_clock_is_wound_anew_when_the_clock_is_settled() -> None:
    hands = TestHands()
    clock = SystemClock(hands=hands)
    wound: list[datetime] = []
    clock.settled = lambda: wound.append(clock.now())
    hands.step_wall(timedelta(hours=-1))

    await clock.refresh()
    assert wound == []
    await _walk(clock, hands, 10)

    assert wound == [hands.wall()]


async def test_a_silent_database_leaves_the_clock_walking() -> None:
    hands = TestHands()
    database = _Database(hands, timedelta(seconds=1))
    clock = SystemClock(hands=hands, reference=database.now)
    await clock.refresh()
    database.reachable = False

    hands.pass_time(timedelta(minutes=1))
    with pytest.raises(OSError, match="no route"):
        await clock.refresh()

    assert _firing(clock)
    assert clock.now() == hands.wall() + timedelta(seconds=1)


async def test_sleeping_into_the_past_returns_at_once() -> None:
    clock = SystemClock()

    await asyncio.wait_for(clock.sleep_until(clock.now() - SECOND), 1)


async def test_sleeping_takes_real_time() -> None:
    clock = SystemClock()
    until = clock.now() + timedelta(milliseconds=30)

    await clock.sleep_until(until)

    assert clock.now() >= until


async def test_the_manual_clock_wakes_sleepers_in_the_order_of_their_instants() -> None:
    clock = ManualClock(START)
    woken: list[tuple[str, datetime]] = []

    async def sleeper(name: str, at: datetime) -> None:
        await clock.sleep_until(at)
        woken.append((name, clock.now()))

    tasks = [
        asyncio.ensure_future(sleeper("late", START + 3 * SECOND)),
        asyncio.ensure_future(sleeper("early", START + SECOND)),
        asyncio.ensure_future(sleeper("beyond", START + 9 * SECOND)),
    ]
    await asyncio.sleep(0)

    assert await clock.advance(START + 5 * SECOND) == 2

    assert woken == [("early", START + SECOND), ("late", START + 3 * SECOND)]
    assert clock.now() == START + 5 * SECOND
    assert clock.next_wake == START + 9 * SECOND
    await clock.advance(START + 9 * SECOND)
    await asyncio.gather(*tasks)


async def test_a_sleeper_that_sleeps_again_is_woken_again_in_the_same_advance() -> None:
    clock = ManualClock(START)
    seen: list[datetime] = []

    async def ticking() -> None:
        for _ in range(3):
            await clock.sleep_until(clock.now() + SECOND)
            seen.append(clock.now())

    task = asyncio.ensure_future(ticking())
    await asyncio.sleep(0)

    await clock.advance(START + 10 * SECOND)

    assert seen == [START + SECOND, START + 2 * SECOND, START + 3 * SECOND]
    await task


async def test_a_sleeper_that_was_cancelled_is_passed_over() -> None:
    clock = ManualClock(START)
    task = asyncio.ensure_future(clock.sleep_until(START + SECOND))
    await asyncio.sleep(0)

    task.cancel()
    await asyncio.sleep(0)

    assert await clock.advance(START + 2 * SECOND) == 0


async def test_the_manual_clock_never_goes_back() -> None:
    clock = ManualClock(START)

    with pytest.raises(ValueError, match="forward only"):
        await clock.advance(START - SECOND)


def test_jitter_repeats_with_its_seed() -> None:
    one, again, other = jitter(7), jitter(7), jitter(8)

    row = [one() for _ in range(5)]

    assert row == [again() for _ in range(5)]
    assert row != [other() for _ in range(5)]
    assert all(0 <= number < 1 for number in row)
