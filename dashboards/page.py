"""The live page: routes for the page, its stream and its files, and who may look.

On loopback the demonstration's page is open, and shows no personal data; elsewhere it asks for a bearer token of
somebody who watches over deadlines. Sign-in comes with the desks.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import mimetypes
from collections.abc import Awaitable, Callable
from datetime import datetime
from importlib import resources
from typing import Final
from urllib.parse import urlencode

import msgspec
from aiohttp import hdrs, web
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from dashboards.live import Live, View
from dashboards.screen import NATURAL, Screen
from dashboards.words import Words, words_in
from dispatcher.domain.library import Library
from dispatcher.domain.stream import Actor, Role
from dispatcher.domain.worktime import LEGAL_ZONE
from dispatcher.languages import CHINESE, LANGUAGES
from dispatcher.store.database import ALL, Scope
from dispatcher.views.board import Narrowing
from dispatcher.views.viewing import scope_of

CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
GUARDS: Final = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
WATCHFUL: Final = frozenset(
    {Role.SUPERVISOR, Role.SQUAD_LEADER, Role.LINKAGE_ADMIN, Role.LIAISON, Role.QUALITY}
)
"""Roles that may see everybody's deadlines within their scope."""

_FILES: Final = ("board.css", "live.js", "icon.svg")
_LAMPS: Final = ("", "red", "amber")
_LINES: Final = ("", "12345", "110")
_MOST_WATCHERS: Final = 500
_SLOWEST_WATCHER: Final = 30.0  # seconds one frame may take to leave
_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})

WhoIs = Callable[[str], Awaitable[Actor | None]]
"""Whose bearer token this is, None for nobody's."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What the address asks for."""

    narrowing: Narrowing
    language: str = CHINESE

    def address(self, path: str = "/", **changes: str) -> str:
        """The address of this choice with some words changed; empty words are left out."""
        asked = msgspec.structs.asdict(self.narrowing) | {"lang": self.language} | changes
        if asked["lang"] == CHINESE:
            asked["lang"] = ""
        query = urlencode({key: word for key, word in asked.items() if word})
        return f"{path}?{query}" if query else path


