"""Commands on their way in: message ids from the Idempotency-Key, and the answer once the commit stands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from aiohttp import web
from pydantic import BaseModel, Field

from adapters.http_api.services import Services
from adapters.http_api.view import ApiView, json_answer
from dispatcher.domain.stream import Actor, Command, Submission
from dispatcher.ports import Outcome

_KEYS: Final = uuid5(NAMESPACE_URL, "urn:liandong:idempotency-key")

IdempotencyKey = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]
"""Drawn by the sender, new for each thing it wants done and the same at each repeat (a UUID does well)."""

REPLAYED: Final = {"Idempotent-Replay": "true"}


def message_id(services: Services, actor: Actor, key: str | None) -> UUID:
    """The id of a message: from account and Idempotency-Key, else a fresh one."""
    return services.new_id() if key is None else uuid5(_KEYS, f"{actor.id}\n{key}")


async def send(services: Services, actor: Actor, command: Command, id_: UUID) -> Outcome:
    """Hand a command to the inbox; returns after its commit.

    Raises:
        Refused, Failed, Unavailable: as the inbox does.
    """
    sent = Submission(message_id=id_, command=command, actor=actor)
    return await services.inbox.submit(sent)


def accepted(outcome: Outcome, *, status: int = 200, location: str = "") -> web.Response:
    """The answer to a command that stands."""
    headers = {"Location": location} if location else {}
    if outcome.repeated:
        headers |= REPLAYED
    return json_answer(outcome.answer, status=status, headers=headers)


Run = Callable[[ApiView, BaseModel, str | None, UUID | None], Awaitable[web.Response]]
"""What an endpoint does with its body, the Idempotency-Key and the case of its path."""


def posting(model: type[BaseModel], run: Run, doc: str, *, of_case: bool = False) -> Callable[..., Any]:
    """A ``post`` method for a body that is known at run time only; with ``of_case`` the path names a case."""
    annotations: dict[str, Any] = {
        "body": model,
        "idempotency_key": IdempotencyKey | None,
        "return": web.Response,
    }
    if of_case:

        async def post_of_case(
            self: ApiView, case: Any, /, body: Any, *, idempotency_key: Any = None
        ) -> web.Response:
            return await run(self, body, idempotency_key, case)

        post_of_case.__annotations__ = {"case": UUID, **annotations}
        post_of_case.__doc__ = doc
        return post_of_case

    async def post(self: ApiView, body: Any, *, idempotency_key: Any = None) -> web.Response:
        return await run(self, body, idempotency_key, None)

    post.__annotations__ = annotations
    post.__doc__ = doc
    return post
