"""Questions: cases by filters, one case, its trail, deadlines by time left, figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal
from uuid import UUID

from aiohttp import web
from pydantic import Field

from adapters.http_api.bodies import Body, Code, Instant
from adapters.http_api.problems import Problem
from adapters.http_api.services import Services
from adapters.http_api.view import ApiView, Told, json_answer
from dispatcher.domain.authority import DESK
from dispatcher.domain.errors import NotFound
from dispatcher.domain.values import Stage
from dispatcher.views.cases import CasePage, Filters, OneCase, id_of_number, list_cases, one_case
from dispatcher.views.deadlines import DuePage, list_deadlines
from dispatcher.views.figures import Figures, figures
from dispatcher.views.notices import NoticePage, list_notices
from dispatcher.views.told import CaseNotices, case_notices
from dispatcher.views.trail import Trail, trail

_TAG: Final = "查询 queries"
_ONE: Final = (401, 404, 422)
_MANY: Final = (401, 422)

Limit = Annotated[int, Field(ge=1, le=200)]
Cursor = Annotated[str, Field(max_length=400, pattern=r"^[A-Za-z0-9_-]+$")]
Urgency = Literal["urgent", "general", "complex", "joint"]
Lamp = Literal["green", "amber", "red"]


class Cases(ApiView):
    """Cases."""

    told: ClassVar[Mapping[str, Told]] = {
        "GET": Told(
            tag=_TAG, name="list-cases", summary="查询诉求 / list cases", model=CasePage, problems=_MANY
        )
    }

    async def get(
        self,
        platform: Code | None = None,
        division: Code | None = None,
        unit: Code | None = None,
        holder: Code | None = None,
        stage: list[Stage] = [],  # noqa: B006 - the library reads the default and never changes it
        urgency: Urgency | None = None,
        lamp: Lamp | None = None,
        open: bool | None = None,
        danger: bool | None = None,
        kind: Code | None = None,
        category: Code | None = None,
        item: Code | None = None,
        number: Code | None = None,
        received_from: Instant | None = None,
        received_until: Instant | None = None,
        due_from: Instant | None = None,
        due_until: Instant | None = None,
        order: Literal["received", "-received", "due"] = "-received",
        limit: Limit = 50,
        cursor: Cursor | None = None,
    ) -> web.Response:
        """One page of the cases that you may see, narrowed by what you give.

        Ranges include their beginning and exclude their end. `division` means its whole tree, `category` all below
        it. `order` due lists only cases with a running limit. Go on with `cursor` = the answer's `next`.
        """
        _known(self.services, platform=platform, division=division, unit=unit)
        filters = Filters(
            platform=platform or "",
            division=division or "",
            unit=unit or "",
            holder=holder or "",
            stage=tuple(each.value for each in stage),
            urgency=urgency or "",
            lamp=None if lamp is None else lamp.replace("green", ""),
            open=open,
            danger=danger,
            kind=kind or "",
            category=category or "",
            item=item or "",
            number=number or "",
            received_from=received_from,
            received_until=received_until,
            due_from=due_from,
            due_until=due_until,
        )
        page = await list_cases(self.viewer, filters, order=order, limit=limit, cursor=cursor or "")
        return json_answer(page)


class CallerIn(Body):
    """Whose cases to look for."""

    caller: Annotated[str, Field(min_length=3, max_length=40, pattern=r"^[0-9+() -]+$")]
    limit: Limit = 50
    cursor: Cursor | None = None


class ByCaller(ApiView):
    """Cases of one caller."""

    roles = DESK
    told: ClassVar[Mapping[str, Told]] = {
        "POST": Told(
            tag=_TAG,
            name="list-cases-of-caller",
            summary="按来电号码查询 / cases of one caller",
            model=CasePage,
            problems=(400, 401, 403, 413, 415, 422),
        )
    }

    async def post(self, body: CallerIn) -> web.Response:
        """Cases by the number that called. A POST, because a number in an address would end up in logs."""
        mac = self.services.vault.number_digest(plain_number(body.caller))
        page = await list_cases(
            self.viewer, Filters(caller_mac=mac), limit=body.limit, cursor=body.cursor or ""
        )
        return json_answer(page)


class OneCaseView(ApiView):
    """A case."""

    told: ClassVar[Mapping[str, Told]] = {
        "GET": Told(tag=_TAG, name="get-case", summary="查看诉求 / one case", model=OneCase, problems=_ONE)
    }

    async def get(self, case: UUID, /) -> web.Response:
        """One case as you may know it: its state, deadlines, words (numbers and names masked), and what is allowed.

        A case that you may not know of is not there.
        """
        found = await one_case(self.viewer, case, self.services.vault)
        if found is None:
            raise no_case("case", str(case))
        return json_answer(found)


class ByNumber(ApiView):
    """A case by its number."""

    told: ClassVar[Mapping[str, Told]] = {
        "GET": Told(
            tag=_TAG,
            name="get-case-by-number",
            summary="按单号查看 / one case by number",
            model=OneCase,
            problems=_ONE,
        )
    }

    async def get(self, number: str, /) -> web.Response:
        """One case by the number that people know it by."""
        viewer = self.viewer
        id_ = await id_of_number(viewer, number) if number.isprintable() else None
        found = await one_case(viewer, id_, self.services.vault) if id_ is not None else None
        if found is None:
            raise no_case("number", number[:60])
        return json_answer(found)


class TrailView(ApiView):
    """A trail."""

    told: ClassVar[Mapping[str, Told]] = {
        "GET": Told(
            tag=_TAG, name="get-trail", summary="全程留痕 / a case's trail", model=Trail, problems=_ONE
        )
    }

    async def get(self, case: UUID, /) -> web.Response:
        """Everything that happened to a case (可追溯): who, when, why, under which lists, policy and calendar."""
        found = await trail(self.viewer, case, self.services.codec)
        if found is None:
            raise no_case("case", str(case))
        return json_answer(found)


class CaseNoticesView(ApiView):
    """A case's notices."""

    told: ClassVar[Mapping[str, Told]] = {
        "GET": Told(
            tag=_TAG,
            name="get-case-notices",
            summary="通知与回执 / a case's notices",
            model=CaseNotices,
            problems=_ONE,
        )
    }

    async def get(self, case: UUID, /) -> web.Response:
        """Who was told what about a case, by which way, and why a notice was not sent: every notice with what became of
        it on each channel."""
        found = await case_notices(self.viewer, case)
        if found is None:
            raise no_case("case", str(case))
        return json_answer(found)


