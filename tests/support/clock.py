"""Clock hands that a test moves itself, for what is said about the system clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dispatcher.runtime.hands import Hands


class TestHands(Hands):
    """Wall and monotonic clock of a machine in the test's hand."""

    __test__ = False

    def __init__(self, wall: datetime = datetime(2026, 3, 2, 1, tzinfo=UTC)) -> None:
        self.at = wall
        self.run = timedelta(hours=5)

    def wall(self) -> datetime:
        return self.at

    def monotonic(self) -> timedelta:
        return self.run

    def pass_time(self, length: timedelta) -> None:
        """Both clocks walk."""
        self.at += length
        self.run += length

    def step_wall(self, length: timedelta) -> None:
        """Somebody sets the wall clock, or the machine wakes from suspension."""
        self.at += length
