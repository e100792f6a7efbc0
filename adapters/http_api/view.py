"""The base of all endpoints: strict reading of path, query, headers and body, and what the document says of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Final

import msgspec
import pydantic
from aiohttp import web
from aiohttp_pydantic import PydanticView
from aiohttp_pydantic.injectors import (
    CONTEXT,
    AbstractInjector,
    BodyGetter,
    HeadersGetter,
    MatchInfoGetter,
    QueryGetter,
    _parse_func_signature,
)
from pydantic import BaseModel

from adapters.http_api.bodies import instants_of
from adapters.http_api.problems import Problem, answer, invalid, too_large
from adapters.http_api.services import ACTOR, LANGUAGES, SERVICES, Services
from adapters.http_api.words import Words
from dispatcher.domain.errors import NotYours
from dispatcher.domain.stream import Actor, Role
from dispatcher.views.viewing import Viewer

SKEW: Final = timedelta(minutes=2)
"""How far clocks may disagree before an instant counts as one in the future."""

OLDEST: Final = timedelta(days=366)
"""Older instants enter through `liandong import` only."""

_JSON = re.compile(r'application/json(\s*;\s*charset="?utf-8"?)?', re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the API document says about one method: group, success status, its content and the 4xx it may answer."""

    tag: str
    name: str
    summary: str
    status: int = 200
    model: type[msgspec.Struct] | None = None
    content: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[int, ...] = (401, 403, 422)
    optional_body: bool = False


class ApiView(PydanticView):  # type: ignore[misc]  # the library carries no types
    """One path. ``told`` describes its methods; ``roles`` are those that may use it (None: any)."""

    told: ClassVar[Mapping[str, Told]] = {}
    roles: ClassVar[frozenset[Role] | None] = None

    @property
    def services(self) -> Services:
        """What the application was built on."""
        services: Services = self.request.config_dict[SERVICES]
        return services

    @property
    def actor(self) -> Actor:
        """Who asks."""
        actor: Actor = self.request[ACTOR]
        return actor

    @property
    def viewer(self) -> Viewer:
        """The store through the eyes of whoever asks."""
        return self.services.viewer(self.actor)

    @property
    def words(self) -> Words:
        """The language of whoever asks."""
        words: Words = self.request.config_dict[LANGUAGES].of(self.request)
        return words

    async def _iter(self) -> web.StreamResponse:
        method = self.request.method
        if method not in self.allowed_methods:
            self._raise_allowed_methods()
        if self.roles is not None and not self.roles.intersection(self.actor.roles):
            raise not_your_role(self.actor, self.told[method].name)
        response: web.StreamResponse = await getattr(self, method.lower())()
        return response

    @staticmethod
    def _parse_func_signature(func: Callable[..., Any]) -> Sequence[AbstractInjector]:
        path, body, query, headers, defaults = _parse_func_signature(func)
        chosen = (
            (MatchInfoGetter, path),
            (_StrictBody, body),
            (_StrictQuery, query),
            (HeadersGetter, headers),
        )
        return [
            injector(args, {name: defaults[name] for name in args if name in defaults})
            for injector, args in chosen
            if args
        ]

    async def on_validation_error(
        self, exception: pydantic.ValidationError, context: CONTEXT
    ) -> web.Response:
        """Answer what does not fit its schema. A path id that is none is a path that is not there."""
        if context == "path":
            return answer(
                Problem(
                    404,
                    "not-found",
                    "There is nothing at this path.",
                    field="path",
                    value=self.request.path,
                    remedy="see /api for the paths",
                ),
                self.words,
            )
        return answer(invalid(exception, str(context), self.words), self.words)

    def checked(self, body: BaseModel) -> BaseModel:
        """The body, its instants held against the clock.

        Raises:
            Problem: an instant lies in the future, or too far back for anything but an import.
        """
        now = self.services.clock.now()
        for name, value in instants_of(body):
            if value > now + SKEW:
                raise Problem(
                    422,
                    "bad-field",
                    "{field} lies in the future.",
                    field=name,
                    value=value.isoformat(),
                    remedy="give an instant that has been",
                )
            if value < now - OLDEST:
                raise Problem(
                    422,
                    "bad-field",
                    "{field} lies too far back.",
                    field=name,
                    value=value.isoformat(),
                    remedy="bring old cases in through import",
                )
        return body


def json_answer(
    found: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A struct (or JSON already encoded) as an answer that nobody keeps a copy of."""
    body = found if isinstance(found, bytes) else msgspec.json.encode(found)
    return web.Response(
        status=status,
        body=body,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def not_your_role(actor: Actor, name: str) -> NotYours:
    """The refusal of a role, as the domain words it."""
    roles = ", ".join(actor.roles)
    return NotYours(
        "Role {roles} does not send {command}.",
        roles=roles,
        command=name,
        field="roles",
        value=roles,
        remedy="ask somebody whose role it is",
    )


class _StrictBody(BodyGetter):  # type: ignore[misc]  # the library carries no types
    """Reads the body once, bounded, and lets pydantic decode it: no numbers that are none, no endless nesting."""

    def __init__(self, args_spec: dict[str, Any], default_values: dict[str, Any]) -> None:
        # Not the library's: it would draw up each model's schema once more, and there are sixty of them at a start.
        (self.arg_name, self.model), *_ = args_spec.items()
        self._may_be_empty = not any(field.is_required() for field in self.model.model_fields.values())

    async def inject(self, request: web.Request, args_view: list[Any], kwargs_view: dict[str, Any]) -> None:
        limit = request.config_dict[SERVICES].body_limit
        if (request.content_length or 0) > limit:
            raise too_large(request)
        raw = await request.read()
        if len(raw) > limit:
            raise too_large(request)
        if not raw and self._may_be_empty:
            raw = b"{}"
        elif not _JSON.fullmatch(request.headers.get("Content-Type", "").strip()):
            raise Problem(
                415,
                "unsupported-media-type",
                "The body must be JSON in UTF-8.",
                field="Content-Type",
                value=request.headers.get("Content-Type", ""),
                remedy="send the header Content-Type: application/json",
            )
        kwargs_view[self.arg_name] = self.model.model_validate_json(raw)


class _StrictQuery(QueryGetter):  # type: ignore[misc]  # the library carries no types
    """Refuses parameters it does not know, and repeated ones where one is meant."""

    def inject(self, request: web.Request, args_view: list[Any], kwargs_view: dict[str, Any]) -> None:
        for name in request.query:
            if name not in self.args_spec:
                raise Problem(
                    422,
                    "bad-field",
                    "There is no field {field}.",
                    field=name[:60].encode("utf-8", "replace").decode(),
                    remedy="leave it out, or see /api for the fields",
                )
        super().inject(request, args_view, kwargs_view)
