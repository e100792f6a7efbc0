"""Facts into a ruling: danger before any list, then the lists, then owners, urgency and decision."""

import datetime as dt

from routing_rules.facts import Facts, Hit, read
from routing_rules.lexicon import ANY, HEAD, LIVE
from routing_rules.loader import Rulebook
from routing_rules.points import asked_secrecy, asks, kind_of
from routing_rules.ruling import Decision, Evidence, Hints, Line, Ruling, Urgency
from routing_rules.schema import DANGEROUS, RESCUE, SITUATIONS, Item
from routing_rules.terms import Alternative

LEGAL_ZONE = dt.timezone(dt.timedelta(hours=8), "Asia/Shanghai")
HUMAN_BELOW = 0.5
MOST_EVIDENCE = 8
# Two characters at the head weigh 4: less than this is a place in passing, not what the caller wants.
TOPIC_SPEAKS = 5.0
SITUATION_COUNT = len(SITUATIONS)
_BASE = {
    "gate": 0.93,
    "about": 0.88,
    "police": 0.85,
    "elsewhere": 0.82,
    "doubt": 0.6,
    "ordinary": 0.9,
    "last": 0.3,
}
_NO_HINTS = Hints()


def rule(
    text: str, *, book: Rulebook, line: Line, division: str, at: dt.datetime, hints: Hints = _NO_HINTS
) -> Ruling:
    """The ruling on one text as seen from `line` in `division` at `at` (aware).

    Total: any string gets a ruling. Time and work are bounded, because a long text is read by head and tail.
    """
    local = at.astimezone(LEGAL_ZONE)
    facts = read(text, book.lexicon, _situations(book, local, hints))
    held = candidates(facts, book, division, local.date(), hints)
    winner, rival = _winner(facts, held)
    if winner is None:
        return _unknown(text, facts, book, line)
    return _ruling(text, facts, book, winner, rival, _also(winner.item, held), line, hints)


def candidates(
    facts: Facts, book: Rulebook, division: str, today: dt.date, hints: Hints = _NO_HINTS
) -> list[Alternative]:
    """Every alternative that holds, best first: by tier; ordinary ones by weight of words, then priority."""
    mask = facts.mask
    by_fact = book.terms.by_fact
    names = book.lexicon.count
    mentioned = (mask >> (ANY * names)) & ((1 << names) - 1)
    spoken = {hit.fact for hit in facts.hits}.union(n for n in range(SITUATION_COUNT) if mentioned >> n & 1)
    held = [
        row
        for fact in spoken
        for row in by_fact.get(fact, ())
        if row.needed & mask == row.needed
        and not row.forbidden & mask
        and _in_force(row.item, book, division, today, hints)
    ]
    held.sort(key=lambda row: row.order)
    if any(row.item.alone for row in held) and _topic(held, facts) >= TOPIC_SPEAKS:
        held = [row for row in held if not row.item.alone]
    return held


def _winner(facts: Facts, held: list[Alternative]) -> tuple[Alternative | None, Alternative | None]:
    if not held:
        return None, None
    if len(held) == 1:
        return held[0], None
    if held[0].item.tier != "ordinary":
        return held[0], next((row for row in held if row.item is not held[0].item), None)
    weights = weights_of(facts)
    ranked = sorted(held, key=lambda row: (-max(weights[fact] for fact in row.facts), row.order))
    first = ranked[0]
    return first, next((row for row in ranked if row.item is not first.item), None)


def _also(item: Item, held: list[Alternative]) -> tuple[str, ...]:
    """The further lines. Dangers come together: a fire beside a knife is the fire brigade's too, whoever leads."""
    lines = [*item.dual, *item.tell]
    if item.tier == "gate":
        for row in held:
            if row.item.tier == "gate":
                lines += [line for line in (row.item.platform, *row.item.dual) if line in RESCUE]
    return tuple(dict.fromkeys(line for line in lines if line != item.platform))


def _topic(held: list[Alternative], facts: Facts) -> float:
    """The weight of the ordinary item that speaks loudest; a single noun of place hardly speaks."""
    weights = weights_of(facts)
    return max(
        (max(weights[fact] for fact in row.facts) for row in held if row.item.tier == "ordinary"), default=0.0
    )


def weights_of(facts: Facts) -> dict[int, float]:
    """How much of the text speaks of each fact: length of its words (four places at most), double at the head."""
    weights: dict[int, float] = {}
    counted: dict[int, int] = {}
    for hit in facts.hits:
        fact = hit.fact
        seen = counted.get(fact, 0)
        if seen < 4 and not hit.negated:
            counted[fact] = seen + 1
            length = hit.end - hit.start
            weights[fact] = weights.get(fact, 0.0) + (2.0 * length if hit.start < 30 else length)
    return weights


def _in_force(item: Item, book: Rulebook, division: str, today: dt.date, hints: Hints) -> bool:
    if item.id in book.terms.free:
        return True
    if item.channels and hints.channel and hints.channel not in item.channels:
        return False
    return _stands(item, division, today) and not any(
        _stands(other, division, today) for other in book.terms.barred.get(item.id, ())
    )


def _stands(item: Item, division: str, today: dt.date) -> bool:
    """Whether the item's list covers the division and its time the day."""
    return (
        division.startswith(item.division)
        and (item.since is None or item.since <= today)
        and (item.until is None or today <= item.until)
    )


