"""From texts with known labels to a model: grouped folds, a linear fit, calibration, and the figures on its card.

Needs scikit-learn, which is an extra ("train"): a serving node never imports this module.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from routing_rules.model.grams import GRAMS, folded, written
from routing_rules.model.measures import Measured, macro_f1, measured
from routing_rules.model.scorer import Card, Recommender, Rivalry, pack, seen_of
from routing_rules.similar import groups

FOLDS: Final = 5
FITS: Final = FOLDS + 1
FEWEST_OF_A_LABEL: Final = 4
"""A label with fewer rows cannot be learnt and measured; its rows are left out and named."""
MOST_FEATURES: Final = 250_000
ACCURACY_ASKED: Final = 0.97
HEADS: Final = ("category", "units")
_BEGINNING: Final = (10, 40)
"""A training text is also shown by a beginning of this many characters, so that short calls are understood too."""
_ALPHA: Final = 1e-6
_PASSES: Final = 15
_NEVER: Final = -1e3
"""The score of a label that a fold had nothing to learn from."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One closed case or labelled message. ``category`` is a path "a/b/c"; ``units`` the kind of the lead unit."""

    text: str
    title: str = ""
    category: str
    units: str = ""

    @property
    def reading(self) -> str:
        """What a recommender is given of it."""
        return written(self.title, self.text)

    def label(self, head: str) -> str:
        """Its answer to one question."""
        return self.category if head == "category" else self.units


class CannotTrain(ValueError):
    """There is nothing to learn from; the words say why and what to bring."""


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """A model with what it was measured by. ``left_out`` counts rows by category that were too few."""

    content: bytes
    cards: tuple[Card, ...]
    left_out: dict[str, int]


def train(
    rows: Sequence[Row],
    *,
    seed: int,
    now: datetime,
    champion: Recommender | None = None,
    accuracy: float = ACCURACY_ASKED,
    tick: Callable[[], object] = lambda: None,
) -> Trained:
    """Learns category and, where at least two kinds are named, units.

    Near-duplicates (half of their shingles in common) always stand in the same fold, so that no figure on the card
    comes from a text that was learnt in another wording. The same rows and seed give the same bytes but for ``now``.

    Args:
        champion: the model in force: the card then says how both did on the rows that neither had learnt.
        tick: called after each fit, `FITS` times for each question.

    Raises:
        CannotTrain: fewer than two categories with enough rows.
        ModuleNotFoundError: scikit-learn is not installed.
    """
    many = Counter(row.category for row in rows)
    left_out = {label: n for label, n in many.items() if n < FEWEST_OF_A_LABEL or not label}
    kept = [row for row in rows if row.category not in left_out]
    if len(many) - len(left_out) < 2:
        raise CannotTrain(
            f"至少要两个类别、每类至少 {FEWEST_OF_A_LABEL} 行 / "
            f"at least two categories with {FEWEST_OF_A_LABEL} rows each are needed"
        )
    readings = [folded(row.reading) for row in kept]
    grouped = groups(readings)
    folds = _folds(grouped, [row.category for row in kept], seed)
    vectors = _Vectors(readings)
    data = hashlib.sha256(b"".join(hashlib.sha256(msgspec.json.encode(row)).digest() for row in kept))
    heads: dict[str, tuple[tuple[str, ...], Any, Any, float, Card]] = {}
    for name in HEADS:
        count = Counter(row.label(name) for row in kept)
        chosen = [
            n for n, row in enumerate(kept) if row.label(name) and count[row.label(name)] >= FEWEST_OF_A_LABEL
        ]
        labels = [kept[n].label(name) for n in chosen]
        if len(set(labels)) < 2:
            continue
        task = _Task(
            name=name,
            texts=[readings[n] for n in chosen],
            labels=labels,
            folds=folds[chosen],
            groups=len({grouped[n] for n in chosen}),
            seed=seed,
            accuracy=accuracy,
            data=data.hexdigest(),
        )
        heads[name] = _learn(task, vectors, vectors.full[chosen], champion, tick)
    return Trained(
        content=pack(vectors.words, vectors.idf, heads, now, seen_of(readings)),
        cards=tuple(head[-1] for head in heads.values()),
        left_out=left_out,
    )


