"""The words of notices: what each template says, in both languages. Places in braces are filled after translation."""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

from dispatcher.languages import CHINESE, LANGUAGES, catalogue

NOTIFY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "assigned": "Case {number} is assigned to you. Please sign for it.",
        "asked-to-help": "Case {number}: please help its lead unit.",
        "claim-offered": "Case {number}: is it yours? Please claim it or say no.",
        "guard-hazard": "Case {number}: please guard the hazard until its owner is found.",
        "sub-assigned": "Case {number} is sub-assigned to you. Please sign for it.",
        "sub-replied": "Case {number}: the lower unit has replied.",
        "sub-reply-sent-back": "Case {number}: the upper unit sent your reply back.",
        "return-asked": "Case {number}: the unit asks to return it.",
        "extension-asked": "Case {number}: the unit asks for more time.",
        "pause-asked": "Case {number}: the unit asks for a pause.",
        "reply-submitted": "Case {number}: a reply waits for approval.",
        "adjudication-due": "Case {number} must be adjudicated.",
        "return-refused": "Case {number}: the return was refused; it stays with you.",
        "reply-sent-back": "Case {number}: the reply was sent back; your time runs on.",
        "extension-decided": "Case {number}: your request for more time was decided.",
        "pause-refused": "Case {number}: the pause was refused.",
        "case-resumed": "Case {number} runs again.",
        "case-urged": "Case {number} is urged.",
        "case-supervised": "Case {number} is under supervision.",
        "danger-raised": "Case {number}: danger became known. Act now.",
        "transfer-failed": "Case {number}: the transfer failed; it is yours again.",
        "hand-over-failed": "Case {number}: the hand-over failed; it is yours again.",
        "rung-empty": "Case {number}: a step of its ladder reaches nobody; the next one does not wait.",
        "peer-result": "Case {number}: the other platform reports its result.",
        "reflow-seen": "Case {number} flowed back to who had it before. Settle it in a three-way call.",
        "redo": "Case {number} is to be done again.",
        "deadline-repaired": "Case {number}: a deadline row was not what the log says and was put back. Find out why.",
        "deadline-quarantined": "Case {number}: a deadline could not be settled and was set aside. Look at once.",
        "repeat-seen": "Case {number}: the same number has called about this before, more than once.",
        "surge-seen": "Case {number}: many people report this one event. See its related cases.",
        "rating-contested": "Case {number}: a bad rating is to be verified.",
    }
)
"""Notices to units and platforms (message context "notify")."""

AMBER: Final = 'Case {number}: the limit "{clock}" comes near.'
LIMIT: Final = 'Case {number}: the limit "{clock}" has passed. {rung}'
RUNG: Final = 'Case {number}: the limit "{clock}" has passed; the ladder is at rung {level}: {rung}.'
OTHER: Final = "Case {number}: {template}."

CITIZEN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "extended": "Your request {number} needs more time. You will be told the new date.",
        "extension-pending": "Your request {number} may take longer than the date you were told. You will hear by noon of "
        "the next working day.",
        "material-needed": "Your request {number} needs material from you. Please call back.",
        "reply-ready": "Your request {number} has been dealt with: {said}",
        "closed": "Your request {number} is closed. Thank you for your patience.",
        "late-apology": "Your request {number} is late, and we apologise. It is being urged.",
    }
)
"""Messages to citizens (message context "citizen")."""

NEUTRAL: Final = "Something you asked about has news. Please call back when it suits you."
"""Says neither who writes nor what about: somebody else may read it."""

ALERT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "line": "Danger, case {number}: line {line} is asked to act in parallel. Details by telephone.",
        "utility": "Danger, case {number}: duty desk {line}, please act. Details by telephone.",
    }
)
SUBJECTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "notify": "Liandong: case {number}",
        "tell-citizen": "Your request {number}",
        "alert-line": "Danger: case {number}",
    }
)


SMS: Final = "[{sign}] {body}"
"""A text message, its sender first (mainland gateways refuse one without)."""
PHONE: Final = "This is {sign}. {body} I repeat: {body} Press {key} to confirm that you heard this."
"""What is read to whoever answers the duty telephone."""
SPOKEN_NUMBER: Final = "number {count} of {year}"
"""A case number as it is said aloud."""
CUT: Final = "{body}… Ask at {line} for the rest."
"""A message too long for its channel says so."""
CHANNEL_WORDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"sms": (SMS, CUT), "phone": (PHONE, SPOKEN_NUMBER)}
)
"""What a channel puts around the words of a template (message context: the channel)."""


class Language:
    """One language's words."""

    def __init__(self, tag: str, translations: gettext.NullTranslations) -> None:
        self.tag = tag
        self._translations = translations

    def say(self, context: str, message: str, **places: str) -> str:
        """The message in this language, its places filled."""
        return self._translations.pgettext(context, message).format(**places)


def language_of(tag: str) -> Language:
    """The words of one language. Raises KeyError for a tag that there is none of."""
    return {one.tag: one for one in languages()}[tag]


@cache
def languages() -> tuple[Language, ...]:
    """Both languages, Simplified Chinese first."""
    po = resources.files("adapters").joinpath("notice", "locale", "zh_CN", "notice.po").read_bytes()
    return tuple(
        Language(tag, catalogue(po) if tag == CHINESE else gettext.NullTranslations()) for tag in LANGUAGES
    )
