"""SMS gateways over real HTTP on loopback: one that behaves, and one class for each way not to. Each is opened with
``async with``; `SHAPE` is the file that describes them, with their address left to fill in."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web

SECRET: Final = "a gateway's secret"
SHAPE: Final = """
[send]
url = "URL"
body = "json"
[send.headers]
Authorization = "Bearer {secret}"
Idempotency-Key = "{key}"
[send.fields]
mobile = "{phone}"
content = "{text}"
report = true
sign = "{signature}"
[send.signing]
of = "{timestamp}{phone}"
[send.answer]
code = "code"
taken = ["0"]
later = ["busy"]
reference = "data.id"
[receipt]
reference = "id"
state = "status"
"""


class Gateway:
    """Takes messages, each key once. ``taken`` holds them by key, ``heard`` the headers of every request."""

    def __init__(self) -> None:
        self.taken: dict[str, dict[str, Any]] = {}
        self.heard: list[dict[str, str]] = []
        self.url = ""
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def shape(self) -> bytes:
        """The file that describes this gateway."""
        return SHAPE.replace("URL", self.url).encode()

    def reference(self, key: str) -> str:
        """This gateway's own name for a message."""
        return f"gw-{list(self.taken).index(key)}"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/send", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/send"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.heard.append(dict(request.headers))
        if request.headers.get("Authorization") != f"Bearer {SECRET}":
            return web.Response(status=401)
        message = json.loads(await request.read())
        return await self.answer(request, request.headers["Idempotency-Key"], message)

    async def answer(self, request: web.Request, key: str, message: dict[str, Any]) -> web.StreamResponse:
        """What this gateway does with a message."""
        self.taken.setdefault(key, message)
        return web.json_response({"code": 0, "data": {"id": self.reference(key)}})


class SlowGateway(Gateway):
    """Hears everything and answers nothing."""

    async def answer(self, request: web.Request, key: str, message: dict[str, Any]) -> web.StreamResponse:
        await self._closing.wait()
        return web.Response(status=204)


class RefusingGateway(Gateway):
    """Answers 200 and refuses in the body, as most do."""

    async def answer(self, request: web.Request, key: str, message: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({"code": "1007", "msg": "template not approved"})


class BusyGateway(Gateway):
    """Is busy the first time for each key, and then takes it."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: set[str] = set()

    async def answer(self, request: web.Request, key: str, message: dict[str, Any]) -> web.StreamResponse:
        if key not in self._asked:
            self._asked.add(key)
            return web.json_response({"code": "busy"})
        return await super().answer(request, key, message)


class DeafGateway(Gateway):
    """Takes the message and drops the connection before answering, the first time for each key."""

    async def answer(self, request: web.Request, key: str, message: dict[str, Any]) -> web.StreamResponse:
        first = key not in self.taken
        response = await super().answer(request, key, message)
        if first and request.transport is not None:
            request.transport.abort()
        return response


class GarbledGateway(Gateway):
    """A proxy in front of it answers 200 with a page of its own."""

    async def answer(self, request: web.Request, key: str, message: dict[str, Any]) -> web.StreamResponse:
        return web.Response(text="<html>please sign in</html>", content_type="text/html")


class DeadGateway(Gateway):
    """Its port is closed: nobody is there."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        assert self._runner is not None
        await self._runner.cleanup()
        self._runner = None
        return self
