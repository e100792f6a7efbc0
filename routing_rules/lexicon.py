"""Words into an automaton: patterns expanded, roles resolved, situations numbered."""

import itertools
import re
from typing import Any

import ahocorasick

from routing_rules.schema import SITUATIONS, Composition, Concept, Sheet

MOST_EXPANSIONS = 4_000
PLANES = ("live", "past", "supposed", "any", "head")
LIVE, PAST, SUPPOSED, ANY, HEAD = range(5)

# Roles as small numbers: the reading loop compares them thousands of times a second.
ROLES = {
    "fact": 0,
    "mask": 1,
    "negation": 2,
    "past": 3,
    "now": 4,
    "supposed": 5,
    "supposed-before": 6,
    "supposed-sentence": 7,
    "written": 8,
    "sentence": 9,
    "clause": 10,
    "summon": 11,
}
_PIECE = re.compile(r"\(([^()]*)\)(\??)|([^()|?])(\??)")


def expand(word: str) -> tuple[str, ...]:
    """All strings that a word stands for: `(a|b|)` is a choice, `?` after a group or character an option.

    Raises ValueError when the word is malformed, stands for an empty string or for too many strings.
    """
    if word in {"?", "!"}:
        return (word,)
    parts: list[tuple[str, ...]] = []
    at = 0
    count = 1
    for piece in _PIECE.finditer(word):
        if piece.start() != at:
            break
        at = piece.end()
        choices = tuple(piece[1].split("|")) if piece[3] is None else (piece[3],)
        if piece[2] or piece[4]:
            choices = (*choices, "")
        parts.append(choices)
        count *= len(choices)
    if at != len(word) or not parts:
        raise ValueError(f"is malformed at character {at + 1}")
    if count > MOST_EXPANSIONS:
        raise ValueError(f"stands for {count} strings; the most allowed is {MOST_EXPANSIONS}")
    made = tuple(dict.fromkeys("".join(choice) for choice in itertools.product(*parts)))
    if "" in made:
        raise ValueError("stands for an empty string")
    return made


def units(text: str) -> str:
    """The text as two symbols below 256 for each character of the basic plane.

    The automaton searches the children of a node one by one; with thousands of Chinese characters under its
    root that cost most of the time. Two narrow levels instead of one wide one made it six times as fast.
    """
    return text.encode("utf-16-be", "surrogatepass").decode("latin-1")


# What the automaton is made of: the units of a string, its length, and what it means as (role, fact) pairs.
Patterns = tuple[tuple[str, int, tuple[tuple[int, int], ...]], ...]


class Joint:
    """A composition with its parts resolved to concept numbers."""

    __slots__ = ("clause", "first", "number", "ordered", "parts", "second", "unless", "within")

    def __init__(self, row: Composition, numbers: dict[str, int]) -> None:
        self.number = numbers[row.name]
        self.parts = tuple(frozenset(numbers[n] for n in part.split("|")) for part in row.near)
        # Two masks settle nearly always that a composition cannot hold, without looking at places.
        self.first, self.second = (sum(1 << n for n in part) for part in (self.parts[0], self.parts[-1]))
        self.within = row.within
        self.ordered = row.ordered
        self.clause = row.clause
        self.unless = frozenset(numbers[n] for n in row.unless)


