"""Intake: a call or a message becomes a case. The edge draws the id and the number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web
from msgspec.structs import replace
from pydantic import BaseModel

from adapters.http_api.bodies import model_of
from adapters.http_api.queries import plain_number
from adapters.http_api.sending import accepted, message_id, posting, send
from adapters.http_api.services import Services
from adapters.http_api.view import ApiView, Told
from dispatcher.domain.authority import ROLES, permit
from dispatcher.domain.commands import RegisterCase
from dispatcher.domain.errors import BadField, KeyReused
from dispatcher.domain.product import Answer
from dispatcher.domain.stream import Actor
from dispatcher.ports import Outcome
from dispatcher.views.cases import number_of

_LEGAL: Final = ZoneInfo("Asia/Shanghai")
_EDGE: Final = frozenset({"case", "number", "caller_mac", "imported"})
_TAG: Final = "受理 intake"
_MAY: Final = (400, 401, 403, 409, 413, 415, 422, 503)

_DOC = """Register a {what}: ruled by the lists, numbered, its clocks started; answered once it is durable.

`platform` is the receiving platform; left out, it is that of the token. `personal` is kept encrypted, apart from the
log. `received` may lie at most a quarter of an hour back. Danger is acted on at once and waits for no field."""


def case_number(platform: str, year: int, no: int) -> str:
    """How people call a case: the 7th of 2026 at 12345-630100 is 12345-630100-2026-0000007."""
    return f"{platform}-{year}-{no:07d}"


async def register(services: Services, actor: Actor, command: RegisterCase, key: str | None) -> Outcome:
    """Register a case under ids that a repeat with the same key finds again.

    Raises:
        Refused, Failed, Unavailable: nothing was registered (Unavailable: repeat it with the same key).
    """
    id_ = message_id(services, actor, key)
    library = services.library()
    command = replace(
        command,
        case=uuid5(id_, "case"),
        platform=command.platform or actor.platform,
        caller_mac=_caller_mac(services, command.personal.caller),
    )
    if library.directory.platform(command.platform) is None:
        raise BadField(
            "There is no platform {value}.",
            field="platform",
            value=command.platform,
            remedy="give a platform id such as 12345-630100",
        )
    permit(actor, command, None, library)  # before a number is drawn for it
    year = services.clock.now().astimezone(_LEGAL).year
    no = await services.numbers.take(command.platform, year)
    command = replace(command, number=case_number(command.platform, year, no))
    try:
        return await send(services, actor, command, id_)
    except KeyReused:
        # A repeat has drawn another number than its original did; with that one it is the same message again.
        before = await number_of(services.database, command.case)
        if key is None or before is None:
            raise
        return await send(services, actor, replace(command, number=before), id_)


def _caller_mac(services: Services, caller: str) -> bytes:
    """The digest by which calls of one number find each other: of its digits, so that writing habits don't matter."""
    digits = plain_number(caller)
    return services.vault.number_digest(digits) if digits else b""


_UNDRAWN = UUID(int=0)
_CHANNEL: Final[Mapping[str, dict[str, object]]] = {
    "call": {"channel": "phone"},
    "message": {"channel": "web"},
}
"""How it came in, where a message does not say so."""


def _view(what: str, path_name: str, leave_out: str) -> type[ApiView]:
    fields = model_of(
        RegisterCase,
        leave_out=_EDGE | {leave_out},
        name=path_name,
        optional=frozenset({"platform"}),
        defaults=_CHANNEL[what],
    )

    async def run(view: ApiView, body: BaseModel, key: str | None, _case: UUID | None) -> web.Response:
        view.checked(body)
        known = (
            {"case": _UNDRAWN, "number": "", "platform": ""}
            | _CHANNEL[what]
            | body.model_dump(exclude_unset=True)
        )
        outcome = await register(view.services, view.actor, msgspec.convert(known, RegisterCase), key)
        case = msgspec.json.decode(outcome.answer, type=Answer).case
        return accepted(outcome, status=201, location=f"/api/v1/cases/{case}")

    told = Told(
        tag=_TAG,
        name=f"register-{what}",
        summary={"call": "登记来电 / register a call", "message": "登记留言 / register a message"}[what],
        status=201,
        model=Answer,
        problems=_MAY,
    )
    return type(
        path_name.removesuffix("In") + "s",
        (ApiView,),
        {
            "roles": ROLES[RegisterCase],
            "told": {"POST": told},
            "post": posting(fields, run, _DOC.format(what=what)),
        },
    )


def endpoints() -> tuple[tuple[str, type[ApiView]], ...]:
    """(path, view) of both ways in."""
    return ("/calls", _view("call", "CallIn", "channel")), (
        "/messages",
        _view("message", "MessageIn", "call"),
    )
