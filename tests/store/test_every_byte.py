"""One byte changed in any column of any table: verify says in which table, row and column."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from dispatcher.store.accounts import Accounts
from dispatcher.store.database import Database
from dispatcher.store.findings import Fault
from dispatcher.store.loose_rows import FREE
from dispatcher.store.numbers import Numbers
from dispatcher.store.outbox import Outbox
from dispatcher.store.receipts import Receipt, Receipts, ReceiptState
from dispatcher.store.releases import Release, Releases
from dispatcher.store.tables import Table
from dispatcher.store.vault import Vault
from dispatcher.store.verify import Verified, verify
from dispatcher.store.writer import Writer
from tests.support.aggregate import (
    AGENT,
    CODEC,
    CarryAway,
    EmptyJar,
    ForgetJar,
    Jars,
    ManualClock,
    OpenJar,
    PutCoin,
    ShareJar,
    WriteNote,
    jar,
    sent,
)

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
COLUMNS = sorted(
    (table.name, column.name)
    for table in Table.metadata.tables.values()
    for column in table.columns
    if column.name not in FREE.get(table.name, ())
)


@pytest.fixture
async def populated(database: Database, writer: Writer, clock: ManualClock, vault: Vault) -> Database:
    """A database with a row in every table and a value in every column."""
    accounts = Accounts(database)
    await accounts.put(AGENT, "坐席一号", clock.now(), password="hash")
    await accounts.new_token(AGENT.id, "desk", clock.now(), expires=clock.now() + timedelta(days=90))
    await accounts.revoke(AGENT.id, "desk", clock.now() + timedelta(days=1))
    await accounts.disable(AGENT.id, clock.now() + timedelta(days=2))
    release = Release(
        digest="a1b2",
        kind="lists",
        content=b"[[item]]",
        signers=("one", "two"),
        effective_from=clock.now(),
        created=clock.now(),
    )
    await Releases(database).put(release)
    await Numbers(database).take("12345-630100", 2026)
    receipt = Receipt(
        key=jar("notice").id,
        channel="sms",
        stream_id=jar("j0").id,
        role="unit-desk",
        state=ReceiptState.TAKEN,
        at=clock.now(),
        name="值班员",
        address=b"digest",
        why="busy",
        tries=2,
        parts=1,
        reference="gw-1",
        sent_at=clock.now(),
        until=clock.now() + timedelta(hours=1),
    )
    await Receipts(database).put(receipt)
    await Receipts(database).word("sms", "gw-1", ReceiptState.ARRIVED, "DELIVRD", clock.now())
    await Outbox(database, CODEC).pause("agent-1", clock.now(), "to look at it")
    for n, number in enumerate(("ZD1", "ZD2", "ZD3", "poison")):
        opened = OpenJar(ref=jar(f"j{n}"), number=number, words=f"第{n}只罐子", secret=b"13900000000")
        await writer.submit(sent(opened, f"o{n}"))
    await writer.submit(sent(PutCoin(ref=jar("j0"), coins=500), "p0"))
    await writer.submit(sent(ShareJar(ref=jar("j0"), units=("unit-a", "unit-b")), "s0"))
    await writer.submit(sent(WriteNote(ref=jar("j0"), words="到现场看过"), "n0"))
    await writer.submit(sent(CarryAway(ref=jar("j1"), platform="110-630200", division="630203"), "c1"))
    await writer.submit(sent(EmptyJar(ref=jar("j2")), "e2"))
    await writer.submit(sent(ForgetJar(ref=jar("j2")), "f2"))
    clock.advance(timedelta(minutes=70))
    while (await writer.settle_due(clock.now())).more:
        pass
    return database


async def proved(database: Database, vault: Vault) -> Verified:
    return await verify(database, Jars(), CODEC, vault=vault)


def flipped(value: Any) -> Iterator[Any]:
    """The value with one byte changed: its last, and one in its middle."""
    match value:
        case bool():
            yield not value
        case int():
            yield value ^ 1
            yield value ^ (1 << 9)
        case datetime():
            micros = (value.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)
            yield EPOCH + timedelta(microseconds=micros ^ 1)
            yield EPOCH + timedelta(microseconds=micros ^ (1 << 33))
        case UUID():
            for raw in flipped(value.bytes):
                yield UUID(bytes=raw)
        case str():
            yield from flipped(value.encode())
        case bytes():
            if not value:
                yield b"x"
                return
            for place in sorted({len(value) - 1, len(value) // 2}):
                yield value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
        case _:
            raise AssertionError(f"{value!r} cannot be flipped")


async def rows_of(database: Database, table: str) -> list[dict[str, Any]]:
    key = "rowid AS place, " if not database.is_postgres else "ctid::text AS place, "
    async with database.looking() as connection:
        return [
            dict(row) for row in (await connection.execute(text(f'SELECT {key}* FROM "{table}"'))).mappings()
        ]


async def put(database: Database, table: str, column: str, row: dict[str, Any], value: Any) -> None:
    """Write one column of one row as damage would: past the store, and on SQLite past the encoding of text."""
    if database.is_postgres:
        keys = [key.name for key in Table.metadata.tables[table].primary_key.columns]
        where = " AND ".join(f'"{key}" = :k_{key}' for key in keys)
        bound = {f"k_{key}": row[key] for key in keys}
        said = ":value"
    else:
        where, bound = "rowid = :place", {"place": row["place"]}
        if (table, column) == ("position", "id"):  # the same number as the rowid
            where, bound = "1 = 1", {}
        said = "CAST(:value AS TEXT)" if isinstance(row[column], str) else ":value"
        value = value.encode() if isinstance(value, str) else value
    statement = f'UPDATE "{table}" SET "{column}" = {said} WHERE {where}'
    async with database.writing() as connection:
        done = await connection.execute(text(statement), {**bound, "value": value})
    assert done.rowcount == 1, (table, column)


async def test_a_populated_store_is_proved(populated: Database, vault: Vault) -> None:
    report = await proved(populated, vault)

    assert report.faults == ()
    assert (report.unproved, report.erased, report.quarantined) == (0, 1, 1)
    assert report.effects > 4


async def test_a_changed_byte_in_any_column_is_found_and_named(populated: Database, vault: Vault) -> None:
    missed: list[str] = []
    tried = 0
    for table, column in COLUMNS:
        rows = [row for row in await rows_of(populated, table) if row[column] is not None]
        assert rows, f"no row has a value in {table}.{column}"
        for n, row in (
            (0, rows[0]),
            (1, rows[-1]),
        ):  # its last byte in the first row, one amid the last row's
            value = next(islice(flipped(row[column]), n, None), None)
            if value is None:
                continue
            if populated.is_postgres and isinstance(row[column], str):
                try:
                    value = value.decode()
                except UnicodeDecodeError:
                    continue  # PostgreSQL keeps no such text
            try:
                await put(populated, table, column, row, value)
            except IntegrityError:
                continue  # it would be another row's key
            found = (await proved(populated, vault)).faults
            tried += 1
            if not any(names(fault, table, column) for fault in found):
                missed.append(f"{table}.{column} {row[column]!r} → {value!r}: {found}")
            now = {**row, column: value} if populated.is_postgres else row
            await put(populated, table, column, now, row[column])

    assert missed == []
    assert tried > 100
    assert (await proved(populated, vault)).faults == ()


def names(fault: Fault, table: str, column: str) -> bool:
    return (fault.table, fault.column) == (table, column) and bool(fault.row)


async def test_a_changed_schema_version_is_found(populated: Database, vault: Vault) -> None:
    async with populated.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0005'"))

    (fault,) = (await proved(populated, vault)).faults

    assert (fault.table, fault.row, fault.column) == ("alembic_version", "'0005'", "version_num")


@pytest.mark.parametrize("table", ["outbox", "party", "text", "vault", "vault_key", "deadline"])
async def test_a_row_that_was_taken_out_is_found(populated: Database, vault: Vault, table: str) -> None:
    async with populated.writing() as connection:
        await connection.execute(text(f"DELETE FROM {table}"))

    found = (await proved(populated, vault)).faults

    assert {fault.table for fault in found} >= {table}


async def test_an_effect_that_was_put_in_is_found(populated: Database, vault: Vault) -> None:
    """A forged order to a receiver: everything about it is derived rightly, but no event planned it."""
    async with populated.writing() as connection:
        await connection.execute(
            text(
                "INSERT INTO outbox (key, created, lane, no, stream_kind, stream_id, receiver, kind, body, state,"
                " attempts, next_try, last_error) SELECT :key, created, lane, no + 1, stream_kind, stream_id,"
                " receiver, kind, body, 'ready', 0, next_try, '' FROM outbox WHERE no = 1000 AND stream_id = :id"
            ),
            {"key": _id(populated, jar("forged").id), "id": _id(populated, jar("j0").id)},
        )

    found = (await proved(populated, vault)).faults

    assert [(fault.table, fault.column) for fault in found] == [("outbox", "no")]


async def test_without_the_vault_keys_are_counted_only(populated: Database) -> None:
    assert (await verify(populated, Jars(), CODEC)).faults == ()


async def test_another_master_key_opens_nothing_and_verify_says_so(populated: Database) -> None:
    found = (await proved(populated, Vault(b"another".ljust(32, b".")))).faults

    assert {(fault.table, fault.column) for fault in found} == {
        ("vault_key", "master"),
        ("vault_key", "wrapped"),
    }


def _id(database: Database, id_: UUID) -> Any:
    return id_ if database.is_postgres else id_.hex
