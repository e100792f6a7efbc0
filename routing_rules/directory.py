"""The directory: which 12345, 110, 119, 120 or 122 answers for a division at an hour, climbing county → prefecture → province.

Source: linkage plan III.2 and III.4.1; DOMAIN "Shape of the world". An unknown place goes to the prefecture's 110 (the
province's 12345) together with a question for the agent; other provinces are reached by area code.
"""

from collections.abc import Mapping
from datetime import datetime, time, timedelta, timezone
from enum import StrEnum
from typing import Any

import msgspec

from routing_rules.places import Places
from routing_rules.strict import DataFault, read_row, refuse, tables_of

SCHEMA = "directory-1"
LINES = ("12345", "110", "119", "120", "122")

# Legal time; China has kept UTC+8 without summer time since 1992, and an hour's rule is only asked about the present.
_LEGAL = timezone(timedelta(hours=8), "Asia/Shanghai")
_LEVELS = ("province", "prefecture", "county")


class PlatformState(StrEnum):
    """active answers; diverting sends its calls to ``diverts_to``; inactive leaves them to its superior."""

    ACTIVE = "active"
    DIVERTING = "diverting"
    INACTIVE = "inactive"


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """One answering place of one line. ``opens`` = ``closes`` = None means day and night (legal time)."""

    id: str
    line: str
    division: str
    name: str
    number: str
    state: PlatformState = PlatformState.ACTIVE
    diverts_to: str = ""
    opens: time | None = None
    closes: time | None = None
    only_escalation: bool = False

    def is_open(self, at: datetime) -> bool:
        """Whether it answers at this instant: from the opening minute on, up to but not including the closing one."""
        if self.opens is None or self.closes is None:
            return True
        clock = at.astimezone(_LEGAL).time()
        if self.opens < self.closes:
            return self.opens <= clock < self.closes
        return clock >= self.opens or clock < self.closes


