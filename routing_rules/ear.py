"""The ear: how much a text sounds like danger, learned from calls of our own writing.

The lists' words come first and decide alone whenever they speak. The ear listens beside them: a linear scorer over
single characters and pairs, which may raise a doubt where no word was found and says when a text sounds like an
everyday matter. Its weights are plain data (`data/ear`), made by `make ear` (package `training`); nothing of the
learning is needed here.
"""

import math
import re
from itertools import repeat
from operator import add

import msgspec

from routing_rules.schema import BESIDE, EVERYDAY, HEARD, LEANS, LOUD, SOUNDS

WINDOW = 64
STEP = 32
SHORTEST = 4
"""Texts are heard in windows of so many characters, one every half of it; shorter ones count as SHORTEST."""

# Six weights share one integer, three for danger and three for everyday matters, so that one sum adds all of them: 20
# bits each, a unit is 1/128 of log odds. A window has at most 2 * WINDOW grams, so weights up to ±4,000 can never spill
# into their neighbour.
_BITS = 20
UNIT = 128
MOST = 4_000
_HALF = 1 << _BITS - 1
_MASK = (1 << _BITS) - 1
_FIELDS = 6
_MIDDLE = sum(_HALF << n * _BITS for n in range(_FIELDS))
_MATTER = 3 * _BITS

# In the order of schema.HEARD and schema.SOUNDS.
SERVICES = ("119", "120", "110")
ORDINARY = ("12345", "110", "none", "other")
SERVICE_OF = dict(zip((*HEARD, *BESIDE), (*SERVICES, *SERVICES), strict=True))
FORMAT = "liandong-ear-1"
_HEAD = ("taught", "bars", "bias")


SIGNS = ",。?!、;:.…—~“”‘’\"'()《》 \n\t"
_SIGNS = re.compile(f"[{re.escape(SIGNS)}]+")
LOUDEST = 4


class EarFault(ValueError):
    """The weights cannot be used: which line, and what is wrong with it."""


class Heard:
    """What the ear makes of a text: log odds of each rescue service against an everyday matter, and where.

    `danger` is the log odds of any danger; `start` and `end` bound the window of the bare text that sounds most like it.
    """

    __slots__ = ("danger", "end", "odds", "start")

    def __init__(self, danger: float, odds: tuple[float, float, float], start: int, end: int) -> None:
        self.danger = danger
        self.odds = odds
        self.start = start
        self.end = end

    def shares(self) -> tuple[float, float, float]:
        """How the chance of danger is shared among SERVICES."""
        top = max(self.odds)
        parts = [math.exp(each - top) for each in self.odds]
        whole = sum(parts)
        return parts[0] / whole, parts[1] / whole, parts[2] / whole


class Bars(msgspec.Struct, frozen=True, array_like=True):
    """Where a score begins to mean something.

    `doubt`: log odds of danger from which a text of one window raises a doubt; it rises by one for every WINDOW
    more, because the loudest of many windows is heard, up to `letter`; `loud` above that it is heard even where an
    ordinary item speaks clearly. Below `calm` a text sounds like an everyday matter, below `sheer` like nothing else. `beside`: the share of the danger from which a service is told beside the one that leads; `sure`: the
    chance from which an everyday matter sounds like one of ORDINARY; `leaning`: the chance from which it leans to one.
    """

    doubt: float
    letter: float
    loud: float
    calm: float
    sheer: float
    beside: float
    sure: float
    leaning: float

    def alarm(self, length: int) -> float:
        """The bar for a bare text of this length."""
        return min(self.letter, self.doubt + max(0, length - WINDOW) / WINDOW)


class Weights(msgspec.Struct, frozen=True, array_like=True):
    """What was learned: by gram three packed weights, for danger and for everyday matters; the biases; the digest
    (SHA-256) of what it was learned from."""

    danger: dict[str, int]
    platform: dict[str, int]
    bias: tuple[int, int, int]
    platform_bias: tuple[int, int, int]
    bars: Bars
    taught: str


