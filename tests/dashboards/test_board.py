"""The board's questions on both engines: order, filters, scope."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from dispatcher.domain import commands as c
from dispatcher.store.database import ALL, Scope
from dispatcher.views.board import Board, Narrowing
from tests.dashboards.conftest import MONDAY
from tests.support.world import POLICE, World, agent, clerk, unit_of, world

NOISE, LAMP, HEAT = "楼上半夜放音响,噪音扰民", "路灯不亮", "暖气不热"


async def three_cases(liandong: World) -> None:
    unit = unit_of("urban-management")
    lamp = await liandong.call_in(LAMP, title=LAMP)
    await liandong.pass_time(timedelta(minutes=5))
    await liandong.say(c.AssignCase(case=lamp.case, lead=unit), agent())
    await liandong.say(c.SignFor(case=lamp.case), clerk(unit))
    await liandong.call_in(HEAT, title=HEAT, platform="12345-632800", division="632801")
    await liandong.call_in(NOISE, title=NOISE, platform=POLICE)


async def test_the_nearest_limit_comes_first_and_scope_and_filters_hold_on_both_engines(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path, MONDAY) as liandong:
        await three_cases(liandong)
        board = Board(liandong.core.database)

        async def titles(scope: Scope = ALL, **narrowing: str) -> set[str]:
            return {row.title for row in await board.nearest(scope, Narrowing(**narrowing))}

        everything = await board.nearest(ALL, Narrowing())
        assert [row.due for row in everything] == sorted(row.due for row in everything)
        assert {row.title for row in everything} == {NOISE, LAMP, HEAT}
        assert await titles(line="110") == {NOISE}
        assert await titles(line="12345") == {LAMP, HEAT}
        assert await titles(prefecture="632800") == {HEAT}
        assert await titles(lamp="red") == set()
        assert await titles(Scope(platforms=(POLICE,), divisions=("*",))) == {NOISE}
        assert await titles(Scope(platforms=("*",), divisions=("632800",))) == {HEAT}
        assert await titles(Scope()) == set()


async def test_counts_say_what_is_open_and_what_came_today(database_url: str, tmp_path: Path) -> None:
    async with world(database_url, tmp_path, MONDAY) as liandong:
        await three_cases(liandong)
        board = Board(liandong.core.database)

        counts = await board.counts(ALL, MONDAY.replace(hour=0))
        nothing = await board.counts(Scope(), MONDAY.replace(hour=0))

        assert counts.received == {"12345": 2, "110": 1}
        assert sum(each.count for each in counts.open) == 3
        assert {(each.line, each.prefecture) for each in counts.open} == {
            ("12345", "6301"),
            ("12345", "6328"),
            ("110", "6301"),
        }
        assert (nothing.open, nothing.received, nothing.units) == ((), {}, ())


async def test_a_row_says_which_clock_falls_due_and_by_whose_calendar(liandong: World) -> None:
    await three_cases(liandong)

    rows = {row.title: row for row in await Board(liandong.core.database).nearest(ALL, Narrowing())}

    assert rows[LAMP].clock == "handle"
    assert rows[LAMP].clock_unit == unit_of("urban-management")
    assert not rows[LAMP].natural
    assert rows[HEAT].clock in ("assign", "total")


@pytest.mark.parametrize("limit", [1, 2])
async def test_no_more_rows_than_asked_for(liandong: World, limit: int) -> None:
    await three_cases(liandong)

    assert len(await Board(liandong.core.database).nearest(ALL, Narrowing(), limit)) == limit
