"""A trained recommender at work: what a text is probably about, who probably answers for it, and which words say so.

Linear over weighted n-grams. Reading a text needs NumPy and nothing of what training needs. Immutable once loaded.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from datetime import datetime
from itertools import repeat
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from routing_rules.model.answers import MOST_REASONS, MOST_SUGGESTED, Reason, Suggestion
from routing_rules.model.grams import folded, grams
from routing_rules.similar import bands, signature

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.intp]
FEW_LABELS: Final = 32
"""Up to so many labels all weights are kept and laid out as one table, which is faster to read."""
_PUNCTUATION: Final = " ,。.!?;:、"
_TOO_LITTLE: Final = 0.02
_UNKNOWN: Final = -1
_FORMAT: Final = 1
_TF: Final = (1.0 + np.log(np.maximum(np.arange(1_300), 1))).astype(np.float32)
"""What a feature weighs that stands so often in a text (a folded text has at most 1,200 characters)."""
_MOST_PACKED: Final = 512 * 1024 * 1024


class BadModel(ValueError):
    """These bytes are no model of ours, or of a version that this one cannot read."""


class Rivalry(msgspec.Struct, frozen=True, kw_only=True):
    """A new model beside the one in force, on rows that neither had learnt: macro-F1 of ``ours`` and ``theirs``."""

    champion: str
    rows: int
    ours: float
    theirs: float


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What a model was made of and how it did on folds that it had not seen.

    ``data`` is the digest of the training rows. ``line`` is the probability from which on the unseen folds were
    right as often as ``accuracy_asked`` demands, ``coverage`` the share of texts above it; a line of 2 means that no
    such line exists. ``calibration_error`` is the expected calibration error.
    """

    head: str
    rows: int
    labels: int
    groups: int
    seed: int
    data: str
    accuracy: float
    macro_f1: float
    calibration_error: float
    accuracy_asked: float
    line: float
    coverage: float
    rival: Rivalry | None = None


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    """One question that the model answers, as stored: weights by feature, only those that are not zero."""

    labels: tuple[str, ...]
    starts: bytes  # int32, one more than features
    columns: bytes  # int16
    weights: bytes  # float32
    bias: bytes  # float32
    temperature: float
    card: Card


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes of a model, unpacked."""

    format: int
    trained: datetime
    vocabulary: str  # n-grams, each followed by a newline (folded texts hold none)
    idf: bytes  # float32
    heads: dict[str, _Head]
    seen: bytes  # uint32, sorted: bands of the texts that were learnt


class Head:
    """One question ("category" or "units"), ready to be asked."""

    __slots__ = ("_bias", "_columns", "_dense", "_starts", "_weights", "card", "labels", "temperature")

    def __init__(self, stored: _Head, features: int) -> None:
        self.labels = stored.labels
        self.temperature = stored.temperature
        self.card = stored.card
        self._starts = np.frombuffer(stored.starts, np.int32)
        self._columns = np.frombuffer(stored.columns, np.int16).astype(np.intp)
        self._weights = np.frombuffer(stored.weights, np.float32)
        self._bias = np.frombuffer(stored.bias, np.float32)
        if (
            len(self._starts) != features + 1
            or len(self._columns) != len(self._weights)
            or self._starts[-1] != len(self._weights)
            or len(self._bias) != len(self.labels)
            or (len(self._columns) and not 0 <= self._columns.min() <= self._columns.max() < len(self.labels))
        ):
            raise BadModel("the parts of the model do not fit each other")
        self._dense: Floats | None = None
        if len(self.labels) <= FEW_LABELS:
            self._dense = np.zeros((features, len(self.labels)), np.float32)
            self._dense[np.repeat(np.arange(features), np.diff(self._starts)), self._columns] = self._weights

    def scores(self, features: Ints, values: Floats) -> npt.NDArray[np.float64]:
        """How much each label is spoken for."""
        if self._dense is not None:
            return np.asarray(values @ self._dense.take(features, 0) + self._bias, np.float64)
        places, lengths = self._places(features)
        said = self._weights[places] * np.repeat(values, lengths)
        return np.asarray(np.bincount(self._columns[places], said, len(self.labels)) + self._bias, np.float64)

    def probabilities(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Scores as calibrated probabilities."""
        raised = np.exp((scores - scores.max()) / self.temperature)
        return np.asarray(raised / raised.sum())

    def said(self, features: Ints, values: Floats, label: int) -> list[float]:
        """What each feature says for one label."""
        if self._dense is not None:
            return list((values * self._dense[features, label]).tolist())
        places, lengths = self._places(features)
        ours = self._columns[places] == label
        whose = np.repeat(np.arange(len(features)), lengths)[ours]
        return list((np.bincount(whose, self._weights[places][ours], len(features)) * values).tolist())

    def _places(self, features: Ints) -> tuple[Ints, Ints]:
        """Where the weights of these features lie, one feature after the other, and how many each has."""
        starts = self._starts[features]
        lengths = self._starts[features + 1] - starts
        ends = np.cumsum(lengths)
        return np.arange(int(lengths.sum())) + np.repeat(starts - (ends - lengths), lengths), lengths


