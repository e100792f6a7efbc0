"""The watcher on real databases: the nth call is marked, a surge is told, a kill loses nothing and repeats nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from dispatcher.domain import commands as c
from dispatcher.domain.product import Answer
from dispatcher.domain.values import Personal, Result
from dispatcher.runtime.gathering import HOLD, Gathering
from dispatcher.store.leases import Leases
from dispatcher.store.verify import verify
from dispatcher.wiring import CODEC, build_gathering
from tests.support.world import HOTLINE, POLICE, World, agent, world

START = datetime(2026, 11, 9, 22, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
MINUTE = timedelta(minutes=1)
NOISES = (
    "建设街烧烤摊半夜还放音响,吵得睡不着",
    "建设街那家烧烤店音乐声太大了,楼上没法休息",
    "建设街烧烤店喝酒划拳,喧哗扰民",
    "建设街对面大排档音响声音大,孩子没法睡",
    "建设街夜市烧烤噪音太大,天天吵到半夜",
    "建设街那边放音响,震耳欲聋,扰民",
    "建设街烧烤摊噪音扰民,没人管",
    "建设街楼下烧烤店太吵,音响开得很大",
    "建设街有人半夜放音响唱歌,太吵了",
    "建设街烧烤店音响噪音,老人心脏受不了",
    "建设街烧烤摊音响太吵,睡不着觉",
)


@pytest.fixture
async def liandong(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path, START) as made:
        yield made


def _node(liandong: World, name: str = "node") -> Gathering:
    return build_gathering(liandong.core, Leases(liandong.core.database, name))


async def _read(node: Gathering) -> None:
    while await node.once():
        pass


async def _call(liandong: World, words: str, caller: str, **more: Any) -> Answer:
    digest = liandong.core.vault.number_digest(caller)
    more.setdefault("key", f"{caller}/{await liandong.position()}")
    return await liandong.call_in(words, caller_mac=digest, personal=Personal(caller=caller), **more)


async def _kinds(liandong: World, kind: str) -> list[UUID]:
    statement = text("SELECT stream_id FROM event WHERE kind = :kind ORDER BY position")
    async with liandong.core.database.looking() as connection:
        rows = (await connection.execute(statement, {"kind": kind})).scalars().all()
    return [row if isinstance(row, UUID) else UUID(str(row)) for row in rows]


async def test_the_second_call_of_a_number_about_its_matter_is_marked(liandong: World) -> None:
    node = _node(liandong)
    await _read(node)
    first = await _call(liandong, "花园北街路灯不亮,走夜路害怕", "13900000001")
    await liandong.clock.advance(START + timedelta(days=3))
    other = await _call(liandong, "咨询公积金怎么提取", "13900000001")
    again = await _call(liandong, "花园北街的路灯还是不亮,没人来修", "13900000001")
    stranger = await _call(liandong, "南山路垃圾没人清运", "13900000002")

    await _read(node)

    case = await liandong.case(again.case)
    assert (case.nth, case.earlier) == (2, (first.case,))
    for one in (first, other, stranger):
        assert (await liandong.case(one.case)).nth == 0


async def test_110_marks_a_supplement_below_8_minutes_and_nothing_after_an_hour(liandong: World) -> None:
    node = _node(liandong)
    await _read(node)
    words = "胜利路停车场有人偷电动车"
    first = await _call(liandong, words, "13900000003", platform=POLICE)
    await liandong.clock.advance(START + 7 * MINUTE)
    soon = await _call(liandong, "就是刚才说的那个,他往北跑了", "13900000003", platform=POLICE)
    await liandong.clock.advance(START + 200 * MINUTE)
    late = await _call(liandong, words, "13900000003", platform=POLICE)

    await _read(node)

    assert (await liandong.case(soon.case)).earlier == (first.case,)
    assert (await liandong.case(late.case)).nth == 0


async def test_12345_counts_no_longer_than_30_days_after_closing(liandong: World) -> None:
    node = _node(liandong)
    await _read(node)
    words = "花园北街路灯不亮"
    first = await _call(liandong, words, "13900000001")
    answer = c.AnswerAtOnce(case=first.case, words="已修好")
    await liandong.say(answer, agent())
    await liandong.say(c.CloseCase(case=first.case, result=Result.SOLVED), agent())
    await liandong.clock.advance(START + timedelta(days=29))
    inside = await _call(liandong, words, "13900000001")
    await liandong.say(c.AnswerAtOnce(case=inside.case, words="已修好"), agent())
    await liandong.say(c.CloseCase(case=inside.case, result=Result.SOLVED), agent())
    await liandong.clock.advance(START + timedelta(days=60))
    outside = await _call(liandong, words, "13900000001")

    await _read(node)

    assert (await liandong.case(inside.case)).nth == 2
    assert (await liandong.case(outside.case)).nth == 0


async def test_eleven_callers_about_one_noise_suggest_a_parent_and_tell_the_supervisor_once(
    liandong: World,
) -> None:
    node = _node(liandong)
    await _read(node)
    calls = []
    for number, words in enumerate(NOISES):
        await liandong.clock.advance(START + number * MINUTE)
        calls.append(await _call(liandong, words, f"1390000{number:04d}", platform=POLICE))
        await _read(node)

    surges = await _kinds(liandong, "surge-seen.1")

    assert surges == [calls[0].case]
    parent = await liandong.case(calls[0].case)
    assert parent.surge == 5
    assert len(parent.surged) >= 4
    assert [(await liandong.case(call.case)).parent for call in calls] == [
        None
    ] * 11  # nothing merges by itself
    assert await _kinds(liandong, "case-attached.1") == []


async def test_one_number_calling_five_times_is_no_surge(liandong: World) -> None:
    node = _node(liandong)
    await _read(node)
    for number, words in enumerate(NOISES[:6]):
        await liandong.clock.advance(START + number * MINUTE)
        await _call(liandong, words, "13900000009", platform=POLICE)

    await _read(node)

    assert await _kinds(liandong, "surge-seen.1") == []


async def test_a_killed_watcher_is_followed_and_tells_nothing_twice(liandong: World) -> None:
    first = _node(liandong, "first")
    await _read(first)
    await _call(liandong, "花园北街路灯不亮", "13900000001")
    await liandong.clock.advance(START + MINUTE)
    again = await _call(liandong, "花园北街路灯还不亮", "13900000001")
    await _read(first)  # its place is kept; what it reads from here on is not, because it is killed
    for number, words in enumerate(NOISES[:7]):
        await liandong.clock.advance(START + (2 + number) * MINUTE)
        await _call(liandong, words, f"1390000{number:04d}", platform=POLICE)
    await _read(first)
    told = await _kinds(liandong, "surge-seen.1")
    second = _node(liandong, "second")
    assert await second.once() is None  # the dead one's lease still runs
    async with liandong.core.database.writing() as connection:
        await connection.execute(text("DELETE FROM lease WHERE name = 'gathering'"))
        await connection.execute(text("DELETE FROM flag WHERE name = 'read:gathering'"))
    await second._mark.put(0, liandong.clock.now())  # as if nothing had been kept at all

    await _read(second)

    assert await _kinds(liandong, "surge-seen.1") == told
    assert await _kinds(liandong, "repeat-seen.1") == [again.case]
    assert HOLD > MINUTE / 60


async def test_what_is_erased_is_compared_no_more_and_all_of_it_verifies(liandong: World) -> None:
    from dispatcher.domain.stream import SYSTEM

    node = _node(liandong)
    await _read(node)
    first = await _call(liandong, "花园北街路灯不亮", "13900000001")
    await liandong.say(c.WithdrawCase(case=first.case, words="不用了"), agent())
    await liandong.say(c.EraseCase(case=first.case, basis="保存期满"), SYSTEM)
    again = await _call(liandong, "花园北街路灯不亮", "13900000001")

    await _read(node)

    assert (await liandong.case(again.case)).nth == 0
    proof = await verify(liandong.core.database, liandong.core.product, CODEC, vault=liandong.core.vault)
    assert proof.faults == ()


async def test_imports_are_neither_counted_nor_told(liandong: World) -> None:
    node = _node(liandong)
    await _read(node)
    for number, words in enumerate(NOISES[:6]):
        await _call(liandong, words, f"1390000{number:04d}", platform=HOTLINE, imported=True)

    await _read(node)

    assert await _kinds(liandong, "surge-seen.1") == []
