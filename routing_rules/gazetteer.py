"""The gazetteer's rows: what the files under data/places say, read strictly, before they are compiled into Places."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import msgspec

from routing_rules.strict import DataFault, read_row, refuse, tables_of

SCHEMA = "places-1"


class Division(msgspec.Struct, frozen=True, kw_only=True):
    """One division by its GB/T 2260 code (six digits). ``level`` is province, prefecture or county."""

    code: str
    name: str
    short: str
    area: str = ""  # telephone area code with its leading zero, "" when the superior's is used
    level: str = ""


class DivisionRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    code: str
    name: str
    short: str
    area: str = ""
    words: tuple[str, ...] = ()
    guarded: tuple[str, ...] = ()
    former: tuple[str, ...] = ()


class ProvinceRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    code: str
    name: str
    short: str
    area: str = ""
    cities: tuple[str, ...] = ()


class AmbiguousRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    word: str
    divisions: tuple[str, ...]


class BlockRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    words: tuple[str, ...]


class PlaceRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: str
    words: tuple[str, ...]
    division: str = ""
    divisions: tuple[str, ...] = ()


class RoadRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    words: tuple[str, ...]
    division: str
    code: str = ""
    segments: tuple[str, ...] = ()


class ContextRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    at: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    then: tuple[str, ...] = ()
    namesake: tuple[str, ...] = ()
    namesake_not: tuple[str, ...] = ()
    shop: tuple[str, ...] = ()
    lives: tuple[str, ...] = ()
    far: tuple[str, ...] = ()
    origin_after: tuple[str, ...] = ()
    origin_not: tuple[str, ...] = ()
    origin_before: tuple[str, ...] = ()


class Road(msgspec.Struct, frozen=True, kw_only=True):
    """A numbered road; ``segments`` are (from kilometre, to kilometre, division), sorted, without overlap."""

    code: str
    division: str
    segments: tuple[tuple[int, int, str], ...]


class Gazetteer(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the place files say, checked as a whole. Codes are unique, every division named exists."""

    home: str
    divisions: Mapping[str, Division]
    former: Mapping[str, str]
    free: tuple[tuple[str, str], ...]  # word → division, a place wherever it stands
    guarded: tuple[tuple[str, str], ...]  # word → division, a place only in a locative context
    ambiguous: tuple[AmbiguousRow, ...]
    places: tuple[PlaceRow, ...]
    blocked: tuple[str, ...]
    roads: tuple[tuple[Road, tuple[str, ...]], ...]
    context: ContextRow


_SHAPES: dict[str, type] = {
    "schema": str,
    "home": str,
    "division": list,
    "province": list,
    "ambiguous": list,
    "not_place": list,
    "place": list,
    "road": list,
    "context": dict,
}


def level_of(code: str) -> str:
    """province, prefecture or county, as the zeroes of a six-digit GB/T 2260 code say."""
    if code.endswith("0000"):
        return "province"
    return "prefecture" if code.endswith("00") else "county"


def read_gazetteer(files: Mapping[str, bytes]) -> Gazetteer:
    """Read all place files (name → TOML bytes). Raises ExceptionGroup of DataFault naming every fault of all files."""
    reading = _Reading()
    for name in sorted(files):
        reading.file(name, files[name])
    reading.check()
    refuse("places", reading.faults)
    return Gazetteer(
        home=reading.home,
        divisions=reading.divisions,
        former=reading.former,
        free=tuple(reading.free),
        guarded=tuple(reading.guarded),
        ambiguous=tuple(row for _, row in reading.ambiguous),
        places=tuple(row for _, row in reading.places),
        blocked=tuple(reading.blocked),
        roads=tuple((road, words) for _, road, words in reading.roads),
        context=reading.context,
    )