class Receiver(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers. ``question`` is what the agent should ask first ("" when the place is close enough);
    ``passed`` are the platforms that would have answered but did not, with why."""

    platform_id: str
    division: str
    number: str
    name: str
    question: str = ""
    passed: tuple[str, ...] = ()


class UnknownLine(ValueError):
    """A line that the directory does not have: names field, value and remedy."""

    def __init__(self, line: str, known: tuple[str, ...]) -> None:
        self.field = "line"
        self.value = line
        self.remedy = f"use one of {', '.join(known)}"
        super().__init__(f"line = {line!r}: {self.remedy}")


class _LineRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    line: str
    name: str
    levels: tuple[str, ...]
    number: str
    unplaced: str
    ask: dict[str, str] = {}


class _PlatformRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    line: str
    division: str
    name: str = ""
    number: str = ""
    state: PlatformState = PlatformState.ACTIVE
    diverts_to: str = ""
    hours: str = "24h"
    only_escalation: bool = False


class Directory:
    """The compiled directory. Immutable; pure."""

    def __init__(
        self, places: Places, lines: Mapping[str, _LineRow], platforms: Mapping[str, Platform]
    ) -> None:
        self._places = places
        self._lines = dict(lines)
        self._platforms = dict(platforms)

    def receiver(self, line: str, division: str, at: datetime) -> Receiver:
        """Who answers ``line`` for ``division`` (6, 9 or 12 digits; "" or an unknown code = unknown place) at the
        aware instant ``at``. Always an answer for a known line; raises UnknownLine, and ValueError without a zone."""
        if at.tzinfo is None:
            raise ValueError(f"at = {at!r}: give the instant with its zone")
        row = self._lines.get(line)
        if row is None:
            raise UnknownLine(line, tuple(self._lines))
        place = self._nearest(division)
        if not place.startswith(self._places.home[:2]):
            elsewhere = self._elsewhere(row, place)
            if elsewhere is not None:
                return elsewhere
            place = self._places.home
        question = row.ask.get(self._places.division(place).level, "")
        chain = self._places.chain(row.unplaced if place == self._places.home else place)
        platform, passed = self._answering(line, chain, at)
        return Receiver(
            platform_id=platform.id,
            division=platform.division,
            number=platform.number,
            name=platform.name,
            question=question,
            passed=passed,
        )

    def _nearest(self, division: str) -> str:
        """The closest division the gazetteer has for a code that may be unknown: 620102 → 620100; "" → home."""
        for code in (division, f"{division[:4]}00", f"{division[:2]}0000"):
            if self._places.knows(code):
                return self._places.division(code).code
        return self._places.home

    def _answering(self, line: str, chain: tuple[str, ...], at: datetime) -> tuple[Platform, tuple[str, ...]]:
        """The first platform up the chain that answers now, and those that would have but do not."""
        first: Platform | None = None
        passed: list[str] = []
        for step in chain:
            platform = self._platforms.get(f"{line}-{step}")
            if platform is None or (platform.only_escalation and first is None):
                continue
            first = first or platform
            # a diversion is followed as far as it leads; compile_directory has refused circles
            while platform is not None:
                if platform.state is PlatformState.ACTIVE and platform.is_open(at):
                    return platform, tuple(passed)
                shut = platform.state.value if platform.state is not PlatformState.ACTIVE else "closed"
                passed.append(f"{platform.id} {shut}")
                leads_on = platform.state is not PlatformState.INACTIVE
                platform = self._platforms.get(platform.diverts_to) if leads_on else None
        # Every way is shut. A call is never left without a receiver: the first one rings all the same.
        return first or self._platforms[f"{line}-{self._lines[line].unplaced}"], tuple(passed)

    def _elsewhere(self, row: _LineRow, division: str) -> Receiver | None:
        """The platform of another province's prefecture, by its area code; None where there is no area code."""
        places = self._places
        area = places.phone_area(division)
        if not area:
            return None
        chain = places.chain(division)
        step = next((code for code in chain if places.division(code).level != "county"), chain[-1])
        # a province whose area code leads to one of its cities is no place yet; a municipality is
        coarse = (
            step == division and places.division(step).level == "province" and places.area_code(area) != step
        )
        question = f"在{places.name(step)}的哪个市?" if coarse else ""
        return Receiver(
            platform_id=f"{row.line}-{step}",
            division=step,
            number=row.number.format(area=area, line=row.line),
            name=f"{places.full_name(step)}{row.line}",
            question=question,
        )

    def platform(self, platform_id: str) -> Platform | None:
        """A platform of the home province by id, or None."""
        return self._platforms.get(platform_id)

    def platforms(self, line: str = "") -> tuple[Platform, ...]:
        """All platforms of the home province, or those of one line, superiors first."""
        return tuple(p for p in self._platforms.values() if not line or p.line == line)


def compile_directory(files: Mapping[str, bytes], places: Places) -> Directory:
    """Compile the directory files (name → TOML bytes). Raises ExceptionGroup of DataFault with every fault at once."""
    faults: list[DataFault] = []
    lines: dict[str, _LineRow] = {}
    rows: list[tuple[str, _PlatformRow]] = []
    for name in sorted(files):
        tables = tables_of(name, files[name], {"schema": str, "line": list, "platform": list}, faults)
        if [value for _, value in tables["schema"]] != [SCHEMA]:
            faults.append(
                DataFault(name, "schema", [v for _, v in tables["schema"]], f'write schema = "{SCHEMA}"')
            )
        for where, raw in tables["line"]:
            if (line := read_row(_LineRow, raw, where, faults)) is not None:
                _check_line(where, line, lines, places, faults)
                lines[line.line] = line
        for where, raw in tables["platform"]:
            if (row := read_row(_PlatformRow, raw, where, faults)) is not None:
                rows.append((where, row))
    faults.extend(
        DataFault("directory", "line", line, "has no [[line]]; a call to it would find nobody")
        for line in LINES
        if line not in lines
    )
    platforms: dict[str, Platform] = {}
    for line in lines.values():
        _add_regular(line, platforms, places, faults)
    seen: set[str] = set()
    for where, row in rows:
        if row.id in seen:
            faults.append(DataFault(where, "id", row.id, "is listed twice; one row for each platform"))
        seen.add(row.id)
        _add_exception(where, row, lines, platforms, places, faults)
    _check_diversions(platforms, faults)
    refuse("directory", faults)
    return Directory(places, lines, platforms)


def _check_line(
    where: str, row: _LineRow, lines: Mapping[str, Any], places: Places, faults: list[DataFault]
) -> None:
    if row.line not in LINES:
        faults.append(DataFault(where, "line", row.line, f"is one of {', '.join(LINES)}"))
    if row.line in lines:
        faults.append(DataFault(where, "line", row.line, "is listed twice; one [[line]] for each"))
    for field, levels in (("levels", row.levels), ("ask", tuple(row.ask))):
        faults.extend(
            DataFault(where, field, level, f"is one of {', '.join(_LEVELS)}")
            for level in levels
            if level not in _LEVELS
        )
    if not places.knows(row.unplaced) or not row.unplaced.startswith(places.home[:2]):
        faults.append(DataFault(where, "unplaced", row.unplaced, "name a division of the home province"))
    elif places.division(row.unplaced).level not in row.levels:
        faults.append(DataFault(where, "unplaced", row.unplaced, "the line has no platform at this level"))
    for field, pattern, keys in (
        ("name", row.name, ("place", "line")),
        ("number", row.number, ("area", "line")),
    ):
        if pattern and not _filled(pattern, **dict.fromkeys(keys, "x")):
            known = ", ".join(f"{{{key}}}" for key in keys)
            faults.append(DataFault(where, field, pattern, f"may hold {known} and nothing else in braces"))


def _filled(pattern: str, **words: str) -> str:
    """The pattern with its braces filled; "" for a faulty pattern, which _check_line has named."""
    try:
        return pattern.format(**words)
    except (KeyError, IndexError, ValueError):
        return ""


def _add_regular(
    row: _LineRow, platforms: dict[str, Platform], places: Places, faults: list[DataFault]
) -> None:
    for code in (
        places.home,
        *places.prefectures(),
        *(c for p in places.prefectures() for c in places.counties(p)),
    ):
        if places.division(code).level not in row.levels:
            continue
        name = _filled(row.name, place=places.name(code), line=row.line)
        number = _filled(row.number, area=places.phone_area(code), line=row.line)
        made = Platform(id=f"{row.line}-{code}", line=row.line, division=code, name=name, number=number)
        platforms[made.id] = made


def _add_exception(
    where: str,
    row: _PlatformRow,
    lines: Mapping[str, _LineRow],
    platforms: dict[str, Platform],
    places: Places,
    faults: list[DataFault],
) -> None:
    if row.id != f"{row.line}-{row.division}":
        faults.append(
            DataFault(where, "id", row.id, f"is the line and the division: {row.line}-{row.division}")
        )
    if not places.knows(row.division):
        faults.append(
            DataFault(where, "division", row.division, "no such division; see routing_rules/data/places")
        )
        return
    line = lines.get(row.line)
    if line is None:
        faults.append(DataFault(where, "line", row.line, f"is one of {', '.join(lines)}"))
        return
    if (row.state is PlatformState.DIVERTING) and not row.diverts_to:
        faults.append(DataFault(where, "diverts_to", "", "a diverting platform says where to"))
    opens, closes = _hours(where, row.hours, faults)
    regular = platforms.get(row.id)
    number = row.number or (regular.number if regular else "")
    platforms[row.id] = Platform(
        id=row.id,
        line=row.line,
        division=row.division,
        name=row.name or (regular.name if regular else f"{places.name(row.division)}{row.line}"),
        number=number or _filled(line.number, area=places.phone_area(row.division), line=row.line),
        state=row.state,
        diverts_to=row.diverts_to,
        opens=opens,
        closes=closes,
        only_escalation=row.only_escalation,
    )


def _hours(where: str, hours: str, faults: list[DataFault]) -> tuple[time | None, time | None]:
    if hours == "24h":
        return None, None
    try:
        opens, closes = (time.fromisoformat(part) for part in hours.split("-"))
    except ValueError:
        opens = closes = time(0)
    if opens == closes or opens.tzinfo or closes.tzinfo:
        faults.append(DataFault(where, "hours", hours, '"24h" or "HH:MM-HH:MM" in legal time'))
    return opens, closes


def _check_diversions(platforms: Mapping[str, Platform], faults: list[DataFault]) -> None:
    for platform in platforms.values():
        target = platform.diverts_to
        if not target:
            continue
        if target not in platforms:
            faults.append(DataFault(platform.id, "diverts_to", target, "no such platform"))
        elif platforms[target].line != platform.line:
            faults.append(
                DataFault(platform.id, "diverts_to", target, f"answers another line than {platform.line}")
            )
        walked = {platform.id}
        while target in platforms:
            if target in walked:
                faults.append(
                    DataFault(platform.id, "diverts_to", platform.diverts_to, "leads round in a circle")
                )
                break
            walked.add(target)
            target = platforms[target].diverts_to
