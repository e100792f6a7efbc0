"""Bytes into a rulebook: every fault of every file named at once, the digest as its version."""

import datetime as dt
import hashlib
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from routing_rules.ear import Ear, EarFault, Weights, load_weights
from routing_rules.lexicon import BETWEEN, Lexicon, Patterns
from routing_rules.overlays import Overlays, overlay_faults, root_of
from routing_rules.schema import (
    DANGEROUS,
    DOORS,
    PLATFORMS,
    RESCUE,
    SITUATIONS,
    TIERS,
    UNIT_KINDS,
    UTILITIES,
    Composition,
    Concept,
    Example,
    Item,
    ListHead,
    RuleFault,
    Sheet,
)
from routing_rules.terms import TermFault, Terms, compile_terms
from routing_rules.words import expand

Row = TypeVar("Row", Concept, Composition, Item, Example, ListHead)
_LINES = PLATFORMS - {"other", "none"} | UTILITIES | DOORS
_DIVISION = re.compile(r"(\d{2}|\d{4}|\d{6}|\d{9}|\d{12})?")
MOST_STRINGS = 40_000  # of one concept; beyond it a pattern was written, not a word
MOST_STRINGS_IN_ALL = 600_000  # of a book; the shipped one stands for some 45,000


class Rulebook:
    """A compiled release of lists and lexicon. Immutable; pickles by `dump` and `restore`."""

    __slots__ = ("digest", "ear", "last", "lexicon", "sheet", "terms")

    def __init__(
        self, sheet: Sheet, digest: str, patterns: Patterns | None = None, weights: Weights | None = None
    ) -> None:
        self.sheet = sheet
        self.ear = Ear(weights) if weights is not None else None
        self.digest = digest
        self.lexicon = Lexicon(sheet, patterns)
        self.terms: Terms = compile_terms(sheet.items, self.lexicon)
        self.last = next(item for item in sheet.items if item.tier == "last")

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, (dump(self),)


class _Cached(msgspec.Struct, frozen=True, array_like=True):
    """What a cache holds: the sheet, its digest, the strings that its words stand for, the ear's weights."""

    sheet: Sheet
    digest: str
    patterns: Patterns
    weights: Weights | None


def dump(book: Rulebook) -> bytes:
    """The compiled book as bytes, for a cache keyed by the digest of the source files.

    Restoring takes a quarter of the time of compiling; the bytes are data, not code.
    """
    return msgspec.msgpack.encode(
        _Cached(
            book.sheet, book.digest, book.lexicon.patterns, book.ear.weights if book.ear is not None else None
        )
    )


def restore(data: bytes) -> Rulebook:
    """A rulebook from what `dump` wrote; msgspec.DecodeError or ValidationError when it is something else."""
    held = msgspec.msgpack.decode(data, type=_Cached)
    return Rulebook(held.sheet, held.digest, held.patterns, held.weights)


def compile_rulebook(files: Mapping[str, bytes]) -> Rulebook:
    """A rulebook from named TOML files (lists, lexicons and examples in any order) and the ear's weights (`.tsv`).

    Raises an ExceptionGroup of RuleFault naming file, row, field, value and remedy, all at once. The digest
    is SHA-256 over the canonical content, so comments and the order of files don't change the version.
    """
    reading = _Reading()
    for name in sorted(files):
        if name.endswith(".tsv"):
            reading.take_weights(name, files[name])
        else:
            reading.take(name, files[name])
    reading.lay_over()
    sheet = reading.sheet()
    faults = reading.faults + (_cross_check(sheet) if not reading.faults else [])
    if faults:
        raise ExceptionGroup("the rulebook is refused", faults)
    # Example files prove a release but don't change what it rules: a process may leave them out.
    canonical = msgspec.structs.replace(sheet, examples=())
    key = hashlib.sha256(msgspec.msgpack.encode(canonical))
    if reading.weights is not None:
        key.update(msgspec.msgpack.encode(reading.weights))
    return Rulebook(sheet, key.hexdigest(), weights=reading.weights)


