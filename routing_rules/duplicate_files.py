"""Files about repeats and events (TOML) → `DuplicateRules`; every fault of every file at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import msgspec

from routing_rules.duplicates import DuplicateRules, EventRule, RepeatRule
from routing_rules.strict import DataFault, read_row, refuse, tables_of

SCHEMA: Final = "duplicates-1"
_DURATION: Final = re.compile(r"(\d+)(min|h|d)")
_UNIT: Final = {"min": "minutes", "h": "hours", "d": "days"}
_LONGEST: Final = timedelta(days=31)
_UTILITIES: Final = ("heating", "water", "power", "gas", "elevator")
_LINES: Final = ("12345", "110")


class _RepeatRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    line: str
    categories: tuple[str, ...] = ()
    supplement: str = ""
    within: str = ""
    after_closing_days: int | None = None
    urgent_from: int = 0


class _EventRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    name: str
    within: str
    surge: tuple[int, ...]
    surge_within: str
    categories: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    danger: bool = False
    crowd: bool = False
    area: bool = False
    tell: tuple[str, ...] = ()


def compile_duplicates(files: Mapping[str, bytes]) -> DuplicateRules:
    """Read files (name → TOML bytes). Raises an ExceptionGroup of DataFault naming every fault of every file."""
    faults: list[DataFault] = []
    words: dict[str, tuple[str, ...]] = {"idle": (), "vague": (), "landmarks": ()}
    suggest: list[float] = []
    repeats: list[RepeatRule] = []
    events: list[EventRule] = []
    shape: dict[str, type] = {"schema": str, "suggest": float, "repeat": list, "event": list}
    for name, content in sorted(files.items()):
        # the lists of words come as they are: `tables_of` would number each word as if it were a row
        rows = tables_of(name, content, shape | dict.fromkeys(words, list), faults)
        if [value for _, value in rows["schema"]] != [SCHEMA]:
            found = [value for _, value in rows["schema"]]
            faults.append(DataFault(name, "schema", found, f'write schema = "{SCHEMA}"'))
        for where, value in rows["suggest"]:
            if not 0 < value <= 1:
                faults.append(DataFault(where, "suggest", value, "a number above 0, at most 1"))
            suggest.append(value)
        for key in words:
            given = [(where, word) for where, word in rows[key]]
            faults.extend(
                DataFault(where, key, word, "write words in quotes, none of them empty")
                for where, word in given
                if not isinstance(word, str) or not word.strip()
            )
            words[key] += tuple(word for _, word in given if isinstance(word, str) and word.strip())
        for where, row in rows["repeat"]:
            if (read := read_row(_RepeatRow, row, where, faults)) is not None:
                repeats.append(_repeat(where, read, repeats, faults))
        for where, row in rows["event"]:
            if (one := read_row(_EventRow, row, where, faults)) is not None:
                events.append(_event(where, one, events, faults))
    if len(suggest) != 1:
        faults.append(DataFault("duplicates", "suggest", suggest, "give it once, such as suggest = 0.5"))
    faults.extend(
        DataFault("duplicates", "repeat", line, "needs a row for all categories of this line")
        for line in _LINES
        if not any(rule.line == line and not rule.categories for rule in repeats)
    )
    if not events or not events[-1].fits_all:
        faults.append(
            DataFault("duplicates", "event", [rule.id for rule in events], "the last must fit everything")
        )
    refuse("duplicate rules", faults)
    return DuplicateRules(suggest=suggest[0], repeats=tuple(repeats), events=tuple(events), **words)


def _repeat(where: str, row: _RepeatRow, earlier: list[RepeatRule], faults: list[DataFault]) -> RepeatRule:
    if row.line not in _LINES:
        faults.append(DataFault(where, "line", row.line, f"lines are {', '.join(_LINES)}"))
    if any(rule.line == row.line and not rule.categories for rule in earlier):
        faults.append(
            DataFault(where, "line", row.line, "an earlier row takes it; this one is never reached")
        )
    if (row.within == "") == (row.after_closing_days is None):
        faults.append(
            DataFault(where, "within", row.within, "give either within or after_closing_days, one of them")
        )
    if row.after_closing_days is not None and not 0 <= row.after_closing_days <= 400:
        faults.append(
            DataFault(where, "after_closing_days", row.after_closing_days, "must lie between 0 and 400")
        )
    if row.urgent_from != 0 and row.urgent_from < 2:
        faults.append(DataFault(where, "urgent_from", row.urgent_from, "2 or more, or 0 for never"))
    supplement = _duration(where, "supplement", row.supplement, faults) if row.supplement else timedelta()
    within = _duration(where, "within", row.within, faults) if row.within else None
    if within is not None and supplement > within:
        faults.append(DataFault(where, "supplement", row.supplement, "must not be longer than within"))
    return RepeatRule(
        line=row.line,
        categories=row.categories,
        supplement=supplement,
        within=within,
        after_closing=timedelta(days=row.after_closing_days) if row.after_closing_days is not None else None,
        urgent_from=row.urgent_from,
    )


def _event(where: str, row: _EventRow, earlier: list[EventRule], faults: list[DataFault]) -> EventRule:
    where = f"{where} ({row.id})"
    if any(rule.id == row.id for rule in earlier):
        faults.append(DataFault(where, "id", row.id, "is used twice; ids are unique"))
    if any(rule.fits_all for rule in earlier):
        faults.append(
            DataFault(where, "id", row.id, "an earlier row fits everything; this one is never reached")
        )
    if not row.surge or list(row.surge) != sorted(set(row.surge)) or row.surge[0] < 3:
        faults.append(
            DataFault(where, "surge", list(row.surge), "rising sizes from 3 up, such as [5, 20, 50]")
        )
    for line in row.tell:
        kind, _, utility = line.partition(":")
        if line == "110":
            if not (row.danger or row.crowd):
                remedy = "110 hears of surges of danger or crowds only: set danger or crowd, or leave it out"
                faults.append(DataFault(where, "tell", line, remedy))
        elif kind != "utility" or utility not in _UTILITIES:
            known = ", ".join(f"utility:{one}" for one in _UTILITIES)
            faults.append(DataFault(where, "tell", line, f"write 110 or one of {known}"))
    within = _duration(where, "within", row.within, faults)
    surge_within = _duration(where, "surge_within", row.surge_within, faults)
    if surge_within > within:
        faults.append(DataFault(where, "surge_within", row.surge_within, "must not be longer than within"))
    return EventRule(
        id=row.id,
        name=row.name,
        within=within,
        surge=row.surge,
        surge_within=surge_within,
        categories=row.categories,
        words=row.words,
        danger=row.danger,
        crowd=row.crowd,
        area=row.area,
        tell=row.tell,
    )


def _duration(where: str, field: str, words: str, faults: list[DataFault]) -> timedelta:
    found = _DURATION.fullmatch(words)
    length = timedelta(**{_UNIT[found[2]]: int(found[1])}) if found is not None else timedelta()
    if not timedelta() < length <= _LONGEST:
        faults.append(
            DataFault(where, field, words, 'write a duration such as "8min", "24h" or "7d", at most 31 days')
        )
        return timedelta(hours=1)
    return length
