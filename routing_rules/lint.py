"""What a list owner should know before release: rows that can never win, gaps, and examples that come out wrong."""

import datetime as dt
from typing import Literal

import msgspec

from routing_rules.loader import Rulebook
from routing_rules.match import LEGAL_ZONE, rule
from routing_rules.ruling import Line, Ruling
from routing_rules.schema import Example, Item
from routing_rules.terms import Terms

Kind = Literal["shadowed", "dead", "gap", "expired", "missing-owner", "wrong-example", "no-example", "unused"]
# Rows of these kinds stop a release; the others are advice.
SERIOUS: frozenset[Kind] = frozenset({"shadowed", "dead", "gap", "missing-owner", "wrong-example", "unused"})
CLAUSES = tuple(f"12345({n})" for n in range(1, 7)) + tuple(f"110({n})" for n in range(1, 10))
PROVINCE = "630000"


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
    findings = [*_shadowed(book), *_clauses(book), *_unused(book)]
    for item in book.sheet.items:
        findings.extend(_item(item, today))
        findings.extend(
            _came_out_wrong(book, at, Example(text=text, item=item.id), item.division)
            for text in item.examples
            if judge(book, at, Example(text=text, item=item.id), item.division) is not None
        )
    findings.extend(
        _came_out_wrong(book, at, example, "")
        for example in book.sheet.examples
        if judge(book, at, example, "") is not None
    )
    return findings


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


def _came_out_wrong(book: Rulebook, at: dt.datetime, example: Example, division: str) -> Finding:
    found = judge(book, at, example, division)
    field, came = ("", "") if found is None else (found[0], f"{found[1].item} → {found[1].platform}")
    return Finding(
        kind="wrong-example",
        where=example.item or "example",
        text=f"{field}: “{example.text}” comes out as {came}",
    )


def _item(item: Item, today: dt.date) -> list[Finding]:
    findings = []
    if item.until is not None and item.until < today:
        findings.append(
            Finding(kind="expired", where=item.id, text=f"ended on {item.until}; remove or renew it")
        )
    if item.platform == "12345" and not item.owners and item.tier != "last":
        findings.append(
            Finding(kind="missing-owner", where=item.id, text="nobody with the power to act is named")
        )
    if not item.examples and item.tier != "last":
        findings.append(
            Finding(kind="no-example", where=item.id, text="add a sentence that must come out here")
        )
    return findings


def _shadowed(book: Rulebook) -> list[Finding]:
    """An item is shadowed when an earlier one of the same tier holds wherever it does; ordinary items compete."""
    findings = []
    known = frozenset(book.lexicon.numbers)
    rows = [
        (item, [(_terms(line, known), line) for line in item.when])
        for item in book.sheet.items
        if item.tier not in {"ordinary", "last"}
    ]
    for at, (item, lines) in enumerate(rows):
        if any(_contradicts(terms) for terms, _ in lines):
            findings.append(
                Finding(kind="dead", where=item.id, text="an alternative wants a fact and forbids it")
            )
        earlier = [other for other in rows[:at] if other[0].tier == item.tier and not other[0].unless]
        for other, wide in earlier:
            if other.division and not item.division.startswith(other.division):
                continue
            if lines and all(any(w <= terms for w, _ in wide) for terms, _ in lines):
                findings.append(
                    Finding(kind="shadowed", where=item.id, text=f"{other.id} always wins before it")
                )
                break
    return findings


def _terms(line: str, known: frozenset[str]) -> frozenset[tuple[bool, str, str]]:
    return frozenset(Terms.parse(line, known))


def _contradicts(terms: frozenset[tuple[bool, str, str]]) -> bool:
    return any((not wanted, plane, name) in terms for wanted, plane, name in terms)


def _clauses(book: Rulebook) -> list[Finding]:
    held = {item.clause for item in book.sheet.items}
    return [
        Finding(kind="gap", where=clause, text="no item stands under this clause of the plan")
        for clause in CLAUSES
        if clause not in held
    ]


def _unused(book: Rulebook) -> list[Finding]:
    return [
        Finding(kind="unused", where=concept.name, text="no item and no composition reads this concept")
        for concept in book.sheet.concepts
        if concept.role == "fact" and concept.name not in book.lexicon.used
    ]
