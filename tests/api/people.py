"""The packaged releases, and people of the demonstration's organisation who ask the API."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from dispatcher.domain.library import Library
from dispatcher.domain.stream import Actor, Role
from dispatcher.releases import build_library
from dispatcher.settings import load_settings

HOTLINE = "12345-630100"
"""Xining's 12345."""


@cache
def library() -> Library:
    """The packaged releases with the demonstration's organisation, compiled once a session."""
    return build_library(load_settings(None, {}, folder=Path("/nonexistent")).data, "630000")


def agent(platform: str = HOTLINE) -> Actor:
    """An agent of a platform who may also lead a squad there, so that one actor can run a case."""
    role = Role.AGENT_110 if platform.startswith("110") else Role.AGENT_12345
    return Actor(
        id=f"agent@{platform}", roles=(role, Role.SQUAD_LEADER), platform=platform, division=platform[-6:]
    )


def supervisor(platform: str = HOTLINE) -> Actor:
    """A supervisor of a platform."""
    return Actor(
        id=f"supervisor@{platform}", roles=(Role.SUPERVISOR,), platform=platform, division=platform[-6:]
    )


def clerk(unit: str) -> Actor:
    """A clerk of a unit who may also sign for its lead."""
    division = library().organisation.unit(unit).division
    return Actor(id=f"clerk@{unit}", roles=(Role.CLERK, Role.LEAD), unit=unit, division=division)


def unit_of(kind: str, division: str = "630102") -> str:
    """The code of the unit of this kind that answers for a division."""
    unit = library().organisation.resolve(kind, division)
    assert unit is not None, f"no {kind} for {division}"
    return unit.code