def _situations(book: Rulebook, local: dt.datetime, hints: Hints) -> int:
    mask = 0
    numbers = book.lexicon.numbers
    bits = book.lexicon.bits
    for name, holds in (
        ("at-night", local.hour >= 22 or local.hour < 6),
        ("hint-silent", hints.silent),
        ("hint-cut-off", hints.cut_off),
        ("hint-risk", hints.earlier_risk),
        ("hint-distress", hints.distress_sound),
    ):
        if holds:
            number = numbers[name]
            mask |= bits[ANY][number] | bits[LIVE][number] | bits[HEAD][number]
    return mask


def _evidence(text: str, facts: Facts, row: Alternative, book: Rulebook) -> tuple[Evidence, ...]:
    names = book.lexicon.names
    made = []
    taken: set[tuple[int, int]] = set()
    for hit in sorted((h for h in facts.hits if h.fact in row.facts and not h.negated), key=_where):
        start, end = facts.span(hit)
        if (start, end) not in taken:
            taken.add((start, end))
            made.append(Evidence(start, end, text[start:end], names[hit.fact]))
        if len(made) == MOST_EVIDENCE:
            break
    return tuple(made)


def _where(hit: Hit) -> tuple[int, int]:
    return hit.start, hit.end


def _ruling(
    text: str,
    facts: Facts,
    book: Rulebook,
    winner: Alternative,
    rival: Alternative | None,
    also: tuple[str, ...],
    line: Line,
    hints: Hints,
) -> Ruling:
    item = winner.item
    danger = item.tier in DANGEROUS
    confidence = item.confidence or _BASE[item.tier]
    if item.contested:
        confidence = min(confidence, 0.6)
    if (
        rival is not None
        and item.tier not in DANGEROUS
        and rival.item.tier == item.tier
        and rival.item.platform != item.platform
    ):
        confidence = round(confidence - 0.15, 2)
    evidence = _evidence(text, facts, winner, book)
    confidential, anonymous = asked_secrecy(facts.text)
    return Ruling(
        platform=item.platform,
        receiver="",
        also=also,
        danger=danger,
        police_urgent=item.platform == "110" and (danger or item.urgent),
        decision=_decision(item, danger, confidence, line, hints),
        item=item.id,
        clause=item.clause,
        layer=item.layer,
        list_version=book.digest,
        evidence=evidence,
        category=item.category,
        kind=item.kind or kind_of(facts.text),
        urgency=Urgency.urgent if danger else Urgency(item.urgency),
        owners=item.owners,
        contested=item.contested,
        confidence=confidence,
        reason=_reason(item, danger, evidence),
        guidance=item.guidance,
        points=asks(text),
        confidential=confidential,
        anonymous=anonymous,
        about_unit=_about(item, rival),
    )


def _about(item: Item, rival: Alternative | None) -> str:
    if item.about == "unit":
        return rival.item.owners[0] if rival is not None and rival.item.owners else ""
    return item.about


def _reason(item: Item, danger: bool, evidence: tuple[Evidence, ...]) -> str:
    said = "、".join(f"“{e.words[:16]}”" for e in evidence[:3])
    lead = "涉及现实危险,先救援后归属" if danger else "清单事项"
    return f"{lead}:{item.title}" + (f"(依据原话{said})" if said else "")


def _decision(item: Item, danger: bool, confidence: float, line: Line, hints: Hints) -> Decision:
    acting = {item.platform, *item.dual} & (RESCUE | {"12345"})
    if danger:
        if len(acting) > 1:
            return Decision.dual
        return Decision.accept if item.platform == line.value else Decision.transfer
    if confidence < HUMAN_BELOW:
        return Decision.human
    if item.contested:
        # The sources disagree: the platforms settle it on the line, or a person decides which door to name.
        if item.platform in {"none", "other"}:
            return Decision.human
        return Decision.three_way if not hints.caller_gone else Decision.hand_over
    if len(acting) > 1:
        return Decision.dual
    if item.platform in {"none", "other"}:
        return Decision.guide
    if item.platform == line.value:
        return Decision.accept
    return Decision.hand_over if hints.caller_gone else Decision.transfer


def _unknown(text: str, facts: Facts, book: Rulebook, line: Line) -> Ruling:
    """Nothing in the lists speaks of it: a person decides."""
    item = book.last
    empty = not facts.text.strip()
    confidential, anonymous = asked_secrecy(facts.text)
    return Ruling(
        platform=line.value if empty else item.platform,
        receiver="",
        also=(),
        danger=False,
        police_urgent=False,
        decision=Decision.human,
        item=item.id,
        clause=item.clause,
        layer=item.layer,
        list_version=book.digest,
        evidence=(),
        category=item.category,
        kind=kind_of(facts.text),
        urgency=Urgency(item.urgency),
        owners=item.owners,
        contested=False,
        confidence=0.0 if empty else _BASE["last"],
        reason="没有听清或没有内容,请追问" if empty else "清单里没有对应事项,请人工判断",
        guidance=item.guidance,
        points=asks(text),
        confidential=confidential,
        anonymous=anonymous,
        about_unit="",
    )