def evaluate(
    model: Recommender, rows: Sequence[Row], head: str = "category", *, fresh: bool = True
) -> Measured:
    """The figures of a model on rows, with the line that its card carries.

    Args:
        fresh: leave out rows that it learnt, in this wording or a near one: they prove nothing.

    Raises:
        KeyError: the model does not answer this head.
    """
    card = model.heads[head].card
    wanted, ranked, probabilities = [], [], []
    for row in rows:
        label = row.label(head)
        if not label or (fresh and model.has_seen(folded(row.reading))):
            continue
        said = model.suggest(row.reading, head, reasons=False)
        wanted.append(label)
        ranked.append([one.label for one in said])
        probabilities.append(said[0].probability if said else 0.0)
    return measured(wanted, ranked, probabilities, accuracy=card.accuracy_asked, line=card.line)


class _Vectors:
    """The training texts as vectors, and the vocabulary that makes them."""

    def __init__(self, readings: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._made = TfidfVectorizer(
            analyzer="char",
            ngram_range=GRAMS,
            lowercase=False,
            sublinear_tf=True,
            min_df=2 if len(readings) >= 200 else 1,
            max_features=MOST_FEATURES,
            dtype=np.float32,
        )
        self.full = self._made.fit_transform(readings)
        self.words = [str(word) for word in self._made.get_feature_names_out()]
        self.idf = self._made.idf_

    def of(self, texts: Sequence[str]) -> Any:
        return self._made.transform(texts)


class _Task(msgspec.Struct, frozen=True, kw_only=True):
    """One question to be learnt: readings with their labels and folds, and what its card repeats."""

    name: str
    texts: list[str]
    labels: list[str]
    folds: Any
    groups: int
    seed: int
    accuracy: float
    data: str


def _folds(grouped: Sequence[int], labels: Sequence[str], seed: int) -> npt.NDArray[np.intp]:
    """A fold for each row: groups stay whole, labels are spread evenly, the rest is drawn by the seed."""
    members: dict[int, list[int]] = defaultdict(list)
    for n, group in enumerate(grouped):
        members[group].append(n)
    listed = list(members.values())
    order = [listed[n] for n in np.random.default_rng(seed).permutation(len(listed)).tolist()]
    order.sort(key=len, reverse=True)
    held: dict[str, list[int]] = defaultdict(lambda: [0] * FOLDS)
    size = [0] * FOLDS
    fold = np.zeros(len(grouped), np.intp)
    for whole in order:
        label = labels[whole[0]]
        at = min(range(FOLDS), key=lambda n: (held[label][n], size[n], n))
        for n in whole:
            fold[n] = at
            held[labels[n]][at] += 1
        size[at] += len(whole)
    return fold


def _fit(
    full: Any, beginnings: Any, labels: Sequence[str], seed: int
) -> tuple[list[str], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Two linear models averaged into one: of whole texts, and of whole texts with their beginnings."""
    from scipy.sparse import vstack
    from sklearn.linear_model import SGDClassifier

    def one(vectors: Any, wanted: Sequence[str], alpha: float) -> Any:
        # The passes are counted on purpose: without a tolerance nothing is said about convergence.
        made = SGDClassifier(
            loss="log_loss", alpha=alpha, average=True, max_iter=_PASSES, tol=None, random_state=seed
        )
        return made.fit(vectors, wanted)

    whole = one(full, labels, _ALPHA)
    short = one(vstack([full, beginnings]), [*labels, *labels], 2 * _ALPHA)
    weights, bias = (whole.coef_ + short.coef_) / 2, (whole.intercept_ + short.intercept_) / 2
    names = [str(label) for label in whole.classes_]
    if len(names) == 2:  # scikit-learn keeps one row for two labels
        weights, bias = np.vstack([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    return names, weights, bias


def _learn(
    task: _Task, vectors: _Vectors, full: Any, champion: Recommender | None, tick: Callable[[], object]
) -> tuple[tuple[str, ...], Any, Any, float, Card]:
    """Measured on unseen folds first, then learnt from everything."""
    cuts = np.random.default_rng(task.seed).integers(*_BEGINNING, size=len(task.texts), endpoint=True)
    beginnings = vectors.of([text[:cut] for text, cut in zip(task.texts, cuts.tolist(), strict=True)])
    wanted = np.array(task.labels)
    everything = sorted(set(task.labels))
    column = {label: n for n, label in enumerate(everything)}
    unseen = np.full((len(task.texts), len(everything)), _NEVER)
    for at in range(FOLDS):
        learn, test = task.folds != at, task.folds == at
        if test.any() and len(set(wanted[learn])) > 1:
            names, weights, bias = _fit(full[learn], beginnings[learn], list(wanted[learn]), task.seed)
            columns = np.array([column[label] for label in names])
            unseen[np.ix_(np.nonzero(test)[0], columns)] = full[test] @ weights.T + bias
        tick()
    temperature = _temperature(unseen, np.array([column[label] for label in task.labels]))
    chances = _softmax(unseen / temperature)
    order = np.argsort(-chances, axis=1, kind="stable")[:, :3]
    ranked = [[everything[n] for n in row] for row in order]
    figures = measured(task.labels, ranked, [float(row.max()) for row in chances], accuracy=task.accuracy)
    names, weights, bias = _fit(full, beginnings, task.labels, task.seed)
    tick()
    card = Card(
        head=task.name,
        rows=len(task.texts),
        labels=len(names),
        groups=task.groups,
        seed=task.seed,
        data=task.data,
        accuracy=round(figures.accuracy, 4),
        macro_f1=round(figures.macro_f1, 4),
        calibration_error=round(figures.calibration_error, 4),
        accuracy_asked=task.accuracy,
        line=round(figures.line, 4),
        coverage=round(figures.coverage, 4),
        rival=_rivalry(task, [row[0] for row in ranked], champion),
    )
    return tuple(names), weights, bias, temperature, card


def _rivalry(task: _Task, ours: Sequence[str], champion: Recommender | None) -> Rivalry | None:
    """Both models on the rows that the champion has not learnt; ours were answered by folds that had not either."""
    if champion is None or task.name not in champion.heads:
        return None
    fresh = [n for n, text in enumerate(task.texts) if not champion.has_seen(text)]
    if not fresh:
        return Rivalry(champion=champion.digest, rows=0, ours=0.0, theirs=0.0)
    wanted = [task.labels[n] for n in fresh]
    theirs = [
        said[0].label if (said := champion.suggest(task.texts[n], task.name, most=1, reasons=False)) else ""
        for n in fresh
    ]
    return Rivalry(
        champion=champion.digest,
        rows=len(fresh),
        ours=round(macro_f1(wanted, [ours[n] for n in fresh]), 4),
        theirs=round(macro_f1(wanted, theirs), 4),
    )


def _softmax(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _temperature(scores: npt.NDArray[np.float64], wanted: npt.NDArray[np.intp]) -> float:
    """The temperature under which the unseen answers are likeliest (the loss has one valley: golden section)."""
    rows = np.arange(len(wanted))

    def loss(logarithm: float) -> float:
        raised = scores / np.exp(logarithm)
        top = raised.max(axis=1)
        return float(np.mean(np.log(np.exp(raised - top[:, None]).sum(axis=1)) + top - raised[rows, wanted]))

    low, high, golden = -3.0, 4.0, 0.6180339887
    for _ in range(40):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))
