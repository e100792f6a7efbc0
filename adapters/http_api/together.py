"""Cases that may belong together: what is suggested and why, and attaching the reports of one event to their parent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final
from uuid import UUID, uuid5

import msgspec
from aiohttp import web
from pydantic import BaseModel, Field

from adapters.http_api.bodies import Body
from adapters.http_api.queries import no_case
from adapters.http_api.sending import message_id, posting, send
from adapters.http_api.view import ApiView, Told, json_answer
from dispatcher.domain.authority import ROLES
from dispatcher.domain.commands import AttachFollower
from dispatcher.domain.errors import Refused
from dispatcher.views.cases import one_case
from dispatcher.views.related import Related, related

_TAG: Final = "重复与同一事件 repeats and events"


class RelatedView(ApiView):
    """What may belong together with a case."""

    told: ClassVar[Mapping[str, Told]] = {
        "GET": Told(
            tag=_TAG,
            name="list-related-cases",
            summary="重复与同一事件提示 / cases that may belong together",
            model=Related,
            problems=(401, 404, 422),
        )
    }

    async def get(self, case: UUID, /) -> web.Response:
        """Earlier calls of the same number about the same matter, and calls of others about the same event.

        They are suggested with reasons and never merged by themselves. Of another platform's cases only existence, kind,
        time, stage and "same matter" are told (`limited`).
        """
        found = await related(self.viewer, case)
        if found is None:
            raise no_case("case", str(case))
        return json_answer(found)


class Attached(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one case: ``code`` is empty where it follows now, else why it does not."""

    case: UUID
    attached: bool
    code: str = ""


class AttachedAll(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each, in the order given."""

    parent: UUID
    cases: tuple[Attached, ...]


class AttachRelatedIn(Body):
    """Which cases are to follow; left out, all that the telling of the surge named."""

    cases: Annotated[tuple[UUID, ...], Field(max_length=500)] = ()


async def _attach(view: ApiView, body: BaseModel, key: str | None, case: UUID | None) -> web.Response:
    assert isinstance(body, AttachRelatedIn)
    assert case is not None
    found = await one_case(view.viewer, case)
    if found is None:
        raise no_case("case", str(case))
    base = message_id(view.services, view.actor, key)
    outcomes = []
    for follower in dict.fromkeys(body.cases or found.state.surged):
        command = AttachFollower(case=follower, other=case)
        try:
            await send(view.services, view.actor, command, uuid5(base, str(follower)))
        except (
            Refused
        ) as refused:  # danger never follows, what has ended neither: the others are attached all the same
            outcomes.append(Attached(case=follower, attached=False, code=refused.code))
        else:
            outcomes.append(Attached(case=follower, attached=True))
    return json_answer(AttachedAll(parent=case, cases=tuple(outcomes)))


AttachRelated = type(
    "AttachRelated",
    (ApiView,),
    {
        "roles": ROLES[AttachFollower],
        "told": {
            "POST": Told(
                tag=_TAG,
                name="attach-related",
                summary="集中反映并入主单 / attach the reports of one event",
                model=AttachedAll,
                problems=(400, 401, 403, 404, 413, 415, 422, 503),
                optional_body=True,
            )
        },
        "post": posting(
            AttachRelatedIn,
            _attach,
            """Attach many cases to this one, each by a command of its own, so that each is on record and answered.

What may not follow (danger, a case that ended) is left as it is and named. A repeat with the same key does nothing
twice.""",
            of_case=True,
        ),
    },
)
