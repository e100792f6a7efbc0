"""Receipts: what became of each notice on each channel. Kept by the carrier of notices, read by people and by itself.

A row is written before anything leaves, so that whoever comes after a crash knows that it may have left.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping, delete, func, insert, select, update

from dispatcher.store.checksums import COLUMN, with_checksum
from dispatcher.store.database import Database
from dispatcher.store.tables import Table

_receipt = Table.metadata.tables["receipt"]


class ReceiptState(StrEnum):
    """What is known. `trying` may have left; `taken` by the gateway, of `arrived` and `confirmed` there is word."""

    HELD = "held"  # quiet hours, or all ways are throttled: it waits
    TRYING = "trying"
    RETRY = "retry"  # not known to have left; asked again
    TAKEN = "taken"
    ARRIVED = "arrived"
    CONFIRMED = "confirmed"  # a person said so
    FAILED = "failed"
    SKIPPED = "skipped"  # not connected here, or nowhere to send it
    THROTTLED = "throttled"
    OVERTAKEN = "overtaken"  # the clock it was about had stopped meanwhile


DONE: Final = frozenset({ReceiptState.ARRIVED, ReceiptState.CONFIRMED, ReceiptState.OVERTAKEN})
OVER: Final = frozenset({ReceiptState.FAILED, ReceiptState.SKIPPED, ReceiptState.THROTTLED})
"""States after which the next channel is tried."""
_WORDS = 300


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """One row. ``parts`` counts the text messages it took, ``address`` is a digest, ``name`` whoever was on duty."""

    key: UUID
    channel: str
    stream_id: UUID
    role: str
    state: ReceiptState
    at: datetime
    name: str = ""
    address: bytes | None = None
    why: str = ""
    tries: int = 0
    parts: int = 0
    reference: str = ""
    sent_at: datetime | None = None
    until: datetime | None = None


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What was known of a message before a gateway's word, and after it."""

    before: Receipt
    after: Receipt


class Receipts:
    """The receipts of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, key: UUID) -> dict[str, Receipt]:
        """What is known of a notice, by channel."""
        statement = select(_receipt).where(_receipt.c.key == key)
        async with self._database.looking() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return {row["channel"]: receipt_of(row) for row in rows}

    async def put(self, receipt: Receipt) -> None:
        """Keep what is known now of a notice on a channel, in place of what was."""
        row = msgspec.structs.asdict(receipt)
        row["state"], row["why"] = receipt.state.value, receipt.why[:_WORDS]
        row["reference"], row["name"] = receipt.reference[:200], receipt.name[:100]
        mine = (_receipt.c.key == receipt.key) & (_receipt.c.channel == receipt.channel)
        async with self._database.writing() as connection:
            row = with_checksum("receipt", row)
            # Only the holder of the notice's claim writes, so nobody comes in between.
            if not (await connection.execute(update(_receipt).where(mine).values(row))).rowcount:
                await connection.execute(insert(_receipt).values(row))

    async def forget(self, key: UUID) -> None:
        """All channels of a notice are tried afresh: a person had it sent again."""
        async with self._database.writing() as connection:
            await connection.execute(delete(_receipt).where(_receipt.c.key == key))

    async def lately(
        self, channel: str, address: bytes, since: datetime, *, but: UUID
    ) -> tuple[int, datetime | None]:
        """How many notices ``but`` one left for an address since an instant, and when the first of them did."""
        c = _receipt.c
        statement = select(func.count(), func.min(c.sent_at)).where(
            c.channel == channel, c.address == address, c.sent_at > since, c.key != but
        )
        async with self._database.looking() as connection:
            count, first = (await connection.execute(statement)).one()
        return int(count), first

    async def word(
        self, channel: str, reference: str, state: ReceiptState, why: str, at: datetime
    ) -> Word | None:
        """Keep the word of a gateway about a message it took; None where no such message is known (yet).

        Word that comes twice, or contradicts what was known to have arrived, changes nothing.
        """
        c = _receipt.c
        mine = (c.channel == channel) & (c.reference == reference)
        async with self._database.writing() as connection:
            row = (await connection.execute(select(_receipt).where(mine).limit(1))).mappings().one_or_none()
            if row is None:
                return None
            known = receipt_of(row)
            if known.state is ReceiptState.TRYING:
                return None  # its carrier has not heard the gateway's own answer yet
            settled = known.state is ReceiptState.CONFIRMED or (
                known.state is ReceiptState.ARRIVED and state is ReceiptState.FAILED
            )
            if settled or known.state is state:
                return Word(before=known, after=known)
            change = update(_receipt).where(c.key == known.key, c.channel == channel)
            changed = {**row, "state": state.value, "why": why[:_WORDS], "at": at}
            await connection.execute(change.values(with_checksum("receipt", changed)))
        return Word(before=known, after=msgspec.structs.replace(known, state=state, why=why[:_WORDS], at=at))


def receipt_of(row: RowMapping) -> Receipt:
    """The record of a row."""
    known = {name: value for name, value in row.items() if name != COLUMN}
    return msgspec.convert({**known, "state": ReceiptState(str(row["state"]))}, Receipt)