class _Reading:
    """What has been read so far, and what was wrong with it."""

    def __init__(self) -> None:
        self.faults: list[RuleFault] = []
        self.heads: list[ListHead] = []
        self.concepts: dict[str, Concept] = {}
        self.compositions: list[Composition] = []
        self.items: list[Item] = []
        self.overlays = Overlays()
        self.examples: list[Example] = []
        self.traditional = ""
        self.simplified = ""
        self.strings = 0
        self.weights: Weights | None = None

    def sheet(self) -> Sheet:
        return Sheet(
            heads=tuple(self.heads),
            concepts=tuple(self.concepts[name] for name in sorted(self.concepts)),
            compositions=tuple(self.compositions),
            items=tuple(
                sorted(self.items, key=lambda item: (TIERS.index(item.tier), item.priority, item.id))
            ),
            examples=tuple(self.examples),
            traditional=self.traditional,
            simplified=self.simplified,
        )

    def fault(self, where: str, field: str, value: object, remedy: str) -> None:
        self.faults.append(RuleFault(where, field, value, remedy))

    def take_weights(self, name: str, data: bytes) -> None:
        try:
            self.weights = load_weights(data)
        except EarFault as fault:
            self.fault(name, "weights", "…", str(fault))

    def take(self, name: str, data: bytes) -> None:
        import tomllib  # a process that restores a cached book never parses, and starts 60 ms sooner

        try:
            table = tomllib.loads(data.decode())
        except UnicodeDecodeError as err:
            self.fault(name, "bytes", err.object[err.start : err.end], "save the file as UTF-8")
            return
        except tomllib.TOMLDecodeError as err:
            self.fault(name, "TOML", str(err), "correct the syntax at the place named")
            return
        head = ListHead(layer="", source="", dated=dt.date.min)
        for key, value in table.items():
            if key == "list" and isinstance(value, dict):
                read = self.row(ListHead, value, f"{name} [list]")
                if read is not None:
                    head = read
                    self.heads.append(read)
                    if _DIVISION.fullmatch(read.division) is None:
                        self.fault(
                            f"{name} [list]", "division", read.division, "leading digits of a GB/T 2260 code"
                        )
            elif key == "concept" and isinstance(value, dict):
                self.take_concepts(name, value)
            elif key == "fact" and isinstance(value, list):
                self.compositions.extend(self.rows(Composition, value, f"{name} [[fact]]"))
            elif key == "item" and isinstance(value, list):
                if "list" not in table:
                    self.fault(
                        name, "list", None, "a file with items begins with [list] layer, source, dated"
                    )
                rest = self.overlays.take(value, f"{name} [[item]]", head)
                placed = self.rows(Item, rest, f"{name} [[item]]")
                self.items.extend(self.placed(item, head) for item in placed)
            elif key == "example" and isinstance(value, list):
                self.examples.extend(self.rows(Example, value, f"{name} [[example]]"))
            elif key == "variants" and isinstance(value, dict):
                self.take_variants(name, value)
            else:
                known = "[list], [concept.NAME], [[fact]], [[item]], [[example]] or [variants]"
                self.fault(name, key, type(value).__name__, f"expected {known}")

    def lay_over(self) -> None:
        """Overlay items take what they do not say from their base, once every file has been read."""
        for where, raw, head in self.overlays.resolved(self.faults):
            item = self.row(Item, raw, where)
            if item is not None:
                self.items.append(self.placed(item, head))

    def placed(self, item: Item, head: ListHead) -> Item:
        """The item in its list's layer; its own words become one more fact and alternative."""
        when = item.when
        if item.words:
            name = f"words/{item.id}"
            self.check_words(f"[[item]] {item.id}", item.words)
            self.concepts[name] = Concept(
                name=name, words=item.words, plain=item.tier not in {"gate", "doubt", "police"}
            )
            when = (*when, name)
        return msgspec.structs.replace(item, layer=head.layer, division=head.division, when=when)

    def check_words(self, where: str, words: tuple[str, ...]) -> None:
        strings = 0
        for word in words:
            if BETWEEN in word:
                self.fault(where, "words", word, "holds a control character, which no text is searched for")
                continue
            try:
                count = len(expand(word))
            except ValueError as err:
                self.fault(where, "words", word, f"the pattern {err}")
                continue
            strings += count
            if self.strings <= MOST_STRINGS_IN_ALL < self.strings + count:
                self.fault(
                    where,
                    "words",
                    word,
                    f"with it the book stands for more than {MOST_STRINGS_IN_ALL} strings; write fewer choices",
                )
            self.strings += count
        if strings > MOST_STRINGS:
            self.fault(
                where, "words", f"{strings} strings", f"at most {MOST_STRINGS} for one concept or item"
            )

    def take_variants(self, name: str, value: dict[str, Any]) -> None:
        old, new = value.get("traditional", ""), value.get("simplified", "")
        if not isinstance(old, str) or not isinstance(new, str) or len(old) != len(new):
            self.fault(name, "variants", "…", "two strings of equal length, character for character")
            return
        self.traditional += old
        self.simplified += new

    def take_concepts(self, name: str, value: dict[str, Any]) -> None:
        for key, raw in value.items():
            where = f"{name} [concept.{key}]"
            read = self.row(Concept, raw, where)
            if read is None:
                continue
            self.check_words(where, read.words)
            if key in self.concepts:
                self.fault(where, "name", key, "is defined twice; merge the two")
            self.concepts[key] = msgspec.structs.replace(read, name=key)

    def rows(self, kind: type[Row], value: list[Any], where: str) -> list[Row]:
        made = []
        for n, raw in enumerate(value, start=1):
            label = raw.get("id") or raw.get("name") or n if isinstance(raw, dict) else n
            row = self.row(kind, raw, f"{where} {label}")
            if row is not None:
                made.append(row)
        return made

    def row(self, kind: type[Row], raw: object, where: str) -> Row | None:
        """One row, field by field, so that all its faults are named together."""
        if not isinstance(raw, dict):
            self.fault(where, "row", raw, "must be a table")
            return None
        before = len(self.faults)
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        given: dict[str, Any] = {}
        for key, value in raw.items():
            if key not in fields or (kind is Item and key in {"layer", "division"}):
                self.fault(where, key, value, f"unknown key; known are {', '.join(sorted(fields))}")
                continue
            try:
                given[key] = msgspec.convert(value, fields[key].type)
            except msgspec.ValidationError as err:
                self.fault(where, key, value, str(err))
        for key, field in fields.items():
            if field.required and key not in raw:
                self.fault(where, key, None, "is missing")
        return kind(**given) if len(self.faults) == before else None