class Lexicon:
    """The armed form of all concepts: one automaton, numbered facts, compositions by their anchor."""

    __slots__ = (
        "automaton",
        "bits",
        "chained",
        "count",
        "doubt",
        "fold",
        "head_states",
        "joints",
        "names",
        "numbers",
        "patterns",
        "persists",
        "plain",
        "spoken",
        "states",
        "used",
    )

    def __init__(self, sheet: Sheet, patterns: Patterns | None = None) -> None:
        names: list[str] = list(SITUATIONS)
        names.extend(c.name for c in sheet.concepts)
        names.extend(c.name for c in sheet.compositions)
        self.names = tuple(dict.fromkeys(names))
        self.numbers = {name: n for n, name in enumerate(self.names)}
        self.count = len(self.names)
        self.bits = tuple(
            tuple(1 << (plane * self.count + n) for n in range(self.count)) for plane in range(5)
        )
        live, past, supposed, anyhow, head = self.bits
        self.states = tuple(
            tuple(anyhow[n] | plane[n] for n in range(self.count)) for plane in (live, past, supposed)
        )
        self.head_states = tuple(
            tuple(anyhow[n] | plane[n] | head[n] for n in range(self.count)) for plane in (live, past)
        )
        self.doubt = frozenset(self.numbers[c.name] for c in sheet.concepts if c.doubt)
        self.persists = frozenset(self.numbers[c.name] for c in sheet.concepts if c.persists)
        self.spoken = frozenset(self.numbers[c.name] for c in sheet.concepts if c.spoken)
        self.plain = frozenset(self.numbers[c.name] for c in sheet.concepts if c.plain)
        self.used = _used(sheet)
        self.fold = _folding(sheet.traditional, sheet.simplified)
        if patterns is None:
            read = tuple(c for c in sheet.concepts if c.role != "fact" or c.name in self.used)
            patterns = _patterns(read, self.numbers, self.fold)
        self.patterns = patterns
        self.automaton = _automaton(patterns)
        anchored: dict[int, list[tuple[int, Joint]]] = {}
        common = _commonness(sheet, self.numbers)
        for order, row in enumerate(sheet.compositions):
            joint = Joint(row, self.numbers)
            for number in min(joint.parts, key=lambda part: sum(common.get(n, 0.0) for n in part)):
                anchored.setdefault(number, []).append((order, joint))
        self.joints = {number: tuple(rows) for number, rows in anchored.items()}
        # Made facts wake every later composition they are part of, whatever its anchor.
        made = {self.numbers[row.name] for row in sheet.compositions}
        chained: dict[int, list[tuple[int, Joint]]] = {}
        for rows in self.joints.values():
            for entry in rows:
                for number in made.intersection(*[frozenset().union(*entry[1].parts)]):
                    chained.setdefault(number, []).append(entry)
        self.chained = {number: tuple(rows) for number, rows in chained.items()}


def _patterns(concepts: tuple[Concept, ...], numbers: dict[str, int], fold: dict[int, int]) -> Patterns:
    """Every string that the words stand for, with all its meanings."""
    meanings: dict[str, dict[tuple[int, int], None]] = {}
    for concept in concepts:
        meaning = (ROLES[concept.role], numbers[concept.name])
        texts = {
            text.translate(fold)
            for word in concept.words
            for text in (expand(word) if "(" in word or "?" in word else (word,))
        }
        for text in sorted(texts if concept.role != "fact" or concept.plain else _least(texts)):
            meanings.setdefault(text, {})[meaning] = None
    return tuple(
        # An idiom comes first among the meanings of a string, so that one look tells it.
        (units(text), len(text), tuple(sorted(found, key=lambda meaning: meaning[0] != ROLES["mask"])))
        for text, found in meanings.items()
    )


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


def _automaton(patterns: Patterns) -> Any:
    """Values are (length, meanings). None of it is copied while a text is read."""
    automaton = ahocorasick.Automaton()
    for text, length, meanings in patterns:
        automaton.add_word(text, (length, meanings))
    if patterns:
        automaton.make_automaton()
    return automaton


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


def _folding(traditional: str, simplified: str) -> dict[int, int]:
    """Full-width to half-width, capitals to small, traditional to simplified: one character for one."""
    fold = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
    fold[0x3000] = 0x20
    fold.update({ord("\r"): 0x20, ord("\t"): 0x20})
    fold.update({code: code + 32 for code in range(ord("A"), ord("Z") + 1)})
    fold.update({code: code - 0xFEE0 + 32 for code in range(0xFF21, 0xFF3B)})
    fold.update({ord(old): ord(new) for old, new in zip(traditional, simplified, strict=True)})
    return fold