class Recommender:
    """Answers for any text at all, within 0.1 ms for 60 characters."""

    __slots__ = ("_idf", "_seen", "_vocabulary", "digest", "heads", "trained")

    def __init__(self, content: bytes) -> None:
        """Loads a model.

        Raises:
            BadModel: the bytes are none.
        """
        try:
            unpacker = zlib.decompressobj()
            raw = unpacker.decompress(content, _MOST_PACKED)
            stored = msgspec.msgpack.decode(raw, type=_Stored)
            if stored.format != _FORMAT:
                raise BadModel(f"model format {stored.format}; this version reads {_FORMAT}")
            words = stored.vocabulary.split("\n")[:-1]
            self._vocabulary = {word: n for n, word in enumerate(words)}
            self._idf = np.frombuffer(stored.idf, np.float32)
            if len(self._idf) != len(words):
                raise BadModel("the parts of the model do not fit each other")
            self.heads = {name: Head(head, len(words)) for name, head in stored.heads.items()}
        except (zlib.error, msgspec.MsgspecError, ValueError) as err:
            raise err if isinstance(err, BadModel) else BadModel(f"not a model: {err}") from err
        self._seen = np.frombuffer(stored.seen, np.uint32)
        self.trained = stored.trained
        self.digest = hashlib.sha256(content).hexdigest()

    def read(self, text: str) -> tuple[Ints, Floats]:
        """The features of a folded text with their weights (sublinear tf-idf, length 1)."""
        spoken = grams(text)
        found = np.array(list(map(self._vocabulary.get, spoken, repeat(_UNKNOWN))), np.intp)
        found.sort()  # np.unique and a Counter cost twice as much for so few
        found = found[found.searchsorted(0) :]
        if not found.size:
            return found, np.empty(0, np.float32)
        turns = np.ones(found.size + 1, np.bool_)
        np.not_equal(found[1:], found[:-1], out=turns[1:-1])
        first = turns.nonzero()[0]
        features = found[first[:-1]]
        values = _TF[first[1:] - first[:-1]] * self._idf[features]
        return features, values / np.sqrt(np.dot(values, values))

    def probabilities(self, text: str, head: str) -> npt.NDArray[np.float64]:
        """The probability of each label of a head, in the order of its labels."""
        asked = self.heads[head]
        return asked.probabilities(asked.scores(*self.read(folded(text))))

    def has_seen(self, reading: str) -> bool:
        """Whether a folded reading was learnt, in this wording or a near one: a quarter of its bands are known."""
        asked = np.frombuffer(seen_of([reading]), np.uint32)
        known = np.isin(asked, self._seen, assume_unique=True)
        return len(asked) > 0 and int(known.sum()) * 4 >= len(asked)

    def suggest(
        self, text: str, head: str = "category", *, most: int = MOST_SUGGESTED, reasons: bool = True
    ) -> tuple[Suggestion, ...]:
        """The likeliest labels, best first. Empty when the model knows nothing of the text or has no such head."""
        asked = self.heads.get(head)
        if asked is None:
            return ()
        read = folded(text)
        features, values = self.read(read)
        if not len(features):
            return ()
        chances = asked.probabilities(asked.scores(features, values))
        best = np.argsort(-chances, kind="stable")[:most]
        return tuple(
            Suggestion(
                label=asked.labels[n],
                probability=round(float(chances[n]), 4),
                reasons=self._reasons(text, read, asked, int(n), features, values) if reasons else (),
            )
            for n in best
        )

    def _reasons(
        self,
        text: str,
        read: str,
        head: Head,
        label: int,
        features: Ints,
        values: Floats,
    ) -> tuple[Reason, ...]:
        """The strongest words: n-grams that speak for the label, those that overlap joined into one span."""
        weight = [0.0] * len(read)
        known = self._vocabulary
        said = dict(zip(features.tolist(), head.said(features, values, label), strict=True))
        for n in (2, 3):  # single characters mean too little to be shown
            for at in range(len(read) - n + 1):
                if spoken := said.get(known.get(read[at : at + n], -1), 0.0) / n:
                    for place in range(at, at + n):
                        weight[place] += spoken
        found: list[Reason] = []
        taken: set[str] = set()
        for start, end in sorted(_spans(weight), key=lambda span: -sum(weight[span[0] : span[1]])):
            words = read[start:end].strip(_PUNCTUATION)
            # The folded text may differ from the given one in width and blanks: only what stands there is shown.
            if len(words) < 2 or any(words in one for one in taken) or (at := text.lower().find(words)) < 0:
                continue
            taken.add(words)
            total = round(sum(weight[start:end]), 3)
            found.append(Reason(at, at + len(words), text[at : at + len(words)], total))
            if len(found) == MOST_REASONS:
                break
        return tuple(found)


