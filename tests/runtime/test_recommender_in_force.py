"""A node follows promotions of the recommender; what it said is in the log; people's corrections can be learnt from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text

from dispatcher.domain import commands as c
from dispatcher.domain.stream import SYSTEM
from dispatcher.store.models import Models
from dispatcher.store.releases import Releases
from dispatcher.views.learning import corrections
from dispatcher.views.viewing import Viewer
from routing_rules.model.training import train
from tests.rules.shipped import category_rows
from tests.support.world import World, agent, world

START = datetime(2026, 3, 10, 2, tzinfo=UTC)
LAMP = "小区门口的路灯不亮"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[World]:
    url, model = f"sqlite:///{tmp_path}/liandong.db", str(tmp_path / "copy.model")
    async with world(url, tmp_path, START, LIANDONG_DATA_MODEL=model) as made:
        yield made


async def test_a_running_node_takes_a_promotion_and_a_rollback(running: World, tmp_path: Path) -> None:
    models = Models(Releases(running.core.database))
    digest = await models.keep(train(category_rows()[::2], seed=1, now=START).content, "owner", START)
    before = await running.call_in(LAMP)

    await models.promote(digest, "owner", "试用", START)
    assert await running.core.shelf.take()
    during = await running.call_in(LAMP, key="during")
    assert (tmp_path / "copy.model").exists()
    await models.rollback("owner", "退回", running.clock.now())
    assert await running.core.shelf.take()
    after = await running.call_in(LAMP, key="after")

    ruled = [(await running.case(one.case)).matter.category for one in (before, during, after)]
    assert ruled[0] == ruled[2] != ruled[1]
    assert ruled[1] in {row.category for row in category_rows()}
    assert not (tmp_path / "copy.model").exists()
    async with running.core.database.looking() as connection:
        asked = await connection.execute(
            text("SELECT body FROM event WHERE kind = 'case-ruled.1' ORDER BY position")
        )
        said = [msgspec.json.decode(body).get("recommended") for (body,) in asked]
    assert [one and one["model"] for one in said] == [None, digest, None]
    assert said[1]["categories"][0][0] == ruled[1]


async def test_a_correction_is_kept_with_what_was_said_and_why(running: World) -> None:
    case = await running.call_in(LAMP)
    change = c.OverrideRuling(case=case.case, reason="归街道管", category="城乡建设/照明")

    await running.say(change, agent())

    viewer = Viewer(running.core.database, SYSTEM, running.core.library)
    found = [one async for piece in corrections(viewer) for one in piece]
    assert [(one.text, one.category, one.reason) for one in found] == [(LAMP, "城乡建设/照明", "归街道管")]
    assert found[0].before_category != found[0].category and found[0].by == agent().id
