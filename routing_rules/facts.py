"""Text into facts: what is stated, and whether it is going on, past, feared, denied or only told.

A fact lives on planes. `any`: mentioned and not denied. `live`: stated as going on (or without any time).
`past`: told as over. `supposed`: feared, possible, asked about. `head`: mentioned at the head of the text,
where a letter says what it is about.

A text is read twice: a glance finds its words and what they could mean together at the most; `look` then works out
the context, for the wanted facts only.
"""

from routing_rules.glance import Glance, glance
from routing_rules.lexicon import (
    ANY,
    CLAUSE,
    CONDITION,
    DOUBT,
    HEAD,
    IDIOM,
    LIVE,
    NEGATION,
    NOW,
    PAST,
    PERSISTS,
    PLAIN,
    RISK,
    SENTENCE,
    SPOKEN,
    SUMMON,
    SUPPOSED,
    SUPPOSING,
    TOLD,
    WRITTEN,
    Joint,
    Lexicon,
    Sign,
)
from routing_rules.schema import SITUATIONS
from routing_rules.terms import Alternative

HEAD_LENGTH = 44
LETTER_LENGTH = 120
NEGATION_REACH = 3
EVERYTHING = -1
_ANY_ORDER = 1 << 30
# Of the places of one fact no more than these are tried in a composition.
MOST_PLACES = 12

# Where a fact stands: start and end in the folded text, and the number of the stretch of its context.
Place = tuple[int, int, int]
# A place with what a composition asks of it: start, end, sentence, flags, fact.
Spot = tuple[int, int, int, int, int]

# The mood of a stretch: bit 0 something is supposed, above it the time. What is told in a letter is past.
_PRESENT, _TOLD, _LETTER = 0, 2, 4
_IS_PAST, _IS_SUPPOSED = 1, 2
_ON = LIVE | ANY | HEAD
_LETTER_SHAPE, _BRIEF, _PLAIN_SPEECH, _FEARED = (
    SITUATIONS.index(name) for name in ("letter", "brief", "plain-speech", "feared")
)


def _flags(mood: int, nature: int) -> int:
    """What a mood makes of a fact of this nature."""
    past = (mood & _TOLD and not nature & PERSISTS) or (mood & _LETTER and not nature & SPOKEN)
    supposed = mood & 1 and not nature & (DOUBT | PLAIN)
    return _IS_PAST * bool(past) + _IS_SUPPOSED * bool(supposed)


_FLAGS = tuple(tuple(_flags(mood, nature) for nature in range(16)) for mood in range(6))
_PLANES = (LIVE | ANY, PAST | ANY, SUPPOSED | ANY, SUPPOSED | ANY)
_HEAD_PLANES = (LIVE | ANY | HEAD, PAST | ANY | HEAD, SUPPOSED | ANY, SUPPOSED | ANY)


