"""Bearer tokens (RFC 6750): who asks, before anything of the request is read."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from adapters.http_api.problems import Problem
from adapters.http_api.services import ACTOR, SERVICES, Who
from dispatcher.domain.stream import Actor

_BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9._~+/=-]{8,512})")

FRESH: Final = timedelta(seconds=5)
"""How long a token is believed without asking again: a revoked one stops within that."""

MOST_KEPT: Final = 4096


class KeptTokens:
    """Remembers for a moment whose token it is, so that a busy sender costs no question each time."""

    def __init__(self, source: Who) -> None:
        self._source = source
        self._kept: OrderedDict[bytes, tuple[Actor | None, datetime]] = OrderedDict()

    async def actor_of(self, token: str, now: datetime) -> Actor | None:
        """Who sends with this token; None for one that opens nothing."""
        key = hashlib.sha256(token.encode()).digest()
        kept = self._kept.get(key)
        if kept is not None and now < kept[1] and kept[1] <= now + FRESH:
            return kept[0]
        actor = await self._source.actor_of(token, now)
        self._kept[key] = (actor, now + FRESH)
        self._kept.move_to_end(key)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return actor


def identified(open_paths: frozenset[str]) -> Middleware:
    """Lets nobody in without a valid token, except to ``open_paths``; what is not there is not there for anybody."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.match_info.http_exception is not None:
            return await handler(request)
        resource = request.match_info.route.resource
        if resource is not None and resource.canonical in open_paths:
            return await handler(request)
        services = request.config_dict[SERVICES]
        given = request.headers.getall("Authorization", [])
        found = _BEARER.fullmatch(given[0].strip()) if len(given) == 1 else None
        if found is None:
            raise Problem(
                401,
                "unauthorized",
                "This path needs a bearer token.",
                field="Authorization",
                remedy="send the header Authorization: Bearer TOKEN; an administrator makes one with: liandong token add",
                headers={"WWW-Authenticate": 'Bearer realm="liandong"'},
            )
        actor = await services.accounts.actor_of(found[1], services.clock.now())
        if actor is None:
            raise Problem(
                401,
                "unauthorized",
                "The bearer token is unknown, expired or revoked.",
                field="Authorization",
                remedy="ask an administrator for a new token (liandong token add)",
                headers={"WWW-Authenticate": 'Bearer realm="liandong", error="invalid_token"'},
            )
        request[ACTOR] = actor
        return await handler(request)

    return middleware