class LivePage:
    """The supervisor's page over a `Live` feed.

    Args:
        open_on_loopback: whoever sits at this machine may look without a token.
        who_is: whose token it is.
    """

    def __init__(
        self, live: Live, library: Callable[[], Library], *, open_on_loopback: bool, who_is: WhoIs
    ) -> None:
        self._live = live
        self._library = library
        self._open = open_on_loopback
        self._who_is = who_is
        self._files = {name: _StaticFile(name) for name in _FILES}
        environment = Environment(
            loader=PackageLoader("dashboards"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals.update(left_words=left_words, due_words=due_words, clock_words=clock_words)
        self._template = environment.get_template("board.html")

    def routes(self) -> tuple[web.AbstractRouteDef, ...]:
        """What answers at the root."""
        return (
            web.get("/", self._page),
            web.get("/live", self._stream, allow_head=False),
            web.get("/static/{name}", self._static),
        )

    async def _page(self, request: web.Request) -> web.Response:
        scope = await self._admitted(request)
        choice = self._choice(request)
        screen = await self._live.screen(View(scope=scope, narrowing=choice.narrowing))
        words = words_in(choice.language)
        page = self._template.render(
            words=words,
            choice=choice,
            screen=screen,
            script_words=words.for_script(),
            files={name: file.address for name, file in self._files.items()},
            open_page=self._open,
            most=_most(screen),
        )
        return web.Response(
            text=page,
            content_type="text/html",
            charset="utf-8",
            headers={**GUARDS, hdrs.CACHE_CONTROL: "no-store", hdrs.CONTENT_LANGUAGE: choice.language},
        )

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        scope = await self._admitted(request)
        choice = self._choice(request)
        if self._live.watchers >= _MOST_WATCHERS:
            raise web.HTTPServiceUnavailable(text="太多实时连接 / too many live connections", headers=GUARDS)
        response = web.StreamResponse(
            headers={
                **GUARDS,
                hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8",
                hdrs.CACHE_CONTROL: "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        await response.prepare(request)
        await response.write(b"retry: 2000\n\n")
        frames = self._live.watch(View(scope=scope, narrowing=choice.narrowing))
        try:
            async for event in frames:
                async with asyncio.timeout(_SLOWEST_WATCHER):
                    await response.write(event)
        except (ConnectionError, TimeoutError):
            pass  # the watcher has gone or cannot keep up; its browser comes back by itself
        finally:
            await frames.aclose()
        return response

    async def _static(self, request: web.Request) -> web.Response:
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound(text="没有这个文件 / no such file", headers=GUARDS)
        kept = "public, max-age=31536000, immutable" if request.query.get("v") == file.version else "no-cache"
        headers = {**GUARDS, hdrs.CACHE_CONTROL: kept, hdrs.ETAG: f'"{file.version}"'}
        if file.version in request.headers.get(hdrs.IF_NONE_MATCH, ""):
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.body, headers={**headers, hdrs.CONTENT_TYPE: file.kind})

    def _prefectures(self) -> tuple[str, ...]:
        return self._library().places.prefectures()

    def _choice(self, request: web.Request) -> Choice:
        """What the address asks for; a word that is not offered is refused by name."""
        asked = {
            "lamp": _LAMPS,
            "line": _LINES,
            "prefecture": ("", *self._prefectures()),
            "lang": ("", *LANGUAGES),
        }
        found = {key: request.query.get(key, "") for key in asked}
        wrong = [
            f"{key} = {found[key][:40]!r}" for key, offered in asked.items() if found[key] not in offered
        ]
        if wrong:
            told = "; ".join(wrong)
            raise web.HTTPBadRequest(text=f"无此筛选项 / no such filter: {told}", headers=GUARDS)
        language = found.pop("lang") or CHINESE
        return Choice(narrowing=Narrowing(**found), language=language)

    async def _admitted(self, request: web.Request) -> Scope:
        """What the asker may see; 401 without a valid token, 403 for a role that does not watch over deadlines."""
        kind, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if kind.lower() == "bearer" and token:
            actor = await self._who_is(token.strip())
            if actor is None:
                raise _unknown()
            if actor.unit or WATCHFUL.isdisjoint(actor.roles):
                raise web.HTTPForbidden(
                    text="督办页面仅限督办、班长、联动管理、联络与质检角色 / for supervisors, squad leaders, "
                    "linkage administrators, liaison officers and quality inspectors",
                    headers=GUARDS,
                )
            return scope_of(actor, self._library())
        if self._open and _is_local(request):
            return ALL
        raise _unknown()


class _StaticFile:
    """A file of the package, read once; its address changes with its content."""

    def __init__(self, name: str) -> None:
        self.body = resources.files("dashboards").joinpath("static", name).read_bytes()
        self.version = hashlib.sha256(self.body).hexdigest()[:16]
        self.address = f"/static/{name}?v={self.version}"
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        self.kind = kind if kind.startswith("image/") else f"{kind}; charset=utf-8"


def _unknown() -> web.HTTPUnauthorized:
    return web.HTTPUnauthorized(
        text="请使用 Bearer 令牌访问 / send a bearer token (liandong token add)",
        headers={**GUARDS, hdrs.WWW_AUTHENTICATE: 'Bearer realm="liandong"'},
    )


def _is_local(request: web.Request) -> bool:
    """Whether the browser sits at this machine: no proxy between, and no foreign name that resolves to it."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    host = request.headers.get(hdrs.HOST, "")
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if name.lower() not in _LOCAL_NAMES:
        return False
    try:
        return ipaddress.ip_address((request.remote or "").partition("%")[0]).is_loopback
    except ValueError:
        return False


def _most(screen: Screen) -> int:
    """The longest bar, for the scale of the others."""
    return max((bar.red + bar.amber for bar in screen.bars), default=1) or 1


def left_words(words: Words, left: int, late: bool, frame: str) -> str:
    """The time left as people read it; the page's script says it in the same way.

    Days are said of clock time only: how many hours a working day has is the calendar's affair.
    """
    seconds = abs(left)
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours >= 48 and frame == NATURAL:
        told = words.of("time", "{d} d {h} h").format(d=hours // 24, h=hours % 24)
    elif hours >= 100:
        told = words.of("time", "{h} h").format(h=hours)
    elif hours:
        told = words.of("time", "{h} h {min} min").format(h=hours, min=f"{minutes:02d}")
    else:
        told = words.of("time", "{min} min {s} s").format(min=minutes, s=f"{seconds % 60:02d}")
    return words.of("time", "{t} late" if late or left < 0 else "{t} left").format(t=told)


def due_words(words: Words, due: datetime) -> str:
    """The limit's instant in legal time."""
    at = due.astimezone(LEGAL_ZONE)
    return words.of("time", "{month}/{day} {time}").format(month=at.month, day=at.day, time=f"{at:%H:%M}")


def clock_words(at: datetime) -> str:
    """An instant's time of day in legal time."""
    return f"{at.astimezone(LEGAL_ZONE):%H:%M:%S}"