class NoticesView(ApiView):
    """Notices of a desk."""

    told: ClassVar[Mapping[str, Told]] = {
        "GET": Told(
            tag=_TAG,
            name="list-notices",
            summary="通知收件 / notices to a desk",
            model=NoticePage,
            problems=_MANY,
        )
    }

    async def get(self, to: Code, limit: Limit = 50, cursor: Cursor | None = None) -> web.Response:
        """What was sent to a unit (its code) or a platform (its id) about cases that you may see, the newest first. A
        platform also reads messages to its citizens that no channel took: somebody must tell them."""
        library = self.services.library()
        if library.directory.platform(to) is None:
            _known(self.services, platform=None, division=None, unit=to)
        return json_answer(await list_notices(self.viewer, to, limit=limit, cursor=cursor or ""))


class DeadlinesView(ApiView):
    """Deadlines."""

    told: ClassVar[Mapping[str, Told]] = {
        "GET": Told(
            tag=_TAG,
            name="list-deadlines",
            summary="按剩余时间列时限 / deadlines by time left",
            model=DuePage,
            problems=_MANY,
        )
    }

    async def get(
        self,
        until: Instant | None = None,
        clock: Code | None = None,
        milestone: Code | None = None,
        limit: Limit = 50,
        cursor: Cursor | None = None,
    ) -> web.Response:
        """Armed deadlines of your cases, the nearest first. `milestone` limit is the limit itself."""
        page = await list_deadlines(
            self.viewer,
            until=until,
            clock=clock or "",
            milestone=milestone or "",
            limit=limit,
            cursor=cursor or "",
        )
        return json_answer(page)


class FiguresView(ApiView):
    """Figures."""

    told: ClassVar[Mapping[str, Told]] = {
        "GET": Told(
            tag=_TAG,
            name="get-figures",
            summary="在办统计 / figures of open cases",
            model=Figures,
            problems=_MANY,
        )
    }

    async def get(self) -> web.Response:
        """How many open cases by stage, lamp, urgency, platform and unit, within what you may see."""
        return json_answer(await figures(self.viewer))


def plain_number(written: str) -> str:
    """A telephone number's digits, without the country's prefix and writing habits."""
    digits = "".join(sign for sign in written if sign in "0123456789")
    return digits[2:] if len(digits) == 13 and digits.startswith("86") else digits


def no_case(field: str, value: str) -> NotFound:
    """There is none, or none that this viewer may know of: the same answer."""
    return NotFound("There is no such case.", field=field, value=value, remedy="check the number")


def _known(services: Services, *, platform: str | None, division: str | None, unit: str | None) -> None:
    """Refuse codes that nobody has: an empty list would look like an answer."""
    library = services.library()
    if division and not library.places.knows(division):
        template, field, value = "There is no division {value}.", "division", division
        remedy = "give a GB/T 2260 code such as 630102, or leave it empty"
    elif platform and library.directory.platform(platform) is None:
        template, field, value = "There is no platform {value}.", "platform", platform
        remedy = "give a platform id such as 12345-630100"
    elif unit and library.unit(unit) is None:
        template, field, value = "There is no unit {value}.", "unit", unit
        remedy = "give a GB 32100 code of the organisation"
    else:
        return
    raise Problem(422, "bad-field", template, field=field, value=value, remedy=remedy)
