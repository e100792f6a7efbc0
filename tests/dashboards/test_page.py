"""The page over real HTTP: who may look, what it refuses, what it never says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from dispatcher.domain.stream import Actor, Role
from dispatcher.domain.values import Personal
from tests.support.world import HOTLINE, World, unit_of

SUPERVISOR = Actor(id="qi", roles=(Role.SUPERVISOR,), platform=HOTLINE, division="630100")


@pytest.fixture
async def web(liandong: World) -> AsyncIterator[aiohttp.ClientSession]:
    """A browser at the page."""
    async with liandong.serving() as address, aiohttp.ClientSession(base_url=address) as session:
        yield session


async def token(liandong: World, actor: Actor) -> dict[str, str]:
    await liandong.core.accounts.put(actor, "somebody", liandong.clock.now())
    made = await liandong.core.accounts.new_token(actor.id, "test", liandong.clock.now())
    return {"Authorization": f"Bearer {made}"}


async def test_the_page_is_open_on_loopback_and_says_so(web: aiohttp.ClientSession, liandong: World) -> None:
    await liandong.call_in("我叫李文静,暖气不热,电话13897512345", personal=Personal(name="李文静"))

    async with web.get("/") as answer:
        page = await answer.text()

    assert answer.status == 200
    assert "免登录" in page
    assert "暖气不热" in page
    assert "李文静" not in page
    assert "13897512345" not in page


async def test_nothing_on_the_page_is_inline_and_the_policy_forbids_it(web: aiohttp.ClientSession) -> None:
    async with web.get("/") as answer:
        page = await answer.text()

    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert " style=" not in page
    assert "<style" not in page
    assert " on" + "click" not in page
    assert page.count("<script") == page.count("<script src=") == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"Host": "rebound.example"},
        {"Authorization": "Bearer ld_nobody"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/live"])
async def test_whoever_is_not_at_this_machine_needs_a_token(
    web: aiohttp.ClientSession, path: str, headers: dict[str, str]
) -> None:
    async with web.get(path, headers=headers) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_supervisors_token_shows_their_own_platform_only(
    web: aiohttp.ClientSession, liandong: World
) -> None:
    await liandong.call_in("路灯不亮")
    await liandong.call_in("暖气不热", platform="12345-632800", division="632801")

    elsewhere = {"X-Forwarded-For": "203.0.113.9"}
    async with web.get("/", headers=elsewhere | await token(liandong, SUPERVISOR)) as answer:
        page = await answer.text()

    assert "路灯不亮" in page
    assert "暖气不热" not in page


@pytest.mark.parametrize(
    "actor",
    [
        Actor(id="clerk", roles=(Role.CLERK,), unit=unit_of("housing"), division="630102"),
        Actor(id="agent", roles=(Role.AGENT_12345,), platform=HOTLINE, division="630100"),
    ],
)
async def test_who_does_not_watch_over_deadlines_is_refused(
    web: aiohttp.ClientSession, liandong: World, actor: Actor
) -> None:
    async with web.get("/", headers=await token(liandong, actor)) as answer:
        assert answer.status == 403


@pytest.mark.parametrize(
    "query", ["lamp=blue", "line=119", "prefecture=620100", "lang=fr", "lamp=%3Cscript%3E"]
)
async def test_a_filter_that_is_not_offered_is_refused_by_name(
    web: aiohttp.ClientSession, query: str
) -> None:
    async with web.get(f"/?{query}") as answer:
        told = await answer.text()

    assert answer.status == 400
    assert query.split("=")[0] in told
    assert answer.content_type == "text/plain"


async def test_a_title_cannot_smuggle_markup(web: aiohttp.ClientSession, liandong: World) -> None:
    await liandong.call_in("<img src=x onerror=alert(1)>路灯", title="<img src=x onerror=alert(1)>路灯")

    async with web.get("/") as answer:
        page = await answer.text()

    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


async def test_links_keep_what_was_chosen(web: aiohttp.ClientSession) -> None:
    async with web.get("/?lamp=red&prefecture=632800&lang=en") as answer:
        page = await answer.text()

    assert '<html lang="en">' in page
    assert 'data-live="/live?lamp=red&amp;prefecture=632800&amp;lang=en"' in page
    assert 'href="/?lamp=red&amp;line=110&amp;prefecture=632800&amp;lang=en"' in page
    assert 'href="/?lamp=red&amp;prefecture=632800" lang="zh-CN"' in page


async def test_files_are_named_by_their_content_and_kept(web: aiohttp.ClientSession) -> None:
    async with web.get("/") as answer:
        page = await answer.text()
    address = page.split('<script src="')[1].split('"')[0]

    async with web.get(address) as file:
        assert "immutable" in file.headers["Cache-Control"]
        assert file.content_type in ("text/javascript", "application/javascript")
    async with web.get("/static/live.js", headers={"If-None-Match": file.headers["ETag"]}) as again:
        assert again.status == 304
    async with web.get("/static/..%2f..%2fpage.py") as outside:
        assert outside.status == 404


async def test_the_stream_speaks_server_sent_events(web: aiohttp.ClientSession, liandong: World) -> None:
    await liandong.call_in("路灯不亮")

    async with web.get("/live") as answer:
        assert answer.content_type == "text/event-stream"
        assert await answer.content.readuntil(b"\n\n") == b"retry: 2000\n\n"
        event = (await answer.content.readuntil(b"\n\n")).decode()

    head, data = event.split("data: ")
    assert head == f"id: {await liandong.position()}\nevent: frame\n"
    assert [line["title"] for line in json.loads(data)["lines"]] == ["路灯不亮"]