def _spans(weight: list[float]) -> Iterable[tuple[int, int]]:
    """Where the weight stays clearly above nothing."""
    line = max(weight, default=0.0) * 0.25
    start: int | None = None
    for at, said in enumerate(weight):
        if said > line and start is None:
            start = at
        elif said <= line and start is not None:
            yield start, at
            start = None
    if start is not None:
        yield start, len(weight)


def seen_of(readings: Iterable[str]) -> bytes:
    """The bands of these readings, sorted: enough to tell whether one was there, not what it said."""
    found = {band & 0xFFFF_FFFF for reading in readings for band in bands(signature(reading))}
    return np.array(sorted(found), np.uint32).tobytes()


def pack(
    vocabulary: list[str],
    idf: Any,
    heads: dict[str, tuple[tuple[str, ...], Any, Any, float, Card]],
    trained: datetime,
    seen: bytes,
) -> bytes:
    """A model as bytes. Each head gives labels, dense weights (label × feature), bias, temperature and card.

    Weights too small to move a decision are left out, which makes a model with hundreds of labels small.
    """
    stored: dict[str, _Head] = {}
    for name, (labels, dense, bias, temperature, card) in heads.items():
        by_feature = np.asarray(dense, np.float32).T
        kept = np.abs(by_feature) > (0.0 if len(labels) <= FEW_LABELS else _TOO_LITTLE)
        columns = np.nonzero(kept)[1]
        stored[name] = _Head(
            labels=labels,
            starts=np.concatenate(([0], np.cumsum(kept.sum(axis=1)))).astype(np.int32).tobytes(),
            columns=columns.astype(np.int16).tobytes(),
            weights=by_feature[kept].astype(np.float32).tobytes(),
            bias=np.asarray(bias, np.float32).tobytes(),
            temperature=temperature,
            card=card,
        )
    made = _Stored(
        format=_FORMAT,
        trained=trained,
        vocabulary="".join(f"{gram}\n" for gram in vocabulary),
        idf=np.asarray(idf, np.float32).tobytes(),
        heads=stored,
        seen=seen,
    )
    return zlib.compress(msgspec.msgpack.encode(made), 6)
