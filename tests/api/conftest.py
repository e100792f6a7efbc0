"""A real HTTP server on a free port over a real store and the packaged lists, and clients with tokens."""

from __future__ import annotations

import io
import itertools
from collections.abc import AsyncIterable, AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args
from uuid import UUID, uuid5

import msgspec
import pytest
from aiohttp import ClientSession, web

from adapters.http_api.app import PREFIX, build
from adapters.http_api.identity import KeptTokens
from adapters.http_api.services import Services
from dispatcher.domain.effects import AnyEffect
from dispatcher.domain.events import AnyEvent
from dispatcher.domain.product import LiandongProduct
from dispatcher.domain.stream import Actor
from dispatcher.runtime.clock import ManualClock
from dispatcher.store.accounts import Accounts
from dispatcher.store.codec import Codec
from dispatcher.store.database import Database
from dispatcher.store.numbers import Numbers
from dispatcher.store.outbox import Outbox
from dispatcher.store.vault import Vault
from dispatcher.store.writer import Writer
from tests.api import people

NOW = datetime(2026, 11, 18, 2, 0, tzinfo=UTC)
"""A Wednesday, ten o'clock in Xining."""

BODY_LIMIT = 2_097_152
_SPACE = UUID("6f0d3c62-9f5c-4a55-8d5e-0f5f3c1a7b11")


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Api:
    """A running API: its address, its parts, and requests as somebody."""

    def __init__(self, base: str, services: Services, writer: Writer, clock: ManualClock) -> None:
        self.base = base
        self.services = services
        self.writer = writer
        self.clock = clock
        self.accounts = Accounts(services.database)
        self._tokens: dict[str, str] = {}
        self._session = ClientSession()

    async def token(self, actor: Actor) -> str:
        """A token for this actor, made once."""
        if actor.id not in self._tokens:
            await self.accounts.put(actor, actor.id, self.clock.now())
            self._tokens[actor.id] = await self.accounts.new_token(actor.id, "test", self.clock.now())
        return self._tokens[actor.id]

    async def ask(
        self,
        method: str,
        path: str,
        actor: Actor | None = None,
        *,
        json: object = None,
        raw: bytes | AsyncIterable[bytes] | None = None,
        key: str = "",
        headers: dict[str, str] | None = None,
    ) -> Answered:
        """One request. ``path`` begins after ``/api/v1`` unless it begins with ``/api``."""
        sent = dict(headers or {})
        if actor is not None:
            sent.setdefault("Authorization", f"Bearer {await self.token(actor)}")
        body: Any = raw if raw is not None else None if json is None else msgspec.json.encode(json)
        if isinstance(body, bytes) and len(body) > 500_000:
            body = io.BytesIO(body)
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        if key:
            sent["Idempotency-Key"] = key
        full = path if path.startswith((PREFIX, "//")) else f"{PREFIX}/v1{path}"
        async with self._session.request(method, self.base + full, data=body, headers=sent) as response:
            return Answered(
                status=response.status, headers=dict(response.headers), body=await response.read()
            )

    async def close(self) -> None:
        await self._session.close()

    async def events(self) -> int:
        """How many events are stored."""
        from sqlalchemy import text

        async with self.services.database.looking() as connection:
            return int((await connection.execute(text("SELECT count(*) FROM event"))).scalar_one())


@pytest.fixture
async def api(database: Database, tmp_path: Path) -> AsyncIterator[Api]:
    """The API over a fresh database, on each engine."""
    library = people.library()
    clock = ManualClock(NOW)
    vault = Vault.open(tmp_path / "vault.key")
    ids = (uuid5(_SPACE, str(no)) for no in itertools.count())
    codec = Codec(events=get_args(AnyEvent), effects=get_args(AnyEffect))
    async with Writer(database, LiandongProduct(library), clock, vault) as writer:
        services = Services(
            inbox=writer,
            database=database,
            codec=codec,
            vault=vault,
            clock=clock,
            library=lambda: library,
            accounts=KeptTokens(Accounts(database)),
            numbers=Numbers(database),
            letters=Outbox(database, codec),
            new_id=lambda: next(ids),
            body_limit=BODY_LIMIT,
        )
        root = web.Application(client_max_size=BODY_LIMIT)
        root.add_subapp(PREFIX, build(services))
        runner = web.AppRunner(root, handle_signals=False, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made = Api(f"http://127.0.0.1:{runner.addresses[0][1]}", services, writer, clock)
        yield made
        await made.close()
        await runner.cleanup()