class Ear:
    """Weights at work. Immutable and total: any string is heard, in time that grows with its length."""

    __slots__ = ("_bias", "_grams", "_platform_bias", "bars", "weights")

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        packed = dict(weights.danger)
        for gram, weight in weights.platform.items():
            packed[gram] = packed.get(gram, 0) + (weight << _MATTER)
        self._grams = packed
        self._bias = weights.bias
        self._platform_bias = weights.platform_bias
        self.bars = weights.bars

    def hear(self, bare: str) -> Heard:
        """How much a bare text (see `bare`) sounds like danger: the window of it that does most."""
        return self._hear(bare)[0]

    def _hear(self, bare: str) -> tuple[Heard, int]:
        """The loudest window, and the sum of the first."""
        get = self._grams.get
        bias = self._bias
        length = len(bare)
        if length <= WINDOW:
            total = _sum(bare, get)
            return _heard(total, length, bias, 0), total
        sums = [_sum(bare[at : at + STEP + 1], get) for at in range(0, length, STEP)]
        loudest = max(
            (
                _heard(sums[n] + sums[n + 1], min(WINDOW, length - n * STEP), bias, n * STEP)
                for n in range(len(sums) - 1)
            ),
            key=lambda heard: heard.danger,
        )
        # The pair that leaves the window is the next one's.
        return loudest, sums[0] + sums[1] - get(bare[WINDOW - 1 : WINDOW + 1], 0)

    def listen(self, folded: str) -> tuple[str, ...]:
        """The situations (see `schema.SITUATIONS`) that a folded text sounds like; none where there is no text."""
        text = bare(folded)
        if not text:
            return ()
        bars = self.bars
        heard, first = self._hear(text)
        alarm = bars.alarm(len(text))
        if heard.danger >= alarm:
            shares = heard.shares()
            lead = shares.index(max(shares))
            beside = (BESIDE[n] for n, share in enumerate(shares) if n != lead and share >= bars.beside)
            return (HEARD[lead], *beside, *((LOUD,) if heard.danger >= alarm + bars.loud else ()))
        if heard.danger >= bars.calm:
            return ()
        names = EVERYDAY if heard.danger < bars.sheer else EVERYDAY[:1]
        chances = self._matters(first, min(len(text), WINDOW))
        most = max(chances)
        kind = chances.index(most)
        if most >= bars.leaning and LEANS[kind]:
            names = (*names, LEANS[kind])
        return names if most < bars.sure else (*names, SOUNDS[kind])

    def _matters(self, first: int, length: int) -> list[float]:
        """The chance of each of ORDINARY, for an everyday matter; its first window tells what it is about."""
        logits = (0.0, *_odds(first + _MIDDLE >> _MATTER, length, self._platform_bias))
        top = max(logits)
        parts = [math.exp(each - top) for each in logits]
        whole = sum(parts)
        return [each / whole for each in parts]

    def loud(self, folded: str, situation: str) -> list[tuple[int, int]]:
        """Where in a folded text the grams stand that speak most for a service (one of HEARD): at most LOUDEST
        spans that do not touch."""
        text = bare(folded)
        shift = _BITS * HEARD.index(situation)
        heard = self.hear(text)
        found = []
        for size in (2, 1):
            for at in range(heard.start, heard.end - size + 1):
                weight = self._grams.get(text[at : at + size], 0)
                found.append(((weight + _MIDDLE >> shift & _MASK) - _HALF, at, at + size))
        found.sort(key=lambda each: (-each[0], each[1]))
        # Where each character of the bare text stood.
        places = [at for at, sign in enumerate(folded) if sign not in SIGNS]
        spans: list[tuple[int, int]] = []
        for weight, start, end in found:
            if weight <= 0 or len(spans) == LOUDEST:
                break
            first, last = places[start], places[end - 1] + 1
            if all(last < before or after < first for before, after in spans):
                spans.append((first, last))
        return sorted(spans)


def load_weights(data: bytes) -> Weights:
    """The weights from the file that `make ear` wrote; EarFault names the line and what is wrong with it."""
    danger: dict[str, int] = {}
    platform: dict[str, int] = {}
    head: dict[str, list[str]] = {}
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError as err:
        raise EarFault(f"byte {err.start} is not UTF-8; make ear writes the file anew") from err
    if lines[0] != FORMAT or lines[-1]:
        raise EarFault(f"begins with {lines[0][:40]!r} or is cut off; expected {FORMAT!r} and whole lines")
    for number, line in enumerate(lines[1:-1], start=2):
        name, *rest = line.split("\t")
        if number <= 1 + len(_HEAD):
            head[name] = rest
            continue
        try:
            values = [int(each) for each in rest]
        except ValueError:
            values = []
        if len(values) != 6 or not 1 <= len(name) <= 2 or max(map(abs, values)) > MOST:
            raise EarFault(f"line {number}: {line[:60]!r}; expected a gram and six weights up to ±{MOST}")
        if any(values[:3]):
            danger[name] = _packed(values[:3])
        if any(values[3:]):
            platform[name] = _packed(values[3:])
    try:
        bias = [int(each) for each in head["bias"]]
        return Weights(
            danger,
            platform,
            (bias[0], bias[1], bias[2]),
            (bias[3], bias[4], bias[5]),
            Bars(*map(float, head["bars"])),
            head["taught"][0],
        )
    except (KeyError, IndexError, ValueError, TypeError) as err:
        raise EarFault(f"the head lacks or spoils one of {', '.join(_HEAD)}: {err}") from err


def bare(folded: str) -> str:
    """A folded text without the usual signs between words: recognised speech has none, so none is learned."""
    return _SIGNS.sub("", folded)


def grams(text: str) -> list[str]:
    """What is weighed: each character, and each pair of neighbours."""
    return [*text, *map(add, text, text[1:])]


def _packed(values: list[int]) -> int:
    return sum(value << n * _BITS for n, value in enumerate(values))


def _sum(part: str, get: object) -> int:
    """The packed sum of a part's grams; the last character of a longer step only ends a pair."""
    singles = part[:STEP] if len(part) == STEP + 1 else part
    return sum(map(get, [*singles, *map(add, part, part[1:])], repeat(0)))  # type: ignore[call-overload]


def _odds(raised: int, length: int, bias: tuple[int, int, int]) -> tuple[float, float, float]:
    """Log odds from the lowest three fields of a sum that was raised by _MIDDLE."""
    scale = 1.0 / (UNIT * math.sqrt(length if length > SHORTEST else SHORTEST))
    return (
        ((raised & _MASK) - _HALF) * scale + bias[0] / UNIT,
        ((raised >> _BITS & _MASK) - _HALF) * scale + bias[1] / UNIT,
        ((raised >> 2 * _BITS & _MASK) - _HALF) * scale + bias[2] / UNIT,
    )


def _heard(total: int, length: int, bias: tuple[int, int, int], start: int) -> Heard:
    odds = _odds(total + _MIDDLE, length, bias)
    top = max(odds)
    exp = math.exp
    danger = top + math.log(exp(odds[0] - top) + exp(odds[1] - top) + exp(odds[2] - top))
    return Heard(danger, odds, start, start + length)
