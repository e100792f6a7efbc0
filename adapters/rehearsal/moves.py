"""What an acting citizen, desk or department means to do next, and the people who do it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from dispatcher.domain.case import Case
from dispatcher.domain.stream import Actor, Command, Role


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One command that an actor will send at ``at`` (aware), unless the case looks different by then."""

    at: datetime
    command: Command
    actor: Actor


def situation(case: Case) -> tuple[object, ...]:
    """What an actor looks at. While it stays the same (a clock ticking on changes nothing), so does the plan."""
    return (
        case.stage,
        case.human,
        case.matter.platform,
        case.matter.danger,
        case.lead,
        len(case.offered),
        len(case.returns),
        case.contacts > 0,
        tuple((tier.unit, tier.signed is not None, tier.replied is not None) for tier in case.tiers),
        case.extension_pending is not None,
        len(case.extensions),
        case.pause_pending is not None,
        len(case.pauses),
        bool(case.proposed_by),
        case.callbacks,
        case.callback_due,
        case.contested_rating,
        case.rating is not None and case.rating.verified,
        case.redos,
        len(case.peers),
        case.consult,
        len(case.hops),
    )


def region_of(platform: str) -> str:
    """The division of a platform id ("12345-630100" → "630100")."""
    return platform.partition("-")[2]


def agent(platform: str) -> Actor:
    """Somebody at the desk of a platform."""
    role = Role.AGENT_110 if platform.startswith("110-") else Role.AGENT_12345
    return Actor(id=f"agent@{platform}", roles=(role,), platform=platform, division=region_of(platform))


def chief(platform: str) -> Actor:
    """The supervisor of a platform: approves, adjudicates, designates."""
    roles = (Role.SUPERVISOR, Role.SQUAD_LEADER)
    return Actor(id=f"supervisor@{platform}", roles=roles, platform=platform, division=region_of(platform))


def inspector(platform: str) -> Actor:
    """Who calls back and verifies ratings."""
    return Actor(
        id=f"quality@{platform}", roles=(Role.QUALITY,), platform=platform, division=region_of(platform)
    )


def clerk(unit: str) -> Actor:
    """Somebody of a unit, who signs, contacts, replies."""
    return Actor(id=f"clerk@{unit}", roles=(Role.CLERK, Role.LEAD), unit=unit)


def cad(platform: str) -> Actor:
    """The police command system that Liandong mirrors."""
    return Actor(id=f"cad@{platform}", roles=(Role.PEER,), platform=platform, division=region_of(platform))
