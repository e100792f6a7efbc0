"""Outbox lanes, leases, case numbers, releases, accounts, the vault, and waiting for events."""

from __future__ import annotations

import asyncio
import stat
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text

from dispatcher.domain.stream import Actor, Role
from dispatcher.ports import Delivery
from dispatcher.store.accounts import Accounts, NoAccount
from dispatcher.store.database import Database
from dispatcher.store.errors import Unreadable
from dispatcher.store.leases import Leases, LostLease
from dispatcher.store.listen import Listener
from dispatcher.store.numbers import Numbers
from dispatcher.store.outbox import Outbox
from dispatcher.store.releases import Release, Releases, content_digest
from dispatcher.store.vault import BadKeyFile, CannotUnseal, Vault
from dispatcher.store.writer import Writer
from tests.support.aggregate import CODEC, START, ManualClock, OpenJar, PutCoin, jar, name, sent

HOLD = timedelta(seconds=30)


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database, CODEC)


async def claimed(outbox: Outbox, clock: ManualClock) -> list[Delivery]:
    return await outbox.claim(clock.now(), hold=HOLD)


async def test_a_lane_is_sent_in_order(writer: Writer, outbox: Outbox, clock: ManualClock) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))
    await writer.submit(sent(PutCoin(ref=jar("a"), coins=200), "m2"))
    await writer.submit(sent(OpenJar(ref=jar("b")), "m3"))

    first = await claimed(outbox, clock)
    nothing = await claimed(outbox, clock)
    await outbox.sent(first, clock.now())
    second = await claimed(outbox, clock)

    assert sorted(one.ref for one in first) == sorted([jar("a"), jar("b")])
    assert nothing == []
    assert [(one.ref, msgspec.structs.asdict(one.effect)["what"]) for one in second] == [(jar("a"), "rich")]


async def test_a_sender_that_dies_is_followed_with_the_same_key(
    writer: Writer, outbox: Outbox, clock: ManualClock
) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))
    (first,) = await claimed(outbox, clock)
    clock.advance(HOLD)

    (second,) = await claimed(outbox, clock)

    assert second.key == first.key
    assert (first.attempt, second.attempt) == (1, 2)
    assert await outbox.sent([first], clock.now()) == 0  # it slept through its claim
    assert await outbox.sent([second], clock.now()) == 1


async def test_a_failed_attempt_waits_for_its_next_try(
    writer: Writer, outbox: Outbox, clock: ManualClock
) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))
    (first,) = await claimed(outbox, clock)

    assert await outbox.try_later(first, clock.now() + timedelta(seconds=5), "no answer")

    assert await claimed(outbox, clock) == []
    assert await outbox.next_try() == START + timedelta(seconds=5)
    clock.advance(timedelta(seconds=5))
    assert [one.attempt for one in await claimed(outbox, clock)] == [2]


async def test_a_dead_letter_blocks_its_lane_until_resent_or_skipped(
    writer: Writer, outbox: Outbox, clock: ManualClock
) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))
    await writer.submit(sent(PutCoin(ref=jar("a"), coins=200), "m2"))
    (first,) = await claimed(outbox, clock)

    assert await outbox.dead(first, "refused for good")
    assert await claimed(outbox, clock) == []
    (letter,) = await outbox.dead_letters()
    assert (letter.key, letter.last_error) == (first.key, "refused for good")
    assert (await outbox.depth()).dead == 1

    assert await outbox.resend(first.key, clock.now())
    (again,) = await claimed(outbox, clock)
    assert (again.key, again.attempt) == (first.key, 1)
    await outbox.dead(again, "still refused")
    assert await outbox.skip(first.key, "told by telephone", "supervisor-1", clock.now())
    assert len(await claimed(outbox, clock)) == 1
    assert not await outbox.resend(first.key, clock.now())


async def test_an_effect_nobody_can_read_becomes_a_dead_letter(
    writer: Writer, outbox: Outbox, database: Database, clock: ManualClock
) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))
    await writer.submit(sent(OpenJar(ref=jar("b")), "m2"))
    id_ = jar("a").id if database.is_postgres else jar("a").id.hex
    async with database.writing() as connection:
        await connection.execute(
            text("UPDATE outbox SET body = :body WHERE stream_id = :id"), {"body": b"{", "id": id_}
        )

    assert [one.ref for one in await claimed(outbox, clock)] == [jar("b")]
    assert len(await outbox.dead_letters()) == 1


async def test_nothing_is_claimed_while_paused(writer: Writer, outbox: Outbox, clock: ManualClock) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))
    await outbox.pause("admin", clock.now(), "restored from backup")

    assert await claimed(outbox, clock) == []
    assert await outbox.paused() == "restored from backup"
    await outbox.resume()
    assert await outbox.paused() == ""
    assert len(await claimed(outbox, clock)) == 1


async def test_two_relays_never_hold_the_same_effect(
    writer: Writer, database: Database, clock: ManualClock
) -> None:
    await asyncio.gather(*(writer.submit(sent(OpenJar(ref=jar(f"j{n}")), f"o{n}")) for n in range(60)))
    relays = [Outbox(database, CODEC) for _ in range(4)]

    async def take(relay: Outbox) -> list[UUID]:
        keys: list[UUID] = []
        while got := await relay.claim(clock.now(), limit=7, hold=HOLD):
            keys += [one.key for one in got]
        return keys

    keys = [key for found in await asyncio.gather(*map(take, relays)) for key in found]

    assert len(keys) == len(set(keys)) == 60