def _cross_check(sheet: Sheet) -> list[RuleFault]:
    """What only shows when all rows are seen together."""
    faults: list[RuleFault] = []
    known = {*SITUATIONS, *(c.name for c in sheet.concepts)}
    for row in sheet.compositions:
        where = f"[[fact]] {row.name}"
        if row.name in SITUATIONS:
            faults.append(RuleFault(where, "name", row.name, "is a situation; choose another"))
        faults.extend(
            RuleFault(where, "near", name, "no such fact is defined before this one")
            for part in (*row.near, *row.unless)
            for name in part.split("|")
            if name not in known
        )
        known.add(row.name)
    seen: dict[str, str] = {}
    priorities: dict[tuple[str, int], Item] = {}
    by_id = {item.id: item for item in sheet.items}
    for item in sheet.items:
        where = f"[[item]] {item.id}"
        faults.extend(_check_item(item, where, known))
        if item.id in seen:
            faults.append(RuleFault(where, "id", item.id, "is used twice; ids are unique"))
        seen[item.id] = item.tier
        other = priorities.setdefault((item.tier, item.priority), item)
        # An overlay stands where its base would: the two never speak in one place.
        if other is not item and (root_of(item, by_id) != root_of(other, by_id)):
            faults.append(RuleFault(where, "priority", item.priority, f"{other.id} has it; unique in a tier"))
    for item in sheet.items:
        faults.extend(
            RuleFault(f"[[item]] {item.id}", "overrides", other, "no item has this id")
            for other in item.overrides
            if other not in seen
        )
    faults.extend(overlay_faults(sheet, by_id))
    faults.extend(
        RuleFault(f"[[item]] {item.id}", "flips", flip.to, "no item has this id")
        for item in sheet.items
        for flip in item.flips
        if flip.to not in seen
    )
    faults.extend(
        RuleFault(f"[[example]] {row.text[:20]}", "item", row.item, "no item has this id")
        for row in sheet.examples
        if row.item and row.item not in seen
    )
    dated = {(head.layer, head.division): head.dated for head in sheet.heads}
    faults.extend(
        RuleFault(f"[[item]] {item.id}", "until", item.until, f"ended before its list was issued ({issued})")
        for item in sheet.items
        if item.until and (issued := dated.get((item.layer, item.division))) and item.until < issued
    )
    if sum(tier == "last" for tier in seen.values()) != 1:
        faults.append(RuleFault("rulebook", "tier", "last", "exactly one catch-all item must close the book"))
    return faults


