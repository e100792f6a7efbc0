"""Two rulebooks beside each other: what changed in items, words and compositions, and which proofs move."""

import datetime as dt

import msgspec

from routing_rules.lint import judge, proofs
from routing_rules.loader import Rulebook
from routing_rules.match import LEGAL_ZONE, rule
from routing_rules.ruling import Line
from routing_rules.schema import Example, Item, Sheet


class FieldChange(msgspec.Struct, frozen=True, kw_only=True):
    """One field of an item, as it was and as it is now, in the words of the file."""

    field: str
    before: str
    after: str


class ItemChange(msgspec.Struct, frozen=True, kw_only=True):
    """An item that is new, gone or changed."""

    id: str
    change: str  # added | removed | changed
    title: str
    layer: str
    fields: tuple[FieldChange, ...] = ()


class WordChange(msgspec.Struct, frozen=True, kw_only=True):
    """Words that a concept (or an item's own words) gained and lost."""

    concept: str
    added: tuple[str, ...]
    removed: tuple[str, ...]


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """A text that comes out elsewhere: item, platform and decision, before and after. ``proof``: some example of
    either book says where it must come out, and the new book does otherwise."""

    text: str
    before: str
    after: str
    proof_broken: bool = False


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that differs between two books. ``same`` when they rule alike by construction."""

    before: str
    after: str
    same: bool
    items: tuple[ItemChange, ...]
    words: tuple[WordChange, ...]
    facts: tuple[str, ...]
    moves: tuple[Move, ...]


def compare(before: Rulebook, after: Rulebook, *, today: dt.date) -> Comparison:
    """The differences, and the effect on every example that either book holds."""
    same = before.digest == after.digest
    return Comparison(
        before=before.digest,
        after=after.digest,
        same=same,
        items=tuple(_items(before.sheet, after.sheet)),
        words=tuple(_words(before.sheet, after.sheet)),
        facts=tuple(_facts(before.sheet, after.sheet)),
        moves=() if same else tuple(_moves(before, after, today)),
    )


def _items(old: Sheet, new: Sheet) -> list[ItemChange]:
    was = {item.id: item for item in old.items}
    now = {item.id: item for item in new.items}
    changes = []
    for id_ in sorted({*was, *now}):
        one, other = was.get(id_), now.get(id_)
        item = other or one
        assert item is not None
        if one is None or other is None:
            change = "added" if one is None else "removed"
            changes.append(ItemChange(id=id_, change=change, title=item.title, layer=item.layer))
        elif fields := _fields(one, other):
            changes.append(
                ItemChange(id=id_, change="changed", title=item.title, layer=item.layer, fields=fields)
            )
    return changes


def _fields(one: Item, other: Item) -> tuple[FieldChange, ...]:
    names = [field.name for field in msgspec.structs.fields(Item) if field.name != "words"]
    return tuple(
        FieldChange(field=name, before=_shown(getattr(one, name)), after=_shown(getattr(other, name)))
        for name in names
        if getattr(one, name) != getattr(other, name)
    )


def _shown(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _words(old: Sheet, new: Sheet) -> list[WordChange]:
    was = {concept.name: concept.words for concept in old.concepts}
    now = {concept.name: concept.words for concept in new.concepts}
    changes = []
    for name in sorted({*was, *now}):
        one, other = was.get(name, ()), now.get(name, ())
        added = tuple(word for word in other if word not in set(one))
        removed = tuple(word for word in one if word not in set(other))
        if added or removed:
            changes.append(WordChange(concept=name, added=added, removed=removed))
    return changes


def _facts(old: Sheet, new: Sheet) -> list[str]:
    """Names of compositions and roles of concepts that differ."""
    changed = {row.name for row in {*old.compositions} ^ {*new.compositions}}
    was = {concept.name: msgspec.structs.replace(concept, words=()) for concept in old.concepts}
    now = {concept.name: msgspec.structs.replace(concept, words=()) for concept in new.concepts}
    changed.update(name for name in {*was, *now} if was.get(name) != now.get(name))
    return sorted(name for name in changed if not name.startswith("words/"))


def _moves(before: Rulebook, after: Rulebook, today: dt.date) -> list[Move]:
    at = dt.datetime.combine(today, dt.time(10), LEGAL_ZONE)
    seen: dict[tuple[str, str, str], tuple[Example, str]] = {}
    for book in (before, after):
        for _, example, division in proofs(book, today):
            seen[example.text, example.line, division] = (example, division)
    moves = []
    for example, division in seen.values():
        where = (division + "000000")[:6] if division else "630000"
        was, now = (
            rule(example.text, book=book, line=Line(example.line), division=where, at=at)
            for book in (before, after)
        )
        one, other = (f"{each.item} → {each.platform} {each.decision.value}" for each in (was, now))
        if one != other:
            broken = judge(after, at, example, division) is not None
            moves.append(Move(text=example.text, before=one, after=other, proof_broken=broken))
    return moves
