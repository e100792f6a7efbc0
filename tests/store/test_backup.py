"""Backups are taken while running and prove themselves when restored; erasure leaves nothing behind."""

from __future__ import annotations

import asyncio
import shutil
import stat
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from dispatcher.store import backup as kept
from dispatcher.store import schema
from dispatcher.store.backup import BadBackup, Manifest, NotEmpty
from dispatcher.store.database import Database
from dispatcher.store.outbox import Outbox
from dispatcher.store.retention import expired, leftovers
from dispatcher.store.vault import Vault
from dispatcher.store.verify import Verified, verify
from dispatcher.store.writer import Writer
from tests.support.aggregate import (
    CODEC,
    START,
    EmptyJar,
    ForgetJar,
    Jars,
    ManualClock,
    OpenJar,
    PutCoin,
    jar,
    name,
    sent,
)
from tests.support.databases import Cluster

DAY = timedelta(days=1)


@pytest.fixture
async def other(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """An empty database to restore into, on the same engine."""
    if engine_name == "postgres":
        running: Cluster = request.getfixturevalue("postgres")
        return Database(await running.empty())
    return Database(f"sqlite:///{tmp_path}/restored.db")


def files_in(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()}


async def some(writer: Writer) -> None:
    for n in range(8):
        command = OpenJar(ref=jar(f"j{n}"), words=f"第{n}只", secret=b"139%d" % n)
        await writer.submit(sent(command, f"o{n}"))


async def saved(database: Database, place: Path) -> Manifest:
    return await kept.backup(database, place / "all.zip", place / "keys.zip", made=START)


async def restored(database: Database, place: Path) -> Verified:
    return await kept.restore(
        database,
        place / "all.zip",
        place / "keys.zip",
        Jars(),
        CODEC,
        vault=Vault(bytes(range(32))),
        now=START + DAY,
    )


async def test_a_backup_made_while_writing_restores_to_a_proved_whole(
    writer: Writer, database: Database, other: Database, vault: Vault, clock: ManualClock, tmp_path: Path
) -> None:
    await some(writer)

    saving = asyncio.create_task(saved(database, tmp_path))
    await asyncio.gather(*(writer.submit(sent(PutCoin(ref=jar(f"j{n % 8}")), f"p{n}")) for n in range(60)))
    manifest = await saving
    proof = await restored(other, tmp_path)

    assert proof.faults == ()
    assert proof.position == manifest.position
    assert 8 <= proof.events <= 68
    outbox = Outbox(other, CODEC)
    assert "restored" in await outbox.paused()
    assert await outbox.claim(START + DAY, hold=DAY) == []
    async with Writer(other, Jars(), clock, vault) as node:
        again = await node.submit(sent(OpenJar(ref=jar("j0"), words="第0只", secret=b"1390"), "o0"))
        assert again.repeated
        assert (await node.submit(sent(PutCoin(ref=jar("j0")), "fresh"))).position == manifest.position + 1
    assert (await verify(other, Jars(), CODEC)).good
    await other.close()


@pytest.mark.postgres
async def test_a_deployment_grows_from_sqlite_to_postgresql(
    tmp_path: Path, sqlite_template: Path, postgres: Cluster, clock: ManualClock, vault: Vault
) -> None:
    small = Database(f"sqlite:///{tmp_path}/small.db")
    shutil.copy(sqlite_template, tmp_path / "small.db")
    async with Writer(small, Jars(), clock, vault) as writer:
        await some(writer)
    await saved(small, tmp_path)
    large = Database(await postgres.empty())

    proof = await restored(large, tmp_path)

    assert proof == await verify(small, Jars(), CODEC)
    assert proof.good
    async with large.looking() as connection:
        (row,) = (
            await connection.execute(
                text(
                    "SELECT v.sealed, k.wrapped FROM vault v JOIN vault_key k USING (stream_id) WHERE stream_id = :id"
                ),
                {"id": name("j3")},
            )
        ).all()
    assert vault.unseal(name("j3"), row.sealed, row.wrapped) == b"1393"
    await small.close()
    await large.close()


async def test_the_two_files_are_private_and_the_first_holds_no_key(
    writer: Writer, database: Database, tmp_path: Path
) -> None:
    await some(writer)

    await saved(database, tmp_path)

    assert "vault_key" not in zipfile.ZipFile(tmp_path / "all.zip").namelist()
    for file in ("all.zip", "keys.zip"):
        assert stat.S_IMODE((tmp_path / file).stat().st_mode) == 0o600
    assert not any(file.endswith(".part") for file in files_in(tmp_path))


async def test_a_restore_never_goes_over_something(
    writer: Writer, database: Database, tmp_path: Path
) -> None:
    await some(writer)
    await saved(database, tmp_path)

    with pytest.raises(NotEmpty):
        await restored(database, tmp_path)

    assert (await verify(database, Jars(), CODEC)).streams == 8


@pytest.mark.parametrize("damage", ["cut", "member", "keys of another", "no file"])
async def test_a_damaged_backup_is_refused_and_the_database_stays_empty(
    writer: Writer, database: Database, other: Database, tmp_path: Path, damage: str
) -> None:
    await some(writer)
    await saved(database, tmp_path)
    archive = tmp_path / "all.zip"
    match damage:
        case "cut":
            archive.write_bytes(archive.read_bytes()[:-100])
        case "member":
            members = {n: zipfile.ZipFile(archive).read(n) for n in zipfile.ZipFile(archive).namelist()}
            spoilt = bytearray(members["event"])
            spoilt[100] ^= 1
            with zipfile.ZipFile(archive, "w") as rewritten:
                for member, raw in {**members, "event": bytes(spoilt)}.items():
                    rewritten.writestr(member, raw)
        case "keys of another":
            await writer.submit(sent(PutCoin(ref=jar("j0")), "more"))
            await kept.backup(database, tmp_path / "second.zip", tmp_path / "keys.zip", made=START + DAY)
        case _:
            archive.unlink()

    with pytest.raises(BadBackup):
        await restored(other, tmp_path)

    await other.close()


async def test_what_has_reached_its_end_is_listed_and_erased(
    writer: Writer, database: Database, clock: ManualClock
) -> None:
    await some(writer)
    for n in range(5):
        await writer.submit(sent(EmptyJar(ref=jar(f"j{n}")), f"e{n}"))
    clock.advance(400 * DAY)
    before = clock.now() - 365 * DAY

    due = await expired(database, "12345-630100", before, kind="jar")
    for one in due[:2]:
        await writer.submit(sent(ForgetJar(ref=one.ref), f"forget {one.ref.id}"))

    assert {one.ref for one in due} == {jar(f"j{n}") for n in range(5)}
    assert await expired(database, "110-630100", before, kind="jar") == []
    assert [one.ref for one in await expired(database, "12345-630100", before, kind="jar")] == [
        one.ref for one in due[2:]
    ]
    assert [
        one.ref for one in await expired(database, "12345-630100", before, kind="jar", after=due[3].ref.id)
    ] == [due[4].ref]
    report = await leftovers(database, due[0].ref)
    assert report.rows == {"text": 0, "vault": 0, "vault_key": 0, "stream": 0}
    assert report.erased == clock.now()
    assert (await leftovers(database, due[2].ref)).rows == {
        "text": 1,
        "vault": 1,
        "vault_key": 1,
        "stream": 1,
    }
    assert (await verify(database, Jars(), CODEC)).good


@pytest.mark.parametrize("used", ["never used", "upgraded already"])
async def test_a_backup_of_an_older_schema_is_restored_and_upgraded(
    other: Database, vault: Vault, clock: ManualClock, tmp_path: Path, used: str
) -> None:
    """The sample was made by the Liandong of revision 0001: no checksums, no proofs of titles and effects."""
    samples = Path(__file__).parent / "samples"
    shutil.copy(samples / "revision-0001.backup", tmp_path / "all.zip")
    shutil.copy(samples / "revision-0001.keys", tmp_path / "keys.zip")
    if used == "upgraded already":
        await schema.upgrade(other, START)

    proof = await restored(other, tmp_path)

    assert proof.faults == ()
    assert (proof.position, proof.streams, proof.erased) == (13, 4, 1)
    assert proof.unproved > 12
    async with Writer(other, Jars(), clock, vault) as node:
        assert (await node.submit(sent(PutCoin(ref=jar("j0"), coins=500), "p0"))).repeated
        await node.submit(sent(PutCoin(ref=jar("j0"), coins=500), "fresh"))
    report = await verify(other, Jars(), CODEC, vault=vault)
    assert (report.faults, report.unproved) == ((), proof.unproved)
    async with other.looking() as connection:
        (checked,) = (await connection.execute(text("SELECT count(checksum) FROM account"))).one()
    assert checked == 1
    await other.close()
