"""Words into an automaton: patterns expanded, roles resolved, facts numbered, and what each word wakes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ahocorasick
import msgspec

from routing_rules.schema import SITUATIONS, Composition, Concept, Sheet
from routing_rules.words import Folding, expand, units

if TYPE_CHECKING:
    from routing_rules.terms import Shelf

# Planes on which a fact can stand, as bits of a small number.
LIVE, PAST, SUPPOSED, ANY, HEAD = (1 << n for n in range(5))
PLANES = {"live": LIVE, "past": PAST, "supposed": SUPPOSED, "any": ANY, "head": HEAD}

# What a concept is like, as bits of a small number.
SPOKEN, PERSISTS, DOUBT, PLAIN = (1 << n for n in range(4))

# Roles as small numbers: the reading loop compares them thousands of times a second.
FACT, MASK, NEGATION, TOLD, NOW, SUPPOSING, RISK, CONDITION, WRITTEN, SENTENCE, CLAUSE, SUMMON = range(12)
ROLES = {
    "fact": FACT,
    "mask": MASK,
    "negation": NEGATION,
    "past": TOLD,
    "now": NOW,
    "supposed": SUPPOSING,
    "supposed-before": RISK,
    "supposed-sentence": CONDITION,
    "written": WRITTEN,
    "sentence": SENTENCE,
    "clause": CLAUSE,
    "summon": SUMMON,
}
# Stands between the strings of a cache: a control character is noise in a text, so no word can hold it.
BETWEEN = "\x1f"


class Patterns(msgspec.Struct, frozen=True, array_like=True):
    """All strings that an automaton is made of (one text, each after the other), and what each means as (role,
    fact) pairs: `of` has a number for each string, and `meanings` what stands under it."""

    strings: str
    of: tuple[int, ...]
    meanings: tuple[tuple[tuple[int, int], ...], ...]


class Joint:
    """A composition with its parts resolved to concept numbers and to bits."""

    __slots__ = (
        "bit",
        "clause",
        "masks",
        "number",
        "order",
        "ordered",
        "parts",
        "reads",
        "shelves",
        "unless",
        "wakes",
        "within",
    )

    def __init__(self, row: Composition, order: int, numbers: dict[str, int], bits: tuple[int, ...]) -> None:
        self.order = order
        self.number = numbers[row.name]
        self.bit = bits[self.number]
        self.parts = tuple(tuple(frozenset(numbers[n] for n in part.split("|"))) for part in row.near)
        # Bits settle nearly always that a composition cannot hold, without looking at places.
        self.masks = tuple(sum(bits[n] for n in part) for part in self.parts)
        self.within = row.within
        self.ordered = row.ordered
        self.clause = row.clause
        self.unless = tuple(dict.fromkeys(numbers[n] for n in row.unless))
        self.reads = 0
        for mask in (*self.masks, *(bits[n] for n in self.unless)):
            self.reads |= mask
        self.wakes: tuple[Joint, ...] = ()
        self.shelves: tuple[Shelf, ...] = ()


class Sign:
    """What a string of the automaton stands for; many strings of one length share it.

    `bits` has one for each of its facts, and the first for an idiom. `joints` and `shelves` are the compositions
    and the alternatives of items that wait for one of its facts.
    """

    __slots__ = ("bits", "facts", "idiom", "joints", "length", "roles", "shelves", "wakes")

    def __init__(self, length: int, meanings: tuple[tuple[int, int], ...], bits: tuple[int, ...]) -> None:
        self.length = length
        self.facts = tuple(number for role, number in meanings if role == FACT)
        self.roles = tuple(role for role, _ in meanings if role not in {FACT, MASK})
        self.idiom = any(role == MASK for role, _ in meanings)
        self.bits = sum(bits[number] for number in self.facts) + IDIOM * self.idiom
        self.joints: tuple[Joint, ...] = ()
        self.shelves: tuple[Shelf, ...] = ()
        self.wakes = False


IDIOM = 1


class Lexicon:
    """The armed form of all concepts: one automaton, numbered facts, compositions by what wakes them."""

    __slots__ = (
        "automaton",
        "bits",
        "common",
        "count",
        "folding",
        "joints",
        "names",
        "nature",
        "numbers",
        "patterns",
        "signs",
        "used",
    )

    def __init__(self, sheet: Sheet, patterns: Patterns | None = None) -> None:
        names: list[str] = list(SITUATIONS)
        names.extend(c.name for c in sheet.concepts)
        names.extend(c.name for c in sheet.compositions)
        self.names = tuple(dict.fromkeys(names))
        self.numbers = {name: n for n, name in enumerate(self.names)}
        self.count = len(self.names)
        self.bits = _bits(sheet, self.numbers)
        nature = [0] * self.count
        for c in sheet.concepts:
            nature[self.numbers[c.name]] = (
                SPOKEN * c.spoken | PERSISTS * c.persists | DOUBT * c.doubt | PLAIN * c.plain
            )
        self.nature = tuple(nature)
        self.used = _used(sheet)
        self.folding = Folding(sheet.traditional, sheet.simplified)
        if patterns is None:
            read = tuple(c for c in sheet.concepts if c.role != "fact" or c.name in self.used)
            patterns = _patterns(read, self.numbers, self.folding)
        self.patterns = patterns
        self.automaton, self.signs = _automaton(patterns, self.bits)
        self.common = _commonness(sheet, self.numbers)
        self.joints = tuple(
            Joint(row, order, self.numbers, self.bits) for order, row in enumerate(sheet.compositions)
        )
        self._anchor()

    def _anchor(self) -> None:
        """Each composition is woken by the part that turns up least often, and by every part made before it."""
        anchored: dict[int, list[Joint]] = {}
        for joint in self.joints:
            for number in min(
                joint.parts, key=lambda part: sum(self.common.get(number, 0.0) for number in part)
            ):
                anchored.setdefault(number, []).append(joint)
        for sign in self.signs:
            sign.joints = tuple(joint for number in sign.facts for joint in anchored.get(number, ()))
            sign.wakes = bool(sign.joints)
        for joint in self.joints:
            joint.wakes = tuple(
                later
                for later in self.joints[joint.order + 1 :]
                if any(joint.number in part for part in later.parts)
            )

    def arm(self, shelves: dict[int, Shelf]) -> None:
        """Ties the alternatives of items to the words and compositions that wake them."""
        for sign in self.signs:
            sign.shelves = tuple(shelves[number] for number in sign.facts if number in shelves)
            sign.wakes = bool(sign.joints or sign.shelves)
        for joint in self.joints:
            joint.shelves = tuple(shelves[number] for number in (joint.number,) if number in shelves)


def _bits(sheet: Sheet, numbers: dict[str, int]) -> tuple[int, ...]:
    """A bit for each fact; those of compositions and of the lexicon come before the items' own words, so that the
    masks of most words stay short however many items there are."""
    own = {f"words/{item.id}" for item in sheet.items}
    names = sorted(numbers, key=lambda name: (name in own, numbers[name]))
    places = {name: place for place, name in enumerate(names, start=1)}
    return tuple(1 << places[name] for name in numbers)


def _patterns(concepts: tuple[Concept, ...], numbers: dict[str, int], folding: Folding) -> Patterns:
    """Every string that the words stand for, with all its meanings."""
    found: dict[str, dict[tuple[int, int], None]] = {}
    for concept in concepts:
        meaning = (ROLES[concept.role], numbers[concept.name])
        texts = {
            folding.plain(text)
            for word in concept.words
            for text in (expand(word) if "(" in word or "?" in word else (word,))
        }
        for text in sorted(texts if concept.role != "fact" or concept.plain else _least(texts)):
            found.setdefault(text, {})[meaning] = None
    numbered: dict[tuple[tuple[int, int], ...], int] = {}
    of = tuple(numbered.setdefault(tuple(meanings), len(numbered)) for meanings in found.values())
    return Patterns(BETWEEN.join(found), of, tuple(numbered))


def _least(texts: set[str]) -> set[str]:
    """Without the strings that hold another one inside them: the inner one is found wherever they are."""
    lengths = sorted({len(text) for text in texts})
    return {
        text
        for text in texts
        if not any(
            text[at : at + length] in texts
            for length in lengths
            if length < len(text)
            for at in range(len(text) - length + 1)
        )
    }


def _automaton(patterns: Patterns, bits: tuple[int, ...]) -> tuple[Any, tuple[Sign, ...]]:
    """Values are signs. None of them is copied while a text is read."""
    automaton = ahocorasick.Automaton()
    signs: dict[tuple[int, int], Sign] = {}
    coded = units(patterns.strings)
    at = 0
    for text, kind in zip(patterns.strings.split(BETWEEN), patterns.of, strict=True) if patterns.of else ():
        length = len(text)
        sign = signs.get((length, kind))
        if sign is None:
            sign = signs[length, kind] = Sign(length, patterns.meanings[kind], bits)
        automaton.add_word(coded[at : at + 2 * length], sign)
        at += 2 * length + 2
    if patterns.of:
        automaton.make_automaton()
    return automaton, tuple(signs.values())


def _used(sheet: Sheet) -> frozenset[str]:
    """Facts that some item or composition asks for; the others would only cost time."""
    used = {
        name for row in sheet.compositions for part in (*row.near, *row.unless) for name in part.split("|")
    }
    for item in sheet.items:
        for line in (*item.when, *item.unless):
            used.update(term.removeprefix("!").rpartition(":")[2] for term in line.split())
    return frozenset(used)


def _commonness(sheet: Sheet, numbers: dict[str, int]) -> dict[int, float]:
    """A guess at how often a concept turns up: short words turn up often."""
    return {
        numbers[c.name]: sum(6.0 ** -min(len(word), 4) for word in c.words) + 10.0 * c.plain
        for c in sheet.concepts
    }
