"""What a recommender answers, without what it takes to answer."""

from __future__ import annotations

from typing import Final

import msgspec

MOST_SUGGESTED: Final = 3
MOST_REASONS: Final = 4


class Reason(msgspec.Struct, frozen=True):
    """A span of the given text, `text[start:end]`, and how much it spoke for the label."""

    start: int
    end: int
    words: str
    weight: float


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """One label with its probability (0 to 1) and the words that spoke for it, the strongest first."""

    label: str
    probability: float
    reasons: tuple[Reason, ...] = ()
