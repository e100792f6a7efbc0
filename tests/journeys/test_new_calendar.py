"""A notice loaded over open cases, and a policy applied to them: once, by one order, whoever is killed in between."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
from collections import Counter
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import text

from dispatcher.cli import calendar as calendar_verb
from dispatcher.cli import policy as policy_verb
from dispatcher.data_files import packaged_files
from dispatcher.domain import commands as c
from dispatcher.domain.worktime import LEGAL_ZONE
from dispatcher.runtime import moving
from dispatcher.store.batches import DONE, RUNNING, Batches
from dispatcher.store.leases import Leases
from dispatcher.store.verify import verify
from dispatcher.wiring import CODEC
from tests.faults.cuts import Camera
from tests.support.library import NOTICE
from tests.support.world import World, agent, unit_of, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

START = datetime(2026, 12, 21, 10, 0, tzinfo=LEGAL_ZONE)
LIGHTING = unit_of("urban-management")
_SHORTER = 'when = { urgency = ["general"] }\n  working_days = 10\n  target_days = 5\n  amber_days_left = 1\n  ladder = "overdue"'


async def _cases(here: World, count: int) -> list[UUID]:
    """Assigned cases whose limits reach into the unpublished year."""
    made = []
    for number in range(count):
        told = await here.call_in(f"小区路灯第{number}盏不亮", division="630102")
        await here.say(c.AssignCase(case=told.case, lead=LIGHTING), agent())
        made.append(told.case)
    return made


def _words(action: str, **more: Any) -> argparse.Namespace:
    given = {"action": action, "json": True, "most": 1000, "replace": False, "reason": None, "by": "王工"}
    return argparse.Namespace(**{**given, "file": NOTICE, **more})


async def _calendar(here: World, action: str, **more: Any) -> int:
    arguments = _words(action, **more)
    return await calendar_verb._load(here.core, arguments, arguments.file.read_bytes(), "")


async def _moved(here: World) -> Counter[UUID]:
    """How often each case was moved, by the log."""
    async with here.core.database.looking() as connection:
        found = await connection.execute(text("SELECT stream_id FROM event WHERE kind = 'deadlines-moved.1'"))
        return Counter(UUID(str(one)) for one in found.scalars())


async def _rows(here: World) -> list[tuple[Any, ...]]:
    """Deadlines and letters as they stand."""
    async with here.core.database.looking() as connection:
        deadlines = await connection.execute(
            text("SELECT stream_id, clock, milestone, due, state, provisional FROM deadline ORDER BY 1, 2, 3")
        )
        letters = await connection.execute(text("SELECT count(*) FROM outbox"))
        return [*(tuple(row) for row in deadlines), tuple(letters.one())]


@asynccontextmanager
async def _at(url: str, folder: Path, start: datetime = START, policy: str = "") -> AsyncIterator[World]:
    async with world(url, folder, start, LIANDONG_DATA_POLICY=policy) as here:
        yield here


async def test_diff_shows_what_load_does_and_load_does_it_once(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "CHUNK", 2)
    async with _at(database_url, tmp_path) as here:
        ids = await _cases(here, 5)
        before, position = await _rows(here), await here.position()

        assert await _calendar(here, "diff") == 0
        shown = json.loads(capsys.readouterr().out)
        assert await here.position() == position
        assert await _rows(here) == before
        assert await _calendar(here, "load") == 0
        loaded = json.loads(capsys.readouterr().out)
        letters = (await _rows(here))[-1]
        assert await _calendar(here, "load") == 0
        again = json.loads(capsys.readouterr().out)

        assert shown["effect"] == loaded["diff"]["effect"]
        assert shown["effect"]["cases"] == 5
        assert shown["confirms"] == [2027]
        assert {"day": "2027-02-14", "before": "rest", "after": "work", "settled": False} in shown["days"]
        order = loaded["order"]
        assert (order["state"], order["moved"], order["failed"], order["by"]) == (DONE, 5, 0, "cli:王工")
        assert order["batch"] == f"calendar-{shown['version_after'][:16]}"
        assert again["already"]
        assert again["order"] == order
        assert await _moved(here) == Counter(ids)
        assert letters == before[-1], "nobody is told"
        async with here.core.database.looking() as connection:
            left = await connection.execute(
                text("SELECT count(*) FROM deadline WHERE state = 'armed' AND provisional")
            )
            assert left.scalar_one() == 0
        proved = await verify(here.core.database, here.core.product, CODEC)
        assert proved.good, proved.faults


async def test_killed_before_any_statement_it_is_finished_by_loading_again(
    sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(moving, "CHUNK", 2)
    camera = Camera(tmp_path / "undisturbed.db")
    shutil.copy(sqlite_template, camera.path)
    async with _at(camera.url, tmp_path) as here:
        ids = await _cases(here, 5)
    with monkeypatch.context() as patch:
        camera.watch(patch)
        async with _at(camera.url, tmp_path) as here:
            with camera.held():
                await _calendar(here, "load")
            undisturbed = await _rows(here)
    capsys.readouterr()

    disks = list(dict.fromkeys(disk for _, disk in camera.pictures))
    assert len(disks) > 5
    by_a_node = 0
    for number, disk in enumerate(disks):
        url = disk.put(Path(tempfile.mkdtemp(dir=tmp_path)) / "after.db")
        async with _at(url, tmp_path, START + timedelta(minutes=1)) as here:
            orders = await Batches(here.core.database).all()
            if number % 2 and orders and orders[0].state == RUNNING:
                await here.core.watch.look()  # a node that serves finishes it
                by_a_node += 1
            else:
                await _calendar(here, "load")
            assert await _rows(here) == undisturbed
            assert await _moved(here) == Counter(ids)
            (order,) = await Batches(here.core.database).all()
            assert (order.state, order.failed, order.moved) == (DONE, 0, len(ids))
    assert by_a_node


async def test_a_node_takes_the_notice_and_counts_again_what_it_decided_by_the_old_calendar(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with _at(database_url, tmp_path) as node, _at(database_url, tmp_path) as cli:
        await _cases(node, 1)
        old = node.core.library().calendars.version
        await _calendar(cli, "load")
        version = json.loads(capsys.readouterr().out)["diff"]["version_after"]
        late = await node.call_in("路灯又不亮了", division="630102")
        await node.say(c.AssignCase(case=late.case, lead=LIGHTING), agent())
        decided = (await node.case(late.case)).clock("handle")
        assert decided is not None
        assert decided.provisional
        assert node.core.library().calendars.version == old

        leases = Leases(cli.core.database, "somebody at it")
        lease = await leases.take(moving.LEASE)
        assert lease is not None
        await node.core.watch.look()
        assert node.core.library().calendars.version == version
        await leases.give_back(lease)

        await node.core.watch.look()  # what was owed while another was at it is owed still

        run = (await node.case(late.case)).clock("handle")
        assert run is not None
        assert not run.provisional
        assert max((await _moved(node)).values()) == 1


async def test_a_node_started_later_knows_the_notice(database_url: str, tmp_path: Path) -> None:
    async with _at(database_url, tmp_path) as here:
        await _calendar(here, "load")
        version = here.core.library().calendars.version
    async with _at(database_url, tmp_path) as later:
        assert later.core.library().calendars.version == version
        assert (
            later.core.library().home_calendar().is_workday(datetime(2027, 2, 14, tzinfo=LEGAL_ZONE).date())
        )


async def test_a_notice_that_contradicts_another_is_refused_whole_and_a_corrected_one_replaces_it(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(NOTICE.read_text().replace('id = "national-2027-example"', 'id = "second"'))
    corrected = tmp_path / "corrected.toml"
    corrected.write_text(NOTICE.read_text().replace("2027-02-12", "2027-02-11"))
    async with _at(database_url, tmp_path) as here:
        await _calendar(here, "load")
        version = here.core.library().calendars.version

        assert await _calendar(here, "load", file=other) == 2
        assert "confirms this year too" in capsys.readouterr().err
        assert await _calendar(here, "load", file=corrected) == 2
        assert "--replace" in capsys.readouterr().err
        assert here.core.library().calendars.version == version
        assert len(await here.core.shelf.notices()) == 1

        assert await _calendar(here, "load", file=corrected, replace=True) == 0
        assert here.core.library().home_calendar().is_workday(datetime(2027, 2, 12, tzinfo=LEGAL_ZONE).date())


# a policy


@pytest.fixture
def shorter(tmp_path: Path) -> Path:
    """A folder with a policy whose general limit is three days shorter."""
    folder = tmp_path / "policy"
    folder.mkdir()
    written = packaged_files("policy")["qinghai.toml"].decode()
    assert _SHORTER in written
    (folder / "qinghai.toml").write_text(written.replace(_SHORTER, _SHORTER.replace("= 10", "= 7")))
    return folder


def _policy(action: str, **more: Any) -> argparse.Namespace:
    given = {"reason": "新办法", "by": "王工", "second": "李主任", "second_reason": "同意", "shorten": False}
    return argparse.Namespace(**{"action": action, "json": True, "most": 1000, **given, **more})


async def test_a_policy_that_shortens_running_limits_is_shown_before_it_acts(
    database_url: str, tmp_path: Path, shorter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with _at(database_url, tmp_path) as here:
        ids = await _cases(here, 3)
    async with _at(database_url, tmp_path, policy=str(shorter)) as here:
        digest = here.core.library().policy.digest
        assert await policy_verb._move(here.core, _policy("diff")) == 0
        diff = json.loads(capsys.readouterr().out)
        assert diff["shortens"] == 3
        assert [one["cases"] for one in diff["others"]] == [3]
        assert "working_days 10" in diff["others"][0]["changes"][0]["before"]

        assert await policy_verb._move(here.core, _policy("apply")) == 1
        assert "--shorten" in capsys.readouterr().err
        assert not await _moved(here)
        assert await policy_verb._move(here.core, _policy("apply", shorten=True)) == 0
        applied = json.loads(capsys.readouterr().out)
        assert await policy_verb._move(here.core, _policy("apply", shorten=True)) == 0
        again = json.loads(capsys.readouterr().out)

        order = applied["order"]
        assert (order["state"], order["moved"]) == (DONE, 3)
        assert (order["second"], order["second_reason"]) == ("李主任", "同意")
        assert again["order"] is None
        assert await _moved(here) == Counter(ids)
        assert {(await here.case(id_)).policy for id_ in ids} == {digest}


async def test_a_node_that_does_not_know_a_cases_policy_waits_until_it_has_taken_it(
    database_url: str, tmp_path: Path, shorter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with _at(database_url, tmp_path) as node:
        (case,) = await _cases(node, 1)
        async with _at(database_url, tmp_path, policy=str(shorter)) as other:
            await policy_verb._move(other.core, _policy("apply", shorten=True))

        done, took = await asyncio.gather(node.say(c.UrgeCase(case=case), agent()), node.core.shelf.take())

        assert took
        assert done.stage == "assigned"
        assert (await node.case(case)).policy != node.core.library().policy.digest
