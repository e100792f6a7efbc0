"""What comes round: meetings, bulletins, duty. Rules are iCalendar's (RFC 5545 RRULE), read by python-dateutil.

Dates are legal dates in China; no zone is needed, for China keeps no summer time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time
from functools import lru_cache
from typing import Final

import msgspec
from dateutil.rrule import rruleset, rrulestr

_FIRST: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - legal dates; a rule counts its intervals from here


class Meeting(msgspec.Struct, frozen=True, kw_only=True):
    """A date that comes round: ``rule`` says when, ``at`` is wall-clock. One on a day of rest is held on the next
    working day."""

    id: str
    name: str
    source: str
    rule: str
    at: time


def fault_of(rule: str) -> str:
    """What is wrong with a rule; empty when nothing is."""
    if "DTSTART" in rule.upper() or "\n" in rule:
        return "give the RRULE alone, e.g. FREQ=MONTHLY;BYMONTH=3,6,9,12;BYMONTHDAY=25"
    try:
        first = next(dates(rule, date(2026, 1, 1)), None)
    except (ValueError, TypeError, AttributeError) as err:
        return f"is no recurrence rule ({err}); e.g. FREQ=MONTHLY;BYMONTH=3,6,9,12;BYMONTHDAY=25"
    if first is None:
        return "never comes round from 2026 on"
    return ""


def dates(rule: str, after: date) -> Iterator[date]:
    """The days of a rule later than ``after``, without end unless the rule has one.

    Raises:
        ValueError: it is no rule.
    """
    start = datetime.combine(after, time.max)
    for found in _compiled(rule).xafter(start):
        yield found.date()


@lru_cache(maxsize=64)
def _compiled(rule: str) -> rruleset:
    return rrulestr(rule, dtstart=_FIRST, forceset=True, cache=False)