class Facts:
    """What was read of the wanted facts: on which planes each holds, and where it stands and is not denied.

    Compositions are worked out when somebody asks for them. A situation, which no word states, stands nowhere.
    """

    __slots__ = (
        "_head_end",
        "_made",
        "_moods",
        "_nature",
        "_pending",
        "_planes",
        "_sentences",
        "_walked",
        "offsets",
        "text",
    )

    def __init__(
        self,
        seen: Glance,
        walked: dict[int, list[Place]],
        moods: list[int],
        sentences: list[int],
        pending: dict[int, list[Joint]],
        nature: tuple[int, ...],
    ) -> None:
        self.text = seen.text
        self.offsets = seen.offsets
        self._walked = walked
        self._moods = moods
        self._sentences = sentences
        self._pending = pending
        self._nature = nature
        self._head_end = 0
        self._planes: dict[int, int] = {}
        self._made: dict[int, list[tuple[int, Place]]] = {}

    def planes(self, fact: int) -> int:
        """The planes on which a wanted fact stands, as bits."""
        planes = self._planes.get(fact)
        if planes is None:
            planes = 0
            nature = self._nature[fact]
            moods = self._moods
            head_end = self._head_end or self._find_head()
            for start, _, stretch in self.places(fact):
                flags = _FLAGS[moods[stretch]][nature]
                planes |= _HEAD_PLANES[flags] if start < head_end else _PLANES[flags]
            self._planes[fact] = planes
        return planes

    def meet(self, row: Alternative) -> bool:
        """Whether all that an alternative needs stands on its planes, and nothing that it forbids."""
        known = self._planes
        for fact, plane in row.needed:
            planes = known.get(fact)
            if planes is None:
                planes = self.planes(fact)
            if not planes & plane:
                return False
        forbidden = row.forbidden
        if forbidden:
            for fact in forbidden.keys() & self._walked.keys():
                planes = known.get(fact)
                if planes is None:
                    planes = self.planes(fact)
                if planes & forbidden[fact]:
                    return False
        return True

    def places(self, fact: int) -> list[Place]:
        """Where a wanted fact stands: its words as they come, then what is composed."""
        if fact in self._pending:
            self._compose(fact, _ANY_ORDER)
        places = self._walked.get(fact, [])
        if fact in self._made:
            return places + [place for _, place in self._made[fact]]
        return places

    def hold(self, situation: int) -> None:
        """A situation is there: the shape of the text, the hour or the desk says so."""
        self._walked[situation] = []
        self._planes[situation] = _ON

    def span(self, place: Place) -> tuple[int, int]:
        """Where it stands in the text as it was given."""
        return self.original(place[0], place[1])

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Where a part of the folded text stands in the text as it was given."""
        if self.offsets is None:
            return start, end
        return self.offsets[start], self.offsets[end - 1] + 1

    def _find_head(self) -> int:
        """Where the head ends: the first sentence, but never less than a spoken phrase or more than a title."""
        end = HEAD_LENGTH
        for mark in "。!?\n":
            at = self.text.find(mark, 12, end)
            if at > 0:
                end = at
        self._head_end = end
        return end

    def _compose(self, fact: int, before: int) -> None:
        """Works out the compositions of a fact that are defined before one, and first what they are made of."""
        pending = self._pending[fact]
        while pending and pending[0].order < before:
            joint = pending.pop(0)
            for part in (*joint.parts, joint.unless):
                for each in part:
                    if each in self._pending:
                        self._compose(each, joint.order)
            made = self._joined(joint)
            if made is not None:
                self._made.setdefault(fact, []).append((joint.order, made))

    def _joined(self, joint: Joint) -> Place | None:
        """The best place where all parts stand together (a live one before any other), or none."""
        columns = []
        for part in joint.parts:
            column = self._spots(part, joint.order)
            if not column:
                return None
            columns.append(column)
        spoilt = {spot[2] for spot in self._spots(joint.unless, joint.order)} if joint.unless else ()
        nature = self._nature[joint.number]
        best: tuple[list[Spot], int] | None = None
        for first in columns[0]:
            if first[2] in spoilt:
                continue
            chain = [first]
            flags = first[3]
            for column in columns[1:]:
                spot = _nearest(chain, column, joint, self.text)
                if spot is None:
                    break
                chain.append(spot)
                flags |= spot[3]
            else:
                if nature & PERSISTS:
                    flags &= ~_IS_PAST
                if nature & DOUBT:
                    flags &= ~_IS_SUPPOSED
                if best is None or not flags:
                    best = chain, flags
                if not flags:
                    break
        if best is None:
            return None
        chain, flags = best
        # What it is made of sets the mood, so it gets a stretch of its own.
        self._moods.append((_TOLD if flags & _IS_PAST else _PRESENT) | bool(flags & _IS_SUPPOSED))
        self._sentences.append(chain[0][2])
        return (
            min([spot[0] for spot in chain]),
            max([spot[1] for spot in chain]),
            len(self._moods) - 1,
        )

    def _spots(self, facts: tuple[int, ...], before: int) -> list[Spot]:
        """Where facts stand, as far as they are stated or composed before one composition."""
        spots: list[Spot] = []
        moods, sentences = self._moods, self._sentences
        for fact in facts:
            places = self._walked.get(fact)
            if places is None:
                continue
            if fact in self._made:
                places = places + [place for order, place in self._made[fact] if order < before]
            nature = self._nature[fact]
            for start, end, stretch in places[:MOST_PLACES] if len(places) > MOST_PLACES else places:
                spots.append((start, end, sentences[stretch], _FLAGS[moods[stretch]][nature], fact))
        return spots


def read(text: str, lexicon: Lexicon) -> Facts:
    """All facts of a text. Total and bounded."""
    return look(glance(text, lexicon), lexicon, EVERYTHING)


def look(seen: Glance, lexicon: Lexicon, wanted: int) -> Facts:
    """The wanted facts with their context; what compositions need for them is wanted too."""
    pending: dict[int, list[Joint]] = {}
    for order in sorted(seen.joints, reverse=True):
        joint = seen.joints[order]
        if joint.bit & wanted:
            wanted |= joint.reads
            pending.setdefault(joint.number, []).insert(0, joint)
    folded = seen.text
    nature = lexicon.nature
    idioms = _idioms(seen.found) if seen.present & IDIOM else None

    places: dict[int, list[Place]] = {}
    # The context, stretch by stretch: its sentence, and whether it is only supposed.
    sentences = [0]
    supposed = [False]
    told = [False]
    present_sentences: list[int] = []
    summons: list[int] = []
    stretch = sentence = clause_from = written = 0
    in_clause = in_sentence = past = feared = False
    denied_from, denied_until = 0, -1
    for at, sign in seen.found:
        wanted_here = sign.bits & wanted
        if not wanted_here and not sign.roles:
            continue
        end = at + 1 >> 1
        start = end - sign.length
        if idioms is not None and not sign.idiom and _hidden(start, end, idioms):
            continue
        if wanted_here:
            place = (start, end, stretch)
            denied = denied_from <= start <= denied_until
            for fact in sign.facts:
                if denied and not nature[fact] & PLAIN:
                    continue
                if fact in places:
                    places[fact].append(place)
                else:
                    places[fact] = [place]
        for role in sign.roles:
            if role == CLAUSE:
                in_clause = False
                denied_until = -1
            elif role == SENTENCE:
                sentence += 1
                told.append(past)
                in_clause = in_sentence = False
                denied_until = -1
            elif role == WRITTEN:
                written += 1
                continue
            elif role == TOLD:
                past = told[sentence] = True
                continue
            elif role == NEGATION:
                denied_from = end
                denied_until = end + NEGATION_REACH
                continue
            elif role == NOW:
                past = False
                present_sentences.append(sentence)
                continue
            elif role == SUMMON:
                past = False
                present_sentences.append(sentence)
                summons.append(sentence)
                continue
            elif role == SUPPOSING:
                in_clause = feared = True
            elif role == CONDITION:
                in_sentence = feared = True
            elif role == RISK:
                for each in range(clause_from, stretch + 1):
                    supposed[each] = True
            stretch += 1
            sentences.append(sentence)
            supposed.append(in_clause or in_sentence)
            if role != SUPPOSING and role != CONDITION:
                clause_from = stretch

    length = len(folded)
    letter = written >= 3 or (length >= LETTER_LENGTH and (written >= 1 or length >= 2 * LETTER_LENGTH))
    if letter:
        times = [_LETTER] * len(told)
        for each in summons:
            times[each] = _PRESENT
    else:
        times = [_TOLD if each else _PRESENT for each in told]
        for each in present_sentences:
            times[each] = _PRESENT
    moods = [times[at] | unreal for at, unreal in zip(sentences, supposed, strict=True)]
    for fact in pending:
        if fact not in places:
            places[fact] = []
    facts = Facts(seen, places, moods, sentences, pending, nature)
    facts.hold(_LETTER_SHAPE if letter else _BRIEF)
    if not letter and not written:
        facts.hold(_PLAIN_SPEECH)
    if feared:
        facts.hold(_FEARED)
    return facts


def _idioms(found: list[tuple[int, Sign]]) -> list[Place]:
    """Start, end and length of the words that hide what is inside them."""
    return [((at + 1 >> 1) - sign.length, at + 1 >> 1, sign.length) for at, sign in found if sign.idiom]


def _hidden(start: int, end: int, idioms: list[Place]) -> bool:
    """Whether an idiom at least as long lies over some part of this."""
    length = end - start
    return any(first < end and start < last and size >= length for first, last, size in idioms)


def _nearest(chain: list[Spot], column: list[Spot], joint: Joint, folded: str) -> Spot | None:
    """Of the spots that may follow the chain the nearest, one that is live before any other."""
    start, end, sentence = chain[-1][:3]
    within = joint.within
    best: Spot | None = None
    least = (True, 0)
    for spot in column:
        if spot[2] != sentence or spot in chain:
            continue
        ahead = spot[0] - end
        if joint.ordered:
            if not 0 <= ahead <= within:
                continue
        elif (ahead if spot[0] >= start else start - spot[1]) > within:
            continue
        if joint.clause and "," in folded[min(end, spot[1]) : max(start, spot[0])]:
            continue
        key = (spot[3] > 0, abs(ahead))
        if best is None or key < least:
            best, least = spot, key
    return best
