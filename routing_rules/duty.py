"""Duty rosters: who can be reached in which role at an instant, and who stands in for whoever is absent.

Pure. Roles are the recipients of the ladders (`routing_rules.policy.RECIPIENTS`) and of other notices.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta, timezone
from types import MappingProxyType
from typing import Final

import msgspec

from routing_rules.strict import DataFault

# Legal time; duty rosters are only asked about the present (no summer time since 1992).
_LEGAL = timezone(timedelta(hours=8), "Asia/Shanghai")


class Absence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Away from the first to the last day, both included (legal time)."""

    first: date
    last: date


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody on a roster. ``mobile`` takes text messages; it may be left out where ``phone`` is a mobile."""

    name: str
    phone: str
    mobile: str = ""
    email: str = ""
    away: tuple[Absence, ...] = ()

    def is_away(self, day: date) -> bool:
        """Whether somebody else stands in on this day."""
        return any(one.first <= day <= one.last for one in self.away)


_NOBODY = Person(name="", phone="")


class Roster(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who can be reached. ``hours`` (legal time, "24h" or "HH:MM-HH:MM") are those of ``phone``; outside them
    ``night_phone`` answers, and where there is none the superior's roster. Leaders and deputies take turns by the week,
    changing on Monday; who is away is passed over. ``mobile`` and ``email`` are the duty desk's own. ``posts`` names
    further roles ("unit-head", "platform-squad-leader" …) with those who hold them, first those to be asked first."""

    phone: str
    leaders: tuple[Person, ...]
    deputies: tuple[Person, ...]
    night_phone: str = ""
    hours: str = "24h"
    mobile: str = ""
    email: str = ""
    posts: dict[str, tuple[Person, ...]] = {}


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """Who is on duty at an instant; ``unit`` is whose roster it is (a superior's when the unit has nobody then). A name
    and a phone are empty where nobody stands on the roster."""

    unit: str
    phone: str
    leader: str
    leader_phone: str
    deputy: str
    deputy_phone: str


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """How a role is reached now. ``stands_in`` names the role that answers in place of the one meant, "" for itself."""

    name: str = ""
    phone: str = ""
    mobile: str = ""
    email: str = ""
    stands_in: str = ""

    @property
    def text_number(self) -> str:
        """Where text messages go; "" where there is no mobile (a fixed line takes none)."""
        return self.mobile or (self.phone if is_mobile(self.phone) else "")


DESK: Final = "duty-desk"
"""The desk itself: its telephone answers day and night, by whoever sits there."""

STANDS_IN: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "unit-duty-phone": (DESK,),
        "unit-desk": (DESK,),
        "duty-desk": (DESK,),
        "unit-duty-leader": ("unit-duty-leader", "unit-deputy"),
        "unit-deputy": ("unit-deputy", "unit-duty-leader"),
        "unit-lead": ("unit-lead", DESK),
        "unit-deputy-head": ("unit-deputy-head", "unit-deputy", "unit-duty-leader"),
        "unit-head": ("unit-head", "unit-deputy-head", "unit-duty-leader", "unit-deputy"),
        "platform-squad-leader": ("platform-squad-leader", "unit-duty-leader", "unit-deputy"),
        "platform-supervisor": ("platform-supervisor", "unit-duty-leader", "unit-deputy"),
    }
)
"""Who is asked for each role, in this order: the role itself, then those who stand in for it. Others: their post, then
the desk."""


def is_mobile(number: str) -> bool:
    """Whether text messages reach a number: mainland mobiles have eleven digits and begin with 1."""
    digits = number.removeprefix("+86")
    return len(digits) == 11 and digits.isdigit() and digits[0] == "1"


def duty_of(unit: str, roster: Roster, phone: str, at: datetime) -> Duty:
    """The duty of a roster at an aware instant, given the telephone that answers then."""
    leader = _with_stand_in(roster.leaders, roster.deputies, at)
    deputy = _with_stand_in(roster.deputies, roster.leaders, at)
    return Duty(
        unit=unit,
        phone=phone,
        leader=leader.name,
        leader_phone=leader.phone,
        deputy=deputy.name,
        deputy_phone=deputy.phone,
    )


