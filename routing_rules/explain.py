"""Why an item won a text, and why the others that it speaks of did not: with the words and their places."""

import datetime as dt

import msgspec

from routing_rules.facts import Facts
from routing_rules.glance import glance
from routing_rules.lexicon import PLANES
from routing_rules.loader import Rulebook
from routing_rules.match import LEGAL_ZONE, read_all, rule, weigh, weight_of
from routing_rules.ruling import Evidence, Hints, Line
from routing_rules.schema import SITUATIONS, TIERS, Item
from routing_rules.terms import PLANE_OF_TIER, Terms

MOST_LOSERS = 12


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One fact at one place, and the planes on which the text tells it: live, past, supposed; head where it stands at the
    head of the text."""

    start: int
    end: int
    words: str
    fact: str
    planes: tuple[str, ...]


class Loser(msgspec.Struct, frozen=True, kw_only=True):
    """An item that was in question. ``why`` is one word (lower-tier, lighter, later, forbidden, unmet, not-in-force,
    overridden), ``words`` say it, ``spans`` are the places that brought it into question or spoke against it."""

    item: str
    title: str
    layer: str
    platform: str
    why: str
    words: str
    spans: tuple[Evidence, ...]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A ruling with its reasons: the winner, what it rests on, who lost and why, and every fact that was read."""

    item: str
    title: str
    layer: str
    platform: str
    also: tuple[str, ...]
    decision: str
    danger: bool
    confidence: float
    list_version: str
    reason: str
    spans: tuple[Evidence, ...]
    losers: tuple[Loser, ...]
    facts: tuple[Seen, ...]


_NO_HINTS = Hints()


def explain(
    text: str, *, book: Rulebook, line: Line, division: str, at: dt.datetime, hints: Hints = _NO_HINTS
) -> Explanation:
    """The ruling of `match.rule` and the reasons. Total, as that is."""
    ruling = rule(text, book=book, line=line, division=division, at=at, hints=hints)
    local = at.astimezone(LEGAL_ZONE)
    facts = read_all(text, book=book, division=division, at=at, hints=hints)
    looked = _Looked(text, facts, book)
    winner = next(item for item in book.sheet.items if item.id == ruling.item)
    _, held = weigh(text, book=book, division=division, at=at, hints=hints)
    weights: dict[int, float] = {}
    best: dict[str, float] = {}
    for row in held:
        best[row.item.id] = max(best.get(row.item.id, 0.0), weight_of(row, facts, weights))
    idle = {row.item.id for row in book.terms.idle(division, local.date(), hints.channel)}
    return Explanation(
        item=ruling.item,
        title=winner.title,
        layer=ruling.layer,
        platform=ruling.platform,
        also=ruling.also,
        decision=ruling.decision.value,
        danger=ruling.danger,
        confidence=ruling.confidence,
        list_version=ruling.list_version,
        reason=ruling.reason,
        spans=ruling.evidence,
        losers=tuple(_losers(looked, winner, best, idle, division, local.date())),
        facts=looked.seen(),
    )


class _Looked:
    """A text with everything that was read of it, by names."""

    def __init__(self, text: str, facts: Facts, book: Rulebook) -> None:
        self.text = text
        self.facts = facts
        self.book = book
        self.known = frozenset(book.lexicon.numbers)
        self._numbers = book.lexicon.numbers
        self._glanced = glance(text, book.lexicon).present

    def holds(self, plane: str, name: str) -> bool:
        """Whether a fact stands on a plane."""
        return bool(self.facts.planes(self._numbers[name]) & PLANES[plane])

    def spans(self, name: str) -> list[Evidence]:
        """Where a fact stands in the text as it was given."""
        found = []
        for place in self.facts.places(self._numbers[name]):
            start, end = self.facts.span(place)
            found.append(Evidence(start, end, self.text[start:end], name))
        return found

    def lacking(self, plane: str, name: str) -> str:
        """`live:stolen(past)`: what is wanted, and as what the text tells it, where it does."""
        told = [state for state in ("live", "past", "supposed") if self.holds(state, name)]
        if not told and self._glanced & self.book.lexicon.bits[self._numbers[name]]:
            told = ["被否定或属惯用语 / denied or an idiom"]
        return f"{plane}:{name}" + (f"({'、'.join(told)})" if told else "")

    def seen(self) -> tuple[Seen, ...]:
        """Every fact, by its place."""
        rows = [
            Seen(
                start=span.start,
                end=span.end,
                words=span.words,
                fact=name,
                planes=tuple(
                    plane for plane in ("live", "past", "supposed", "head") if self.holds(plane, name)
                ),
            )
            for name in self.known
            for span in self.spans(name)
        ]
        return tuple(sorted(rows, key=lambda row: (row.start, row.end, row.fact)))


