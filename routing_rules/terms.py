"""Conditions of items: what must hold and what must not, filed under the fact that turns up least often."""

import datetime as dt

from routing_rules.lexicon import ANY, HEAD, LIVE, PLANES, Lexicon
from routing_rules.schema import SITUATIONS, Item
from routing_rules.verdict import Verdict

PLANE_OF_TIER = {
    "gate": LIVE,
    "about": ANY,
    "police": HEAD,
    "elsewhere": ANY,
    "doubt": LIVE,
    "ordinary": ANY,
    "last": ANY,
}
SITUATION_COUNT = len(SITUATIONS)
# Situations that the shape of the text makes; the others are known before it is read.
SHAPES = frozenset(SITUATIONS.index(name) for name in ("letter", "brief", "plain-speech", "feared"))
# Divisions and days for which the items in force are remembered.
MOST_REMEMBERED = 512


class TermFault(ValueError):
    """A condition that cannot be read."""


class Alternative:
    """One way to meet an item.

    `needed` and `forbidden` are facts with planes. As bits, over facts that words state: `asks` those without
    which it cannot hold, `reads` all on which it depends; with a single one it is `sure` to be met by what wakes
    it. `facts` count as its evidence.
    """

    __slots__ = ("asks", "facts", "forbidden", "item", "needed", "order", "reads", "sure", "verdict")

    def __init__(
        self,
        verdict: Verdict,
        order: int,
        needed: tuple[tuple[int, int], ...],
        forbidden: dict[int, int],
        bits: tuple[int, ...],
    ) -> None:
        self.verdict = verdict
        self.item = verdict.item
        self.order = order
        self.needed = needed
        self.forbidden = forbidden
        self.facts = tuple(dict.fromkeys(number for number, _ in needed))
        self.asks = 0
        for number in self.facts:
            if number >= SITUATION_COUNT:
                self.asks |= bits[number]
        self.sure = self.asks.bit_count() == 1
        self.reads = self.asks
        for number in forbidden:
            if number >= SITUATION_COUNT:
                self.reads |= bits[number]


class Shelf:
    """The alternatives filed under one fact: `gates` decide before anything else is looked at; of the others `sure`
    ones ask for nothing more, and `pairs` stand under another fact that they ask for."""

    __slots__ = ("gates", "pairs", "sure")

    def __init__(self) -> None:
        self.gates: list[Alternative] = []
        self.sure: list[Alternative] = []
        self.pairs: dict[int, list[Alternative]] = {}


