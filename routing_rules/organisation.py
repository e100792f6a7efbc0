"""The organisation: units, what they answer for and where, whom they report to, who is on duty.

Units are named by their unified social credit code (GB 32100) and divisions by GB/T 2260, as the linkage plan II asks
("统一的组织机构和行政区划代码").
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

import msgspec

from routing_rules.duty import (
    Contact,
    Duty,
    Person,
    Roster,
    contact_of,
    duty_of,
    phone_at,
    roster_faults,
)
from routing_rules.places import Places
from routing_rules.strict import DataFault, read_row, refuse, tables_of
from routing_rules.unit_codes import division_code_fault, unit_code_fault

SCHEMA = "organisation-1"

__all__ = [
    "KINDS",
    "SCHEMA",
    "Contact",
    "Duty",
    "Organisation",
    "Person",
    "Rank",
    "Roster",
    "Unit",
    "UnknownUnit",
]

# The vocabulary of owners that the responsibility lists use: id → the short Chinese name shown on screens.
KINDS: Mapping[str, str] = {
    "urban-management": "城管",
    "housing": "住建",
    "market": "市场监管",
    "human-resources": "人社",
    "education": "教育",
    "health": "卫健",
    "ecology": "生态环境",
    "transport": "交通运输",
    "traffic-police": "交警",
    "public-security": "公安",
    "civil-affairs": "民政",
    "justice": "司法",
    "agriculture": "农业农村",
    "water": "水利",
    "natural-resources": "自然资源",
    "forestry": "林草",
    "emergency": "应急管理",
    "culture": "文旅",
    "development-reform": "发改",
    "commerce": "商务",
    "tax": "税务",
    "medical-insurance": "医保",
    "housing-fund": "公积金",
    "big-data": "政务服务",
    "disabled-veterans": "退役军人",
    "ethnic-religious": "民宗",
    "fire-rescue": "消防",
    "petition": "信访",
    "supervision": "督查",
    "government": "属地政府",
    "power": "供电",
    "water-supply": "供水",
    "gas": "燃气",
    "heating": "供热",
    "telecom": "通信",
    "post": "邮政",
    "public-transport": "公交",
    "railway": "铁路",
    "women-federation": "妇联",
    "disabled-federation": "残联",
    "union": "工会",
    "finance": "金融监管",
    "sports": "体育",
    "statistics": "统计",
    "science-industry": "工信",
    "tobacco": "烟草",
}


class Rank(StrEnum):
    """department: answers for its kind in its division; section and station (科室、站所): only reached by sub-assignment."""

    DEPARTMENT = "department"
    SECTION = "section"
    STATION = "station"


class Unit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One unit. ``parent`` is the superior's code, "" at the top; ``platform`` is the line platform it runs, if any."""

    code: str
    name: str
    kind: str
    division: str
    roster: Roster
    parent: str = ""
    platform: str = ""
    rank: Rank = Rank.DEPARTMENT


class UnknownUnit(LookupError):
    """A unit code that the organisation does not have: names field, value and remedy."""

    def __init__(self, code: str) -> None:
        self.field = "unit"
        self.value = code
        self.remedy = "use the unified social credit code of a unit of the loaded organisation"
        super().__init__(f"unit = {code!r}: {self.remedy}")


class Organisation:
    """All units, indexed. Immutable; pure. Build it with compile_organisation or demo_organisation."""

    def __init__(self, units: Iterable[Unit], places: Places) -> None:
        self._places = places
        self._units = {unit.code: unit for unit in units}
        self._heads: dict[tuple[str, str], Unit] = {}
        self._children: dict[str, list[Unit]] = {}
        self._runs: dict[str, Unit] = {}
        current: dict[str, str] = {}  # a division as units write it → its code in force
        for unit in self._units.values():
            if unit.rank is Rank.DEPARTMENT:
                written = unit.division
                if written not in current:
                    current[written] = places.division(written).code if places.knows(written) else written
                self._heads.setdefault((unit.kind, current[written]), unit)
            self._children.setdefault(unit.parent, []).append(unit)
            if unit.platform:
                self._runs.setdefault(unit.platform, unit)

    def __len__(self) -> int:
        return len(self._units)

    def units(self, kind: str = "", division: str = "") -> tuple[Unit, ...]:
        """All units in the order given, or those of a kind, or of one division (its own, not its inferiors')."""
        return tuple(
            unit
            for unit in self._units.values()
            if (not kind or unit.kind == kind) and (not division or unit.division == division)
        )

    def unit(self, code: str) -> Unit:
        """The unit of a code. Raises UnknownUnit."""
        try:
            return self._units[code]
        except KeyError:
            raise UnknownUnit(code) from None

    def resolve(self, kind: str, division: str) -> Unit | None:
        """The department of ``kind`` that answers for ``division``: the county's, else the prefecture's, else the
        province's. None for a kind nobody has there, and for a division that the gazetteer does not know."""
        if not self._places.knows(division):
            return None
        for step in self._places.chain(division):
            if (unit := self._heads.get((kind, step))) is not None:
                return unit
        return None

    def superior(self, code: str) -> Unit | None:
        """The unit above; None at the top. Raises UnknownUnit."""
        parent = self.unit(code).parent
        return self.unit(parent) if parent else None

    def children(self, code: str) -> tuple[Unit, ...]:
        """The units directly below, to which it may sub-assign. Raises UnknownUnit."""
        return tuple(self._children.get(self.unit(code).code, ()))

    def tree(self, code: str) -> tuple[Unit, ...]:
        """The unit and all below it, superiors first. Raises UnknownUnit."""
        found = [self.unit(code)]
        for unit in found:  # grows while it is walked
            found.extend(self._children.get(unit.code, ()))
        return tuple(found)

    def is_below(self, code: str, upper: str) -> bool:
        """Whether ``code`` stands somewhere below ``upper`` (not itself). Raises UnknownUnit."""
        step = self.superior(code)
        while step is not None:
            if step.code == upper:
                return True
            step = self.superior(step.code)
        return False

    def on_duty(self, code: str, at: datetime) -> Duty:
        """Who is on duty for a unit at the aware instant ``at``. Raises UnknownUnit, and ValueError without a zone."""
        if at.tzinfo is None:
            raise ValueError(f"at = {at!r}: give the instant with its zone")
        unit = self.unit(code)
        phone = phone_at(unit.roster, at)
        while not phone and unit.parent:
            unit = self.unit(unit.parent)
            phone = phone_at(unit.roster, at)
        # at the very top and out of hours the day phone is the only one there is
        return duty_of(unit.code, unit.roster, phone or unit.roster.phone, at)

    def contact(self, role: str, code: str, at: datetime) -> Contact:
        """Who is reached in a role at a unit at the aware instant ``at``, and by what; who stands in where the one
        meant is absent. Empty where nobody can be. Raises UnknownUnit, and ValueError without a zone."""
        duty = self.on_duty(code, at)
        return contact_of(role, self.unit(code).roster, self.unit(duty.unit).roster, duty, at)

    def running(self, platform: str) -> Unit | None:
        """The unit that runs a line platform, None where the organisation has none: its roster is the platform's."""
        return self._runs.get(platform)

    def digest(self) -> str:
        """sha256 over the units in code order: the organisation's version."""
        ordered = [self._units[code] for code in sorted(self._units)]
        return sha256(msgspec.json.encode(ordered, order="deterministic")).hexdigest()