class _Reading:
    """Collects rows and faults over all files; rows may name divisions of a file that is read later."""

    def __init__(self) -> None:
        self.faults: list[DataFault] = []
        self.home = ""
        self.divisions: dict[str, Division] = {}
        self.former: dict[str, str] = {}
        self.free: list[tuple[str, str]] = []
        self.guarded: list[tuple[str, str]] = []
        self.ambiguous: list[tuple[str, AmbiguousRow]] = []
        self.places: list[tuple[str, PlaceRow]] = []
        self.blocked: list[str] = []
        self.roads: list[tuple[str, Road, tuple[str, ...]]] = []
        self.context = ContextRow()

    def fault(self, where: str, field: str, value: object, remedy: str) -> None:
        self.faults.append(DataFault(where, field, value, remedy))

    def file(self, name: str, content: bytes) -> None:
        tables = tables_of(name, content, _SHAPES, self.faults)
        if [value for _, value in tables["schema"]] != [SCHEMA]:
            self.fault(name, "schema", [value for _, value in tables["schema"]], f'write schema = "{SCHEMA}"')
        for where, value in tables["home"]:
            if self.home and self.home != value:
                self.fault(where, "home", value, f"the home province is already {self.home}; name it once")
            self.home = value
        for where, row in tables["division"]:
            self._division(where, row)
        for where, row in tables["province"]:
            self._province(where, row)
        for where, row in tables["ambiguous"]:
            if (meant := read_row(AmbiguousRow, row, where, self.faults)) is not None:
                self.ambiguous.append((where, meant))
        for where, row in tables["not_place"]:
            if (block := read_row(BlockRow, row, where, self.faults)) is not None:
                self.blocked.extend(block.words)
        for where, row in tables["place"]:
            if (place := read_row(PlaceRow, row, where, self.faults)) is not None:
                self.places.append((where, place))
        for where, row in tables["road"]:
            self._road(where, row)
        for where, row in tables["context"]:
            if (context := read_row(ContextRow, row, where, self.faults)) is not None:
                self.context = context

    def _add(self, where: str, division: Division) -> bool:
        code = division.code
        if len(code) != 6 or not code.isascii() or not code.isdigit() or code.startswith("0"):
            self.fault(where, "code", code, "a GB/T 2260 code has six digits")
            return False
        if code in self.divisions:
            self.fault(where, "code", code, f"already taken by {self.divisions[code].name}; codes are unique")
            return False
        if division.area and not (division.area.isdigit() and division.area.startswith("0")):
            self.fault(where, "area", division.area, "an area code is digits with a leading zero, like 0971")
        self.divisions[code] = division
        return True

    def _division(self, where: str, raw: Any) -> None:
        row = read_row(DivisionRow, raw, where, self.faults)
        if row is None:
            return
        code = row.code
        made = Division(code=code, name=row.name, short=row.short, area=row.area, level=level_of(code))
        if not self._add(where, made):
            return
        for word in dict.fromkeys((row.name, row.short, *row.words)):
            self.free.append((word, code))
        self.guarded.extend((word, code) for word in row.guarded)
        for old in row.former:
            if old in self.former:
                self.fault(
                    where, "former", old, f"already leads to {self.former[old]}; a former code has one heir"
                )
            self.former[old] = code

    def _province(self, where: str, raw: Any) -> None:
        row = read_row(ProvinceRow, raw, where, self.faults)
        if row is None:
            return
        made = Division(code=row.code, name=row.name, short=row.short, area=row.area, level="province")
        if not self._add(where, made):
            return
        self.free.extend((word, row.code) for word in dict.fromkeys((row.name, row.short)))
        for entry in row.cities:
            code, area, name = (*entry.split(), "", "", "")[:3]
            if not name or len(entry.split()) != 3:
                self.fault(where, "cities", entry, 'a city is "CODE AREA NAME"')
                continue
            # the standard's own word for the level is not kept here: 市, 州 and 地区 are all understood
            city = Division(code=code, name=name, short=name, area=area, level="prefecture")
            if self._add(where, city):
                self.free.extend((name + end, code) for end in ("市", "州", "地区") if not name.endswith(end))
                self.guarded.append((name, code))

    def _road(self, where: str, raw: Any) -> None:
        row = read_row(RoadRow, raw, where, self.faults)
        if row is None:
            return
        segments: list[tuple[int, int, str]] = []
        for entry in row.segments:
            span, _, code = entry.partition(" ")
            start, _, end = span.partition("-")
            if not (start.isdigit() and end.isdigit() and int(start) < int(end) and code):
                self.fault(
                    where, "segments", entry, 'a stretch is "FROM-TO DIVISION" in kilometres, FROM below TO'
                )
                continue
            segments.append((int(start), int(end), code))
        segments.sort()
        for left, right in pairwise(segments):
            if right[0] < left[1]:
                self.fault(where, "segments", f"{right[0]}-{right[1]}", f"overlaps {left[0]}-{left[1]}")
        road = Road(code=row.code, division=row.division, segments=tuple(segments))
        self.roads.append((where, road, row.words))

    def check(self) -> None:
        if self.home not in self.divisions:
            self.fault("places", "home", self.home, "name the home province and give it a [[division]]")
        for code, division in self.divisions.items():
            upper = f"{code[:2]}0000"
            if upper not in self.divisions:
                self.fault(division.name, "code", code, f"its province {upper} is missing")
            # county-level cities under direct provincial administration have no prefecture above them
            if division.level == "county" and code[2:4] != "90" and f"{code[:4]}00" not in self.divisions:
                self.fault(division.name, "code", code, f"its prefecture {code[:4]}00 is missing")
        for old, code in self.former.items():
            if old in self.divisions:
                self.fault(
                    self.divisions[code].name, "former", old, "is in force for another division; remove it"
                )
        named: list[tuple[str, str, str]] = []
        for where, row in self.ambiguous:
            if len(row.divisions) < 2:
                self.fault(
                    where, "divisions", row.divisions, "name at least two, or use words of the division"
                )
            named.extend((where, "divisions", code) for code in row.divisions)
        for where, place in self.places:
            if bool(place.division) == bool(place.divisions):
                self.fault(where, "division", place.division, "give either division or divisions")
            if place.kind not in ("township", "landmark", "pasture"):
                self.fault(where, "kind", place.kind, "is township, landmark or pasture")
            named.extend((where, "division", code) for code in (place.division, *place.divisions) if code)
        for where, road, _ in self.roads:
            named.append((where, "division", road.division))
            named.extend((where, "segments", code) for _, _, code in road.segments)
        for where, field, code in named:
            if code not in self.divisions:
                self.fault(where, field, code, "no such division; add it or mend the code")
        self._check_words()

    def _check_words(self) -> None:
        open_words = {row.word for _, row in self.ambiguous}
        meaning: dict[str, str] = {}
        pairs = [*self.free, *self.guarded]
        pairs += [
            (word, place.division or ",".join(place.divisions))
            for _, place in self.places
            for word in place.words
        ]
        pairs += [
            (word, f"road {number}") for number, (_, _, words) in enumerate(self.roads) for word in words
        ]
        pairs += [(word, "not a place") for word in self.blocked]
        for word, code in pairs:
            if len(word) < 2:
                self.fault("places", "word", word, "a word of one character means nothing alone")
            if word in open_words:
                continue
            if meaning.setdefault(word, code) != code:
                self.fault(
                    "places", "word", word, f"means {meaning[word]} and {code}: list it under [[ambiguous]]"
                )
