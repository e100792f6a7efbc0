"""What a list owner should know before release: rows that can never win, gaps, and examples that come out wrong."""

import datetime as dt
from collections.abc import Iterator
from typing import Literal

import msgspec

from routing_rules.lexicon import PLANES
from routing_rules.loader import Rulebook
from routing_rules.match import LEGAL_ZONE, rule
from routing_rules.ruling import Line, Ruling
from routing_rules.schema import SITUATIONS, Example, Item
from routing_rules.terms import PLANE_OF_TIER, Terms
from routing_rules.words import expand

Kind = Literal[
    "shadowed",
    "dead",
    "unreachable",
    "gap",
    "overlap",
    "expired",
    "not-yet",
    "missing-owner",
    "wrong-example",
    "no-example",
    "unused",
]
# Rows of these kinds stop a release; the others are advice.
SERIOUS: frozenset[Kind] = frozenset(
    {"shadowed", "dead", "unreachable", "gap", "missing-owner", "wrong-example", "unused"}
)
CLAUSES = tuple(f"12345({n})" for n in range(1, 7)) + tuple(f"110({n})" for n in range(1, 10))
PROVINCE = "630000"

TermSet = frozenset[tuple[bool, str, str]]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing found: its kind, the row it is about, and what to do."""

    kind: Kind
    where: str
    text: str

    @property
    def serious(self) -> bool:
        return self.kind in SERIOUS


def lint(book: Rulebook, *, today: dt.date) -> list[Finding]:
    """All findings on a book as it stands on a day, in the order of the book."""
    at = dt.datetime.combine(today, dt.time(10), LEGAL_ZONE)
    findings = [*_conditions(book), *_overlapping_words(book), *_clauses(book), *_unused(book)]
    for head in book.sheet.heads:
        if head.dated > today:
            text = f"the list is dated {head.dated}, after this day"
            findings.append(Finding(kind="not-yet", where=f"{head.layer} {head.division}".strip(), text=text))
    for item in book.sheet.items:
        findings.extend(_item(item, today))
    for where, example, division in proofs(book, today):
        if (came := judge(book, at, example, division)) is not None:
            field, ruling = came
            text = f"{field}: “{example.text}” comes out as {ruling.item} → {ruling.platform}"
            findings.append(Finding(kind="wrong-example", where=where, text=text))
    return findings


def proofs(book: Rulebook, today: dt.date) -> Iterator[tuple[str, Example, str]]:
    """Every example that must come out right on a day: whose it is, the example, the division it is asked in.

    Items that are not in force have nothing to prove that day.
    """
    for item in book.sheet.items:
        if (item.since and today < item.since) or (item.until and item.until < today):
            continue
        for text in item.examples:
            yield item.id, Example(text=text, item=item.id), item.division
        for flip in item.flips:
            yield item.id, Example(text=flip.example, item=flip.to), item.division
    for example in book.sheet.examples:
        yield example.item or "example", example, ""


def judge(book: Rulebook, at: dt.datetime, example: Example, division: str) -> tuple[str, Ruling] | None:
    """None when the example comes out as stated; else the field that differs, and the ruling."""
    where = (division + "000000")[:6] if division else PROVINCE
    ruling = rule(example.text, book=book, line=Line(example.line), division=where, at=at)
    if example.item and ruling.item != example.item:
        return "item", ruling
    if example.platform and ruling.platform != example.platform:
        return "platform", ruling
    if example.danger is not None and ruling.danger != example.danger:
        return "danger", ruling
    if example.urgent is not None and ruling.police_urgent != example.urgent:
        return "urgent", ruling
    if example.decision and ruling.decision.value != example.decision:
        return "decision", ruling
    if not set(example.also) <= set(ruling.also):
        return "also", ruling
    return None


def _item(item: Item, today: dt.date) -> Iterator[Finding]:
    if item.until is not None and item.until < today:
        yield Finding(kind="expired", where=item.id, text=f"ended on {item.until}; remove or renew it")
    if item.since is not None and today < item.since:
        yield Finding(kind="not-yet", where=item.id, text=f"begins on {item.since}")
    if item.platform == "12345" and not item.owners and item.tier != "last":
        yield Finding(kind="missing-owner", where=item.id, text="nobody with the power to act is named")
    if not item.examples and item.tier != "last":
        yield Finding(kind="no-example", where=item.id, text="add a sentence that must come out here")


def _conditions(book: Rulebook) -> Iterator[Finding]:
    """Alternatives that contradict themselves, that nothing can meet, or that an earlier item always takes.

    Ordinary items compete by weight, so that none of them shadows another.
    """
    known = frozenset(book.lexicon.numbers)
    possible = _possible(book)
    rows = [
        (item, [frozenset(Terms.parse(line, known)) for line in item.when], _barring(item, known))
        for item in book.sheet.items
    ]
    for at, (item, lines, barring) in enumerate(rows):
        alive = []
        for line, terms in zip(item.when, lines, strict=True):
            missing = sorted(name for wanted, _, name in terms if wanted and name not in possible)
            if _contradicts(terms) or _barred(terms, barring, item):
                text = f"“{line}” wants a fact and forbids it"
                yield Finding(kind="dead", where=item.id, text=text)
            elif missing:
                text = f"“{line}” needs {', '.join(missing)}, which no word makes"
                yield Finding(kind="unreachable", where=item.id, text=text)
            else:
                alive.append(terms)
        if item.tier in {"ordinary", "last"}:
            continue
        earlier = [
            (other, wide)
            for other, wide, bars in rows[:at]
            if other.tier == item.tier and not bars and _everywhere(other, item)
        ]
        taken: set[str] = set()
        lost = 0
        for terms in alive:
            winners = [other.id for other, wide in earlier if any(w <= terms for w in wide)]
            lost += bool(winners)
            taken.update(winners[:1])
        if alive and lost == len(alive):
            text = f"{', '.join(sorted(taken))} always wins before it"
            yield Finding(kind="shadowed", where=item.id, text=text)
        elif lost:
            text = f"{lost} of {len(alive)} alternatives go to {', '.join(sorted(taken))} first"
            yield Finding(kind="overlap", where=item.id, text=text)


def _everywhere(other: Item, item: Item) -> bool:
    """Whether the other is in force wherever, whenever and on whatever channel the item is."""
    if other.id in item.overrides:
        return False
    return (
        item.division.startswith(other.division)
        and (other.since is None or (item.since is not None and other.since <= item.since))
        and (other.until is None or (item.until is not None and item.until <= other.until))
        and (not other.channels or (bool(item.channels) and set(item.channels) <= set(other.channels)))
    )


def _barring(item: Item, known: frozenset[str]) -> list[tuple[str, str]]:
    return [(plane, name) for line in item.unless for _, plane, name in Terms.parse(line, known)]


def _barred(terms: TermSet, barring: list[tuple[str, str]], item: Item) -> bool:
    """Whether `unless` forbids what the alternative needs: on every plane, or on the one it is read on."""
    usual = next(name for name, plane in PLANES.items() if plane == PLANE_OF_TIER[item.tier])
    return any(
        wanted and name == barred and plane_barred in {"", "any", plane or usual}
        for wanted, plane, name in terms
        for plane_barred, barred in barring
    )


def _contradicts(terms: TermSet) -> bool:
    return any((not wanted, plane, name) in terms for wanted, plane, name in terms)


def _possible(book: Rulebook) -> frozenset[str]:
    """Facts that some text can state: concepts with words, and what is made of facts that can be."""
    possible = {*SITUATIONS, *(c.name for c in book.sheet.concepts if c.words and c.role == "fact")}
    for row in book.sheet.compositions:
        if all(any(name in possible for name in part.split("|")) for part in row.near):
            possible.add(row.name)
    return frozenset(possible)


def _overlapping_words(book: Rulebook) -> Iterator[Finding]:
    """The same words in two ordinary items of one list that lead to different owners: only the priority decides."""
    words = {c.name: c.words for c in book.sheet.concepts if c.name.startswith("words/")}
    held: dict[tuple[str, str], Item] = {}
    shared: dict[tuple[str, str], list[str]] = {}
    for item in book.sheet.items:
        if item.tier != "ordinary":
            continue
        for word in words.get(f"words/{item.id}", ()):
            for text in dict.fromkeys(expand(word)):
                other = held.setdefault((item.division, text), item)
                if (other.platform, other.owners) != (item.platform, item.owners):
                    shared.setdefault((item.id, other.id), []).append(text)
    for (name, other_id), texts in shared.items():
        shown = "、".join(texts[:5]) + ("…" if len(texts) > 5 else "")
        text = f"{shown} also stand in {other_id}, which has the earlier priority"
        yield Finding(kind="overlap", where=name, text=text)


def _clauses(book: Rulebook) -> Iterator[Finding]:
    held = {item.clause for item in book.sheet.items}
    for clause in CLAUSES:
        if clause not in held:
            yield Finding(kind="gap", where=clause, text="no item stands under this clause of the plan")


def _unused(book: Rulebook) -> Iterator[Finding]:
    for concept in book.sheet.concepts:
        if concept.role == "fact" and concept.name not in book.lexicon.used:
            yield Finding(
                kind="unused", where=concept.name, text="no item and no composition reads this concept"
            )