def _losers(
    looked: _Looked, winner: Item, best: dict[str, float], idle: set[str], division: str, today: dt.date
) -> list[Loser]:
    found: list[tuple[tuple[int, int, float, int], Loser]] = []
    for order, item in enumerate(looked.book.sheet.items):
        if item.id == winner.id or item.tier == "last":
            continue
        against: list[str] = []
        if item.id in best:
            why, words = _outdone(item, winner, best)
            rank = 0
        else:
            told = _silent(looked, item, idle, division, today)
            if told is None:
                continue
            why, words, against = told
            rank = 1 if why != "unmet" else 2
        spans = _evidence(looked, item, against)
        loser = Loser(
            item=item.id,
            title=item.title,
            layer=item.layer,
            platform=item.platform,
            why=why,
            words=words,
            spans=spans,
        )
        distance = abs(TIERS.index(item.tier) - TIERS.index(winner.tier))
        found.append(((rank, distance, -best.get(item.id, float(len(spans))), order), loser))
    found.sort(key=lambda pair: pair[0])
    return [loser for _, loser in found[:MOST_LOSERS]]


def _outdone(item: Item, winner: Item, best: dict[str, float]) -> tuple[str, str]:
    """It held, and yet another spoke first."""
    if item.alone and winner.tier == "ordinary":
        return "alone", "有普通事项发言时不发言 / silent where an ordinary topic speaks"
    if TIERS.index(winner.tier) < TIERS.index(item.tier):
        return "lower-tier", f"{winner.tier} 先于 {item.tier} / {winner.tier} speaks before {item.tier}"
    if item.tier == "ordinary":
        one, other = best[item.id], best.get(winner.id, 0.0)
        if one < other:
            return "lighter", f"原话分量 {one:g} < {other:g} / its words weigh {one:g}, not {other:g}"
    words = (
        f"优先级 {item.priority} 在 {winner.priority} 之后 / priority {item.priority} after {winner.priority}"
    )
    return "later", words


def _silent(
    looked: _Looked, item: Item, idle: set[str], division: str, today: dt.date
) -> tuple[str, str, list[str]] | None:
    """Why an item that some word spoke of does not hold; None when no alternative came near."""
    bars = [
        (plane or "any", name) for line in item.unless for _, plane, name in Terms.parse(line, looked.known)
    ]
    nearest: tuple[int, str, str, list[str]] | None = None
    for line in item.when:
        terms = Terms.parse(line, looked.known)
        wanted = [(plane or _USUAL[item.tier], name) for want, plane, name in terms if want]
        worded = [name for _, name in wanted if name not in SITUATIONS]
        missing = [pair for pair in wanted if not looked.holds(*pair)]
        if not any(looked.spans(name) for name in worded) and not (missing and len(wanted) == 1):
            continue
        if missing:
            shown = [looked.lacking(*pair) for pair in missing]
            if not any(looked.spans(name) for name in worded) and "(" not in shown[0]:
                continue  # not a word of it in the text
            words = f"未成立 {'、'.join(shown)} / does not hold"
            row: tuple[int, str, str, list[str]] = (len(missing), "unmet", words, [])
        else:
            forbidden = [(plane or "any", name) for want, plane, name in terms if not want] + bars
            against = list(dict.fromkeys(name for plane, name in forbidden if looked.holds(plane, name)))
            if against:
                shown_names = "、".join(against)
                words = f"有 {shown_names} 时不适用 / silent where {shown_names} is stated"
                row = (0, "forbidden", words, against)
            elif item.id in idle:
                row = (0, *_out_of_force(looked.book, item, division, today), [])
            else:
                continue
        nearest = row if nearest is None or row[0] < nearest[0] else nearest
    # An item of which half is missing was never in question; one word out of two or three was.
    return None if nearest is None or nearest[0] > 1 else nearest[1:]


_USUAL = {
    tier: next(name for name, bit in PLANES.items() if bit == plane) for tier, plane in PLANE_OF_TIER.items()
}


def _out_of_force(book: Rulebook, item: Item, division: str, today: dt.date) -> tuple[str, str]:
    over = [
        other.id
        for other in book.sheet.items
        if item.id in other.overrides and division.startswith(other.division)
    ]
    if over:
        return "overridden", f"本地由 {over[0]} 代替 / {over[0]} stands in its place here"
    span = f"{item.since or '…'} – {item.until or '…'}"
    where = f"{item.layer} {item.division}".strip()
    return "not-in-force", f"不在效力内:{where},{span} / not in force here on {today}"


def _evidence(looked: _Looked, item: Item, against: list[str]) -> tuple[Evidence, ...]:
    """The places of the facts that the item asks for, or of those that spoke against it."""
    names = dict.fromkeys(against) or dict.fromkeys(
        name for line in item.when for wanted, _, name in Terms.parse(line, looked.known) if wanted
    )
    spans: dict[tuple[int, int], Evidence] = {}
    for name in names:
        for span in looked.spans(name):
            spans.setdefault((span.start, span.end), span)
    return tuple(spans[place] for place in sorted(spans))[:6]