async def test_a_lease_has_one_holder_and_a_growing_epoch(database: Database) -> None:
    one, two = Leases(database, "node-1"), Leases(database, "node-2")

    held = await one.take("sweep", timedelta(minutes=5))
    assert held is not None
    assert held.epoch == 1
    assert await two.take("sweep") is None
    renewed = await one.take("sweep", timedelta(minutes=5))
    assert renewed is not None
    assert renewed.epoch == 1

    await one.give_back(renewed)
    # Within the same instant of a coarse clock the old end may not be past yet; put it there.
    async with database.writing() as connection:
        await connection.execute(text("UPDATE lease SET until = '2020-01-01 00:00:00.000000'"))
    taken = await two.take("sweep", timedelta(minutes=5))
    assert taken is not None
    assert taken.epoch == 2
    async with database.writing() as connection:
        await two.fence(connection, taken)
        with pytest.raises(LostLease):
            await one.fence(connection, renewed)


async def test_whoever_let_a_lease_expire_gets_a_new_epoch(database: Database) -> None:
    leases = Leases(database, "node-1")
    await leases.take("sweep", timedelta(seconds=-1))

    again = await leases.take("sweep")

    assert again is not None
    assert again.epoch == 2


async def test_numbers_never_repeat_whoever_draws(database: Database) -> None:
    nodes = [Numbers(database, block=7) for _ in range(3)]

    drawn = await asyncio.gather(*(nodes[n % 3].take("12345-630100", 2026) for n in range(50)))

    assert len(set(drawn)) == 50
    assert min(drawn) == 1
    assert max(drawn) <= 70
    assert await nodes[0].take("12345-630100", 2027) == 1


async def test_a_release_never_changes(database: Database) -> None:
    releases = Releases(database)
    release = Release(
        digest=content_digest(b"list")[:12],
        kind="lists",
        content=b"list",
        signers=("甲", "乙"),
        effective_from=START,
        created=START,
    )

    assert await releases.put(release)
    assert not await releases.put(release)
    with pytest.raises(Unreadable):
        await releases.put(msgspec.structs.replace(release, content=b"other"))
    assert await releases.get([release.digest, "unknown"]) == [release]
    assert await releases.of_kind("lists") == [release]


async def test_a_token_names_its_account_until_it_ends(database: Database) -> None:
    accounts = Accounts(database)
    actor = Actor(
        id="agent-1", roles=(Role.AGENT_12345, Role.SQUAD_LEADER), platform="12345-630100", division="630100"
    )
    await accounts.put(actor, "一号坐席", START)
    token = await accounts.new_token("agent-1", "desk", START, expires=START + timedelta(days=1))

    assert await accounts.actor_of(token, START) == actor
    assert await accounts.actor_of(token + "x", START) is None
    assert await accounts.actor_of(token, START + timedelta(days=1)) is None
    assert await accounts.revoke("agent-1", "desk", START) == 1
    assert await accounts.actor_of(token, START) is None
    other = await accounts.new_token("agent-1", "desk", START)
    await accounts.disable("agent-1", START)
    assert await accounts.actor_of(other, START) is None
    with pytest.raises(NoAccount):
        await accounts.new_token("agent-1", "desk", START)


async def test_no_token_is_kept_in_clear(database: Database) -> None:
    accounts = Accounts(database)
    await accounts.put(Actor(id="a", roles=(Role.PEER,)), "peer", START)
    token = await accounts.new_token("a", "x", START)

    async with database.looking() as connection:
        rows = str((await connection.execute(text("SELECT * FROM token"))).all())

    assert token not in rows
    assert token[3:] not in rows


async def test_a_listener_wakes_on_the_next_commit(writer: Writer, database: Database) -> None:
    async with Listener(database, poll=timedelta(milliseconds=50)) as listener:
        waiting = asyncio.create_task(listener.beyond(0, timedelta(seconds=20)))
        await asyncio.sleep(0)

        await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))

        assert await waiting == 1
        assert await listener.beyond(1, timedelta(milliseconds=1)) == 1


# The vault


def test_sealed_fields_open_only_for_their_stream_and_key() -> None:
    vault, stranger = Vault(bytes(32)), Vault(bytes(31) + b"\x01")
    sealing = vault.seal(name("a"), "张三 13900000000".encode())

    assert vault.unseal(name("a"), sealing.sealed, sealing.wrapped).decode() == "张三 13900000000"
    for reader, stream in ((vault, "b"), (stranger, "a")):
        with pytest.raises(CannotUnseal):
            reader.unseal(name(stream), sealing.sealed, sealing.wrapped)


def test_equal_numbers_are_found_and_differ_between_deployments() -> None:
    vault, stranger = Vault(bytes(32)), Vault(bytes(31) + b"\x01")

    assert vault.number_digest("13900000000") == vault.number_digest("13900000000")
    assert vault.number_digest("13900000000") != vault.number_digest("13900000001")
    assert vault.number_digest("13900000000") != stranger.number_digest("13900000000")


def test_the_key_file_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "vault.key"

    first, second = Vault.open(path), Vault.open(path)

    assert first.master == second.master
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("content", "mode"), [("00" * 32, 0o644), ("not hex", 0o600), ("00" * 31, 0o600), ("", 0o600)]
)
def test_a_bad_key_file_is_refused(tmp_path: Path, content: str, mode: int) -> None:
    path = tmp_path / "vault.key"
    path.write_text(content)
    path.chmod(mode)

    with pytest.raises(BadKeyFile):
        Vault.open(path)


async def test_commits_wait_for_the_disk_except_in_a_rehearsal(database: Database, database_url: str) -> None:
    asked = "SHOW synchronous_commit" if database.is_postgres else "PRAGMA synchronous"
    rehearsal = Database(database_url, lasting=False)
    said = []

    for each in (database, rehearsal):
        async with each.writing() as connection:
            said.append(str((await connection.execute(text(asked))).scalar_one()))

    await rehearsal.close()
    assert said == (["on", "off"] if database.is_postgres else ["2", "1"])