class Terms:
    """All alternatives by the shelf of their rarest fact, and `always` and `always_gates` those that only ask for situations,
    with the situations that the hour and the desk must make."""

    __slots__ = ("_barred", "_bound", "_idle", "_rows", "always", "always_gates", "shelves")

    def __init__(self) -> None:
        self.shelves: dict[int, Shelf] = {}
        self.always: list[tuple[frozenset[int], Alternative]] = []
        self.always_gates: list[tuple[frozenset[int], Alternative]] = []
        # Items of a division, a time or a channel, and for each item those of narrower lists that override it.
        self._bound: list[Item] = []
        self._rows: dict[str, list[Alternative]] = {}
        self._barred: dict[str, list[Item]] = {}
        self._idle: dict[tuple[str, dt.date, str], frozenset[Alternative]] = {}

    def file(self, row: Alternative, common: dict[int, float]) -> None:
        """Puts an alternative under the fact that turns up least often."""
        self._rows.setdefault(row.item.id, []).append(row)
        worded = sorted(
            (number for number in row.facts if number >= SITUATION_COUNT),
            key=lambda number: (common.get(number, 0.0), number),
        )
        if not worded:
            always = self.always_gates if row.verdict.decides else self.always
            always.append((frozenset(row.facts) - SHAPES, row))
            return
        shelf = self.shelves.setdefault(worded[0], Shelf())
        if row.verdict.decides:
            shelf.gates.append(row)
        elif row.sure:
            shelf.sure.append(row)
        else:
            shelf.pairs.setdefault(worded[1], []).append(row)

    def rows(self) -> list[Alternative]:
        """Every alternative, in its order."""
        return sorted((row for rows in self._rows.values() for row in rows), key=lambda row: row.order)

    def bind(self, items: tuple[Item, ...]) -> None:
        """Takes the items; narrower lists may override those of wider ones."""
        for item in items:
            for other in item.overrides:
                self._barred.setdefault(other, []).append(item)
        self._bound = [
            item
            for item in items
            if item.division or item.since or item.until or item.channels or item.id in self._barred
        ]

    def idle(self, division: str, today: dt.date, channel: str) -> frozenset[Alternative]:
        """The alternatives of the items that do not stand in a division, on a day and on a channel ("" when unknown)."""
        key = (division, today, channel)
        known = self._idle.get(key)
        if known is None:
            if len(self._idle) >= MOST_REMEMBERED:
                self._idle.clear()
            known = self._idle[key] = frozenset(
                row
                for item in self._bound
                if not self._in_force(item, division, today, channel)
                for row in self._rows.get(item.id, ())
            )
        return known

    def _in_force(self, item: Item, division: str, today: dt.date, channel: str) -> bool:
        if item.channels and channel and channel not in item.channels:
            return False
        return _stands(item, division, today) and not any(
            _stands(other, division, today) for other in self._barred.get(item.id, ())
        )

    @staticmethod
    def parse(line: str, known: set[str] | frozenset[str]) -> list[tuple[bool, str, str]]:
        """`a b !c past:d` as (wanted, plane or "", fact); raises TermFault naming what is wrong."""
        terms = []
        for word in line.split():
            wanted = not word.startswith("!")
            plane, _, name = word.removeprefix("!").rpartition(":")
            if plane and plane not in PLANES:
                raise TermFault(f"{plane!r} is no plane; planes are {', '.join(PLANES)}")
            if name not in known:
                raise TermFault(f"no fact is named {name!r}")
            terms.append((wanted, plane, name))
        if not terms:
            raise TermFault("is empty")
        return terms


def _stands(item: Item, division: str, today: dt.date) -> bool:
    """Whether the item's list covers the division and its time the day."""
    return (
        division.startswith(item.division)
        and (item.since is None or item.since <= today)
        and (item.until is None or today <= item.until)
    )


def compile_terms(items: tuple[Item, ...], lexicon: Lexicon) -> Terms:
    """Conditions of all items, tied to the lexicon's words; `items` come sorted by tier and priority."""
    terms = Terms()
    known = frozenset(lexicon.numbers)
    numbers = lexicon.numbers
    composed = {joint.number for joint in lexicon.joints}
    terms.bind(items)
    order = 0
    for item in items:
        verdict = Verdict(item)
        spoilt: dict[int, int] = {}
        for line in item.unless:
            for _, plane, name in Terms.parse(line, known):
                spoilt[numbers[name]] = spoilt.get(numbers[name], 0) | (PLANES[plane] if plane else ANY)
        for line in item.when:
            needed: list[tuple[int, int]] = []
            forbidden = dict(spoilt)
            for wanted, plane, name in Terms.parse(line, known):
                number = numbers[name]
                if wanted:
                    needed.append((number, PLANES[plane] if plane else PLANE_OF_TIER[item.tier]))
                else:
                    forbidden[number] = forbidden.get(number, 0) | (PLANES[plane] if plane else ANY)
            if not needed:
                continue
            # Compositions cost most to look into, so what words state is asked first.
            needed.sort(key=lambda term: term[0] in composed)
            row = Alternative(verdict, order, tuple(needed), forbidden, lexicon.bits)
            order += 1
            terms.file(row, lexicon.common)
    lexicon.arm(terms.shelves)
    return terms
