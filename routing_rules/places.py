"""Places: where a text says that something happens, as GB/T 2260 divisions; names, superiors and area codes.

Sources: GB/T 2260 (codes), the national numbering plan (area codes), the linkage plan II ("统一的组织机构和行政区划代码").
A mobile's home area, a person's origin and a direction of travel are never the place.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import ahocorasick
import msgspec

from routing_rules.gazetteer import Division, Gazetteer, Road, read_gazetteer

# What is analysed of one text; longer texts are looked at from both ends, so the time stays bounded.
_HEAD = 4000
_TAIL = 1000

_KILOMETRE = re.compile(
    r"[Kk]\s?(\d{1,4})|(?<!\d)(\d{2,4})\s?(?:公里|千米|[kK][mM])(?!/|每|的?路程|外|以外|远)"
)
_NOT_STONE = re.compile(r"(?:限速|时速|车速|还有|还剩|开了|跑了|距离|大约|走了)\s?\d*$")
_DIRECTION = re.compile(r"(?:往|去|向|至|到)?([\u4e00-\u9fff]{2,4})方向")
_ADMINISTRATIVE = "省市州县区镇乡"
# a foreign place counts without a locative only where it opens the text
_OPENING = 6
# what is counted or named by letter and number, and is no road
_NUMBERED = ("次", "列车", "栋", "号", "楼", "座", "幢", "单元", "县", "区", "市", "镇", "村")
# "现在平安" is no place: this 在 belongs to an adverb
_ADVERB_IN = ("现在", "正在", "实在", "还在", "都在", "存在", "内在")


class Precision(StrEnum):
    """How closely a span fixes the place; ROUTE is a road without a usable kilometre stone."""

    KILOMETRE = "kilometre"
    LANDMARK = "landmark"
    TOWNSHIP = "township"
    COUNTY = "county"
    PREFECTURE = "prefecture"
    PROVINCE = "province"
    ROUTE = "route"


class PlaceSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A place named in a text: ``text[start:end] == words``. ``located``: a locative stands before it."""

    start: int
    end: int
    words: str
    division: str
    precision: Precision
    located: bool = False
    kilometre: int | None = None
    direction: str = ""


class UnknownDivision(ValueError):
    """A code that no division has: names field, value and remedy."""

    def __init__(self, code: str) -> None:
        self.field = "division"
        self.value = code
        self.remedy = "use a GB/T 2260 code of the gazetteer (routing_rules/data/places)"
        super().__init__(f"division = {code!r}: {self.remedy}")


class _Meaning(msgspec.Struct, frozen=True):
    divisions: tuple[str, ...]
    precision: Precision
    guarded: bool = False
    ranked: bool = (
        False  # several divisions: the first is the usual one (else their common superior is taken)
    )
    road: Road | None = None


