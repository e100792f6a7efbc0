"""What a judgement says: the ruling on one call or message, and the hints that a desk may give with it."""

from enum import StrEnum

import msgspec


class Line(StrEnum):
    """The line that asks: a ruling is read from where the caller is."""

    hotline = "12345"
    police = "110"


class Decision(StrEnum):
    """What the asking line should do now (the plan, III.3)."""

    accept = "accept"
    transfer = "transfer"
    hand_over = "hand_over"
    dual = "dual"
    three_way = "three_way"
    guide = "guide"
    human = "human"


class Urgency(StrEnum):
    """Class of the time limit (the plan, III.4.4); `joint` is a matter of several departments."""

    urgent = "urgent"
    general = "general"
    complex = "complex"
    joint = "joint"


class Evidence(msgspec.Struct, frozen=True):
    """A span of the given text, `text[start:end]`, and the fact that it was read as."""

    start: int
    end: int
    words: str
    fact: str


class Hints(msgspec.Struct, frozen=True, kw_only=True):
    """What the desk knows beside the words.

    `caller_division` is what the caller said, never the home area of a mobile. `silent` means that nobody
    spoke, `cut_off` that the line broke in the middle of a report, `caller_gone` that no transfer or
    three-way call is possible any more, `distress_sound` that screams, blows or weeping were heard and
    `earlier_risk` that the number or the place has a history of danger.
    """

    caller_division: str = ""
    channel: str = ""
    silent: bool = False
    cut_off: bool = False
    caller_gone: bool = False
    distress_sound: bool = False
    earlier_risk: bool = False


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """One judgement with its reasons.

    `platform` is the line that should own the matter: 110, 12345, 119, 120, 122, other or none. `receiver`
    is filled by the caller from the directory. `also` names further lines to dispatch or tell in parallel
    (`utility:gas` and the like are duty desks). `decision` is relative to the asking line. `item`, `clause`
    and `layer` name what decided, `list_version` is the digest of the rulebook. `owners` are kinds of units.
    `confidence` (0 to 1) is about the platform. `about_unit` is the kind of unit complained of, which must
    neither get nor see the case.
    """

    platform: str
    receiver: str
    also: tuple[str, ...]
    danger: bool
    police_urgent: bool
    decision: Decision
    item: str
    clause: str
    layer: str
    list_version: str
    evidence: tuple[Evidence, ...]
    category: str
    kind: str
    urgency: Urgency
    owners: tuple[str, ...]
    contested: bool
    confidence: float
    reason: str
    guidance: str
    points: tuple[str, ...]
    confidential: bool
    anonymous: bool
    about_unit: str
