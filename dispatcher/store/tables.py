"""The tables: schema for the migrations, and typed columns for reads. Rows are written by `writer`, set-based.

SQLModel table classes validate nothing, so nothing trusts them: whatever comes in was checked at the edge and by
the domain. Instants are kept in UTC and come back aware.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Dialect, Index, LargeBinary, MetaData, String, Uuid, text
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

MONTHLY = {"event": "at", "outbox": "created", "inbox": "at"}
"""Tables that PostgreSQL partitions by month, with the instant that chooses the month."""


class Instant(TypeDecorator[datetime]):
    """An aware instant: timestamptz on PostgreSQL, UTC text of fixed width (so that it sorts) on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class Table(SQLModel):
    """Base of all tables; they have metadata of their own, apart from whatever else uses SQLModel."""

    metadata = MetaData(naming_convention=NAMES)


def _big(**more: Any) -> Any:
    return Field(sa_type=BigInteger, **more)


def _at(**more: Any) -> Any:
    return Field(sa_type=Instant, **more)


def _id(**more: Any) -> Any:
    return Field(sa_type=Uuid, **more)


def _word(**more: Any) -> Any:
    return Field(sa_type=String, **more)


def _bytes(**more: Any) -> Any:
    return Field(sa_type=LargeBinary, **more)


def _default(value: str) -> dict[str, Any]:
    return {"sa_column_kwargs": {"server_default": value}}


class Streams(Table, table=True):
    """One row for each stream: its folded state, and columns for lists and filters (`StreamRow`).

    ``head`` is the hash of the last event; ``erased`` the instant its personal data were destroyed.
    ``title`` and ``caller_mac`` are erasable and set with the first event, which holds their salted digest.
    """

    __tablename__ = "stream"
    __table_args__ = (
        Index(
            "ix_stream_due",
            "stream_kind",
            "due",
            "id",
            postgresql_where=text("open"),
            sqlite_where=text("open"),
        ),
        Index(
            "ix_stream_unit_due",
            "unit",
            "due",
            "id",
            postgresql_where=text("open AND unit <> ''"),
            sqlite_where=text("open AND unit <> ''"),
        ),
        Index("ix_stream_platform_stage", "platform", "stage", "id"),
        Index(
            "ix_stream_number",
            "number",
            postgresql_where=text("number <> ''"),
            sqlite_where=text("number <> ''"),
        ),
        Index(
            "ix_stream_caller_mac",
            "caller_mac",
            postgresql_where=text("caller_mac IS NOT NULL"),
            sqlite_where=text("caller_mac IS NOT NULL"),
        ),
        Index("ix_stream_received", "received", "id"),
        Index(
            "ix_stream_erased",
            "erased",
            postgresql_where=text("erased IS NOT NULL"),
            sqlite_where=text("erased IS NOT NULL"),
        ),
        Index(
            "ix_stream_division",
            "division",
            "received",
            "id",
            postgresql_ops={"division": "text_pattern_ops"},
        ),
    )

    id: UUID = _id(primary_key=True)
    stream_kind: str = _word()
    version: int = _big()
    head: bytes = _bytes()
    last_at: datetime = _at()
    state: bytes = _bytes()
    platform: str = _word()
    division: str = _word()
    stage: str = _word()
    open: bool
    number: str = _word()
    holder: str = _word()
    unit: str = _word()
    urgency: str = _word()
    kind: str = _word()
    category: str = _word()
    item: str = _word()
    lamp: str = _word()
    danger: bool
    received: datetime | None = _at(nullable=True)
    due: datetime | None = _at(nullable=True)
    title: str | None = _word(nullable=True)
    caller_mac: bytes | None = _bytes(nullable=True)
    erased: datetime | None = _at(nullable=True)


class Events(Table, table=True):
    """The log: append-only, hash-chained for each stream, numbered without gaps in commit order.

    ``digests`` lists the salted digests of texts and sealed fields that came with the event (see `codec.Proof`).
    """

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_stream", "stream_id", "version"),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    position: int = _big(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime = _at(primary_key=True)
    stream_kind: str = _word()
    stream_id: UUID = _id()
    version: int = _big()
    kind: str = _word()
    body: bytes = _bytes()
    hash: bytes = _bytes()
    by: str = _word()
    unit: str = _word()
    message_id: UUID = _id()
    versions: str = _word()
    digests: bytes = _bytes()
    platform: str = _word()
    division: str = _word()


