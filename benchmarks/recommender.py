"""How fast the trained recommender answers: beside scikit-learn's own pipeline with the same weights, in one run.

Taught from the citizens' messages of ../shared where they lie beside the checkout (a model of the size that an owner
has: 200,000 n-grams), else from our own examples (a small one). Nothing that is made here is kept.
"""

from __future__ import annotations

import csv
import gzip
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.figures import Figures, read_options
from benchmarks.ruling import per_second
from routing_rules.model.grams import GRAMS, folded
from routing_rules.model.scorer import Recommender
from routing_rules.model.training import Row, train

MESSAGES = Path(__file__).parents[2] / "shared" / "data" / "messages_train_stopworded.csv.gz"
AT = datetime(2026, 3, 10, 2, tzinfo=UTC)
LENGTH = 60


def material(most: int) -> list[Row]:
    """Labelled texts: real ones where they are, else our own with the category that the lists give them."""
    if MESSAGES.exists():
        with gzip.open(MESSAGES, "rt", encoding="utf-8", newline="") as file:
            rows = [Row(text=row["text"], category=row["category"]) for row in csv.DictReader(file)]
        return rows[:: max(1, len(rows) // most)]
    from tests.rules.shipped import category_rows

    return list(category_rows())


def peer(rows: Sequence[Row]) -> Callable[[str], object]:
    """scikit-learn's vectorizer and linear model, asked for one text at a time, as its users would."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline

    made = make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=GRAMS, sublinear_tf=True, min_df=2, dtype=np.float32),
        SGDClassifier(loss="log_loss", average=True, max_iter=3, tol=None, random_state=1),
    )
    made.fit([row.text for row in rows], [row.category for row in rows])
    return lambda text: made.predict_proba([text])


def measure(most: int, count: int, rounds: int) -> Figures:
    rows = material(most)
    start = time.process_time()
    trained = train(rows, seed=1, now=AT)
    training = time.process_time() - start
    start = time.process_time()
    model = Recommender(trained.content)
    loading = time.process_time() - start
    texts = [text for row in rows if len(text := folded(row.text)[:LENGTH]) == LENGTH][:count] or [
        (row.text * LENGTH)[:LENGTH] for row in rows
    ]
    ours = per_second(lambda text: model.suggest(text, reasons=False), texts, rounds)
    explained = per_second(model.suggest, texts, rounds)
    theirs = per_second(peer(rows), texts[: max(20, count // 10)], 1)
    card = trained.cards[0]
    figures = Figures()
    figures.add("recommender_60_per_s", ours, "texts/s", ">= 10000", ours >= 10_000)
    figures.add("recommender_60_with_reasons_per_s", explained, "texts/s")
    figures.add("recommender_60_times_sklearn", ours / theirs, "times", ">= 1", ours >= theirs)
    figures.add("recommender_rows", card.rows, "rows")
    figures.add("recommender_macro_f1", card.macro_f1, "of 1")
    figures.add("recommender_coverage_at_97", card.coverage, "share")
    figures.add("recommender_train_s", training, "s")
    figures.add("recommender_load_ms", loading * 1e3, "ms")
    return figures


def main() -> None:
    """Measure and print."""
    options = read_options(__doc__ or "")
    most, count, rounds = options.pick(
        quick=(1_500, 400, 2), normal=(4_000, 1_000, 4), full=(20_000, 2_000, 7)
    )
    measure(most, count, rounds).print_all(options.as_json)


if __name__ == "__main__":
    main()
