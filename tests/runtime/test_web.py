"""Health, readiness and metrics over HTTP, and how adapters and pages stand beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from dispatcher.runtime.telemetry import Telemetry
from dispatcher.runtime.web import Readiness, build_root
from dispatcher.settings import load_settings

NODE = Readiness(
    ready=True,
    stage="serving",
    reasons=(),
    clock_steady=True,
    clock_offset_s=0.25,
    database="up",
    relay="running",
    position=42,
    audit="clean",
    alarms=(),
)
SICK = Readiness(
    ready=False,
    stage="serving",
    reasons=("clocks part",),
    clock_steady=False,
    clock_offset_s=9.0,
    database="up",
    relay="running",
    position=42,
    audit="clean",
    alarms=(),
)
Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def node() -> AsyncIterator[list[Readiness]]:
    yield [NODE]


@pytest.fixture
async def client(node: list[Readiness], tmp_path: Path) -> AsyncIterator[Client]:
    async def readiness() -> Readiness:
        return node[0]

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="page")

    async def case(request: web.Request) -> web.Response:
        return web.Response(text=request.match_info["id"])

    api = web.Application()
    api.router.add_get("/cases/{id}", case)
    root = build_root(
        [web.get("/", page)],
        [("/api", api)],
        readiness=readiness,
        telemetry=Telemetry(),
        metrics_for=load_settings(None, {}, folder=tmp_path).telemetry,
        body_limit=65_536,
    )
    async with TestClient(TestServer(root)) as client:
        yield client


async def test_a_living_process_says_so(client: Client) -> None:
    answer = await client.get("/healthz")

    assert (answer.status, await answer.json()) == (200, {"alive": True})


async def test_readiness_tells_the_clock_offset(client: Client) -> None:
    answer = await client.get("/readyz")

    assert answer.status == 200
    assert (await answer.json())["clock_offset_s"] == 0.25


async def test_a_node_that_should_get_no_work_answers_503_with_reasons(
    client: Client, node: list[Readiness]
) -> None:
    node[0] = SICK

    answer = await client.get("/readyz")

    assert answer.status == 503
    assert (await answer.json())["reasons"] == ["clocks part"]


async def test_requests_are_counted_by_pattern_and_never_by_path(client: Client) -> None:
    await client.get("/api/cases/13800000000")
    await client.get("/no/such/13800000000")

    page = await (await client.get("/metrics")).text()

    assert 'route="/api/cases/{id}",status="200"' in page
    assert 'route="(none)",status="404"' in page
    assert "13800000000" not in page


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
async def test_metrics_are_not_for_those_behind_a_proxy(client: Client, header: str) -> None:
    answer = await client.get("/metrics", headers={header: "127.0.0.1"})

    assert answer.status == 403


async def test_pages_stand_at_the_root_beside_the_api(client: Client) -> None:
    assert await (await client.get("/")).text() == "page"
