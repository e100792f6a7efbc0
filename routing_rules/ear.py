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

from routing_rules.schema import BESIDE, EVERYDAY, HEARD, LOUD, SOUNDS

WINDOW = 64
STEP = 32
SHORTEST = 4
"""Texts are heard in windows of so many characters, one every half of it; shorter ones count as SHORTEST."""

# Three weights share one integer, so that one sum adds all of them: 20 bits each, a unit is 1/128 of log odds. A
# window has at most 2 * WINDOW - 1 grams, so weights up to ±4,000 can never spill into their neighbour.
_BITS = 20
UNIT = 128
MOST = 4_000
_HALF = 1 << _BITS - 1
_MASK = (1 << _BITS) - 1
_MIDDLE = _HALF | _HALF << _BITS | _HALF << 2 * _BITS

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
    chance from which an everyday matter sounds like one of ORDINARY.
    """

    doubt: float
    letter: float
    loud: float
    calm: float
    sheer: float
    beside: float
    sure: float

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

    __slots__ = ("_bias", "_danger", "_platform", "_platform_bias", "bars", "weights")

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self._danger = weights.danger
        self._platform = weights.platform
        self._bias = weights.bias
        self._platform_bias = weights.platform_bias
        self.bars = weights.bars

    def hear(self, bare: str) -> Heard:
        """How much a bare text (see `bare`) sounds like danger: the window of it that does most."""
        get = self._danger.get
        bias = self._bias
        if len(bare) <= WINDOW:
            return _heard(_sum(bare, get), len(bare), bias, 0)
        sums = [_sum(bare[at : at + STEP + 1], get) for at in range(0, len(bare), STEP)]
        return max(
            (
                _heard(sums[n] + sums[n + 1], min(WINDOW, len(bare) - n * STEP), bias, n * STEP)
                for n in range(len(sums) - 1)
            ),
            key=lambda heard: heard.danger,
        )

    def listen(self, folded: str) -> tuple[str, ...]:
        """The situations (see `schema.SITUATIONS`) that a folded text sounds like; none where there is no text."""
        text = bare(folded)
        if not text:
            return ()
        bars = self.bars
        heard = self.hear(text)
        alarm = bars.alarm(len(text))
        if heard.danger >= alarm:
            shares = heard.shares()
            lead = shares.index(max(shares))
            beside = (BESIDE[n] for n, share in enumerate(shares) if n != lead and share >= bars.beside)
            return (HEARD[lead], *beside, *((LOUD,) if heard.danger >= alarm + bars.loud else ()))
        if heard.danger >= bars.calm:
            return ()
        names = EVERYDAY if heard.danger < bars.sheer else EVERYDAY[:1]
        chances = self.platforms(text)
        most = max(chances)
        return names if most < bars.sure else (*names, SOUNDS[chances.index(most)])

    def platforms(self, bare: str) -> list[float]:
        """The chance of each of ORDINARY, for an everyday matter; its first window tells what it is about."""
        part = bare[:WINDOW]
        total = _sum(part, self._platform.get)
        logits = (0.0, *_odds(total, len(part), self._platform_bias))
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
                weight = self._danger.get(text[at : at + size], 0)
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
            danger[name] = values[0] + (values[1] << _BITS) + (values[2] << 2 * _BITS)
        if any(values[3:]):
            platform[name] = values[3] + (values[4] << _BITS) + (values[5] << 2 * _BITS)
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


def _sum(part: str, get: object) -> int:
    one = sum(map(get, part[:STEP] if len(part) == STEP + 1 else part, repeat(0)))  # type: ignore[call-overload]
    return one + sum(map(get, map(add, part, part[1:]), repeat(0)))  # type: ignore[call-overload]


def _odds(total: int, length: int, bias: tuple[int, int, int]) -> tuple[float, float, float]:
    total += _MIDDLE
    scale = 1.0 / (UNIT * math.sqrt(length if length > SHORTEST else SHORTEST))
    return (
        ((total & _MASK) - _HALF) * scale + bias[0] / UNIT,
        ((total >> _BITS & _MASK) - _HALF) * scale + bias[1] / UNIT,
        ((total >> 2 * _BITS) - _HALF) * scale + bias[2] / UNIT,
    )


def _heard(total: int, length: int, bias: tuple[int, int, int], start: int) -> Heard:
    odds = _odds(total, length, bias)
    top = max(odds)
    exp = math.exp
    danger = top + math.log(exp(odds[0] - top) + exp(odds[1] - top) + exp(odds[2] - top))
    return Heard(danger, odds, start, start + length)
