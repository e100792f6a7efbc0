"""The writer on real databases: atomic, idempotent, one bad command never harms its neighbours."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from dispatcher.domain.errors import AgainstRule, AlreadyThere, KeyReused, NotFound
from dispatcher.ports import Outcome
from dispatcher.store.database import Database
from dispatcher.store.errors import Failed, Unavailable
from dispatcher.store.rows import BatchSeen
from dispatcher.store.vault import Vault
from dispatcher.store.writer import Writer
from tests.support.aggregate import (
    AGENT,
    START,
    CarryAway,
    Explode,
    Jars,
    ManualClock,
    MoveCoins,
    OpenJar,
    PutCoin,
    WriteNote,
    jar,
    sent,
)


async def rows(database: Database, statement: str) -> list[tuple[Any, ...]]:
    async with database.writing() as connection:
        return [tuple(row) for row in await connection.execute(text(statement))]


async def test_one_command_writes_stream_log_deadlines_outbox_and_inbox(
    writer: Writer, database: Database
) -> None:
    outcome = await writer.submit(sent(OpenJar(ref=jar("a"), words="水管爆了", secret=b"13900000000"), "m1"))

    assert outcome.position == 1
    assert not outcome.repeated
    assert await rows(database, "SELECT version, stage, title FROM stream") == [(1, "open", "水管爆了")]
    assert await rows(database, "SELECT position, version, kind FROM event") == [(1, 1, "jar-opened.2")]
    assert await rows(database, "SELECT clock, state FROM deadline ORDER BY clock") == [
        ("fill", "armed"),
        ("seal", "armed"),
    ]
    assert await rows(database, "SELECT receiver, no, state FROM outbox") == [("desk", 1000, "ready")]
    assert await rows(database, "SELECT position FROM inbox") == [(1,)]
    assert await rows(database, "SELECT no, field, words FROM text") == [(0, "narrative", "水管爆了")]
    assert len(await rows(database, "SELECT 1 FROM vault JOIN vault_key USING (stream_id)")) == 1


async def test_a_refused_command_changes_nothing(writer: Writer, database: Database) -> None:
    with pytest.raises(NotFound):
        await writer.submit(sent(PutCoin(ref=jar("nowhere")), "m1"))

    for table in ("stream", "event", "deadline", "outbox", "inbox"):
        assert await rows(database, f"SELECT count(*) FROM {table}") == [(0,)]


async def test_a_repeated_message_gets_the_stored_answer(writer: Writer, database: Database) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))
    first = await writer.submit(sent(PutCoin(ref=jar("a"), coins=3), "m2"))
    await writer.submit(sent(PutCoin(ref=jar("a"), coins=4), "m3"))

    again = await writer.submit(sent(PutCoin(ref=jar("a"), coins=3), "m2"))

    assert again == Outcome(answer=first.answer, position=first.position, repeated=True)
    assert await rows(database, "SELECT count(*) FROM event") == [(3,)]


async def test_a_message_id_with_other_content_is_refused(writer: Writer) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))
    await writer.submit(sent(PutCoin(ref=jar("a"), coins=3), "m2"))

    with pytest.raises(KeyReused):
        await writer.submit(sent(PutCoin(ref=jar("a"), coins=4), "m2"))


async def test_twins_in_one_batch_are_carried_out_once(writer: Writer, database: Database) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))

    outcomes = await asyncio.gather(
        *(writer.submit(sent(PutCoin(ref=jar("a")), "twin")) for _ in range(5)),
        writer.submit(sent(PutCoin(ref=jar("a"), coins=9), "twin")),
        return_exceptions=True,
    )

    assert isinstance(outcomes[5], KeyReused)
    assert [out.repeated for out in outcomes[:5] if isinstance(out, Outcome)] == [
        False,
        True,
        True,
        True,
        True,
    ]
    assert {out.position for out in outcomes[:5] if isinstance(out, Outcome)} == {2}
    assert await rows(database, "SELECT count(*) FROM event") == [(2,)]


async def test_commands_of_one_batch_on_one_stream_see_each_other(writer: Writer) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))

    outcomes = await asyncio.gather(*(writer.submit(sent(PutCoin(ref=jar("a")), f"p{n}")) for n in range(50)))

    assert [int(out.answer.split(b":")[1].rstrip(b"}")) for out in outcomes] == list(range(1, 51))
    assert [out.position for out in outcomes] == list(range(2, 52))


async def test_two_streams_change_together_or_not_at_all(writer: Writer, database: Database) -> None:
    await asyncio.gather(
        writer.submit(sent(OpenJar(ref=jar("a")), "a")), writer.submit(sent(OpenJar(ref=jar("b")), "b"))
    )
    await writer.submit(sent(PutCoin(ref=jar("a"), coins=5), "c"))

    await writer.submit(sent(MoveCoins(source=jar("a"), target=jar("b"), coins=2), "d"))
    with pytest.raises(AgainstRule):
        await writer.submit(sent(MoveCoins(source=jar("a"), target=jar("b"), coins=9), "e"))

    assert await rows(database, "SELECT count(*) FROM event") == [(5,)]
    assert sorted(await rows(database, "SELECT version FROM stream")) == [(2,), (3,)]


@pytest.mark.parametrize(
    "how", ["raise", "surrogate", "nul", "huge", "stranger", "effect without event", "nameless"]
)
async def test_a_faulty_command_is_refused_alone(writer: Writer, database: Database, how: str) -> None:
    await asyncio.gather(*(writer.submit(sent(OpenJar(ref=jar(f"j{n}")), f"o{n}")) for n in range(8)))

    outcomes = await asyncio.gather(
        *(writer.submit(sent(PutCoin(ref=jar(f"j{n}")), f"p{n}")) for n in range(4)),
        writer.submit(sent(Explode(ref=jar("j3"), how=how), "bad")),
        *(writer.submit(sent(PutCoin(ref=jar(f"j{n}")), f"p{n}")) for n in range(4, 8)),
        return_exceptions=True,
    )

    bad = outcomes.pop(4)
    assert isinstance(bad, Failed)
    assert all(isinstance(out, Outcome) for out in outcomes)
    assert await rows(database, "SELECT count(*), max(position) FROM event") == [(16, 16)]


async def test_a_sender_that_goes_away_does_not_break_the_batch(writer: Writer, database: Database) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))
    tasks = [asyncio.create_task(writer.submit(sent(PutCoin(ref=jar("a")), f"p{n}"))) for n in range(6)]
    await asyncio.sleep(0)

    tasks[2].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(outcomes[2], asyncio.CancelledError)
    assert sum(isinstance(out, Outcome) for out in outcomes) == 5
    again = await writer.submit(sent(PutCoin(ref=jar("a")), "p2"))
    assert again.position in range(2, 8)
    assert await rows(database, "SELECT count(*) FROM event") == [(7,)]


async def test_time_never_runs_backwards_in_a_stream(
    writer: Writer, database: Database, clock: ManualClock
) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))
    clock.advance(timedelta(minutes=-10))

    await writer.submit(sent(PutCoin(ref=jar("a")), "m2"))

    assert await rows(database, "SELECT count(DISTINCT at) FROM event") == [(1,)]
    assert clock.now() < START


async def test_deadlines_follow_a_stream_to_its_new_platform(writer: Writer, database: Database) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))

    await writer.submit(sent(CarryAway(ref=jar("a"), platform="110-630200", division="630200"), "m2"))

    assert await rows(database, "SELECT DISTINCT platform, division FROM deadline") == [
        ("110-630200", "630200")
    ]


async def test_a_text_number_is_never_used_twice(writer: Writer, database: Database) -> None:
    await writer.submit(sent(OpenJar(ref=jar("a"), words="first"), "m1"))
    await asyncio.gather(
        writer.submit(sent(WriteNote(ref=jar("a"), words="one"), "m2")),
        writer.submit(sent(WriteNote(ref=jar("a"), words="two"), "m3")),
    )

    assert await rows(database, "SELECT no, words FROM text ORDER BY no") == [
        (0, "first"),
        (1, "one"),
        (2, "two"),
    ]


async def test_a_closing_writer_finishes_what_is_queued_and_takes_no_more(
    database: Database, clock: ManualClock, vault: Vault
) -> None:
    writer = Writer(database, Jars(), clock, vault)
    await writer.start()
    tasks = [asyncio.create_task(writer.submit(sent(OpenJar(ref=jar(f"j{n}")), f"m{n}"))) for n in range(20)]
    await asyncio.sleep(0)

    await writer.close()

    assert len(await asyncio.gather(*tasks)) == 20
    with pytest.raises(Unavailable):
        await writer.submit(sent(OpenJar(ref=jar("late")), "late"))


async def test_a_full_queue_turns_senders_away(database: Database, clock: ManualClock, vault: Vault) -> None:
    async with Writer(database, Jars(), clock, vault, longest_queue=3) as writer:
        outcomes = await asyncio.gather(
            *(writer.submit(sent(OpenJar(ref=jar(f"j{n}")), f"m{n}")) for n in range(5)),
            return_exceptions=True,
        )

    assert [type(out) for out in outcomes] == [Outcome, Outcome, Outcome, Unavailable, Unavailable]


async def test_each_batch_is_reported(database: Database, clock: ManualClock, vault: Vault) -> None:
    seen: list[BatchSeen] = []
    async with Writer(database, Jars(), clock, vault, observe=seen.append) as writer:
        await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))
        with pytest.raises(AlreadyThere):
            await writer.submit(sent(OpenJar(ref=jar("a")), "m2", AGENT))

    assert [(one.what, one.commands, one.refused, one.events) for one in seen] == [
        ("batch", 1, 0, 1),
        ("batch", 1, 1, 0),
    ]