class Places:
    """The compiled gazetteer. Immutable after construction; every method is pure."""

    def __init__(self, gazetteer: Gazetteer) -> None:
        self.home = gazetteer.home
        self._divisions = dict(gazetteer.divisions)
        self._former = dict(gazetteer.former)
        self._by_area: dict[str, str] = {}
        for code, division in self._divisions.items():
            if division.area and division.level != "province":
                self._by_area.setdefault(division.area, code)
        for code, division in self._divisions.items():
            if division.area:
                self._by_area.setdefault(division.area, code)
        context = gazetteer.context
        self._at = context.at
        self._named = context.named
        self._then = context.then
        self._namesake = context.namesake
        self._namesake_not = context.namesake_not
        self._shop = context.shop
        self._lives = context.lives
        self._far = context.far
        self._origin_after = context.origin_after
        self._origin_not = context.origin_not
        self._origin_before = context.origin_before
        self._automaton: Any = ahocorasick.Automaton()
        for word, meaning in self._meanings(gazetteer).items():
            self._automaton.add_word(word, (word, meaning))
        self._automaton.make_automaton()

    def _meanings(self, gazetteer: Gazetteer) -> dict[str, _Meaning | None]:
        levels = {code: Precision(division.level) for code, division in self._divisions.items()}
        words: dict[str, _Meaning | None] = {}
        for word, code in gazetteer.guarded:
            words[word] = _Meaning((code,), levels[code], guarded=True)
        for word, code in gazetteer.free:
            words[word] = _Meaning((code,), levels[code])
        for place in gazetteer.places:
            codes = (place.division,) if place.division else place.divisions
            precision = Precision.TOWNSHIP if place.kind == "township" else Precision.LANDMARK
            for word in place.words:
                words[word] = _Meaning(codes, precision)
        for row in gazetteer.ambiguous:
            words[row.word] = _Meaning(row.divisions, levels[row.divisions[0]], ranked=True)
        for road, names in gazetteer.roads:
            meaning = _Meaning((road.division,), Precision.ROUTE, road=road)
            codes = (road.code, road.code.lower()) if road.code else ()
            for word in (*names, *codes):
                words[word] = meaning
        for word in gazetteer.blocked:
            words[word] = None
        return words

    # ---- what is where -------------------------------------------------------------------------------------

    def find(self, text: str, near: str = "") -> tuple[PlaceSpan, ...]:
        """All places named in ``text``, from left to right; ``near`` is a division that settles a word with several
        meanings when the text itself does not. Never raises; bounded time on any length."""
        if len(text) > _HEAD + _TAIL:
            shift = len(text) - _TAIL
            tail = self._scan(text[shift:], near)
            moved = tuple(msgspec.structs.replace(s, start=s.start + shift, end=s.end + shift) for s in tail)
            return self._scan(text[:_HEAD], near) + moved
        return self._scan(text, near)

    def _scan(self, text: str, near: str) -> tuple[PlaceSpan, ...]:
        found: list[tuple[int, int, str, _Meaning, bool]] = []
        glued_at, glued_located = (
            -1,
            False,
        )  # the last accepted span: "西宁市" makes a place of a following "城东"
        for last, (word, meaning) in self._automaton.iter_long(text):
            if meaning is None:
                continue
            end = last + 1
            start = end - len(word)
            before = text[max(0, start - 5) : start]
            after = text[end : end + 5]
            if meaning.road is None and self._only_mentioned(word, meaning, before, after):
                continue
            if meaning.road is not None and word[-1].isdigit() and self._is_other_number(before, after):
                continue
            located = before.endswith(self._at) and not before.endswith(_ADVERB_IN)
            located = located or (start == glued_at and glued_located)
            if located and not meaning.divisions[0].startswith(self.home[:2]):
                located = not (before.endswith(self._far) or after.startswith(self._lives))
            if meaning.guarded and not (
                located
                or start == glued_at
                or (before.endswith(self._named) and not before.endswith(_ADVERB_IN))
                or after.startswith(self._then)
            ):
                continue
            glued_at, glued_located = end, located
            found.append((start, end, word, meaning, located))
        if not found:
            return ()
        sure = [entry[3].divisions[0] for entry in found if len(entry[3].divisions) == 1]
        return tuple(self._span(text, entry, sure or [near]) for entry in found)

    def _only_mentioned(self, word: str, meaning: _Meaning, before: str, after: str) -> bool:
        """A road or shop that carries the name, where somebody comes from, a phone's home area, a direction."""
        if after.startswith(self._origin_after) and not after.startswith(self._origin_not):
            return True
        if before.endswith(self._origin_before):
            return True
        is_division = meaning.precision in (Precision.COUNTY, Precision.PREFECTURE, Precision.PROVINCE)
        if not is_division or word[-1] in _ADMINISTRATIVE:
            return False
        if after.startswith(self._shop):
            return not before.endswith(self._at)
        return after.startswith(self._namesake) and not after.startswith(self._namesake_not)

    @staticmethod
    def _is_other_number(before: str, after: str) -> bool:
        """``G6`` inside ``G60`` or ``5G6``, the train ``G6次``, the house ``G6栋``."""
        return (
            (before[-1:].isascii() and before[-1:].isalnum())
            or after[:1].isdigit()
            or after.startswith(_NUMBERED)
        )

    def _span(self, text: str, entry: tuple[int, int, str, _Meaning, bool], sure: list[str]) -> PlaceSpan:
        start, end, word, meaning, located = entry
        division = meaning.divisions[0] if len(meaning.divisions) == 1 else self._choose(meaning, sure)
        precision = Precision(self._divisions[division].level) if meaning.ranked else meaning.precision
        if meaning.road is None:
            return PlaceSpan(
                start=start, end=end, words=word, division=division, precision=precision, located=located
            )
        direction = _DIRECTION.search(text, end, min(len(text), end + 30))
        kilometre = self._kilometre(text, start, end)
        if kilometre is not None:
            for low, high, code in meaning.road.segments:
                if low <= kilometre < high:
                    division, precision = code, Precision.KILOMETRE
        return PlaceSpan(
            start=start,
            end=end,
            words=word,
            division=division,
            precision=precision,
            located=located,
            kilometre=kilometre,
            direction=direction.group(1) if direction else "",
        )

    @staticmethod
    def _kilometre(text: str, start: int, end: int) -> int | None:
        for low, high in ((end, end + 30), (max(0, start - 14), start)):
            for stone in _KILOMETRE.finditer(text, low, min(len(text), high)):
                if not _NOT_STONE.search(text[max(0, stone.start() - 6) : stone.start()]):
                    return int(stone.group(1) or stone.group(2))
        return None

    def _choose(self, meaning: _Meaning, sure: list[str]) -> str:
        """The candidate that the rest of the text speaks for; else the usual one, else their common superior."""
        for code in meaning.divisions:
            if code in sure:
                return code
        for code in meaning.divisions:
            reach = 4 if code.startswith(self.home[:2]) else 2
            if any(other[:reach] == code[:reach] for other in sure):
                return code
        if meaning.ranked:
            return meaning.divisions[0]
        first = meaning.divisions[0]
        if all(code[:4] == first[:4] for code in meaning.divisions):
            return f"{first[:4]}00"
        return f"{first[:2]}0000"

    def best(self, text: str, default: str) -> str:
        """The division where the text's matter lies; ``default`` (the answering platform's) when it says nothing.

        Closest wins; a locative ("在…") lifts a span; another province counts only where the text puts itself there.
        """
        best, best_score = default, 0.0
        for span in self.find(text, default):
            score = self._score(span)
            if score > best_score:
                best, best_score = span.division, score
        return best

    def _score(self, span: PlaceSpan) -> float:
        depth = 3.0 if span.division[4:] != "00" else 2.0 if span.division[2:4] != "00" else 1.0
        if not span.division.startswith(self.home[:2]):
            # sending a case to another province needs more than a mention somewhere in a long story
            if span.located:
                return 2.5 if depth > 1 else 1.5
            return 0.5 + depth / 10 if span.start <= _OPENING and span.words[-1] in _ADMINISTRATIVE else 0.0
        if span.precision is Precision.PROVINCE:
            return 0.0
        if span.division == self.home:
            return 1.0
        if span.precision is Precision.ROUTE:
            return 1.2
        return (
            depth + (1.5 if span.located else 0.0) + (1.0 if span.precision is Precision.KILOMETRE else 0.0)
        )

    # ---- names, superiors, area codes ----------------------------------------------------------------------

    def division(self, code: str) -> Division:
        """The division of a code of 6, 9 or 12 digits (township and village fall to their county; former codes to
        their heir). Raises UnknownDivision."""
        six = code[:6]
        six = self._former.get(six, six)
        found = self._divisions.get(six) if len(code) in (6, 9, 12) else None
        if found is None:
            raise UnknownDivision(code)
        return found

    def knows(self, code: str) -> bool:
        """Whether ``division(code)`` would answer."""
        return len(code) in (6, 9, 12) and self._former.get(code[:6], code[:6]) in self._divisions

    def chain(self, code: str) -> tuple[str, ...]:
        """The division and its superiors, closest first: (county, prefecture, province) or the end of it.

        Raises UnknownDivision."""
        own = self.division(code).code
        steps = dict.fromkeys((own, f"{own[:4]}00", f"{own[:2]}0000"))
        return tuple(step for step in steps if step in self._divisions)

    def name(self, code: str) -> str:
        """The division's own name (城东区). Raises UnknownDivision."""
        return self.division(code).name

    def full_name(self, code: str) -> str:
        """The name with its superiors (青海省西宁市城东区). Raises UnknownDivision."""
        return "".join(self._divisions[step].name for step in reversed(self.chain(code)))

    def area_code(self, digits: str) -> str:
        """The division that a telephone area code (``0971``) or a fixed-line number with one (``09715550100``) belongs
        to; "" for anything else. A mobile's number says nothing about the place, whatever its home area."""
        cleaned = digits.replace("-", "").replace(" ", "")
        for prefix in ("+86", "0086"):
            if cleaned.startswith(prefix):
                cleaned = "0" + cleaned.removeprefix(prefix).removeprefix("0")
        if not cleaned.isdigit() or not cleaned.startswith(
            ("010", "02", "03", "04", "05", "06", "07", "08", "09")
        ):
            return ""
        for length in (4, 3):
            if (code := self._by_area.get(cleaned[:length])) is not None:
                return code
        return ""

    def phone_area(self, code: str) -> str:
        """The telephone area code used in a division, its superior's where it has none. Raises UnknownDivision."""
        for step in self.chain(code):
            if area := self._divisions[step].area:
                return area
        return ""

    def counties(self, prefecture: str) -> tuple[str, ...]:
        """Codes of a home prefecture's counties, in order."""
        return tuple(
            code for code, d in self._divisions.items() if d.level == "county" and code[:4] == prefecture[:4]
        )

    def prefectures(self) -> tuple[str, ...]:
        """Codes of the home province's prefectures, in order."""
        return tuple(
            code
            for code, d in self._divisions.items()
            if d.level == "prefecture" and code[:2] == self.home[:2]
        )


def compile_places(files: Mapping[str, bytes]) -> Places:
    """Compile the place files (name → TOML bytes). Raises ExceptionGroup of DataFault with every fault at once."""
    return Places(read_gazetteer(files))
