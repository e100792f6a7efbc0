"""A journey's world: HTTP in front, a real receiver of notices behind; what nobody expected fails the test."""

from __future__ import annotations

import logging
import shutil
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import msgspec
import pytest

from adapters.notice.fakes import Receiver
from adapters.notice.post import Post
from adapters.notice.webhook import WebhookChannel
from adapters.notice.wire import Notice
from dispatcher.domain.stream import Actor
from dispatcher.wiring import Core
from tests.support.posting import post_of
from tests.support.world import World, instead, world

MONDAY = datetime(2026, 11, 9, 9, 0, tzinfo=ZoneInfo("Asia/Shanghai"))


class Complaints(logging.Handler):
    """Keeps what a component complained about."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(f"{record.name}: {record.getMessage()}")


class Journey:
    """Speaks to a deployment through its HTTP API and hears what its notices say."""

    def __init__(self, liandong: World, web: aiohttp.ClientSession, receiver: Receiver) -> None:
        self.liandong = liandong
        self._web = web
        self._receiver = receiver
        self._read = 0
        self._tokens: dict[str, str] = {}

    async def post(self, path: str, who: Actor, body: dict[str, Any], *, status: int = 200) -> dict[str, Any]:
        """POST to the API as somebody; the answer's status must be the expected one."""
        headers = {"Authorization": f"Bearer {await self._token(who)}"}
        async with self._web.post(f"/api/v1{path}", json=body, headers=headers) as answer:
            told = await answer.json(content_type=None)
            assert answer.status == status, told
        self.liandong.core.feed.moved(await self.liandong.position())
        await self.liandong.send()
        found: dict[str, Any] = told
        return found

    async def do(self, case: str, name: str, who: Actor, **body: Any) -> dict[str, Any]:
        """Send one command about a case."""
        return await self.post(f"/cases/{case}/{name}", who, body)

    async def page(self, query: str = "") -> str:
        """The supervisor's page as it stands."""
        async with self._web.get(f"/{query}") as answer:
            assert answer.status == 200
            return await answer.text()

    def told(self) -> list[tuple[str, str]]:
        """(whom, what) of the notices that arrived since the last call, in order."""
        bodies = list(self._receiver.taken.values())[self._read :]
        self._read += len(bodies)
        notices = [msgspec.json.decode(body, type=Notice) for body in bodies]
        return [(notice.to.role, notice.template) for notice in notices]

    async def _token(self, who: Actor) -> str:
        if who.id not in self._tokens:
            accounts, now = self.liandong.core.accounts, self.liandong.clock.now()
            await accounts.put(who, who.id, now)
            self._tokens[who.id] = await accounts.new_token(who.id, "journey", now)
        return self._tokens[who.id]


@pytest.fixture
async def journey(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Journey]:
    """A deployment on Monday morning. At the end: no unread notice, no dead letter, no complaint in the log."""
    shutil.copy(sqlite_template, tmp_path / "liandong.db")
    url = f"sqlite:///{tmp_path / 'liandong.db'}"
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    try:
        async with Receiver() as receiver:

            def make(core: Core) -> Post:
                return post_of(core, {"webhook": WebhookChannel(receiver.url, b"secret", core.clock)})

            async with (
                world(url, tmp_path, MONDAY, specs=instead("notice", make)) as liandong,
                liandong.serving() as address,
                aiohttp.ClientSession(base_url=address) as web,
            ):
                made = Journey(liandong, web, receiver)
                yield made
                assert made.told() == [], "somebody was told what the journey did not expect"
                assert await liandong.core.outbox.dead_letters() == []
                assert (await liandong.core.outbox.depth()).ready == 0
    finally:
        logging.getLogger().removeHandler(complaints)
    assert complaints.heard == []
