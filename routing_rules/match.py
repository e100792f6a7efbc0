"""Facts into a ruling: danger before any list, then the lists, then owners, urgency and decision."""

import datetime as dt

from routing_rules.ear import SERVICE_OF
from routing_rules.facts import EVERYTHING, LETTER_LENGTH, Facts, look
from routing_rules.glance import glance
from routing_rules.loader import Rulebook
from routing_rules.points import asked_secrecy, asks, kind_of
from routing_rules.ruling import Decision, Evidence, Hints, Line, Ruling, Urgency
from routing_rules.schema import HEARD, LOUD, SITUATIONS, Item
from routing_rules.terms import Alternative
from routing_rules.verdict import BASE_CONFIDENCE, Verdict

LEGAL_ZONE = dt.timezone(dt.timedelta(hours=8), "Asia/Shanghai")
HUMAN_BELOW = 0.5
MOST_EVIDENCE = 8
# Two characters at the head weigh 4: less than this is a place in passing, not what the caller wants.
TOPIC_SPEAKS = 5.0
# The head of a text for the weight of its words, and how many places of a word count.
LOUD_HEAD = 30
MOST_WEIGHED = 4
_NO_HINTS = Hints()
_AT_NIGHT, _SILENT, _CUT_OFF, _RISK, _DISTRESS = (
    SITUATIONS.index(name)
    for name in ("at-night", "hint-silent", "hint-cut-off", "hint-risk", "hint-distress")
)
_NUMBERS = {name: number for number, name in enumerate(SITUATIONS)}
_HEARD = frozenset(_NUMBERS[name] for name in HEARD)
_LOUD = _NUMBERS[LOUD]
_DAY: frozenset[int] = frozenset()
_NIGHT = frozenset({_AT_NIGHT})


def rule(
    text: str, *, book: Rulebook, line: Line, division: str, at: dt.datetime, hints: Hints = _NO_HINTS
) -> Ruling:
    """The ruling on one text as seen from `line` in `division` at `at` (aware).

    Total: any string gets a ruling. Time and work are bounded, because a long text is read by head and tail.
    """
    question = _Question(text, book, division, at, hints)
    rows = question.gates()
    # A gate seldom settles a long text, so all of it is looked at together.
    if not (rows and question.brief):
        rows += question.others()
    facts = question.look(rows)
    first = _first(rows, facts)
    if first is None and rows and rows[-1].verdict.decides:
        rows = question.others()
        facts = question.look(rows)
        first = _first(rows, facts)
    if first is None:
        return _unknown(text, facts, book, line)
    winner = rows[first]
    rival: Alternative | None = None
    rows = rows[first + 1 :]
    if not winner.verdict.decides:
        winner, rival = _winner(winner, rows, facts)
    also = _also(winner.verdict, rows, facts, question.services)
    return _ruling(text, facts, book, winner, rival, also, line, hints)


def weigh(
    text: str, *, book: Rulebook, division: str, at: dt.datetime, hints: Hints = _NO_HINTS
) -> tuple[Facts, list[Alternative]]:
    """The facts on which something depends, and every alternative that holds: by tier, then by priority."""
    question = _Question(text, book, division, at, hints)
    rows = question.gates() + question.others()
    facts = question.look(rows)
    return facts, [row for row in rows if facts.meet(row)]


def read_all(text: str, *, book: Rulebook, division: str, at: dt.datetime, hints: Hints = _NO_HINTS) -> Facts:
    """Every fact of a text, with the situations that the hour, the desk and the ear make."""
    return _Question(text, book, division, at, hints).everything()


