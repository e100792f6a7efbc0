"""The releases that tests of the domain decide under: everything packaged, with the demonstration organisation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path

from dispatcher.data_files import packaged_files
from dispatcher.domain.ladders import LEGAL
from dispatcher.domain.library import Library
from dispatcher.domain.stream import Actor, Role
from dispatcher.domain.worktime import Calendars
from dispatcher.releases import build_library
from dispatcher.settings import Data
from routing_rules.calendar_files import load_calendars
from routing_rules.organisation import Organisation, Person, Roster, Unit
from routing_rules.policy import Policy

HOME = "630000"
HOTLINE, POLICE = "12345-630100", "110-630102"
"""Xining's 12345 and the 110 of Chengdong in it."""


@cache
def library() -> Library:
    """The packaged releases with the demonstration organisation, compiled once a session."""
    folders = (
        "lists",
        "lexicon",
        "calendars",
        "places",
        "directory",
        "organisation",
        "policy",
        "notices",
        "duplicates",
        "cache",
    )
    return build_library(Data(**dict.fromkeys(folders), model=Path("no-model")), HOME)


def with_rosters(**rosters: Roster) -> Library:
    """The same library, but units by code (as ``u`` + code) have these rosters."""
    whole = library()
    units = [
        Unit(
            code=unit.code,
            name=unit.name,
            kind=unit.kind,
            division=unit.division,
            roster=rosters.get(f"u{unit.code}", unit.roster),
            parent=unit.parent,
            platform=unit.platform,
            rank=unit.rank,
        )
        for unit in whole.organisation.units()
    ]
    return Library(
        book=whole.book,
        policies=(whole.policy,),
        calendars=whole.calendars,
        organisation=Organisation(units, whole.places),
        directory=whole.directory,
        places=whole.places,
    )


NOTICE = Path(__file__).parents[2] / "docs" / "examples" / "notice-2027-example.toml"
"""An invented notice for 2027, as the documents show it."""


def with_calendars(files: Mapping[str, bytes], *policies: Policy) -> Library:
    """The same library under other calendar files, and knowing these policies too (the last one is in force)."""
    whole = library()
    return Library(
        book=whole.book,
        policies=(whole.policy, *policies),
        calendars=Calendars(load_calendars(files)),
        organisation=whole.organisation,
        directory=whole.directory,
        places=whole.places,
        notices=whole.notices,
        duplicates=whole.duplicates,
    )


@cache
def with_notice() -> Library:
    """The same library once the example notice for 2027 is in."""
    return with_calendars({**packaged_files("calendars"), NOTICE.name: NOTICE.read_bytes()})


def leaders_only(roster: Roster) -> Roster:
    """A roster on which no deputy stands."""
    return Roster(phone=roster.phone, leaders=roster.leaders, deputies=())


def someone(name: str, phone: str = "0971-5559999") -> Person:
    """A person on a roster."""
    return Person(name=name, phone=phone)


def unit(kind: str, division: str = "630102") -> str:
    """The code of the department of a kind in a division."""
    found = library().organisation.resolve(kind, division)
    assert found is not None, f"the demonstration has no {kind} in {division}"
    return found.code


def at(words: str) -> datetime:
    """An instant of legal time: "2026-03-02 10:00"."""
    return datetime.fromisoformat(words).replace(tzinfo=LEGAL)


def staff(platform: str, *roles: Role, name: str = "") -> Actor:
    """Somebody at a platform."""
    return Actor(
        id=name or f"{roles[0].value}@{platform}", roles=roles, platform=platform, division=platform[-6:]
    )


def clerk(code: str) -> Actor:
    """A clerk of a unit."""
    return Actor(
        id=f"clerk@{code}",
        roles=(Role.CLERK, Role.LEAD),
        unit=code,
        division=library().organisation.unit(code).division,
    )


AGENT = staff(HOTLINE, Role.AGENT_12345)
LEADER = staff(HOTLINE, Role.SQUAD_LEADER)
SUPERVISOR = staff(HOTLINE, Role.SUPERVISOR)
POLICE_AGENT = staff(POLICE, Role.AGENT_110)
AUDITOR = Actor(id="auditor", roles=(Role.AUDIT_ADMIN,), division=HOME)
