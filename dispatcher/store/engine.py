"""What the writer needs from a database, as Protocols, and how an engine says what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID

from dispatcher.store.errors import StoreError
from dispatcher.store.rows import DueRow, Loaded, Rows


class Again(StoreError):
    """The transaction was rolled back for a reason that passes: a race, a deadlock, a lock not got in time."""


class Lost(StoreError):
    """The database went away. What was being committed may or may not be stored; message ids tell."""


class BadData(StoreError):
    """The database will not take one of these rows. Which one is found by halving the batch."""


class Transaction(Protocol):
    """One transaction. Locks are always taken in this order: streams by id, then everything else."""

    async def load(self, streams: Sequence[UUID], messages: Sequence[UUID]) -> Loaded:
        """Lock streams and read them, then look up message ids (after the locks, so that a twin is seen)."""
        ...

    async def claim(self, now: datetime, limit: int) -> tuple[Loaded, list[DueRow]]:
        """Lock the streams of due armed deadlines, passing over those that others hold, and read both.

        A deadline is due after its instant: exactly at it is still in time.
        """
        ...

    async def commit(self, rows: Rows) -> int:
        """Write everything and commit. Returns the position before the first of these events."""
        ...


class Engine(Protocol):
    """One database engine, opened for the writer."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def transaction(self, *, hopeful: bool = False) -> AbstractAsyncContextManager[Transaction]:
        """Begin; whatever was not committed is rolled back at the end.

        ``hopeful``: an engine may read without locks, as long as its commit raises Again where what was read has
        changed since. `claim` always needs the locks.

        Raises:
            Again, Lost, BadData: as named there, from any of its methods.
        """
        ...

    async def free(self) -> int:
        """Cut off other nodes' sessions that hold locks and whose clients no longer listen; how many."""
        ...

    async def next_due(self) -> datetime | None:
        """The earliest instant of a live deadline."""
        ...
