"""How good answers are: macro-F1, accuracy, calibration, and how many texts may be trusted at a demanded accuracy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

NO_LINE = 2.0
"""A line that no probability reaches: nothing may be trusted."""
_BINS = 10
_FEWEST_ABOVE = 30
"""Answers that must stand above a line before its accuracy means anything."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Figures over texts with known labels. ``line`` and ``coverage`` are for the accuracy that was asked."""

    rows: int
    accuracy: float
    macro_f1: float
    top3: float
    calibration_error: float
    accuracy_asked: float
    line: float
    coverage: float


def macro_f1(wanted: Sequence[str], got: Sequence[str]) -> float:
    """F1 of each label that occurs among the wanted ones, averaged over labels."""
    right = Counter(w for w, g in zip(wanted, got, strict=True) if w == g)
    asked, said = Counter(wanted), Counter(got)
    if not asked:
        return 0.0
    return sum(2 * right[label] / (asked[label] + said[label]) for label in asked) / len(asked)


def calibration_error(right: Sequence[bool], probabilities: Sequence[float]) -> float:
    """How far, on average, a probability is from how often it comes true (expected calibration error, 10 bins)."""
    if not right:
        return 0.0
    count, hits, sums = [0] * _BINS, [0] * _BINS, [0.0] * _BINS
    for good, probability in zip(right, probabilities, strict=True):
        at = min(int(probability * _BINS), _BINS - 1)
        count[at] += 1
        hits[at] += good
        sums[at] += probability
    return sum(abs(hits[n] - sums[n]) for n in range(_BINS)) / len(right)


def line_for(right: Sequence[bool], probabilities: Sequence[float], accuracy: float) -> tuple[float, float]:
    """The lowest probability from which on answers are right at least this often, and the share at or above it.

    Answers of one probability stand or fall together. `NO_LINE` and 0 where there is none.
    """
    ranked = sorted(zip(probabilities, right, strict=True), reverse=True)
    best = (NO_LINE, 0.0)
    good = 0
    for n, (probability, hit) in enumerate(ranked, 1):
        good += hit
        if n < len(ranked) and ranked[n][0] == probability:
            continue
        if n >= min(_FEWEST_ABOVE, len(ranked)) and good >= accuracy * n:
            best = (probability, n / len(ranked))
    return best


def measured(
    wanted: Sequence[str],
    ranked: Sequence[Sequence[str]],
    probabilities: Sequence[float],
    *,
    accuracy: float,
    line: float | None = None,
) -> Measured:
    """All figures. ``ranked`` gives each text's labels, best first, ``probabilities`` those of the best.

    Args:
        line: a line set beforehand, whose coverage is counted; None finds the line on these answers.
    """
    got = [labels[0] if labels else "" for labels in ranked]
    right = [w == g for w, g in zip(wanted, got, strict=True)]
    rows = len(right)
    if line is None:
        line, coverage = line_for(right, probabilities, accuracy)
    else:
        coverage = sum(p >= line for p in probabilities) / rows if rows else 0.0
    return Measured(
        rows=rows,
        accuracy=sum(right) / rows if rows else 0.0,
        macro_f1=macro_f1(wanted, got),
        top3=sum(w in labels[:3] for w, labels in zip(wanted, ranked, strict=True)) / rows if rows else 0.0,
        calibration_error=calibration_error(right, probabilities),
        accuracy_asked=accuracy,
        line=line,
        coverage=coverage,
    )
