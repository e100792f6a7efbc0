"""What the writer reads and writes, as plain rows: the columns in order, and what one transaction carries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import msgspec


class StoredStream(msgspec.Struct, frozen=True, gc=False):
    """A stream row as the writer loads it."""

    id: UUID
    kind: str
    version: int
    head: bytes
    last_at: datetime
    state: bytes
    platform: str
    division: str


class StoredAnswer(msgspec.Struct, frozen=True, gc=False):
    """A message that was taken before."""

    message_id: UUID
    digest: bytes
    answer: bytes
    position: int


class Loaded(msgspec.Struct, frozen=True):
    """What a transaction read under its locks."""

    streams: dict[UUID, StoredStream]
    answers: dict[UUID, StoredAnswer]


class DueRow(msgspec.Struct, frozen=True, gc=False):
    """An armed deadline whose instant has passed."""

    stream_id: UUID
    clock: str
    milestone: str
    due: datetime


class Rows:
    """Everything one transaction writes, as plain tuples in the order of the columns named beside them."""

    __slots__ = (
        "answers",
        "clears",
        "deadlines",
        "erased",
        "events",
        "inserts",
        "moved",
        "outbox",
        "parties",
        "sealed",
        "texts",
        "updates",
    )

    def __init__(self) -> None:
        self.inserts: list[tuple[object, ...]] = []  # STREAM_COLUMNS
        self.updates: list[tuple[object, ...]] = []  # STREAM_COLUMNS
        self.clears: list[tuple[UUID, datetime]] = []  # id, erased
        self.moved: list[tuple[UUID, str, str]] = []  # id, platform, division
        self.erased: list[UUID] = []
        self.events: list[tuple[object, ...]] = []  # EVENT_COLUMNS without position
        self.deadlines: list[tuple[object, ...]] = []  # DEADLINE_COLUMNS
        self.outbox: list[tuple[object, ...]] = []  # OUTBOX_COLUMNS
        self.answers: list[
            tuple[object, ...]
        ] = []  # INBOX_COLUMNS, position relative to the batch, or NO_EVENT
        self.texts: list[tuple[object, ...]] = []  # stream_id, no, field, words, salt
        self.sealed: list[tuple[UUID, bytes, bytes]] = []  # stream_id, sealed, wrapped
        self.parties: dict[UUID, tuple[str, ...]] = {}  # stream_id → its units, replacing those before

    @property
    def empty(self) -> bool:
        """Nothing to write."""
        return not (self.events or self.answers or self.deadlines or self.updates or self.inserts)


STREAM_COLUMNS = (
    ("id", "uuid"),
    ("stream_kind", "text"),
    ("version", "bigint"),
    ("head", "bytea"),
    ("last_at", "timestamptz"),
    ("state", "bytea"),
    ("platform", "text"),
    ("division", "text"),
    ("stage", "text"),
    ("open", "boolean"),
    ("number", "text"),
    ("holder", "text"),
    ("unit", "text"),
    ("urgency", "text"),
    ("kind", "text"),
    ("category", "text"),
    ("item", "text"),
    ("lamp", "text"),
    ("danger", "boolean"),
    ("received", "timestamptz"),
    ("due", "timestamptz"),
    ("title", "text"),
    ("caller_mac", "bytea"),
)
EVENT_COLUMNS = (
    ("at", "timestamptz"),
    ("stream_kind", "text"),
    ("stream_id", "uuid"),
    ("version", "bigint"),
    ("kind", "text"),
    ("body", "bytea"),
    ("hash", "bytea"),
    ("by", "text"),
    ("unit", "text"),
    ("message_id", "uuid"),
    ("versions", "text"),
    ("digests", "bytea"),
    ("platform", "text"),
    ("division", "text"),
)
DEADLINE_COLUMNS = (
    ("stream_id", "uuid"),
    ("clock", "text"),
    ("milestone", "text"),
    ("due", "timestamptz"),
    ("state", "text"),
    ("provisional", "boolean"),
    ("platform", "text"),
    ("division", "text"),
)
OUTBOX_COLUMNS = (
    ("key", "uuid"),
    ("created", "timestamptz"),
    ("lane", "text"),
    ("no", "bigint"),
    ("stream_kind", "text"),
    ("stream_id", "uuid"),
    ("receiver", "text"),
    ("kind", "text"),
    ("body", "bytea"),
    ("state", "text"),
    ("attempts", "integer"),
    ("next_try", "timestamptz"),
    ("last_error", "text"),
)
INBOX_COLUMNS = (
    ("message_id", "uuid"),
    ("at", "timestamptz"),
    ("digest", "bytea"),
    ("answer", "bytea"),
    ("position", "bigint"),
    ("checksum", "bytea"),
)
NO_EVENT = -(2**62)
"""In place of a relative position: the command recorded no event, and 0 is stored."""

Observe = Callable[["BatchSeen"], None]


class BatchSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What one transaction of the writer did, for telemetry. ``seconds`` spans load to commit.

    ``what`` is "batch" or "settle"; ``retries`` counts attempts that were rolled back and tried again;
    ``position`` is that of the last event (0 where nothing was written): a hint to wake relay, sweep and feed.
    """

    what: str
    commands: int
    refused: int
    failed: int
    events: int
    position: int
    seconds: float
    retries: int
