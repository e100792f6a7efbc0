"""Text into facts: what is stated, and whether it is going on, past, feared, denied or only told.

A fact lives on planes. `any`: mentioned and not denied. `live`: stated as going on (or without any time).
`past`: told as over. `supposed`: feared, possible, asked about. `head`: mentioned at the head of the text,
where a letter says what it is about.
"""

import re

from routing_rules.lexicon import Joint, Lexicon, units

Meanings = tuple[tuple[int, int], ...]

HEAD_LENGTH = 44
LETTER_LENGTH = 120
LONGEST = 2_400
TAIL = 600
NEGATION_REACH = 3

# What stands between characters and means nothing: blanks, zero-width and control characters, markup.
_NOISE = re.compile(r"<[^<>]{0,200}>|_x000d_|[\s\u200b-\u200f\u2060\ufeff\x00-\x1f*]+")
_BEYOND = re.compile("[\U00010000-\U0010ffff]")
_SPACED = re.compile(r"[^\x00-\x7f]\s+[^\x00-\x7f]|[\u200b-\u200f\u2060\ufeff\x00-\x08<*]|_x000d_")


class Hit:
    """One fact at one place of the folded text."""

    __slots__ = ("end", "fact", "negated", "past", "sentence", "start", "supposed")

    def __init__(
        self, start: int, end: int, fact: int, sentence: int, negated: bool, past: bool, supposed: bool
    ) -> None:
        self.start = start
        self.end = end
        self.fact = fact
        self.sentence = sentence
        self.negated = negated
        self.past = past
        self.supposed = supposed


class Facts:
    """All that was read: `mask` has one bit for each plane and fact; `hits` keep the spans."""

    __slots__ = ("hits", "mask", "offsets", "text")

    def __init__(self, text: str, mask: int, hits: list[Hit], offsets: list[int] | None) -> None:
        self.text = text
        self.mask = mask
        self.hits = hits
        self.offsets = offsets

    def span(self, hit: Hit) -> tuple[int, int]:
        """Where a hit stands in the text as it was given."""
        if self.offsets is None:
            return hit.start, hit.end
        return self.offsets[hit.start], self.offsets[hit.end - 1] + 1


def read(text: str, lexicon: Lexicon, situations: int = 0) -> Facts:
    """The facts of a text; `situations` are bits that the desk or the hour adds. Total and bounded."""
    folded, offsets = _fold(text, lexicon)
    hits, now_sentences, summons, written, feared = _walk(folded, lexicon)
    letter = written >= 3 or (
        len(folded) >= LETTER_LENGTH and (written >= 1 or len(folded) >= 2 * LETTER_LENGTH)
    )
    numbers = lexicon.numbers
    persists, doubt, spoken, plain = lexicon.persists, lexicon.doubt, lexicon.spoken, lexicon.plain
    for hit in hits:
        fact = hit.fact
        if (hit.negated or hit.supposed) and fact in plain:
            hit.negated = hit.supposed = False
        if hit.supposed and fact in doubt:
            hit.supposed = False
        if letter:
            hit.past = fact not in spoken and hit.sentence not in summons
        elif hit.past and (hit.sentence in now_sentences or fact in persists):
            hit.past = False
    _compose(hits, lexicon, folded)
    live, past, supposed = lexicon.states
    live_head, past_head = lexicon.head_states
    head_end = _head_end(folded)
    mask = situations | live_head[numbers["letter" if letter else "brief"]]
    if not letter and written == 0:
        mask |= live_head[numbers["plain-speech"]]
    if feared:
        mask |= live_head[numbers["feared"]]
    for hit in hits:
        if hit.negated:
            continue
        if hit.supposed:
            mask |= supposed[hit.fact]
        elif hit.start < head_end:
            mask |= past_head[hit.fact] if hit.past else live_head[hit.fact]
        else:
            mask |= past[hit.fact] if hit.past else live[hit.fact]
    return Facts(folded, mask, hits, offsets)


def _fold(text: str, lexicon: Lexicon) -> tuple[str, list[int] | None]:
    """The text in one shape, at most LONGEST characters (head and tail), with offsets where they moved."""
    cut = text if len(text) <= LONGEST + TAIL else text[:LONGEST] + text[-TAIL:]
    folded = cut.translate(lexicon.fold)
    if len(cut) == len(text) and _SPACED.search(folded) is None:
        return folded, None
    kept: list[str] = []
    offsets: list[int] = []
    at = 0
    shift = len(text) - len(cut)
    for noise in _NOISE.finditer(folded):
        kept.append(folded[at : noise.start()])
        offsets.extend(range(at, noise.start()))
        at = noise.end()
    kept.append(folded[at:])
    offsets.extend(range(at, len(folded)))
    if shift:
        offsets = [n if n < LONGEST else n + shift for n in offsets]
    return "".join(kept), offsets


def _basic(folded: str) -> str:
    """Characters beyond the basic plane (emoji, rare ideographs) as one blank sign each."""
    return _BEYOND.sub("□", folded) if folded and max(folded) > "\uffff" else folded


def _head_end(folded: str) -> int:
    """Where the head ends: the first sentence, but never less than a spoken phrase or more than a title."""
    ends = [at for mark in "。!?\n" if (at := folded.find(mark, 12, HEAD_LENGTH)) > 0]
    return min(ends, default=HEAD_LENGTH)


