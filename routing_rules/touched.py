"""Which texts two rulebooks could rule differently: only those that hold a word of what changed. The others need one ruling."""

from collections.abc import Iterable
from typing import Any

import ahocorasick
import msgspec

from routing_rules.loader import Rulebook
from routing_rules.schema import SITUATIONS, Composition, Item, Sheet
from routing_rules.terms import Terms
from routing_rules.words import expand

_SILENT = frozenset({"title", "guidance", "examples", "flips", "source", "basis", "clause", "words", "only"})


class Touched:
    """Says of a text whether the difference between two books can show in it. Errs only towards yes."""

    __slots__ = ("_all", "_automaton", "_folding", "_none")

    def __init__(self, before: Rulebook, after: Rulebook) -> None:
        self._folding = after.lexicon.folding
        self._none = before.digest == after.digest
        strings = None if self._none else _strings(before, after)
        self._all = not self._none and strings is None
        self._automaton: Any = None
        if strings:
            self._automaton = ahocorasick.Automaton()
            for text in {self._folding.plain(string) for string in strings}:
                self._automaton.add_word(text, True)
            self._automaton.make_automaton()

    def __call__(self, text: str) -> bool:
        """Whether the text must be ruled by both books."""
        if self._none:
            return False
        if self._all:
            return True
        if self._automaton is None:
            return False
        return next(iter(self._automaton.iter(self._folding.of(text)[0])), None) is not None


def _strings(before: Rulebook, after: Rulebook) -> set[str] | None:
    """Every string that a difference hangs on; None when it may show in any text."""
    old, new = before.sheet, after.sheet
    if (old.traditional, old.simplified) != (new.traditional, new.simplified):
        return None
    ears = [book.ear.weights if book.ear is not None else None for book in (before, after)]
    if ears[0] != ears[1]:
        return None
    was = {concept.name: concept for concept in old.concepts}
    now = {concept.name: concept for concept in new.concepts}
    strings: set[str] = set()
    for name in {*was, *now}:
        one, other = was.get(name), now.get(name)
        if one is None or other is None or msgspec.structs.replace(one, words=other.words) != other:
            strings.update(_expanded((one.words if one else ()) + (other.words if other else ())))
        elif one.words != other.words:
            strings.update(_expanded(one.words) ^ _expanded(other.words))
    for row in {*old.compositions} ^ {*new.compositions}:
        strings.update(_of_fact(row.name, old) | _of_fact(row.name, new))
    for sheet, items in ((old, _changed(old, new)), (new, _changed(new, old))):
        for item in items:
            for line in item.when:
                needed = _of_line(line, sheet)
                if needed is None:
                    return None
                strings |= needed
    return strings


def _expanded(words: Iterable[str]) -> set[str]:
    return {text for word in words for text in expand(word)}


def _changed(sheet: Sheet, other: Sheet) -> list[Item]:
    """Items that the other book does not have just so, and those that they silence."""
    by_id = {item.id: item for item in sheet.items}
    known = {item.id: _spoken(item) for item in other.items}
    changed = [item for item in sheet.items if known.get(item.id) != _spoken(item)]
    silenced = [by_id[name] for item in changed for name in item.overrides if name in by_id]
    return [item for item in (*changed, *silenced) if item.tier != "last"]


def _spoken(item: Item) -> tuple[object, ...]:
    """What a ruling can tell of an item."""
    fields = (field.name for field in msgspec.structs.fields(Item))
    return tuple(getattr(item, name) for name in fields if name not in _SILENT)


def _of_line(line: str, sheet: Sheet) -> set[str] | None:
    """The strings of the rarest fact that the alternative needs; None when it needs no words at all."""
    known = {*SITUATIONS, *(c.name for c in sheet.concepts), *(c.name for c in sheet.compositions)}
    needed = [
        _of_fact(name, sheet)
        for wanted, _, name in Terms.parse(line, known)
        if wanted and name not in SITUATIONS
    ]
    return min(needed, key=len) if needed else None


def _of_fact(name: str, sheet: Sheet, within: frozenset[str] = frozenset()) -> set[str]:
    """The strings without one of which a fact cannot be stated."""
    strings = _expanded(word for concept in sheet.concepts if concept.name == name for word in concept.words)
    for row in sheet.compositions:
        if row.name == name and name not in within:
            strings |= min((_of_part(part, row, sheet, within) for part in row.near), key=len)
    return strings


def _of_part(part: str, row: Composition, sheet: Sheet, within: frozenset[str]) -> set[str]:
    made: set[str] = set()
    for name in part.split("|"):
        made |= _of_fact(name, sheet, within | {row.name})
    return made