def contact_of(role: str, own: Roster, answering: Roster, duty: Duty, at: datetime) -> Contact:
    """Who answers for a role.

    Args:
        own: the unit's roster, where its posts are; ``answering``: the one that ``duty`` comes from, which is a
            superior's when the unit has nobody at this hour.
    """
    for asked in STANDS_IN.get(role, (role, DESK)):
        if asked == DESK:
            return Contact(
                phone=duty.phone,
                mobile=answering.mobile,
                email=answering.email,
                stands_in=DESK if role not in ("unit-duty-phone", "unit-desk", "duty-desk") else "",
            )
        who = _holder(asked, own, answering, at)
        if who is not None:
            return Contact(
                name=who.name,
                phone=who.phone,
                mobile=who.mobile,
                email=who.email,
                stands_in=asked if asked != role else "",
            )
    return Contact()


def _holder(role: str, own: Roster, answering: Roster, at: datetime) -> Person | None:
    if role == "unit-duty-leader":
        return _on_turn(answering.leaders, at)
    if role == "unit-deputy":
        return _on_turn(answering.deputies, at)
    day = at.astimezone(_LEGAL).date()
    return next((who for who in own.posts.get(role, ()) if not who.is_away(day)), None)


def _on_turn(people: tuple[Person, ...], at: datetime) -> Person | None:
    """Whose week it is, or the next of those who are there; None when all are away."""
    day = at.astimezone(_LEGAL).date()
    week = (day.toordinal() - 1) // 7  # day 1 was a Monday
    turns = (people[(week + step) % len(people)] for step in range(len(people)))
    return next((who for who in turns if not who.is_away(day)), None)


def _with_stand_in(people: tuple[Person, ...], others: tuple[Person, ...], at: datetime) -> Person:
    """Whose turn it is, or one of the others where all are away; nobody where nobody was ever named."""
    if not people:
        return _NOBODY
    return _on_turn(people, at) or _on_turn(others, at) or _NOBODY


def phone_at(roster: Roster, at: datetime) -> str:
    """The duty telephone that answers at an aware instant, "" where none does at this hour."""
    hours = _hours(roster.hours)
    if hours is None:
        return roster.phone
    opens, closes = hours
    clock = at.astimezone(_LEGAL).time()
    inside = opens <= clock < closes if opens < closes else clock >= opens or clock < closes
    return roster.phone if inside else roster.night_phone


def _hours(hours: str) -> tuple[time, time] | None:
    """None for "24h". Raises ValueError for what is no span of hours."""
    if hours == "24h":
        return None
    opens, closes = (time.fromisoformat(part) for part in hours.split("-"))
    if opens == closes or opens.tzinfo or closes.tzinfo:
        raise ValueError(hours)
    return opens, closes


def roster_faults(where: str, roster: Roster) -> list[DataFault]:
    """Every fault of one roster."""
    faults: list[DataFault] = []
    if not roster.phone:
        faults.append(DataFault(where, "roster.phone", "", "give the duty phone; an urgent case rings it"))
    for field, people in (("roster.leaders", roster.leaders), ("roster.deputies", roster.deputies)):
        if not people:
            faults.append(
                DataFault(where, field, [], "name at least one; the duty ladder ends with a person")
            )
        faults.extend(_people_faults(where, field, people))
    for role, people in roster.posts.items():
        if not role.startswith(("unit-", "platform-")):
            faults.append(DataFault(where, "roster.posts", role, "name a role such as unit-head"))
        faults.extend(_people_faults(where, f"roster.posts.{role}", people))
    if roster.mobile and not is_mobile(roster.mobile):
        faults.append(DataFault(where, "roster.mobile", roster.mobile, "eleven digits beginning with 1"))
    if roster.email and not _is_email(roster.email):
        faults.append(DataFault(where, "roster.email", roster.email, "an address such as duty@example.cn"))
    try:
        _hours(roster.hours)
    except ValueError:
        faults.append(DataFault(where, "roster.hours", roster.hours, '"24h" or "HH:MM-HH:MM" in legal time'))
    return faults


def _people_faults(where: str, field: str, people: Iterable[Person]) -> list[DataFault]:
    faults: list[DataFault] = []
    for who in people:
        if not who.phone:
            faults.append(DataFault(where, field, who.name, "give a phone"))
        if who.mobile and not is_mobile(who.mobile):
            faults.append(DataFault(where, field, who.mobile, "a mobile has eleven digits beginning with 1"))
        if who.email and not _is_email(who.email):
            faults.append(DataFault(where, field, who.email, "an address such as name@example.cn"))
        faults.extend(
            DataFault(where, field, f"{one.first}/{one.last}", "the last day lies before the first")
            for one in who.away
            if one.last < one.first
        )
    return faults


def _is_email(text: str) -> bool:
    name, at, host = text.partition("@")
    return bool(name and at and "." in host) and text.isascii() and text.isprintable() and " " not in text
