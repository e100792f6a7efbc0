"""What a matter is probably about and who probably answers for it: by a trained model, else by the lists' own words.

A recommendation never decides: the ruling stands, and where a sure model says otherwise a person is shown both.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from routing_rules.loader import Rulebook
from routing_rules.match import weigh, weight_of
from routing_rules.model.answers import MOST_REASONS, MOST_SUGGESTED, Reason, Suggestion
from routing_rules.ruling import Hints, Ruling
from routing_rules.terms import Alternative

if TYPE_CHECKING:
    from routing_rules.model.scorer import Recommender

BY_LISTS: Final = "lists"


class Recommended(msgspec.Struct, frozen=True, kw_only=True):
    """The likeliest categories and kinds of lead units, best first, three of each at most.

    ``by`` is "lists" or the digest of the model. A model's probabilities are calibrated; those of the lists are each
    item's share of the words' weight and only order them. ``differs``: the model is surer than its line and says
    something else than the ruling.
    """

    by: str
    categories: tuple[Suggestion, ...]
    units: tuple[Suggestion, ...]
    differs: bool = False


NOTHING: Final = Recommended(by="", categories=(), units=())
"""For danger, which is no matter of categories, and for texts that nothing is known of."""


def category_of(ruling: Ruling, said: Recommended) -> str:
    """The category to record: by the tree that a model was taught, where one is in force; else the list item's."""
    return said.categories[0].label if said.by not in ("", BY_LISTS) else ruling.category


def recommend(
    text: str,
    ruling: Ruling,
    *,
    book: Rulebook,
    model: Recommender | None,
    division: str,
    at: datetime,
    hints: Hints | None = None,
) -> Recommended:
    """Recommends for a text that was ruled. Total; nothing for danger."""
    if ruling.danger:
        return NOTHING
    return by_model(text, ruling, model) or _by_lists(text, book, division, at, hints or Hints())


def by_model(
    text: str, ruling: Ruling, model: Recommender | None, *, reasons: bool = True
) -> Recommended | None:
    """What a trained model says; None without one, for danger, and for a text it knows nothing of."""
    if model is None or ruling.danger:
        return None
    categories = model.suggest(text, "category", reasons=reasons)
    if not categories:
        return None
    units = model.suggest(text, "units", reasons=reasons)
    return Recommended(
        by=model.digest,
        categories=categories,
        units=units,
        differs=_differs(model, "category", categories, (ruling.category,))
        or _differs(model, "units", units, ruling.owners),
    )


def _differs(model: Recommender, head: str, said: tuple[Suggestion, ...], ruled: tuple[str, ...]) -> bool:
    """Whether a sure model contradicts: only where it knows what the ruling says, else they speak of different things."""
    if not said or not set(ruled) & set(model.heads[head].labels):
        return False
    return said[0].probability >= model.heads[head].card.line and said[0].label not in ruled


def _by_lists(text: str, book: Rulebook, division: str, at: datetime, hints: Hints) -> Recommended:
    facts, rows = weigh(text, book=book, division=division, at=at, hints=hints)
    known: dict[int, float] = {}
    best: dict[str, tuple[float, Alternative]] = {}
    for row in rows:
        weight = weight_of(row, facts, known)
        if row.item.category and not row.item.alone and weight > best.get(row.item.id, (0.0, row))[0]:
            best[row.item.id] = (weight, row)
    if not best:
        return NOTHING
    ranked = sorted(best.values(), key=lambda one: (-one[0], one[1].order))
    whole = sum(weight for weight, _ in ranked)

    def why(row: Alternative) -> tuple[Reason, ...]:
        spans = {facts.span(place): known[fact] for fact in row.facts for place in facts.places(fact)}
        loudest = sorted(spans.items(), key=lambda one: (-one[1], one[0]))[:MOST_REASONS]
        return tuple(Reason(start, end, text[start:end], weight) for (start, end), weight in loudest)

    categories: dict[str, Suggestion] = {}
    units: dict[str, Suggestion] = {}
    for weight, row in ranked:
        share = round(weight / whole, 4)
        for labels, into in (((row.item.category,), categories), (row.item.owners[:1], units)):
            for label in labels:
                into.setdefault(label, Suggestion(label=label, probability=share, reasons=why(row)))
    return Recommended(
        by=BY_LISTS,
        categories=tuple(categories.values())[:MOST_SUGGESTED],
        units=tuple(units.values())[:MOST_SUGGESTED],
    )
