"""Receivers of notices over real HTTP on loopback: one that behaves, and one class for each way not to.

Used by the contract suite and by whoever builds a receiver of their own. Each is opened with ``async with``.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from aiohttp import web


class Receiver:
    """Takes notices, each key once. ``taken`` holds the bodies by key, ``heard`` every request's headers."""

    def __init__(self) -> None:
        self.taken: dict[str, bytes] = {}
        self.heard: list[dict[str, str]] = []
        self.url = ""
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/notices", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port: int = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}/notices"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.heard.append(dict(request.headers))
        return await self.answer(request, request.headers["Idempotency-Key"], body)

    async def answer(self, request: web.Request, key: str, body: bytes) -> web.StreamResponse:
        """What this receiver does with a notice."""
        self.taken.setdefault(key, body)
        return web.Response(status=204)


class SlowReceiver(Receiver):
    """Hears everything and answers nothing."""

    async def answer(self, request: web.Request, key: str, body: bytes) -> web.StreamResponse:
        await self._closing.wait()
        return web.Response(status=204)


class RejectingReceiver(Receiver):
    """Refuses for good (or with another status of your choice)."""

    def __init__(self, status: int = 422) -> None:
        super().__init__()
        self._status = status

    async def answer(self, request: web.Request, key: str, body: bytes) -> web.StreamResponse:
        return web.Response(status=self._status)


class BusyReceiver(Receiver):
    """Is overloaded the first time for each key, and then takes it."""

    def __init__(self, status: int = 503) -> None:
        super().__init__()
        self._status = status
        self._asked: set[str] = set()

    async def answer(self, request: web.Request, key: str, body: bytes) -> web.StreamResponse:
        if key not in self._asked:
            self._asked.add(key)
            return web.Response(status=self._status)
        return await super().answer(request, key, body)


class DeafReceiver(Receiver):
    """Takes the notice and drops the connection before answering, the first time for each key."""

    async def answer(self, request: web.Request, key: str, body: bytes) -> web.StreamResponse:
        first = key not in self.taken
        response = await super().answer(request, key, body)
        if first and request.transport is not None:
            request.transport.abort()
        return response


class DeadReceiver(Receiver):
    """Its port is closed: nobody is there."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        assert self._runner is not None
        await self._runner.cleanup()
        self._runner = None
        return self
