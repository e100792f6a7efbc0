"""The words of the screens: each in both languages, Simplified Chinese first."""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

from dispatcher.domain.values import Stage
from dispatcher.languages import CHINESE, catalogue

STAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        Stage.RECEIVED: "To be ruled",
        Stage.RULED: "To be assigned",
        Stage.TRANSFERRED: "Transferring",
        Stage.PASSED: "Passed on",
        Stage.HANDED_OVER: "Handed over",
        Stage.OFFERED: "To be claimed",
        Stage.ASSIGNED: "To be signed for",
        Stage.SIGNED: "In hand",
        Stage.PAUSED: "Paused",
        Stage.RETURNING: "Return asked",
        Stage.ADJUDICATING: "To be adjudicated",
        Stage.REPLIED: "To be approved",
        Stage.APPROVED: "To be delivered",
        Stage.DELIVERED: "To be closed",
        Stage.ANSWERED: "Answered",
        Stage.GUIDED: "Guided",
        Stage.POLICE_RECEIVED: "Police: received",
        Stage.UNIT_SENT: "Police: unit sent",
        Stage.ARRIVED: "Police: arrived",
        Stage.FED_BACK: "Police: fed back",
        Stage.FOLLOWING: "Follows another",
        Stage.CLOSED: "To be called back",
        Stage.CALLED_BACK: "Called back",
        Stage.ARCHIVED: "Archived",
        Stage.MERGED: "Merged",
        Stage.WITHDRAWN: "Withdrawn",
    }
)
"""The English of each stage (message context "stage")."""

CLOCKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "total": "Total",
        "hand-over": "Hand over",
        "passing": "Pass on",
        "transfer": "Transfer",
        "assign": "Assign",
        "claim": "Claim",
        "sign": "Sign for",
        "return": "Return",
        "handle": "Reply",
        "sub": "Sub-assignment",
        "return-decision": "Decide return",
        "adjudicate": "Adjudicate",
        "extension": "Decide extension",
        "pause": "Pause",
        "pause-decision": "Decide pause",
        "approve": "Approve",
        "deliver": "Deliver",
        "close": "Close",
        "callback": "Call back",
        "verify-rating": "Verify rating",
        "consultation": "Consultation",
        "archive": "Archive",
        "dispatch": "Send a unit",
    }
)
"""The English of each clock of the factory policy (message context "clock"); others show their policy's name."""

LAMPS: Final[Mapping[str, str]] = MappingProxyType({"red": "Red", "amber": "Amber", "": "Normal"})

TIME: Final[Mapping[str, str]] = MappingProxyType(
    {
        "late": "{t} late",
        "left": "{t} left",
        "days": "{d} d {h} h",
        "long": "{h} h",
        "hours": "{h} h {min} min",
        "minutes": "{min} min {s} s",
        "due": "{month}/{day} {time}",
    }
)
LINK: Final[Mapping[str, str]] = MappingProxyType(
    {
        "live": "Live",
        "paused": "Paused",
        "lost": "Disconnected, trying again",
        "pause": "Pause updates (Alt+P)",
        "resume": "Resume updates (Alt+P)",
        "changed": "{red} red, {amber} amber",
    }
)
MARKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "danger": "Danger",
        "reflow": "Re-flow",
        "natural": "clock time",
        "working": "working time",
        "level": "Rung {level} of 4",
        "none": "no rung yet",
        "untitled": "(no title)",
    }
)


class Words:
    """The words of one language; an entry that no catalogue has stays English."""

    def __init__(self, language: str, translations: gettext.NullTranslations) -> None:
        self.language = language
        self.translations = translations

    def __call__(self, message: str) -> str:
        return self.translations.gettext(message)

    def of(self, context: str, message: str) -> str:
        """A word whose meaning hangs on where it stands (督办 is a place and an action)."""
        return self.translations.pgettext(context, message)

    def stage(self, stage: str) -> str:
        """What a stage is called."""
        return self.of("stage", STAGES[stage]) if stage in STAGES else stage

    def clock(self, clock: str) -> str:
        """What a clock is called."""
        return self.of("clock", CLOCKS[clock]) if clock in CLOCKS else clock

    def lamp(self, lamp: str) -> str:
        """What a lamp is called."""
        return self.of("lamp", LAMPS.get(lamp, lamp))

    def for_script(self) -> dict[str, str]:
        """All that the page's own script needs, by dotted key."""
        found = {f"stage.{key}": self.of("stage", word) for key, word in STAGES.items()}
        found |= {f"clock.{key}": self.of("clock", word) for key, word in CLOCKS.items()}
        found |= {f"lamp.{key}": self.of("lamp", word) for key, word in LAMPS.items()}
        found |= {f"time.{key}": self.of("time", word) for key, word in TIME.items()}
        found |= {f"link.{key}": self.of("link", word) for key, word in LINK.items()}
        return found | {f"mark.{key}": self.of("mark", word) for key, word in MARKS.items()}


@cache
def words_in(language: str) -> Words:
    """The words of a language ("zh-CN", else English)."""
    if language != CHINESE:
        return Words(language, gettext.NullTranslations())
    po = resources.files("dashboards").joinpath("locale", "zh_CN", "dashboards.po").read_bytes()
    return Words(language, catalogue(po))
