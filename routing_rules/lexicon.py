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


class Joint:
    """A composition with its parts resolved to concept numbers."""

    __slots__ = ("number", "ordered", "parts", "unless", "within")

    def __init__(self, row: Composition, numbers: dict[str, int]) -> None:
        self.number = numbers[row.name]
        self.parts = tuple(frozenset(numbers[n] for n in part.split("|")) for part in row.near)
        self.within = row.within
        self.ordered = row.ordered
        self.unless = frozenset(numbers[n] for n in row.unless)


class Lexicon:
    """The armed form of all concepts: one automaton, numbered facts, compositions by their anchor."""

    __slots__ = (
        "automaton",
        "bits",
        "count",
        "doubt",
        "fold",
        "joints",
        "names",
        "numbers",
        "patterns",
        "persists",
        "plain",
        "spoken",
    )

    def __init__(self, sheet: Sheet) -> None:
        names: list[str] = list(SITUATIONS)
        names.extend(c.name for c in sheet.concepts)
        names.extend(c.name for c in sheet.compositions)
        self.names = tuple(dict.fromkeys(names))
        self.numbers = {name: n for n, name in enumerate(self.names)}
        self.count = len(self.names)
        self.bits = tuple(
            tuple(1 << (plane * self.count + n) for n in range(self.count)) for plane in range(5)
        )
        self.doubt = frozenset(self.numbers[c.name] for c in sheet.concepts if c.doubt)
        self.persists = frozenset(self.numbers[c.name] for c in sheet.concepts if c.persists)
        self.spoken = frozenset(self.numbers[c.name] for c in sheet.concepts if c.spoken)
        self.plain = frozenset(self.numbers[c.name] for c in sheet.concepts if c.plain)
        self.fold = _folding(sheet.traditional, sheet.simplified)
        self.automaton, self.patterns = _automaton(sheet.concepts, self.numbers, self.fold)
        anchored: dict[int, list[tuple[int, Joint]]] = {}
        for order, row in enumerate(sheet.compositions):
            joint = Joint(row, self.numbers)
            for number in min(joint.parts, key=len):
                anchored.setdefault(number, []).append((order, joint))
        self.joints = {number: tuple(rows) for number, rows in anchored.items()}


def _automaton(
    concepts: tuple[Concept, ...], numbers: dict[str, int], fold: dict[int, int]
) -> tuple[Any, int]:
    """One automaton whose values are (length, ((role, concept number), …))."""
    meanings: dict[str, list[tuple[int, int]]] = {}
    for concept in concepts:
        role = ROLES[concept.role]
        number = numbers[concept.name]
        for word in concept.words:
            for text in expand(word) if "(" in word or "?" in word else (word,):
                meaning = (role, number)
                held = meanings.setdefault(text.translate(fold), [])
                if meaning not in held:
                    held.append(meaning)
    automaton = ahocorasick.Automaton()
    for text, found in meanings.items():
        automaton.add_word(text, (len(text), tuple(found)))
    if meanings:
        automaton.make_automaton()
    return automaton, len(meanings)


def _folding(traditional: str, simplified: str) -> dict[int, int]:
    """Full-width to half-width, capitals to small, traditional to simplified: one character for one."""
    fold = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
    fold[0x3000] = 0x20
    fold.update({ord("\r"): 0x20, ord("\t"): 0x20})
    fold.update({code: code + 32 for code in range(ord("A"), ord("Z") + 1)})
    fold.update({code: code - 0xFEE0 + 32 for code in range(0xFF21, 0xFF3B)})
    fold.update({ord(old): ord(new) for old, new in zip(traditional, simplified, strict=True)})
    return fold