class Deadlines(Table, table=True):
    """One row for each (stream, clock, milestone). Only ``armed`` and ``repaired`` rows are looked at by the sweep."""

    __tablename__ = "deadline"
    __table_args__ = (
        Index(
            "ix_deadline_due",
            "due",
            "stream_id",
            postgresql_where=text("state IN ('armed', 'repaired')"),
            sqlite_where=text("state IN ('armed', 'repaired')"),
        ),
        Index(
            "ix_deadline_quarantined",
            "due",
            postgresql_where=text("state = 'quarantined'"),
            sqlite_where=text("state = 'quarantined'"),
        ),
    )

    stream_id: UUID = _id(primary_key=True)
    clock: str = _word(primary_key=True)
    milestone: str = _word(primary_key=True)
    due: datetime = _at()
    state: str = _word()
    provisional: bool
    platform: str = _word()
    division: str = _word()


class Outbox(Table, table=True):
    """Effects on their way out. ``no`` orders a lane; only a lane's head may be claimed.

    ``key`` is derived from stream and number, so it is the same however often the effect is sent.
    ``next_try`` is also the end of a claim: a sender that dies is followed by another one then.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index(
            "ix_outbox_lane",
            "lane",
            "no",
            postgresql_where=text("state IN ('ready', 'dead')"),
            sqlite_where=text("state IN ('ready', 'dead')"),
        ),
        Index(
            "ix_outbox_next_try",
            "next_try",
            postgresql_where=text("state = 'ready'"),
            sqlite_where=text("state = 'ready'"),
        ),
        Index("ix_outbox_stream", "stream_id", "no"),
        {"postgresql_partition_by": "RANGE (created)"},
    )

    key: UUID = _id(primary_key=True)
    created: datetime = _at(primary_key=True)
    lane: str = _word()
    no: int = _big()
    stream_kind: str = _word()
    stream_id: UUID = _id()
    receiver: str = _word()
    kind: str = _word()
    body: bytes = _bytes()
    state: str = _word()
    attempts: int
    next_try: datetime = _at()
    last_error: str = _word()
    sent_at: datetime | None = _at(nullable=True)


class Receipts(Table, table=True):
    """What became of a notice on one channel: why it was not sent there, or whether it arrived.

    ``key`` is the effect's own. ``address`` is a keyed digest, for counting what one receiver is sent; ``reference`` the
    gateway's name for the message; ``until`` how long word of its arrival is waited for.
    """

    __tablename__ = "receipt"
    __table_args__ = (
        Index("ix_receipt_address", "channel", "address", "sent_at"),
        Index(
            "ix_receipt_reference",
            "channel",
            "reference",
            postgresql_where=text("reference <> ''"),
            sqlite_where=text("reference <> ''"),
        ),
        Index("ix_receipt_stream", "stream_id"),
    )

    key: UUID = _id(primary_key=True)
    channel: str = _word(primary_key=True)
    stream_id: UUID = _id()
    role: str = _word()
    name: str = _word()
    address: bytes | None = _bytes(nullable=True)
    state: str = _word()
    why: str = _word()
    tries: int
    parts: int
    reference: str = _word()
    at: datetime = _at()
    sent_at: datetime | None = _at(nullable=True)
    until: datetime | None = _at(nullable=True)
    checksum: bytes | None = _bytes(nullable=True)


class Inbox(Table, table=True):
    """Message ids that were taken, with what was answered. Kept for 30 days at least.

    ``position`` is that of the command's last event, 0 where it had none. ``checksum`` is None in rows from before
    revision 0004.
    """

    __tablename__ = "inbox"
    __table_args__ = ({"postgresql_partition_by": "RANGE (at)"},)

    message_id: UUID = _id(primary_key=True)
    at: datetime = _at(primary_key=True)
    digest: bytes = _bytes()
    answer: bytes = _bytes()
    position: int = _big()
    checksum: bytes | None = _bytes(nullable=True)


class Parties(Table, table=True):
    """The units that have a part in a stream: lead, co-handlers, those offered a claim, tiers below the lead.

    Derived from the state, so that a unit finds its cases in lists.
    """

    __tablename__ = "party"

    unit: str = _word(primary_key=True)
    stream_id: UUID = _id(primary_key=True, index=True)


class Texts(Table, table=True):
    """Words people wrote. Erasable with their salt; the log holds the salted digest."""

    __tablename__ = "text"

    stream_id: UUID = _id(primary_key=True)
    no: int = Field(primary_key=True)
    field: str = _word()
    words: str = _word()
    salt: bytes = _bytes()


class VaultRows(Table, table=True):
    """Personal fields of a stream, encrypted under the stream's own key."""

    __tablename__ = "vault"

    stream_id: UUID = _id(primary_key=True)
    sealed: bytes = _bytes()


