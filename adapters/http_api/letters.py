"""Dead letters: what could not be delivered, for a person to send again or to give up with a reason."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Annotated, ClassVar, Final
from uuid import UUID

import msgspec
from aiohttp import web
from pydantic import Field

from adapters.http_api.bodies import Body
from adapters.http_api.problems import Problem
from adapters.http_api.queries import Cursor, Limit
from adapters.http_api.view import ApiView, Told, json_answer
from dispatcher.domain.stream import Role
from dispatcher.views.letters import DeadLetter, LetterPage, dead_letter, list_dead_letters

log = logging.getLogger("liandong.api")

MAY: Final = frozenset({Role.SUPERVISOR, Role.LINKAGE_ADMIN, Role.SQUAD_LEADER})
_TAG: Final = "死信 dead letters"


class Letters(ApiView):
    """Dead letters."""

    roles = MAY
    told: ClassVar[Mapping[str, Told]] = {
        "GET": Told(
            tag=_TAG,
            name="list-dead-letters",
            summary="未送达清单 / dead letters",
            model=LetterPage,
            problems=(401, 403, 422),
        )
    }

    async def get(self, limit: Limit = 50, cursor: Cursor | None = None) -> web.Response:
        """Effects that were given up, the oldest first. Each blocks its lane until it is resent or skipped."""
        return json_answer(await list_dead_letters(self.viewer, limit=limit, cursor=cursor or ""))


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What was done with a dead letter: ``state`` is ready (it is sent again) or skipped."""

    key: UUID
    state: str


class NoBody(Body):
    """Nothing needs to be said."""


class SkipIn(Body):
    """Why a letter is given up."""

    reason: Annotated[
        str,
        Field(
            min_length=2, max_length=400, pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
        ),
    ]


_MAY_NOT: Final = (400, 401, 403, 404, 409, 413, 415, 422)


class Resend(ApiView):
    """Resend."""

    roles = MAY
    told: ClassVar[Mapping[str, Told]] = {
        "POST": Told(
            tag=_TAG,
            name="resend-dead-letter",
            summary="重新投递 / send again",
            model=Settled,
            problems=_MAY_NOT,
            optional_body=True,
        )
    }

    async def post(self, key: UUID, /, body: NoBody) -> web.Response:
        """Try a dead letter again at once, under its old key, so that a receiver that has it takes no harm."""
        letter = await _letter(self, key)
        if not await self.services.letters.resend(key, self.services.clock.now()):
            raise _gone(key)
        log.info("dead letter resent", extra={"key": str(key), "by": self.actor.id, "kind": letter.kind})
        return json_answer(Settled(key=key, state="ready"))


class Skip(ApiView):
    """Skip."""

    roles = MAY
    told: ClassVar[Mapping[str, Told]] = {
        "POST": Told(
            tag=_TAG, name="skip-dead-letter", summary="放弃投递 / give up", model=Settled, problems=_MAY_NOT
        )
    }

    async def post(self, key: UUID, /, body: SkipIn) -> web.Response:
        """Give a dead letter up so that its lane moves on. Who and why stay with it."""
        letter = await _letter(self, key)
        now = self.services.clock.now()
        if not await self.services.letters.skip(key, body.reason, self.actor.id, now):
            raise _gone(key)
        log.info("dead letter skipped", extra={"key": str(key), "by": self.actor.id, "kind": letter.kind})
        return json_answer(Settled(key=key, state="skipped"))


async def _letter(view: ApiView, key: UUID) -> DeadLetter:
    letter = await dead_letter(view.viewer, key)
    if letter is None:
        raise Problem(
            404,
            "not-found",
            "There is no such dead letter.",
            field="key",
            value=str(key),
            remedy="list the dead letters again",
        )
    return letter


def _gone(key: UUID) -> Problem:
    return Problem(
        409,
        "against-rule",
        "Somebody else dealt with this dead letter just now.",
        field="key",
        value=str(key),
        remedy="list the dead letters again",
    )