def _check_item(item: Item, where: str, known: set[str]) -> list[RuleFault]:
    faults: list[RuleFault] = []

    def wrong(field: str, value: object, remedy: str) -> None:
        faults.append(RuleFault(where, field, value, remedy))

    if item.platform not in PLATFORMS:
        wrong("platform", item.platform, f"one of {', '.join(sorted(PLATFORMS))}")
    for line in (*item.dual, *item.tell):
        if line not in _LINES:
            wrong("dual/tell", line, "a line, a utility desk or a known door")
    for owner in item.owners:
        if owner not in UNIT_KINDS:
            wrong("owners", owner, "a kind of unit of the organisation")
    if item.about and item.about != "police" and item.about not in UNIT_KINDS and item.about != "unit":
        wrong("about", item.about, "police, unit or a kind of unit")
    if item.platform == "12345" and not item.owners and item.tier != "last":
        wrong("owners", item.owners, "name who has the power to act")
    if item.platform in {"none", "other"} and not item.guidance:
        wrong("guidance", "", "say which door is the right one and why")
    if not item.source and not item.basis:
        wrong("source", "", 'name a document or an address, or write basis = "clause"')
    if item.tier in DANGEROUS and not ({item.platform, *item.dual, *item.tell} & RESCUE):
        wrong("platform", item.platform, "danger always reaches a rescue line")
    if item.self_dispatch:
        # Never danger, reports, contested items or complaints about somebody: a person looks first.
        if item.tier != "ordinary" or item.platform != "12345" or item.contested or item.about or item.dual:
            wrong(
                "self_dispatch", item.self_dispatch, "only ordinary, uncontested items of 12345 about nobody"
            )
        if item.kind == "举报":
            wrong("self_dispatch", item.self_dispatch, "reports are looked at by a person")
        if not 0.5 < item.self_dispatch <= 1.0:
            wrong("self_dispatch", item.self_dispatch, "a confidence above 0.5, at most 1")
        if not 1 <= item.recall_minutes <= 60:
            wrong("recall_minutes", item.recall_minutes, "1 to 60")
        if not 0.0 < item.sampled <= 1.0:
            wrong("sampled", item.sampled, "a share above 0, at most 1")
    if item.since and item.until and item.since > item.until:
        wrong("until", item.until, "must not lie before since")
    if not item.when and item.tier != "last":
        wrong("when", item.when, "at least one alternative")
    for line in item.when + item.unless:
        try:
            Terms.parse(line, known)
        except TermFault as err:
            wrong("when", line, str(err))
    return faults
