"""A text as character n-grams: the shape in which a recommender reads it, the same in training and at work."""

from __future__ import annotations

import re
import unicodedata
from operator import add
from typing import Final

LONGEST: Final = 1_200
"""Characters that are read of one text; a category shows long before."""
GRAMS: Final = (1, 3)
"""The shortest and the longest n-gram."""

_BLANK: Final = re.compile(r"\s+")
_DIGITS: Final = re.compile(r"\d+")


def folded(text: str) -> str:
    """One shape: half width, small letters, blanks as one, a run of digits as one 0 (a number names nobody's kind)."""
    plain = unicodedata.normalize("NFKC", text[: 2 * LONGEST]).lower()
    return _DIGITS.sub("0", _BLANK.sub(" ", plain))[:LONGEST].strip()


def written(title: str, text: str) -> str:
    """Title and text as one reading. The title counts twice: it says in ten characters what the text is about."""
    return f"{title} {title} {text}" if title else text


def grams(text: str) -> list[str]:
    """Every n-gram of a folded text, shorter ones first, repeated as often as it stands there."""
    pairs = list(map(add, text, text[1:]))
    return [*text, *pairs, *map(add, pairs, text[2:])]