class _Question:
    """A text at a glance, and which alternatives stand where and when it is asked; `services` are the rescuers of
    the danger that the ear hears in it."""

    __slots__ = ("_book", "_idle", "_seen", "_situations", "brief", "services")

    def __init__(self, text: str, book: Rulebook, division: str, at: dt.datetime, hints: Hints) -> None:
        local = at.astimezone(LEGAL_ZONE)
        self._book = book
        self._seen = glance(text, book.lexicon)
        self._situations = _situations(local, hints)
        self.services: tuple[str, ...] = ()
        if book.ear is not None:
            sounds = book.ear.listen(self._seen.text)
            self._situations |= {_NUMBERS[name] for name in sounds}
            self.services = tuple(SERVICE_OF[name] for name in sounds if name in SERVICE_OF)
        self._idle = book.terms.idle(division, local.date(), hints.channel)
        self.brief = len(self._seen.text) < LETTER_LENGTH

    def gates(self) -> list[Alternative]:
        """The alternatives that decide before anything else is looked at, and may hold; in their order."""
        return self._standing(self._seen.gates(), self._book.terms.always_gates)

    def others(self) -> list[Alternative]:
        """All others that may hold, in their order."""
        return self._standing(self._seen.others(), self._book.terms.always)

    def look(self, rows: list[Alternative]) -> Facts:
        """The facts that these alternatives read."""
        wanted = 0
        for row in rows:
            wanted |= row.reads
        return self._look(wanted)

    def everything(self) -> Facts:
        """All facts, whatever reads them."""
        return self._look(EVERYTHING)

    def _look(self, wanted: int) -> Facts:
        facts = look(self._seen, self._book.lexicon, wanted)
        for situation in self._situations:
            facts.hold(situation)
        return facts

    def _standing(
        self, rows: list[Alternative], always: list[tuple[frozenset[int], Alternative]]
    ) -> list[Alternative]:
        situations = self._situations
        for needed, row in always:
            if needed <= situations:
                rows.append(row)
        if len(rows) > 1:
            rows.sort(key=_order)
        idle = self._idle
        return [row for row in rows if row not in idle] if idle else rows


def _order(row: Alternative) -> int:
    return row.order


def _first(rows: list[Alternative], facts: Facts) -> int | None:
    for at, row in enumerate(rows):
        if facts.meet(row):
            return at
    return None


def _winner(
    first: Alternative, rows: list[Alternative], facts: Facts
) -> tuple[Alternative, Alternative | None]:
    """The first that holds, or among ordinary ones that of which the text speaks most; and the best of another item.

    Those that speak alone are silent when something ordinary speaks loudly enough: a single noun of place
    hardly does.
    """
    if first.verdict.tier != "ordinary" and not first.item.alone:
        rival = _rival(first, rows, facts)
        if rival is None or not rival.item.alone:
            return first, rival
    held = [first, *(row for row in rows if facts.meet(row))]
    weights: dict[int, float] = {}
    if any(row.item.alone for row in held):
        loudest = max(
            (weight_of(row, facts, weights) for row in held if row.verdict.tier == "ordinary"), default=0.0
        )
        if loudest >= TOPIC_SPEAKS:
            loud = _HEARD if facts.planes(_LOUD) else frozenset()
            held = [row for row in held if not row.item.alone or not loud.isdisjoint(row.facts)]
    if len(held) > 1 and held[0].verdict.tier == "ordinary":
        # What a text only leans to speaks where no word does.
        worded = [row for row in held if row.asks]
        held = sorted(worded or held, key=lambda row: -weight_of(row, facts, weights))
    first = held[0]
    for row in held:
        if row.item is not first.item:
            return first, row
    return first, None


def _rival(first: Alternative, rows: list[Alternative], facts: Facts) -> Alternative | None:
    """The next that holds for another item. One of a later tier only matters where it names the unit complained of."""
    tier = first.verdict.tier
    any_tier = first.item.about == "unit"
    for row in rows:
        if row.verdict.tier != tier and not any_tier:
            return None
        if row.item is not first.item and facts.meet(row):
            return row
    return None


def _also(
    verdict: Verdict, rows: list[Alternative], facts: Facts, services: tuple[str, ...]
) -> tuple[str, ...]:
    """The further lines. Dangers come together: a fire beside a knife is the fire brigade's too, whoever leads,
    and so is one that the ear hears."""
    if not verdict.danger:
        return verdict.also
    lines = verdict.also
    for row in rows:
        if row.verdict.danger:
            for line in row.verdict.rescuers:
                if line not in lines and line != verdict.item.platform and facts.meet(row):
                    lines = (*lines, line)
    for line in services:
        if line not in lines and line != verdict.item.platform:
            lines = (*lines, line)
    return lines


