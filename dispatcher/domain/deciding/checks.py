"""Checks that several decisions share: words, codes, times. Each refusal names field, value and remedy."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from dispatcher.domain.authority import is_about
from dispatcher.domain.draft import Draft
from dispatcher.domain.errors import AgainstRule, BadField
from dispatcher.domain.stream import Command
from dispatcher.domain.values import Line
from routing_rules.organisation import Rank, Unit

MOST_WORDS = 20_000
"""Characters in one text; a longer letter belongs into an attachment."""
SKEW = timedelta(minutes=2)
OLDEST = datetime(2000, 1, 1, tzinfo=UTC)
"""No case is older: neither line kept records like these, and no calendar reaches there."""
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def words(field: str, value: str, *, needed: bool = True, most: int = MOST_WORDS) -> str:
    """The text, or a refusal when it is empty, too long or holds what no database keeps."""
    if needed and not value.strip():
        raise BadField("{field} must not be empty.", field=field, remedy="say it in words")
    if len(value) > most:
        raise BadField(
            "{field} is too long.",
            field=field,
            value=f"{len(value)} characters",
            remedy=f"at most {most} characters",
        )
    found = _CONTROL.search(value)
    if found is not None:
        raise BadField(
            "{field} holds a control character.",
            field=field,
            value=f"U+{ord(found[0]):04X} at {found.start()}",
            remedy="leave control characters out",
        )
    return value


_LONG = frozenset({"words", "reason", "title", "items", "basis", "door"})
MOST_CODE = 200
"""Characters in a code, number, name or address; words have a measure of their own."""


def plain(command: Command) -> None:
    """No text of a command holds what no database keeps, and no code is of an absurd length."""
    for field in command.__struct_fields__:
        value = getattr(command, field)
        if type(value) is str:
            if (
                len(value) > MOST_CODE or not value.isprintable()
            ):  # most are short and plain: the fast way past
                _plain(field, value)
        elif type(value) is tuple:
            for one in value:
                if isinstance(one, str):
                    _plain(field, one)


def _plain(field: str, value: str) -> None:
    words(field, value, needed=False, most=MOST_WORDS if field in _LONG else MOST_CODE)


def instant(field: str, value: datetime, draft: Draft) -> datetime:
    """An aware instant that is not in the future."""
    if value.tzinfo is None:
        raise BadField(
            "{field} has no time zone.",
            field=field,
            value=value.isoformat(),
            remedy="add the offset, for example +08:00",
        )
    if value < OLDEST:
        raise BadField(
            "{field} lies before all records.",
            field=field,
            value=value.isoformat(),
            remedy="give an instant after 2000",
        )
    if value > draft.now + SKEW:
        raise BadField(
            "{field} lies in the future.",
            field=field,
            value=value.isoformat(),
            remedy="give an instant that has been",
        )
    return value


def division(field: str, value: str, draft: Draft) -> str:
    """A GB/T 2260 code that the gazetteer knows; empty means unknown place."""
    if value and not draft.library.places.knows(value):
        raise BadField(
            "There is no division {value}.",
            value=value,
            field=field,
            remedy="give a GB/T 2260 code such as 630102, or leave it empty",
        )
    return value


def platform(field: str, value: str, draft: Draft) -> str:
    """A platform of the directory."""
    if draft.library.directory.platform(value) is None:
        raise BadField(
            "There is no platform {value}.",
            value=value,
            field=field,
            remedy="give a platform id such as 12345-630100",
        )
    return value


def other_platform(field: str, value: str, draft: Draft) -> str:
    """A platform that is not the case's own."""
    platform(field, value, draft)
    if value == draft.case.platform:
        raise BadField(
            "The case is already with {value}.", value=value, field=field, remedy="name another platform"
        )
    return value


def unit(field: str, code: str, draft: Draft, *, duty_item: str = "") -> Unit:
    """A unit that may get the case: known, not complained of, and for townships with a duty-list item."""
    found = draft.library.unit(code)
    if found is None:
        raise BadField(
            "There is no unit {value}.",
            value=code,
            field=field,
            remedy="give a GB 32100 code of the organisation",
        )
    if is_about(draft.case, code, draft.library):
        raise AgainstRule(
            "The case is about this unit or one above it.",
            field=field,
            value=code,
            remedy="give it to the superior or to supervision",
        )
    if is_township(found) and not duty_item.strip():
        raise AgainstRule(
            "A township gets a case only under an item of its duty list.",
            field="duty_item",
            value="",
            remedy="cite the duty-list item (国办函〔2025〕66号)",
        )
    return found


def is_township(unit: Unit) -> bool:
    """A township or village: by its nine or twelve digits, or a government below the county's."""
    return len(unit.division) > 6 or (unit.kind == "government" and unit.rank is not Rank.DEPARTMENT)


def hotline_only(draft: Draft, name: str) -> None:
    """Departments work on 12345's orders only."""
    if draft.case.line != Line.HOTLINE:
        raise AgainstRule(
            "{command} is for work orders of 12345.",
            command=name,
            field="case",
            value=draft.case.number,
            remedy="hand the matter over to 12345 first",
        )


def not_danger(draft: Draft, name: str) -> None:
    """Software and single desks never end a danger case early."""
    if draft.case.matter.danger:
        raise AgainstRule(
            "{command} is never for danger.",
            command=name,
            field="case",
            value=draft.case.number,
            remedy="deal with the danger first",
        )
