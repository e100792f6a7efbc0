"""Verify finds one flipped byte, wherever it is, and says where; erasure and old kinds keep it green."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, text

from dispatcher.store import codec
from dispatcher.store.database import Database
from dispatcher.store.errors import Unreadable
from dispatcher.store.findings import Fault
from dispatcher.store.merkle import anchor, read_anchors, write_anchor
from dispatcher.store.tables import Table
from dispatcher.store.vault import Vault
from dispatcher.store.verify import Verified, verify
from dispatcher.store.writer import Writer
from tests.support.aggregate import (
    CODEC,
    EVENTS,
    UPCASTS,
    CarryAway,
    EmptyJar,
    ForgetJar,
    Jars,
    ManualClock,
    MoveCoins,
    OpenJar,
    PutCoin,
    WriteNote,
    jar,
    sent,
)


async def proved(database: Database, **more: Any) -> Verified:
    return await verify(database, Jars(), CODEC, **more)


async def change(database: Database, statement: str, **values: Any) -> int:
    async with database.writing() as connection:
        return (await connection.execute(text(statement), values)).rowcount


@pytest.fixture
async def lived(writer: Writer, clock: ManualClock, database: Database) -> Database:
    """A database in which a good deal has happened."""
    for n in range(6):
        await writer.submit(sent(OpenJar(ref=jar(f"j{n}"), words=f"第{n}只", secret=b"139%d" % n), f"o{n}"))
    for n in range(6):
        clock.advance(timedelta(minutes=1))
        await writer.submit(sent(PutCoin(ref=jar(f"j{n}"), coins=5), f"p{n}"))
    await writer.submit(sent(MoveCoins(source=jar("j0"), target=jar("j1"), coins=2), "mv"))
    await writer.submit(sent(CarryAway(ref=jar("j2"), platform="110-630200", division="630203"), "cw"))
    await writer.submit(sent(EmptyJar(ref=jar("j3")), "em"))
    await writer.submit(sent(WriteNote(ref=jar("j4"), words="到现场看过"), "no"))
    clock.advance(timedelta(minutes=70))
    while (await writer.settle_due(clock.now(), 3)).more:
        pass
    return database


async def test_what_was_lived_is_proved(lived: Database) -> None:
    report = await proved(lived)

    assert report.faults == ()
    assert (report.streams, report.events, report.deadlines, report.texts) == (6, 22, 12, 7)
    assert report.position == 22


async def test_verify_reads_a_snapshot_while_others_write(lived: Database, writer: Writer) -> None:
    proving = asyncio.create_task(proved(lived))
    await asyncio.gather(*(writer.submit(sent(PutCoin(ref=jar("j5")), f"late{n}")) for n in range(20)))

    assert (await proving).good


COLUMNS = (
    "position",
    "at",
    "stream_kind",
    "stream_id",
    "version",
    "kind",
    "body",
    "hash",
    "by",
    "unit",
    "message_id",
    "versions",
    "digests",
    "platform",
    "division",
)


@pytest.mark.parametrize("column", COLUMNS)
async def test_every_column_of_an_event_is_proved(lived: Database, column: str) -> None:
    victim = jar("j1").id
    flips = {
        "position": "position + 1000",
        "version": "version + 1",
        "at": "at + interval '1 microsecond'" if lived.is_postgres else "replace(at, '2026', '2027')",
        "stream_id": ":other",
        "message_id": ":other",
        "body": "set_byte(body, 12, get_byte(body, 12) # 1)"
        if lived.is_postgres
        else "CAST(replace(body, '63', '64') AS BLOB)",
        "hash": "set_byte(hash, 3, get_byte(hash, 3) # 1)" if lived.is_postgres else "zeroblob(32)",
        "digests": "'[]'::bytea" if lived.is_postgres else "CAST('[]' AS BLOB)",
    }
    value = flips.get(column, f"\"{column}\" || 'x'")
    bound: dict[str, Any] = {"id": victim if lived.is_postgres else victim.hex}
    if ":other" in value:
        bound["other"] = jar("j5").id if lived.is_postgres else jar("j5").id.hex

    touched = await change(
        lived, f'UPDATE event SET "{column}" = {value} WHERE stream_id = :id AND version = 1', **bound
    )

    report = await proved(lived)
    assert touched == 1
    assert not report.good
    if column == "stream_id":
        assert {fault.stream for fault in report.faults} == {str(victim), str(jar("j5").id)}
    else:
        assert str(victim) in {fault.stream for fault in report.faults}


@pytest.mark.parametrize("place", range(0, 220, 17))
async def test_one_flipped_bit_in_an_event_or_state_is_found_and_named(lived: Database, place: int) -> None:
    table = ("event", "stream")[place % 2]
    column = {"event": "body", "stream": "state"}[table]
    victim = jar(f"j{place % 6}").id
    id_ = victim if lived.is_postgres else victim.hex
    key = "stream_id" if table == "event" else "id"
    where = f"{key} = :id AND version = (SELECT max(version) FROM {table} WHERE {key} = :id)"
    async with lived.writing() as connection:
        raw = (
            await connection.execute(text(f"SELECT {column} FROM {table} WHERE {where}"), {"id": id_})
        ).scalar_one()
    spoilt = bytearray(raw)
    spoilt[place % len(raw)] ^= 1 << (place % 8)

    await change(lived, f"UPDATE {table} SET {column} = :spoilt WHERE {where}", id=id_, spoilt=bytes(spoilt))

    found = (await proved(lived)).faults
    assert {fault.stream for fault in found} == {str(victim)}
    assert {"event": "event", "stream": "state"}[table] in {fault.what for fault in found}
    assert any(fault.version for fault in found)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE deadline SET state = 'fired' WHERE state = 'cancelled'",
        "UPDATE deadline SET milestone = 'limjt' WHERE clock = 'seal'",
        "UPDATE deadline SET provisional = NOT provisional WHERE clock = 'seal'",
        "UPDATE deadline SET division = '630200' WHERE clock = 'seal'",
        "DELETE FROM deadline WHERE clock = 'fill'",
        "UPDATE stream SET number = 'x' WHERE open",
        "UPDATE stream SET stage = 'closed' WHERE NOT open",
        "UPDATE stream SET erased = last_at WHERE NOT open",
        "UPDATE stream SET version = version + 1 WHERE NOT open",
        "UPDATE text SET words = words || '。' WHERE no = 0",
        "DELETE FROM text WHERE no = 1",
        "DELETE FROM vault WHERE stream_id IN (SELECT id FROM stream WHERE NOT open)",
        "DELETE FROM vault_key WHERE stream_id IN (SELECT id FROM stream WHERE NOT open)",
        "DELETE FROM stream WHERE NOT open",
        "DELETE FROM event WHERE position = 22",
        "DELETE FROM event WHERE position = 9",
        "UPDATE position SET value = value + 1",
    ],
)
async def test_whatever_else_is_changed_is_found(lived: Database, statement: str) -> None:
    assert await change(lived, statement) > 0

    assert not (await proved(lived)).good


async def test_erasure_leaves_nothing_to_read_and_everything_proved(lived: Database, writer: Writer) -> None:
    await writer.submit(sent(ForgetJar(ref=jar("j4")), "forget"))

    report = await proved(lived)
    id_ = jar("j4").id if lived.is_postgres else jar("j4").id.hex
    async with lived.looking() as connection:
        left = [
            (
                await connection.execute(
                    text(f"SELECT count(*) FROM {table} WHERE stream_id = :id"), {"id": id_}
                )
            ).scalar()
            for table in ("text", "vault", "vault_key")
        ]
        row = (
            await connection.execute(
                text("SELECT title, caller_mac, erased FROM stream WHERE id = :id"), {"id": id_}
            )
        ).one()
    assert report.faults == ()
    assert report.erased == 1
    assert left == [0, 0, 0]
    assert row.title is None
    assert row.caller_mac is None
    assert row.erased is not None


async def test_text_put_back_after_an_erasure_is_found(lived: Database, writer: Writer) -> None:
    await writer.submit(sent(ForgetJar(ref=jar("j4")), "forget"))
    id_ = jar("j4").id if lived.is_postgres else jar("j4").id.hex

    await change(
        lived,
        "INSERT INTO text (stream_id, no, field, words, salt) VALUES (:id, 0, 'narrative', 'x', :salt)",
        id=id_,
        salt=b"",
    )

    assert [fault.what for fault in (await proved(lived)).faults] == ["text"]


async def test_an_anchor_proves_what_was_there_on_its_day(
    lived: Database, writer: Writer, clock: ManualClock, vault: Vault, tmp_path: Path
) -> None:
    kept = tmp_path / "anchors.jsonl"
    write_anchor(kept, await anchor(lived, clock.now(), vault))
    await writer.submit(sent(PutCoin(ref=jar("j0")), "later"))
    await writer.submit(sent(OpenJar(ref=jar("new")), "newer"))

    report = await proved(lived, anchors=read_anchors(kept, vault.signer))

    assert report.good
    assert report.root == (await anchor(lived, clock.now(), vault)).root


async def test_a_history_made_up_anew_with_right_hashes_breaks_the_anchor(
    lived: Database, clock: ManualClock, vault: Vault
) -> None:
    before = await anchor(lived, clock.now(), vault)
    await forge(lived)

    assert (await proved(lived)).good
    assert (await proved(lived, anchors=[before])).faults == (
        Fault(what="anchor", detail="the root at position 22 is not the one anchored"),
    )


async def forge(database: Database) -> None:
    """Change who put the coins into j5, and compute every hash after it anew, as an insider could."""
    event = Table.metadata.tables["event"]
    id_ = jar("j5").id if database.is_postgres else jar("j5").id.hex
    async with database.writing() as connection:
        events = (
            await connection.execute(
                select(event).where(event.c.stream_id == jar("j5").id).order_by(event.c.version)
            )
        ).mappings()
        head = codec.GENESIS
        for row in [dict(row) for row in events]:
            by = "somebody-else" if row["version"] == 2 else row["by"]
            head = codec.chain(
                head,
                **{k: v for k, v in row.items() if k not in ("position", "hash", "by")},
                by=by,
            )
            await connection.execute(
                text('UPDATE event SET "by" = :by, hash = :hash WHERE position = :position'),
                {"by": by, "hash": head, "position": row["position"]},
            )
        await connection.execute(
            text("UPDATE stream SET head = :head WHERE id = :id"), {"head": head, "id": id_}
        )


SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.json"))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_every_kind_ever_stored_can_still_be_read(sample: Path) -> None:
    event = CODEC.event(sample.stem, sample.read_bytes().rstrip(b"\n"))

    kept_as = codec.kind_of(type(event))
    assert kept_as.rpartition(".")[0] == sample.stem.rpartition(".")[0]
    assert codec.encode(CODEC.event(kept_as, codec.encode(event))) == codec.encode(event)


def test_there_is_a_sample_of_every_kind() -> None:
    assert {path.stem for path in SAMPLES} == {codec.kind_of(event) for event in EVENTS} | set(UPCASTS)


def test_an_event_whose_body_says_another_kind_than_the_log_is_refused() -> None:
    with pytest.raises(Unreadable):
        CODEC.event("coin-put.1", b'{"kind":"coins-taken.1","coins":1}')


async def test_a_state_stored_before_its_class_grew_is_no_fault(lived: Database) -> None:
    id_ = jar("j0").id if lived.is_postgres else jar("j0").id.hex
    async with lived.writing() as connection:
        raw = (
            await connection.execute(text("SELECT state FROM stream WHERE id = :id"), {"id": id_})
        ).scalar_one()
        fields = msgspec.msgpack.decode(raw)
        del fields["notes"]  # 0 here, which is the default of today's class
        await connection.execute(
            text("UPDATE stream SET state = :state WHERE id = :id"),
            {"id": id_, "state": msgspec.msgpack.encode(fields)},
        )

    assert (await proved(lived)).faults == ()


async def test_an_anchor_changed_after_it_was_signed_is_not_trusted(
    lived: Database, clock: ManualClock, vault: Vault, tmp_path: Path
) -> None:
    kept = tmp_path / "anchors.jsonl"
    made = await anchor(lived, clock.now(), vault)
    write_anchor(kept, msgspec.structs.replace(made, position=made.position + 1))

    with pytest.raises(Unreadable, match="line 1: its signature does not fit it"):
        read_anchors(kept)


async def test_an_anchor_signed_by_another_key_is_not_trusted(
    lived: Database, clock: ManualClock, vault: Vault, tmp_path: Path
) -> None:
    kept = tmp_path / "anchors.jsonl"
    write_anchor(kept, await anchor(lived, clock.now(), Vault(b"another".ljust(32, b"."))))

    with pytest.raises(Unreadable, match="another key"):
        read_anchors(kept, vault.signer)
