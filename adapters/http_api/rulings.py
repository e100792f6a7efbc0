"""Rulings without a case, and working time: what the lists and calendars say, nothing is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal

import msgspec
from aiohttp import web
from pydantic import Field

from adapters.http_api.bodies import Body, Code, Instant, LongText, model_of
from adapters.http_api.problems import Problem
from adapters.http_api.queries import plain_number
from adapters.http_api.view import ApiView, Told, json_answer
from dispatcher.domain.authority import DESK
from dispatcher.domain.library import Library
from dispatcher.domain.worktime import Unreckonable
from dispatcher.views.related import Asked, Related, suggest
from routing_rules.directory import UnknownLine
from routing_rules.recommend import Recommended
from routing_rules.ruling import Hints, Ruling

_TAG: Final = "判定与时限 rulings and working time"

HintsIn = model_of(Hints)


class RulingIn(Body):
    """A text to be ruled, as seen from a line, a division and an instant.

    ``caller``: the number that calls, so that a desk sees its earlier calls. It is not kept.
    """

    text: LongText
    line: Literal["12345", "110"] = "12345"
    division: Code = ""
    at: Instant | None = None
    caller: Annotated[str, Field(max_length=40, pattern=r"^[0-9+() -]*$")] = ""
    hints: Annotated[HintsIn, Field(default_factory=HintsIn)]  # type: ignore[valid-type]  # made at run time


class RulingOut(msgspec.Struct, frozen=True, kw_only=True):
    """What the lists say. ``place`` is the division ruled for, ``units`` the codes of the owners there.

    ``recommended``: categories and kinds of units by the trained model in force, else by the lists' own words.
    ``related``: for desks, what it may belong together with; None for others.
    """

    place: str
    question: str
    units: tuple[str, ...]
    unit_names: tuple[str, ...]
    ruling: Ruling
    recommended: Recommended
    related: Related | None = None


class WorktimeOut(msgspec.Struct, frozen=True, kw_only=True):
    """When ``n`` working days after ``start`` end. ``provisional``: a year's holidays are not yet published."""

    start: datetime
    n: int
    due: datetime
    provisional: bool
    division: str
    calendar_version: str


class Rulings(ApiView):
    """Rulings."""

    told: ClassVar[Mapping[str, Told]] = {
        "POST": Told(
            tag=_TAG,
            name="rule-text",
            summary="判定文本 / rule a text",
            model=RulingOut,
            problems=(400, 401, 413, 415, 422),
        )
    }

    async def post(self, body: RulingIn) -> web.Response:
        """Who should own a matter, with item, clause and evidence. Nothing is registered and nothing is kept."""
        services = self.services
        library = services.library()
        division = body.division
        if division and not library.places.knows(division):
            raise _no_division(division)
        place = division or library.places.best(body.text, library.home)
        at = body.at or services.clock.now()
        hints = msgspec.convert(body.hints.model_dump(), Hints)  # type: ignore[attr-defined]
        ruling = library.rule(body.text, line=body.line, division=place, at=at, hints=hints)
        recommended = library.recommend(body.text, ruling, division=place, at=at, hints=hints)
        told = _told(library, ruling, recommended, place, at)
        if DESK.intersection(self.actor.roles):
            asked = Asked(
                text=body.text,
                line=body.line,
                place=place,
                category=ruling.category,
                item=ruling.item,
                danger=ruling.danger,
                received=at,
                caller_mac=services.vault.number_digest(digits)
                if (digits := plain_number(body.caller))
                else b"",
            )
            told = msgspec.structs.replace(told, related=await suggest(self.viewer, asked))
        return json_answer(told)


class Worktime(ApiView):
    """Working time."""

    told: ClassVar[Mapping[str, Told]] = {
        "GET": Told(
            tag=_TAG,
            name="add-worktime",
            summary="工作日推算 / add working days",
            model=WorktimeOut,
            problems=(401, 422),
        )
    }

    async def get(
        self, start: Instant, n: Annotated[int, Field(ge=0, le=1000)], division: Code | None = None
    ) -> web.Response:
        """When `n` working days after `start` end, by the calendar of a division. The day of `start` is not counted."""
        library = self.services.library()
        if division and not library.places.knows(division):
            raise _no_division(division)
        chosen = division or library.home
        calendar = library.calendars.of(chosen)
        try:
            due = calendar.add_workdays(start, n)
        except Unreckonable as err:
            raise Problem(
                422,
                "bad-field",
                "This cannot be reckoned.",
                field="start",
                value=start.isoformat(),
                remedy="give an instant of our time",
            ) from err
        return json_answer(
            WorktimeOut(
                start=start,
                n=n,
                due=due.at,
                provisional=due.provisional,
                division=chosen,
                calendar_version=calendar.version,
            )
        )


def _told(library: Library, ruling: Ruling, recommended: Recommended, place: str, at: datetime) -> RulingOut:
    try:
        receiver = library.directory.receiver(ruling.platform, place, at)
        ruling = msgspec.structs.replace(ruling, receiver=receiver.platform_id)
        question = receiver.question
    except UnknownLine:
        question = ""
    units = [
        unit
        for owner in ruling.owners
        if owner != ruling.about_unit and (unit := library.organisation.resolve(owner, place)) is not None
    ]
    return RulingOut(
        place=place,
        question=question,
        units=tuple(dict.fromkeys(unit.code for unit in units)),
        unit_names=tuple(dict.fromkeys(unit.name for unit in units)),
        ruling=ruling,
        recommended=recommended,
    )


def _no_division(value: str) -> Problem:
    return Problem(
        422,
        "bad-field",
        "There is no division {value}.",
        field="division",
        value=value,
        remedy="give a GB/T 2260 code such as 630102, or leave it empty",
    )
