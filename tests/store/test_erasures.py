"""Erasures outlive a backup: the journal beside the anchors says what a restore must erase again. Private files."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dispatcher.domain.stream import StreamRef, Submission
from dispatcher.store import backup as kept
from dispatcher.store.database import Database
from dispatcher.store.erasures import keep_journal, read_journal, repeat_erasures
from dispatcher.store.errors import Unreadable
from dispatcher.store.merkle import anchor, read_anchors, write_anchor
from dispatcher.store.vault import Vault
from dispatcher.store.verify import verify
from dispatcher.store.writer import Writer
from tests.support.aggregate import CODEC, START, ForgetJar, Jars, ManualClock, OpenJar, jar, sent
from tests.support.databases import Cluster


@pytest.fixture
async def other(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """An empty database to restore into, on the same engine."""
    if engine_name == "postgres":
        running: Cluster = request.getfixturevalue("postgres")
        return Database(await running.empty())
    return Database(f"sqlite:///{tmp_path}/restored.db")


def forget(ref: StreamRef) -> Submission:
    return sent(ForgetJar(ref=ref), f"forget {ref.id}")


async def test_what_was_erased_after_the_backup_is_erased_again_after_the_restore(
    writer: Writer, database: Database, other: Database, vault: Vault, clock: ManualClock, tmp_path: Path
) -> None:
    journal = tmp_path / "erasures.jsonl"
    for n in range(4):
        await writer.submit(sent(OpenJar(ref=jar(f"j{n}"), words="w", secret=b"s"), f"o{n}"))
    await writer.submit(forget(jar("j0")))
    assert await keep_journal(database, journal, vault) == 1
    await kept.backup(database, tmp_path / "all.zip", tmp_path / "keys.zip", made=START)
    await writer.submit(sent(OpenJar(ref=jar("later"), words="w", secret=b"s"), "later"))
    for word in ("j1", "later"):
        await writer.submit(forget(jar(word)))
    assert await keep_journal(database, journal, vault) == 2
    assert await keep_journal(database, journal, vault) == 0

    await kept.restore(
        other, tmp_path / "all.zip", tmp_path / "keys.zip", Jars(), CODEC, vault=vault, now=START
    )
    lines = read_journal(journal, vault.signer)
    async with Writer(other, Jars(), clock, vault) as node:
        repeated = await repeat_erasures(other, node, lines, forget)
        again = await repeat_erasures(other, node, lines, forget)

    assert {line.stream for line in lines} == {jar(word).id for word in ("j0", "j1", "later")}
    assert (repeated.erased, repeated.refused, again.erased) == ((jar("j1").id,), {}, ())
    proof = await verify(other, Jars(), CODEC, vault=vault)
    assert (proof.faults, proof.erased) == ((), 2)
    await other.close()


async def test_an_erasure_that_is_refused_is_told(
    writer: Writer, database: Database, vault: Vault, tmp_path: Path
) -> None:
    journal = tmp_path / "erasures.jsonl"
    await writer.submit(sent(OpenJar(ref=jar("a"), words="w"), "a"))
    await writer.submit(forget(jar("a")))
    await keep_journal(database, journal, vault)
    (line,) = read_journal(journal, vault.signer)
    await writer.submit(sent(OpenJar(ref=jar("b"), words="w"), "b"))

    def nobody(_ref: StreamRef) -> Submission:
        return sent(ForgetJar(ref=jar("nobody")), "nobody")

    wrong = type(line)(stream=jar("b").id, kind="jar", at=line.at)
    repeated = await repeat_erasures(database, writer, [wrong], nobody)

    assert (repeated.erased, dict(repeated.refused)) == ((), {jar("b").id: "not-found"})


async def test_one_changed_byte_in_the_journal_or_the_anchors_is_found(
    writer: Writer, database: Database, vault: Vault, clock: ManualClock, tmp_path: Path
) -> None:
    journal, anchors = tmp_path / "erasures.jsonl", tmp_path / "anchors.jsonl"
    await writer.submit(sent(OpenJar(ref=jar("a"), words="w"), "a"))
    await writer.submit(forget(jar("a")))
    await keep_journal(database, journal, vault)
    write_anchor(anchors, await anchor(database, clock.now(), vault))
    clock.advance(timedelta(days=1))

    for file, read in ((journal, read_journal), (anchors, read_anchors)):
        raw = file.read_bytes()
        for place in range(len(raw)):
            file.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
            with pytest.raises(Unreadable):
                read(file, vault.signer)
        file.write_bytes(raw)
        assert len(read(file, vault.signer)) == 1


@pytest.fixture
def open_to_all() -> Iterator[None]:
    """A careless umask."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_to_all")
async def test_what_is_written_is_closed_to_others_whatever_the_umask(
    sqlite_template: Path, vault: Vault, clock: ManualClock, tmp_path: Path
) -> None:
    place = tmp_path / "var"
    Vault.open(place / "vault.key")
    fresh, known = Database(f"sqlite:///{place}/fresh.db"), Database(f"sqlite:///{place}/known.db")
    shutil.copyfile(sqlite_template, place / "known.db")
    (place / "known.db").chmod(0o644)
    await fresh.now()
    async with Writer(known, Jars(), clock, vault) as writer:
        await writer.submit(sent(OpenJar(ref=jar("a"), words="w"), "a"))
        await writer.submit(forget(jar("a")))
        await keep_journal(known, place / "erasures.jsonl", vault)
        write_anchor(place / "anchors.jsonl", await anchor(known, clock.now(), vault))

        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()}

    assert {"fresh.db", "known.db", "known.db-wal", "known.db-shm", "vault.key"} <= modes.keys()
    assert {"anchors.jsonl", "erasures.jsonl"} <= modes.keys()
    assert {name: mode for name, mode in modes.items() if mode != 0o600} == {}
    await fresh.close()
    await known.close()
