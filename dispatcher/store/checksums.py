"""Checksums of rows that no event tells of: accounts, tokens, releases, switches, number blocks, receipts, answers.

A row that belongs to a stream is proved by the stream's chain. These rows have no chain; each carries a digest over
its other columns, so that `verify` finds a byte that changed by itself. Whoever may write the database may also
write the digest: this is a guard against damage, not against its owner.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from dispatcher.store.tables import Table

COLUMN = "checksum"
CHECKED = ("account", "token", "release", "flag", "number_block", "receipt")
"""Tables whose rows carry `checksum` over all their other columns. ``inbox`` carries `answer_checksum`."""

_pack = msgspec.msgpack.Encoder(uuid_format="bytes").encode


def checksum(table: str, row: Mapping[str, Any]) -> bytes:
    """The digest over a row's columns, in the order of the table.

    Raises:
        UnicodeEncodeError: a text of the row was damaged and is no text any more.
    """
    columns = [name for name in Table.metadata.tables[table].columns.keys() if name != COLUMN]  # noqa: SIM118
    return hashlib.blake2b(_pack((table, *(_plain(row[name]) for name in columns))), digest_size=16).digest()


def with_checksum(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its checksum put in anew. Columns that are left out are None."""
    whole = {name: row.get(name) for name in Table.metadata.tables[table].columns.keys()}  # noqa: SIM118
    return {**whole, COLUMN: checksum(table, whole)}


def answer_checksum(message_id: UUID, at: str, digest: bytes, answer: bytes) -> bytes:
    """The digest over a stored answer. ``at`` is `utc_text`; the position is proved by the log."""
    return hashlib.blake2b(
        b"%s%s%s%s" % (message_id.bytes, at.encode(), digest, answer), digest_size=16
    ).digest()


def utc_text(at: datetime) -> str:
    """An instant in UTC as text of fixed width, the same on both engines."""
    return at.astimezone(UTC).isoformat(" ", "microseconds")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return utc_text(value)
    return bytes(value) if isinstance(value, memoryview) else value
