"""Chance for the rehearsal: every draw comes from a seed, the case and what it is about, so a run can be repeated."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from routing_rules.demo import Delay

T = TypeVar("T")

Numbers = Callable[[int], Callable[[], float]]
"""From a seed to a source of numbers in [0, 1); the same seed gives the same row."""


class Draw:
    """One row of chances."""

    def __init__(self, numbers: Callable[[], float]) -> None:
        self._next = numbers

    def happens(self, share: float) -> bool:
        """True in ``share`` (0 to 1) of the cases."""
        return self._next() < share

    def pick(self, among: Sequence[T]) -> T:
        """One of them, each as likely."""
        return among[int(self._next() * len(among))]

    def fraction(self) -> float:
        """A number in [0, 1)."""
        return self._next()

    def delay(self, delay: Delay) -> timedelta:
        """A length of time from the delay's triangle, to whole seconds."""
        chance = self._next()
        span = (delay.most - delay.least).total_seconds()
        if span <= 0:
            return delay.least
        peak = (delay.usual - delay.least).total_seconds() / span
        share = math.sqrt(chance * peak) if chance < peak else 1 - math.sqrt((1 - chance) * (1 - peak))
        return timedelta(seconds=round(delay.least.total_seconds() + span * share))

    def weighed(self, weights: Sequence[float]) -> int:
        """The place of one of the weights, each as likely as it weighs."""
        chance = self._next() * sum(weights)
        for place, weight in enumerate(weights):
            chance -= weight
            if chance < 0:
                return place
        return len(weights) - 1


class Chances:
    """All draws of one run.

    Args:
        seed: the run's; the same seed and the same messages give the same history.
    """

    def __init__(self, seed: int, numbers: Numbers) -> None:
        self._seed = seed
        self._numbers = numbers

    def of(self, *about: object) -> Draw:
        """The draw for one question ("when does this unit sign for this case"); asked again it is the same."""
        words = "|".join((str(self._seed), *map(str, about)))
        digest = hashlib.blake2b(words.encode(), digest_size=8).digest()
        return Draw(self._numbers(int.from_bytes(digest)))
