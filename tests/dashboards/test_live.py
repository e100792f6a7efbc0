"""Frames: whole at first, then what changed; encoded once for all; coalesced; ended when the process drains."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest

from dashboards.live import BEAT, Live, View
from dispatcher.domain import commands as c
from dispatcher.store.database import ALL
from dispatcher.views.board import Board, Narrowing
from tests.support.world import World, agent, unit_of

EVERYTHING = View(scope=ALL, narrowing=Narrowing())


@pytest.fixture
def live(liandong: World) -> Live:
    core = liandong.core
    return Live(Board(core.database), core.feed, core.clock, core.library)


class Watcher:
    """Somebody in front of the screen."""

    def __init__(self, live: Live, view: View = EVERYTHING) -> None:
        self.events: AsyncGenerator[bytes] = live.watch(view)

    async def next(self) -> dict[str, Any]:
        """The next frame, with its id."""
        async with asyncio.timeout(5):
            event = await anext(self.events)
        return frame_of(event)


def frame_of(event: bytes) -> dict[str, Any]:
    fields = dict(line.split(": ", 1) for line in event.decode().strip().splitlines())
    assert fields["event"] == "frame"
    frame: dict[str, Any] = json.loads(fields["data"])
    assert int(fields["id"]) == frame["position"]
    return frame


async def test_the_first_frame_is_whole_and_its_id_is_the_logs_position(live: Live, liandong: World) -> None:
    await liandong.call_in("路灯不亮", title="路灯不亮")
    watcher = Watcher(live)

    frame = await watcher.next()

    assert "step" not in frame
    assert [line["title"] for line in frame["lines"]] == ["路灯不亮"]
    assert frame["order"] == [frame["lines"][0]["id"]]
    assert frame["position"] == await liandong.position()
    await watcher.events.aclose()


async def test_a_new_case_comes_as_one_line_and_a_new_order(live: Live, liandong: World) -> None:
    await liandong.call_in("路灯不亮", title="路灯不亮")
    watcher = Watcher(live)
    await watcher.next()

    await liandong.call_in("井盖缺失", title="井盖缺失")
    frame = await watcher.next()

    assert frame["step"]
    assert [line["title"] for line in frame["lines"]] == ["井盖缺失"]
    assert len(frame["order"]) == len(frame["left"]) == 2
    await watcher.events.aclose()


async def test_a_beat_without_news_sends_seconds_and_no_lines(live: Live, liandong: World) -> None:
    await liandong.call_in("路灯不亮")
    watcher = Watcher(live)
    first = await watcher.next()

    await liandong.clock.advance(liandong.clock.now() + BEAT)
    beat = await watcher.next()

    assert beat["lines"] == []
    assert beat["order"] is None
    assert beat["left"][0] == first["left"][0] - BEAT / timedelta(seconds=1)
    await watcher.events.aclose()


async def test_a_lamp_changes_when_its_deadline_fires(live: Live, liandong: World) -> None:
    told = await liandong.call_in("路灯不亮")
    await liandong.say(c.AssignCase(case=told.case, lead=unit_of("urban-management")), agent())
    watcher = Watcher(live)
    before = await watcher.next()

    await liandong.pass_time(timedelta(days=30))
    after = await watcher.next()
    while not after["lines"]:
        after = await watcher.next()

    assert before["lines"][0]["lamp"] == ""
    assert after["lines"][0]["lamp"] == "red"
    assert after["figures"]["red"] == 1
    await watcher.events.aclose()


async def test_all_who_watch_the_same_get_the_very_same_bytes(live: Live, liandong: World) -> None:
    await liandong.call_in("路灯不亮")
    one, other = live.watch(EVERYTHING), live.watch(EVERYTHING)

    first, second = await anext(one), await anext(other)

    assert first is second
    assert live.watchers == 2
    await one.aclose()
    await other.aclose()
    assert live.watchers == 0


async def test_a_narrowed_view_shows_what_it_names(live: Live, liandong: World) -> None:
    await liandong.call_in("路灯不亮", title="路灯不亮")
    await liandong.call_in("暖气不热", title="暖气不热", platform="12345-632800", division="632801")
    watcher = Watcher(live, View(scope=ALL, narrowing=Narrowing(prefecture="632800")))

    frame = await watcher.next()

    assert [line["title"] for line in frame["lines"]] == ["暖气不热"]
    await watcher.events.aclose()


async def test_many_commits_within_one_rest_become_few_frames(live: Live, liandong: World) -> None:
    watcher = Watcher(live)
    await watcher.next()

    for number in range(25):
        await liandong.call_in("路灯不亮", key=str(number))
    frames = 0
    shown = 0
    while shown < 25:
        frame = await watcher.next()
        frames += 1
        shown += len(frame["lines"])

    assert frames <= 5
    await watcher.events.aclose()


async def test_streams_end_when_the_process_drains(live: Live, liandong: World) -> None:
    watcher = Watcher(live)
    await watcher.next()

    liandong.core.feed.close()

    with pytest.raises(StopAsyncIteration):
        while True:
            await watcher.next()
