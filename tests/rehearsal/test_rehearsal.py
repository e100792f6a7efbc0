"""The acting people: they can be repeated, they finish what they begin, and a refusal is seen and survived."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.rehearsal.aftercare import callable_from
from adapters.rehearsal.callers import Callers
from adapters.rehearsal.cast import Cast
from adapters.rehearsal.chance import Chances
from adapters.rehearsal.live import arrival_of
from adapters.rehearsal.moves import agent
from adapters.rehearsal.rehearsal import Rehearsal
from dispatcher.data_files import packaged_files
from dispatcher.domain import commands as c
from dispatcher.domain.commands import name_of
from dispatcher.domain.stream import Submission
from dispatcher.domain.values import Stage
from dispatcher.runtime.clock import jitter
from routing_rules.demo import Delay, demo_behaviour, demo_messages
from tests.rehearsal.stage import Counter, Memory
from tests.support.world import library

START = datetime(2026, 3, 2, 1, tzinfo=UTC)  # a Monday, nine in the morning
LEGAL = ZoneInfo("Asia/Shanghai")
WAITING = {Stage.TRANSFERRED, Stage.HANDED_OVER, Stage.PAUSED}
"""Stages in which the next word is another platform's, or a deadline's."""


def everybody(
    memory: Memory, *, seed: int = 1, speed: float = 1.0, serves: Callable[[str], bool] = bool
) -> Rehearsal:
    demo = packaged_files("demo")
    cast = Cast(
        library(), Chances(seed, jitter), served=serves, behaviours=demo_behaviour(demo["behaviour.toml"])
    )
    return Rehearsal(cast, memory, memory, seed=seed, speed=speed)


async def register(memory: Memory, number: int) -> None:
    callers = Callers(memory, Counter(), library(), origin="test", home="630100", seed=1)
    sample = demo_messages(packaged_files("demo")["messages.toml"])
    for place in range(number):
        await callers.register(arrival_of(sample[place], at=memory.now, name=str(place)))


async def play(memory: Memory, rehearsal: Rehearsal) -> None:
    await rehearsal.look(memory.now)
    while (at := rehearsal.next_at()) is not None:
        memory.now = max(at, memory.now)
        await rehearsal.act(memory.now)
        await rehearsal.look(memory.now)


async def test_whatever_comes_in_is_carried_to_its_end() -> None:
    memory = Memory(library(), START)
    await register(memory, 120)
    rehearsal = everybody(memory)

    await play(memory, rehearsal)

    left = {case.stage for case in memory.cases.values() if case.is_open and case.stage not in WAITING}
    assert left <= {Stage.CALLED_BACK}
    assert rehearsal.unexplained == 0
    assert {
        "sign-for",
        "contact-citizen",
        "sub-assign",
        "approve-reply",
        "call-back",
    } <= rehearsal.commands.keys()


async def test_the_same_seed_plays_the_same_and_another_does_not() -> None:
    taken = []
    for seed in (5, 5, 6):
        memory = Memory(library(), START)
        await register(memory, 20)
        await play(memory, everybody(memory, seed=seed))
        taken.append([(sent.message_id, name_of(type(sent.command))) for sent in memory.taken])

    assert taken[0] == taken[1]
    assert taken[0] != taken[2]


async def test_a_plan_stands_while_only_clocks_tick() -> None:
    memory = Memory(library(), START)
    await register(memory, 1)
    rehearsal = everybody(memory)
    await rehearsal.look(START)
    planned = rehearsal.next_at()
    (case,) = memory.cases.values()

    await memory.submit(
        Submission(message_id=case.id, command=c.UrgeCase(case=case.id), actor=agent(case.platform))
    )
    await rehearsal.look(START + timedelta(minutes=1))

    assert rehearsal.next_at() == planned


async def test_what_somebody_else_did_first_is_a_refusal_that_is_counted_and_survived() -> None:
    memory = Memory(library(), START)
    await register(memory, 1)
    rehearsal = everybody(memory)
    await rehearsal.look(START)
    (case,) = memory.cases.values()
    withdrawn = c.WithdrawCase(case=case.id, words="不用了")
    await memory.submit(Submission(message_id=case.id, command=withdrawn, actor=agent(case.platform)))
    at = rehearsal.next_at()
    assert at is not None

    await rehearsal.act(at)
    await rehearsal.look(at)

    assert rehearsal.unexplained == 1
    assert rehearsal.next_at() is None


async def test_hurried_actors_act_sooner() -> None:
    instants = []
    for speed in (1.0, 60.0):
        memory = Memory(library(), START)
        await register(memory, 1)
        rehearsal = everybody(memory, speed=speed)
        await rehearsal.look(START)
        instants.append(rehearsal.next_at())

    assert instants[0] is not None
    assert instants[1] is not None
    assert START < instants[1] < instants[0]


@given(seed=st.integers(), about=st.text())
def test_a_question_asked_twice_has_one_answer(seed: int, about: str) -> None:
    chances = Chances(seed, jitter)

    assert chances.of(about).fraction() == chances.of(about).fraction()


@given(
    seed=st.integers(),
    minutes=st.lists(st.integers(0, 10_000), min_size=3, max_size=3).map(sorted),
)
def test_a_delay_lies_in_its_triangle(seed: int, minutes: list[int]) -> None:
    least, usual, most = (timedelta(minutes=length) for length in minutes)

    drawn = Chances(seed, jitter).of("delay").delay(Delay(least=least, usual=usual, most=most))

    assert least <= drawn <= most


@pytest.mark.parametrize("weights", [(0.0, 1.0, 0.0), (0.2, 0.3, 0.5)])
def test_what_weighs_nothing_is_never_drawn(weights: tuple[float, ...]) -> None:
    drawn = {Chances(seed, jitter).of("weights").weighed(weights) for seed in range(300)}

    assert drawn == {place for place, weight in enumerate(weights) if weight}


@given(at=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(LEGAL)))  # noqa: DTZ001 - hypothesis adds the zone
def test_nobody_is_rung_at_night(at: datetime) -> None:
    rung = callable_from(at)

    assert rung >= at
    assert 9 <= rung.astimezone(LEGAL).hour < 19
    assert rung - at < timedelta(hours=16)
