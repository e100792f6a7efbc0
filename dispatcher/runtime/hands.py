"""The machine's two clocks, apart from everything that runs by them, so that a small command can ask the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class Hands:
    """The two clocks of the machine. Tests hand in others."""

    def wall(self) -> datetime:
        """Now by the machine's wall clock (UTC)."""
        return datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251 - the one place

    def monotonic(self) -> timedelta:
        """Time since some fixed instant; never steps."""
        return timedelta(seconds=time.monotonic())