class VaultKeys(Table, table=True):
    """The key of a stream, wrapped by the master key named ``master``. Backed up apart from everything else."""

    __tablename__ = "vault_key"

    stream_id: UUID = _id(primary_key=True)
    master: str = _word()
    wrapped: bytes = _bytes()


class Position(Table, table=True):
    """One row: the position of the last event."""

    __tablename__ = "position"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    value: int = _big()


class NumberBlocks(Table, table=True):
    """The next free case number of a platform and year. Gaps are allowed; a number is never given twice."""

    __tablename__ = "number_block"

    platform: str = _word(primary_key=True)
    year: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    next: int = _big()
    checksum: bytes | None = _bytes(nullable=True)


class Leases(Table, table=True):
    """Who leads, until when, and how often that changed (``epoch``). All in database time."""

    __tablename__ = "lease"

    name: str = _word(primary_key=True)
    holder: str = _word()
    epoch: int = _big()
    until: datetime = _at()


class Releases(Table, table=True):
    """Lists, policies, ladders and calendars, immutable, by digest."""

    __tablename__ = "release"

    digest: str = _word(primary_key=True)
    kind: str = _word(index=True)
    content: bytes = _bytes()
    signers: str = _word()
    effective_from: datetime = _at()
    created: datetime = _at()
    checksum: bytes | None = _bytes(nullable=True)


class Accounts(Table, table=True):
    """People and systems that may send commands; ``roles`` is a list of role words separated by spaces."""

    __tablename__ = "account"

    id: str = _word(primary_key=True)
    name: str = _word()
    password: str = _word(**_default(""))
    roles: str = _word()
    platform: str = _word()
    unit: str = _word()
    division: str = _word()
    created: datetime = _at()
    disabled: datetime | None = _at(nullable=True)
    checksum: bytes | None = _bytes(nullable=True)


class Tokens(Table, table=True):
    """Bearer tokens of accounts. Only the SHA-256 of a token is kept; the token has 256 random bits."""

    __tablename__ = "token"

    hash: bytes = _bytes(primary_key=True)
    account_id: str = _word(index=True)
    label: str = _word()
    created: datetime = _at()
    expires: datetime | None = _at(nullable=True)
    revoked: datetime | None = _at(nullable=True)
    checksum: bytes | None = _bytes(nullable=True)


class Expectations(Table, table=True):
    """What the auditor, reading the log, expects to fire: one row for each armed milestone, and none of the engine's.

    ``position`` is that of the event that armed it, or that last put its deadline row back.
    """

    __tablename__ = "expectation"
    __table_args__ = (Index("ix_expectation_due", "due", "stream_id"),)

    stream_id: UUID = _id(primary_key=True)
    clock: str = _word(primary_key=True)
    milestone: str = _word(primary_key=True)
    due: datetime = _at()
    position: int = _big()


class Audit(Table, table=True):
    """One row: how far the auditor has read the log, how far its turn over all expectations is, what it found last.

    ``fired`` counts since the first event; ``late_max`` is in microseconds and of the legal day ``late_day``;
    ``turn`` is the last stream looked at (empty: a turn begins), ``turned`` when the last whole turn ended.
    """

    __tablename__ = "audit"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    position: int = _big()
    fired: int = _big()
    late_max: int = _big()
    late_day: str = _word()
    turn: UUID | None = _id(nullable=True)
    turn_rows: int = _big()
    turn_size: int = _big()
    turned: datetime | None = _at(nullable=True)
    at: datetime | None = _at(nullable=True)
    expected: int = _big()
    absent: int = _big()
    overdue: int = _big()
    quarantined: int = _big()
    behind: int = _big()
    repaired: int = _big()


class Flags(Table, table=True):
    """Switches that outlive a process, such as ``relay-paused``."""

    __tablename__ = "flag"

    name: str = _word(primary_key=True)
    value: str = _word()
    by: str = _word()
    at: datetime = _at()
    checksum: bytes | None = _bytes(nullable=True)
