"""The application mounted at ``/api``: paths, the document, the readable page, and what stands before them."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from aiohttp import web

from adapters.http_api import bulk, commands, intake, letters, queries, rulings, together
from adapters.http_api.document import document
from adapters.http_api.identity import identified
from adapters.http_api.page import HEADERS, page, style
from adapters.http_api.problems import TITLES, problems
from adapters.http_api.services import LANGUAGES, SERVICES, Services
from adapters.http_api.view import ApiView
from adapters.http_api.words import Library

PREFIX: Final = "/api"

_PATHS: Final[tuple[tuple[str, type[ApiView]], ...]] = (
    ("/rulings", rulings.Rulings),
    ("/worktime", rulings.Worktime),
    ("/cases", queries.Cases),
    ("/cases/by-caller", queries.ByCaller),
    ("/cases/by-number/{number}", queries.ByNumber),
    ("/cases/{case}", queries.OneCaseView),
    ("/cases/{case}/trail", queries.TrailView),
    ("/cases/{case}/related", together.RelatedView),
    ("/cases/{case}/attach-related", together.AttachRelated),
    ("/cases/{case}/notices", queries.CaseNoticesView),
    ("/notices", queries.NoticesView),
    ("/deadlines", queries.DeadlinesView),
    ("/figures", queries.FiguresView),
    ("/export/events", bulk.ExportEvents),
    ("/export/cases", bulk.ExportCases),
    ("/dead-letters", letters.Letters),
    ("/dead-letters/{key}/resend", letters.Resend),
    ("/dead-letters/{key}/skip", letters.Skip),
)
_OPEN: Final = frozenset({f"{PREFIX}{path}" for path in ("", "/", "/openapi.json", "/api.css")})


class _Pages:
    """The document and its page: made once, when first asked for, because only then everything is mounted.

    Drawing up sixty schemas takes a good part of a second, so it is done beside the loop.
    """

    def __init__(self, languages: Library) -> None:
        self._languages = languages
        self._making = asyncio.Lock()
        self._made: tuple[bytes, str] | None = None

    async def openapi(self, request: web.Request) -> web.Response:
        """``/api/openapi.json``."""
        body, _ = await self._both(request)
        return web.Response(body=body, content_type="application/json")

    async def readable(self, request: web.Request) -> web.Response:
        """``/api``."""
        _, text = await self._both(request)
        return web.Response(text=text, content_type="text/html", charset="utf-8", headers=HEADERS)

    async def _both(self, request: web.Request) -> tuple[bytes, str]:
        async with self._making:
            if self._made is None:
                self._made = await asyncio.to_thread(self._make, request.match_info.apps[-1])
        return self._made

    def _make(self, app: web.Application) -> tuple[bytes, str]:
        made = document(app)
        titles = {code: f"{self._languages.chinese.say(title)} / {title}" for code, title in TITLES.items()}
        return msgspec.json.encode(made), page(made, titles)

    async def style(self, _: web.Request) -> web.Response:
        """``/api/api.css``."""
        return web.Response(body=style(), content_type="text/css", charset="utf-8", headers=HEADERS)


def build(services: Services) -> web.Application:
    """The sub-application; mount it under `PREFIX`."""
    languages = Library()
    app = web.Application(middlewares=[problems(languages, services.new_id), identified(_OPEN)])
    app[SERVICES] = services
    app[LANGUAGES] = languages
    for path, view in (*intake.endpoints(), *_PATHS, *commands.endpoints()):
        app.router.add_view(f"/v1{path}", view)
    pages = _Pages(languages)
    app.router.add_get("", pages.readable)
    app.router.add_get("/", pages.readable)
    app.router.add_get("/openapi.json", pages.openapi)
    app.router.add_get("/api.css", pages.style)
    return app