def weight_of(row: Alternative, facts: Facts, weights: dict[int, float]) -> float:
    """How much of the text speaks of the loudest fact: length of its words (four at most), double at the head."""
    most = 0.0
    for fact in row.facts:
        weight = weights.get(fact)
        if weight is None:
            weight = 0.0
            for start, end, _ in facts.places(fact)[:MOST_WEIGHED]:
                weight += 2.0 * (end - start) if start < LOUD_HEAD else end - start
            weights[fact] = weight
        if weight > most:
            most = weight
    return most


def _situations(local: dt.datetime, hints: Hints) -> frozenset[int]:
    """What the hour and the desk say."""
    night = local.hour >= 22 or local.hour < 6
    if hints is _NO_HINTS:
        return _NIGHT if night else _DAY
    return frozenset(
        situation
        for situation, holds in (
            (_AT_NIGHT, night),
            (_SILENT, hints.silent),
            (_CUT_OFF, hints.cut_off),
            (_RISK, hints.earlier_risk),
            (_DISTRESS, hints.distress_sound),
        )
        if holds
    )


def _evidence(text: str, facts: Facts, row: Alternative, book: Rulebook) -> tuple[Evidence, ...]:
    names = book.lexicon.names
    places = [(place, fact) for fact in row.facts for place in facts.places(fact)]
    if len(places) > 1:
        places.sort()
    made: dict[tuple[int, int], Evidence] = {}
    for place, fact in places:
        span = facts.span(place)
        if span not in made:
            start, end = span
            made[span] = Evidence(start, end, text[start:end], names[fact])
            if len(made) == MOST_EVIDENCE:
                break
    if not made and book.ear is not None:
        return tuple(
            Evidence(start, end, text[start:end], names[fact])
            for fact in _HEARD.intersection(row.facts)
            for start, end in (facts.original(*span) for span in book.ear.loud(facts.text, names[fact]))
        )
    return tuple(made.values())


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
    verdict = winner.verdict
    confidence = verdict.confidence
    if (
        rival is not None
        and not verdict.danger
        and rival.verdict.tier == verdict.tier
        and rival.item.platform != item.platform
    ):
        confidence = round(confidence - 0.15, 2)
    evidence = _evidence(text, facts, winner, book)
    confidential, anonymous = asked_secrecy(facts.text)
    return Ruling(
        platform=item.platform,
        receiver="",
        also=also,
        danger=verdict.danger,
        police_urgent=verdict.urgent,
        decision=_decision(verdict, confidence, line, hints),
        item=item.id,
        clause=item.clause,
        layer=item.layer,
        list_version=book.digest,
        evidence=evidence,
        category=item.category,
        kind=item.kind or kind_of(facts.text),
        urgency=verdict.urgency,
        owners=item.owners,
        contested=item.contested,
        confidence=confidence,
        reason=_reason(verdict, evidence),
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


def _reason(verdict: Verdict, evidence: tuple[Evidence, ...]) -> str:
    if not evidence:
        return verdict.lead
    said = "”、“".join([each.words[:16] for each in evidence[:3]])
    return f"{verdict.lead}(依据原话“{said}”)"


def _decision(verdict: Verdict, confidence: float, line: Line, hints: Hints) -> Decision:
    item = verdict.item
    if verdict.danger:
        if verdict.several:
            return Decision.dual
        return Decision.accept if item.platform == line.value else Decision.transfer
    if confidence < HUMAN_BELOW:
        return Decision.human
    if item.contested:
        # The sources disagree: the platforms settle it on the line, or a person decides which door to name.
        if item.platform in {"none", "other"}:
            return Decision.human
        return Decision.three_way if not hints.caller_gone else Decision.hand_over
    if verdict.several:
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
        confidence=0.0 if empty else BASE_CONFIDENCE["last"],
        reason="没有听清或没有内容,请追问" if empty else "清单里没有对应事项,请人工判断",
        guidance=item.guidance,
        points=asks(text),
        confidential=confidential,
        anonymous=anonymous,
        about_unit="",
    )
