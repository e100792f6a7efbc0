"""Conditions of items as bit masks, indexed by the fact that must be there."""

from routing_rules.lexicon import ANY, HEAD, LIVE, PAST, PLANES, SUPPOSED, Lexicon
from routing_rules.schema import TIERS, Item

PLANE_OF_TIER = {
    "gate": LIVE,
    "about": ANY,
    "police": HEAD,
    "elsewhere": ANY,
    "doubt": LIVE,
    "ordinary": ANY,
    "last": ANY,
}
_PREFIX = {"live": LIVE, "past": PAST, "supposed": SUPPOSED, "any": ANY, "head": HEAD}


class TermFault(ValueError):
    """A condition that cannot be read."""


class Alternative:
    """One way to meet an item: bits needed, bits forbidden, the facts that count as its evidence."""

    __slots__ = ("facts", "forbidden", "item", "needed", "order")

    def __init__(self, item: Item, order: int, needed: int, forbidden: int, facts: tuple[int, ...]) -> None:
        self.item = item
        self.order = order
        self.needed = needed
        self.forbidden = forbidden
        self.facts = facts


class Terms:
    """All alternatives by anchor fact; `barred` names for an item those of narrower lists that override it;
    `free` are items in force everywhere, always and on every channel."""

    __slots__ = ("barred", "by_fact", "free")

    def __init__(self) -> None:
        self.by_fact: dict[int, list[Alternative]] = {}
        self.barred: dict[str, tuple[Item, ...]] = {}
        self.free: frozenset[str] = frozenset()

    @staticmethod
    def parse(line: str, known: set[str] | frozenset[str]) -> list[tuple[bool, str, str]]:
        """`a b !c past:d` as (wanted, plane or "", fact); raises TermFault naming what is wrong."""
        terms = []
        for word in line.split():
            wanted = not word.startswith("!")
            plane, _, name = word.removeprefix("!").rpartition(":")
            if plane and plane not in _PREFIX:
                raise TermFault(f"{plane!r} is no plane; planes are {', '.join(PLANES)}")
            if name not in known:
                raise TermFault(f"no fact is named {name!r}")
            terms.append((wanted, plane, name))
        if not terms:
            raise TermFault("is empty")
        return terms


def compile_terms(items: tuple[Item, ...], lexicon: Lexicon) -> Terms:
    """Masks for all items; `items` come sorted by tier and priority."""
    terms = Terms()
    known = frozenset(lexicon.numbers)
    barred: dict[str, list[Item]] = {}
    spread: dict[int, int] = {}
    rows: list[tuple[Item, int, list[tuple[bool, str, str]]]] = []
    for order, item in enumerate(items):
        for other in item.overrides:
            barred.setdefault(other, []).append(item)
        for line in item.when:
            parsed = Terms.parse(line, known)
            rows.append((item, TIERS.index(item.tier) * 1_000_000 + order, parsed))
            for wanted, _, name in parsed:
                if wanted:
                    number = lexicon.numbers[name]
                    spread[number] = spread.get(number, 0) + 1
    for item, order, parsed in rows:
        needed = forbidden = 0
        facts: list[int] = []
        for wanted, plane, name in parsed:
            number = lexicon.numbers[name]
            bit = lexicon.bits[_PREFIX[plane] if plane else PLANE_OF_TIER[item.tier]][number]
            if wanted:
                needed |= bit
                facts.append(number)
            else:
                forbidden |= lexicon.bits[_PREFIX[plane] if plane else ANY][number]
        for line in item.unless:
            for _, plane, name in Terms.parse(line, known):
                forbidden |= lexicon.bits[_PREFIX[plane] if plane else ANY][lexicon.numbers[name]]
        if not facts:
            continue
        anchor = min(facts, key=lambda number: (spread[number], number))
        terms.by_fact.setdefault(anchor, []).append(Alternative(item, order, needed, forbidden, tuple(facts)))
    terms.free = frozenset(
        item.id
        for item in items
        if not (item.division or item.since or item.until or item.channels or item.id in barred)
    )
    terms.barred = {name: tuple(others) for name, others in barred.items()}
    return terms
