"""Every command of a case as an endpoint of its own, made from the command classes."""

from __future__ import annotations

import inspect
import re
from typing import Final, get_args
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel

from adapters.http_api.bodies import command_of, model_of
from adapters.http_api.sending import accepted, message_id, posting, send
from adapters.http_api.view import ApiView, Told
from dispatcher.domain.authority import MACHINE, ROLES
from dispatcher.domain.commands import AnyCommand, CaseCommand, RegisterCase, name_of
from dispatcher.domain.product import Answer

_TAG: Final = "办理 commands"
_MAY: Final = (400, 401, 403, 404, 409, 413, 415, 422, 503)
_HEAD = re.compile(r"[\u4e00-\u9fff]+")


def command_classes() -> tuple[type[CaseCommand], ...]:
    """The commands that people and other systems send: all but registering and those of Liandong itself."""
    return tuple(cls for cls in get_args(AnyCommand) if cls is not RegisterCase and not ROLES[cls] <= MACHINE)


def endpoints() -> tuple[tuple[str, type[ApiView]], ...]:
    """(path, view) of each command: ``/cases/{case}/assign-case`` and so on."""
    return tuple((f"/cases/{{case}}/{name_of(cls)}", _view(cls)) for cls in command_classes())


def _view(cls: type[CaseCommand]) -> type[ApiView]:
    model = model_of(cls, leave_out=frozenset({"case"}), name=f"{cls.__name__}In")
    empty = not any(field.is_required() for field in model.model_fields.values())
    doc = inspect.cleandoc(cls.__doc__ or "")

    async def run(view: ApiView, body: BaseModel, key: str | None, case: UUID | None) -> web.Response:
        command = command_of(cls, view.checked(body), case=case)
        id_ = message_id(view.services, view.actor, key)
        return accepted(await send(view.services, view.actor, command, id_))

    told = Told(
        tag=_TAG,
        name=name_of(cls),
        summary=_summary(cls, doc),
        model=Answer,
        problems=_MAY,
        optional_body=empty,
    )
    return type(
        cls.__name__,
        (ApiView,),
        {"roles": ROLES[cls], "told": {"POST": told}, "post": posting(model, run, doc, of_case=True)},
    )


def _summary(cls: type[CaseCommand], doc: str) -> str:
    """The Chinese term that a command's docstring begins with, and its English name."""
    english = name_of(cls).replace("-", " ")
    found = _HEAD.match(doc)
    return f"{found[0]} / {english}" if found else english