def _walk(folded: str, lexicon: Lexicon) -> tuple[list[Hit], set[int], set[int], int, bool]:
    """One pass: hits with their context, sentences of now and of summons, letter phrases, any supposing."""
    if not lexicon.patterns:
        return [], set(), set(), 0, False
    found = [
        ((end + 1 >> 1) - length, end + 1 >> 1, meanings)
        for end, (length, meanings) in lexicon.automaton.iter(units(_basic(folded)))
        if end & 1
    ]
    cover = _covered(found, len(folded))
    hits: list[Hit] = []
    now_sentences: set[int] = set()
    summons: set[int] = set()
    sentence = clause = written = 0
    negation_end = -9
    supposed_clause = -1
    supposed_sentence = -1
    past = feared = False
    dated = clause_from = 0
    for start, end, meanings in found:
        if cover is not None and max(cover[start:end]) >= end - start and meanings[0][0] != 1:
            continue
        negated = 0 <= start - negation_end <= NEGATION_REACH
        supposed = supposed_clause == clause or supposed_sentence == sentence
        for role, number in meanings:
            if role == 0:
                hits.append(Hit(start, end, number, sentence, negated, past, supposed))
            elif role == 10:
                clause += 1
                clause_from = len(hits)
                negation_end = -9
            elif role == 9:
                sentence += 1
                clause += 1
                clause_from = len(hits)
                negation_end = -9
            elif role == 2:
                negation_end = end
            elif role == 3:
                past = True
                for hit in hits[dated:]:
                    hit.past = hit.past or hit.sentence == sentence
                dated = len(hits)
            elif role == 4:
                past = False
                now_sentences.add(sentence)
            elif role == 11:
                past = False
                now_sentences.add(sentence)
                summons.add(sentence)
            elif role == 5:
                supposed_clause = clause
                feared = True
            elif role == 6:
                for hit in hits[clause_from:]:
                    hit.supposed = True
                clause_from = len(hits)
            elif role == 7:
                supposed_sentence = sentence
                feared = True
            elif role == 8:
                written += 1
    return hits, now_sentences, summons, written, feared


def _covered(found: list[tuple[int, int, Meanings]], length: int) -> list[int] | None:
    """For each character the length of the longest idiom over it, or None where there is no idiom."""
    cover: list[int] | None = None
    for start, end, meanings in found:
        if meanings[0][0] == 1:
            if cover is None:
                cover = [0] * length
            for at in range(start, end):
                cover[at] = max(cover[at], end - start)
    return cover


def _compose(hits: list[Hit], lexicon: Lexicon, folded: str) -> None:
    """Adds the facts that stand near each other make, in the order of their definition."""
    by_fact: dict[int, list[Hit]] = {}
    present = 0
    for hit in hits:
        if hit.negated:
            continue
        fact = hit.fact
        if fact in by_fact:
            by_fact[fact].append(hit)
        else:
            by_fact[fact] = [hit]
            present |= 1 << fact
    pending = {
        order: joint
        for fact in lexicon.joints.keys() & by_fact.keys()
        for order, joint in lexicon.joints[fact]
        if present & joint.first and present & joint.second
    }
    # A composition may be part of a later one, so they are taken in order and the list may grow.
    while pending:
        order = min(pending)
        made = _joined(joint := pending.pop(order), by_fact, lexicon, folded)
        if made is None:
            continue
        hits.append(made)
        by_fact.setdefault(joint.number, []).append(made)
        if not present >> joint.number & 1:
            present |= 1 << joint.number
            for held in lexicon.chained.get(joint.number, ()):
                if held[0] > order and present & held[1].first and present & held[1].second:
                    pending[held[0]] = held[1]


def _joined(joint: Joint, by_fact: dict[int, list[Hit]], lexicon: Lexicon, folded: str) -> Hit | None:
    """The best place where all parts stand together (a live one before any other), or none."""
    columns: list[list[Hit]] = []
    for part in joint.parts:
        column = [hit for fact in part if fact in by_fact for hit in by_fact[fact][:12]]
        if not column:
            return None
        columns.append(column)
    spoilt = {hit.sentence for fact in joint.unless if fact in by_fact for hit in by_fact[fact]}
    best: Hit | None = None
    for first in columns[0]:
        if first.sentence in spoilt:
            continue
        chain = [first]
        for column in columns[1:]:
            near = [hit for hit in column if _near(chain, hit, joint, folded)]
            if not near:
                break
            chain.append(
                min(near, key=lambda hit: (hit.past or hit.supposed, abs(hit.start - chain[-1].end)))
            )
        else:
            made = Hit(
                min(h.start for h in chain),
                max(h.end for h in chain),
                joint.number,
                first.sentence,
                False,
                any(hit.past for hit in chain) and joint.number not in lexicon.persists,
                any(hit.supposed for hit in chain) and joint.number not in lexicon.doubt,
            )
            if not (made.past or made.supposed):
                return made
            best = best or made
    return best


def _near(chain: list[Hit], hit: Hit, joint: Joint, folded: str) -> bool:
    last = chain[-1]
    if hit.sentence != last.sentence or hit in chain:
        return False
    if joint.clause and "," in folded[min(last.end, hit.end) : max(last.start, hit.start)]:
        return False
    if joint.ordered:
        return 0 <= hit.start - last.end <= joint.within
    gap = hit.start - last.end if hit.start >= last.start else last.start - hit.end
    return gap <= joint.within