def compile_organisation(files: Mapping[str, bytes], places: Places) -> Organisation:
    """Compile organisation files (name → TOML bytes). Raises ExceptionGroup of DataFault with every fault at once."""
    faults: list[DataFault] = []
    listed: list[tuple[str, Unit]] = []
    for name in sorted(files):
        tables = tables_of(name, files[name], {"schema": str, "unit": list}, faults)
        if [value for _, value in tables["schema"]] != [SCHEMA]:
            faults.append(
                DataFault(name, "schema", [v for _, v in tables["schema"]], f'write schema = "{SCHEMA}"')
            )
        for where, raw in tables["unit"]:
            if (unit := read_row(Unit, raw, where, faults)) is not None:
                listed.append((where, unit))
    faults.extend(faults_of_units(listed, places))
    refuse("organisation", faults)
    return Organisation((unit for _, unit in listed), places)


def faults_of_units(listed: Iterable[tuple[str, Unit]], places: Places) -> list[DataFault]:
    """Every fault of a list of units (where it stands, the unit): codes, kinds, divisions, rosters, the tree."""
    listed = tuple(listed)
    faults: list[DataFault] = []
    known: dict[str, Unit] = {}
    heads: dict[tuple[str, str], Unit] = {}
    for where, unit in listed:
        if fault := unit_code_fault(unit.code):
            faults.append(DataFault(where, "code", unit.code, fault))
        if unit.code in known:
            faults.append(
                DataFault(where, "code", unit.code, f"is already {known[unit.code].name}'s; codes are unique")
            )
        known.setdefault(unit.code, unit)
        if unit.kind not in KINDS:
            faults.append(DataFault(where, "kind", unit.kind, f"is one of {', '.join(KINDS)}"))
        if fault := division_code_fault(unit.division):
            faults.append(DataFault(where, "division", unit.division, fault))
        elif not places.knows(unit.division):
            faults.append(
                DataFault(where, "division", unit.division, "no such division; see routing_rules/data/places")
            )
        if unit.rank is Rank.DEPARTMENT:
            division = places.division(unit.division).code if places.knows(unit.division) else unit.division
            first = heads.setdefault((unit.kind, division), unit)
            if first.code != unit.code:
                remedy = f"{first.name} is this division's department of the kind already; make one of them a section"
                faults.append(DataFault(where, "kind", unit.kind, remedy))
        faults.extend(roster_faults(where, unit.roster))
    for where, unit in listed:
        faults.extend(_tree_faults(where, unit, known, places))
    return faults


def _tree_faults(where: str, unit: Unit, known: Mapping[str, Unit], places: Places) -> list[DataFault]:
    if not unit.parent:
        if unit.rank is Rank.DEPARTMENT:
            return []
        return [DataFault(where, "parent", "", f"a {unit.rank.value} belongs to a unit; name its code")]
    if unit.parent not in known:
        return [DataFault(where, "parent", unit.parent, "no such unit; add it or mend the code")]
    walked = {unit.code}
    step = unit.parent
    while step and step in known:
        if step in walked:
            return [
                DataFault(
                    where, "parent", unit.parent, "leads round in a circle; nobody would be the superior"
                )
            ]
        walked.add(step)
        step = known[step].parent
    upper = known[unit.parent].division
    if places.knows(upper) and places.knows(unit.division):
        if places.division(upper).code in places.chain(unit.division):
            return []
        return [
            DataFault(
                where, "parent", unit.parent, f"lies in {upper}, which does not contain {unit.division}"
            )
        ]
    return []
