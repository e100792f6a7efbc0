"""The auditor on real databases: what a hand took away comes back, and silence outside means trouble inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random  # noqa: TID251 - seeded; draws commands
from typing import Any, get_args
from uuid import UUID

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import text

from dispatcher.domain import events as e
from dispatcher.domain.case import Case
from dispatcher.domain.commands import CASE
from dispatcher.domain.errors import Refused
from dispatcher.domain.stream import Submission
from dispatcher.runtime.auditor import AUDITOR, Auditor, put_back
from dispatcher.runtime.clock import ManualClock, new_id
from dispatcher.runtime.switch import FileSwitch, Switches, UrlSwitch
from dispatcher.runtime.telemetry import Telemetry
from dispatcher.store import codec, expectations
from dispatcher.store.database import Database
from dispatcher.store.expectations import KINDS, Ledger, Overtaken
from dispatcher.store.leases import Leases
from dispatcher.store.verify import verify
from dispatcher.wiring import CODEC
from tests.faults.deeds import BEGAN, Cast, Desk, Receiver, settle
from tests.support.cases import HEATING, KNIFE, LAMP
from tests.support.strategies import action

MINUTE = timedelta(minutes=1)
ROUND = timedelta(seconds=5)


class _Clock(ManualClock):
    """A manual clock that may be doubted."""

    steady = True


class _Node:
    """A desk with its auditor."""

    def __init__(self, desk: Desk, folder: Path, name: str = "node-1", *, stretch: int = 2000) -> None:
        self.desk = desk
        self.database = desk.database
        self.clock = _Clock(desk.clock.now())
        desk.clock = self.clock
        desk.writer._clock = self.clock  # one clock for both; the desk made its own
        self.telemetry = Telemetry()
        self.file = folder / f"alive-{name}"
        self.ledger = Ledger(desk.database, stretch=stretch)
        self.auditor = Auditor(
            self.ledger,
            desk.writer,
            Leases(desk.database, name),
            self.clock,
            self.telemetry,
            Switches((FileSwitch(self.file),), timedelta(seconds=30)),
            every=ROUND,
            grace=MINUTE,
        )
        self.cast = Cast("000")

    async def do(self, *acts: Any) -> None:
        for act in acts:
            await act(self.desk)

    async def round(self) -> expectations.Account:
        """Five seconds later, one round."""
        self.clock.set(self.clock.now() + ROUND)
        return await self.auditor.once()

    async def change(self, statement: str) -> int:
        """A hand in the database."""
        async with self.database.writing() as connection:
            return (await connection.execute(text(statement))).rowcount

    async def rows(self, columns: str = "state") -> list[Any]:
        async with self.database.looking() as connection:
            asked = await connection.execute(
                text(f"SELECT {columns} FROM deadline ORDER BY due, clock, milestone")
            )
            return [row[0] if len(row) == 1 else tuple(row) for row in asked.all()]

    async def events(self, kind: str) -> list[Any]:
        async with self.database.looking() as connection:
            asked = await connection.execute(
                text("SELECT body FROM event WHERE kind = :kind ORDER BY position"), {"kind": kind}
            )
            return [CODEC.event(kind, body) for (body,) in asked.all()]

    async def told(self, template: str) -> int:
        async with self.database.looking() as connection:
            asked = await connection.execute(text("SELECT body FROM outbox WHERE kind = 'notify.1'"))
            return sum(f'"{template}"'.encode() in bytes(body) for (body,) in asked.all())

    def alarms(self) -> list[str]:
        return list(self.auditor.alarms)

    def figure(self, name: str) -> float:
        return self.telemetry.registry.get_sample_value(f"liandong_audit_{name}") or 0.0

    async def due(self) -> datetime:
        """The next instant."""
        found = await self.desk.writer.next_due()
        assert found is not None
        return found


@pytest.fixture
async def node(database: Database, tmp_path: Path) -> AsyncIterator[_Node]:
    async with Desk(database.dsn, BEGAN, Receiver()) as desk:
        yield _Node(desk, tmp_path)


async def test_a_row_deleted_by_hand_is_put_back_told_and_fires_in_time(node: _Node) -> None:
    await node.do(node.cast.register("a"))
    before = await node.rows("clock, milestone, due")
    assert (await node.round()).clean
    alive = node.file.read_text()
    assert await node.change("DELETE FROM deadline WHERE clock = 'assign' AND milestone = 'limit'") == 1

    node.clock.set(node.clock.now() + timedelta(seconds=40))
    found = await node.round()

    assert (found.absent, found.clean) == (1, False)
    assert node.figure("missing") == 1
    assert node.alarms() == ["1 deadline rows missing or altered"]
    assert node.file.read_text() == alive
    assert await node.rows("clock, milestone, due") == before
    assert sorted(await node.rows()) == ["armed"] * (len(before) - 1) + ["repaired"]
    assert [event.found for event in await node.events("deadline-repaired.1")] == ["missing"]
    assert await node.told("deadline-repaired") == 1
    after = await node.round()
    assert (after.clean, after.repaired) == (True, 1)
    assert node.alarms() == []
    assert node.file.read_text() > alive

    node.clock.set(await node.due())
    await settle(node.desk)

    assert "repaired" not in await node.rows()
    assert (await node.round()).fired == 1
    assert (await verify(node.database, node.desk.product, CODEC)).faults == ()


@pytest.mark.parametrize(
    "hand",
    [
        "UPDATE deadline SET state = 'fired' WHERE clock = 'assign'",
        "UPDATE deadline SET state = 'cancelled' WHERE clock = 'assign'",
        "UPDATE deadline SET due = '2030-01-01 00:00:00.000000+00:00' WHERE clock = 'assign'",
    ],
    ids=["fired", "cancelled", "later"],
)
async def test_a_row_altered_by_hand_says_again_what_the_log_says(
    node: _Node, hand: str, engine_name: str
) -> None:
    await node.do(node.cast.register("a"))
    before = await node.rows("clock, milestone, due")
    await node.round()
    altered = await node.change(hand if engine_name == "postgres" else hand.replace("+00:00", ""))
    assert altered >= 1

    assert (await node.round()).absent == altered

    assert await node.rows("clock, milestone, due") == before
    assert {event.found for event in await node.events("deadline-repaired.1")} == {"altered"}
    assert (await verify(node.database, node.desk.product, CODEC)).faults == ()


async def test_a_row_deleted_twice_is_put_back_twice(node: _Node) -> None:
    await node.do(node.cast.register("a"))
    await node.round()
    for _ in range(2):
        await node.change("DELETE FROM deadline")
        await node.round()
        assert (await node.round()).clean

    assert len(await node.events("deadline-repaired.1")) == 2 * len(await node.rows())
    assert (await verify(node.database, node.desk.product, CODEC)).faults == ()


async def test_a_row_that_is_missed_long_after_its_instant_fires_late_and_is_told(node: _Node) -> None:
    await node.do(node.cast.register("a"))
    await node.round()
    due = await node.due()
    await node.change("DELETE FROM deadline")
    node.clock.set(due + timedelta(hours=2))

    await node.round()
    await settle(node.desk)
    found = await node.round()

    assert found.fired >= 1
    assert found.late_max >= timedelta(hours=2)
    assert (await node.rows())[0] == "fired"


async def test_a_database_without_a_case_is_clean(node: _Node) -> None:
    assert (await node.round()).clean
    assert node.file.exists()


async def test_an_ordinary_day_has_no_findings_and_every_expected_one_fires(node: _Node) -> None:
    await node.do(
        node.cast.register("a"),
        node.cast.assign("a"),
        node.cast.register("b", KNIFE),
        node.cast.register("c"),
    )
    for _ in range(6):
        node.clock.set(await node.due())
        before = await node.round()
        assert before.overdue == 0
        await settle(node.desk)
        account = await node.round()
        assert account.clean
        assert account.expected == account.fired > 0
        assert account.late_max <= ROUND + timedelta(seconds=1)
    assert await node.events("deadline-repaired.1") == []


async def test_a_sweep_that_stands_still_is_an_alarm_after_the_grace(node: _Node) -> None:
    await node.do(node.cast.register("a"))
    await node.round()
    due = await node.due()
    alive = node.file.read_text()

    node.clock.set(due + timedelta(seconds=50))
    assert (await node.round()).clean
    assert node.file.read_text() > alive
    alive = node.file.read_text()
    node.clock.set(due + timedelta(minutes=2))
    late = await node.round()

    assert (late.clean, late.overdue) == (False, 1)
    assert late.expected - late.fired == 1
    assert late.late_max >= timedelta(minutes=2)
    assert node.alarms() == ["1 deadlines overdue"]
    assert node.file.read_text() == alive
    await settle(node.desk)
    assert (await node.round()).clean


async def test_what_is_set_aside_is_told_once_and_comes_back_when_a_person_has_mended_it(node: _Node) -> None:
    await node.do(node.cast.register("a"))
    await node.round()
    await node.change("UPDATE deadline SET state = 'quarantined' WHERE clock = 'assign'")

    found = [await node.round() for _ in range(3)]

    assert [one.quarantined for one in found] == [1, 1, 1]
    assert [one.clean for one in found] == [False] * 3
    assert node.alarms() == ["1 deadlines quarantined"]
    assert len(await node.events("deadline-quarantined.1")) == 1
    assert await node.told("deadline-quarantined") == 1
    _, findings = await node.ledger.look(node.clock.now(), grace=MINUTE, rounds=1)
    assert await put_back(node.desk.writer, findings) == 1
    assert (await node.round()).clean
    assert (await verify(node.database, node.desk.product, CODEC)).quarantined == 0


async def test_nobody_is_told_that_all_is_well_while_the_clocks_part(node: _Node) -> None:
    await node.do(node.cast.register("a"))
    node.clock.steady = False

    await node.round()
    assert not node.file.exists()

    node.clock.steady = True
    await node.round()
    assert node.file.exists()


async def test_one_node_leads_and_the_other_shows_what_it_found(
    node: _Node, database: Database, tmp_path: Path
) -> None:
    await node.do(node.cast.register("a"))
    async with Desk(database.dsn, BEGAN, Receiver()) as desk:
        other = _Node(desk, tmp_path, "node-2")
        await node.round()
        await node.change("DELETE FROM deadline WHERE clock = 'assign'")
        await node.round()

        shown = await other.round()

    assert shown.absent == 1
    assert other.figure("missing") == 1
    assert other.alarms() == node.alarms() != []
    assert not other.file.exists()
    assert len(await node.events("deadline-repaired.1")) == 1


async def test_a_leader_that_was_overtaken_writes_nothing(node: _Node, database: Database) -> None:
    await node.do(node.cast.register("a"), node.cast.register("b"))
    ledgers = [Ledger(database, stretch=3) for _ in range(4)]

    done = await asyncio.gather(*(one.read(BEGAN) for one in ledgers), return_exceptions=True)

    assert all(isinstance(one, int | Overtaken) for one in done)
    while await ledgers[0].read(BEGAN):
        pass
    assert await _expected(database) == await _live(database)


async def test_the_log_is_read_in_short_stretches_from_where_it_was_left(node: _Node) -> None:
    node.auditor._ledger = Ledger(node.database, stretch=2)
    await node.do(*(node.cast.register(word) for word in "abcd"))

    left = [await Ledger(node.database, stretch=2).read(BEGAN) for _ in range(2)]
    assert left[0] - left[1] == 2
    assert (await node.round()).clean

    assert await _expected(node.database) == await _live(node.database)


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_is_done_to_cases_the_ledger_expects_what_the_rows_hold(
    node: _Node, seed: int
) -> None:
    draw = Random(seed)
    for word, words in zip("abc", (LAMP, HEATING, KNIFE), strict=True):
        await node.do(node.cast.register(word, words))
    cases: dict[UUID, Case] = {}
    compared = 0
    for step in range(60):
        if step % 15 == 0:
            await node.round()
            expected = await _expected(node.database)
            assert expected == await _live(node.database)
            compared += len(expected)
        for row in await _states(node.database):
            cases[row.id] = row
        case = draw.choice(sorted(cases.values(), key=lambda one: one.id))
        others = [one for one in cases.values() if one.id != case.id]
        command, actor = action(draw.choice, case, others)
        if draw.random() < 0.3:
            node.clock.set(node.clock.now() + timedelta(hours=draw.choice((1, 7, 30))))
            await settle(node.desk)
        try:
            await node.desk.writer.submit(Submission(message_id=new_id(), command=command, actor=actor))
        except Refused:
            continue
    await node.round()
    await settle(node.desk)
    account = await node.round()

    assert (account.absent, account.behind) == (0, 0)
    assert account.fired == account.expected > 0
    assert compared > 0
    assert await _expected(node.database) == await _live(node.database)


async def _states(database: Database) -> list[Case]:
    async with database.looking() as connection:
        asked = await connection.execute(text("SELECT state FROM stream"))
        return [codec.decode_state(raw, Case) for (raw,) in asked.all()]  # type: ignore[misc]


async def _expected(database: Database) -> set[tuple[str, ...]]:
    async with database.looking() as connection:
        asked = await connection.execute(text("SELECT stream_id, clock, milestone, due FROM expectation"))
        return {tuple(map(str, row)) for row in asked.all()}


async def _live(database: Database) -> set[tuple[str, ...]]:
    async with database.looking() as connection:
        asked = await connection.execute(
            text("SELECT stream_id, clock, milestone, due FROM deadline WHERE state IN ('armed', 'repaired')")
        )
        return {tuple(map(str, row)) for row in asked.all()}


def test_the_auditor_knows_every_kind_that_moves_milestones() -> None:
    kinds = {codec.kind_of(cls) for cls in get_args(e.AnyEvent)}

    assert set(KINDS) <= kinds
    assert AUDITOR.id == "auditor"
    assert CASE == "case"


async def test_an_address_is_told_by_post_and_only_success_counts(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[str] = []
    answers = [200, 503, 200]

    async def ping(request: web.Request) -> web.Response:
        asked.append(request.method)
        return web.Response(status=answers[len(asked) - 1])

    app = web.Application()
    app.add_routes([web.post("/ping/secret", ping)])
    async with TestServer(app) as server:
        switch = UrlSwitch(str(server.make_url("/ping/secret")))
        await switch.tell(BEGAN)
        with pytest.raises(OSError, match="503"):
            await switch.tell(BEGAN)
        switches = Switches((switch,), timedelta(seconds=30))
        await switches.tell(BEGAN)
        await switches.tell(BEGAN + timedelta(seconds=29))
    await Switches((switch,), timedelta(seconds=30)).tell(BEGAN)  # nobody answers: said, and survived

    assert asked == ["POST"] * 3
    assert "could not be told" in caplog.text
    assert "secret" not in caplog.text


async def test_the_file_holds_the_instant(tmp_path: Path) -> None:
    file = tmp_path / "alive"

    await FileSwitch(file).tell(datetime(2026, 11, 2, 2, 30, tzinfo=UTC))

    assert file.read_text() == "2026-11-02T02:30:00+00:00\n"
