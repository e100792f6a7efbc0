"""Teaches the ear and writes its weights: `make ear`, or `python -m training.ear`. Deterministic; needs scikit-learn.

Two models over single characters and pairs: which rescue service a text sounds like, or an everyday matter; and which
line an everyday matter belongs to. Only voices of our own writing are learned from.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from benchmarks.ruling import shipped
from routing_rules.ear import (
    FORMAT,
    MOST,
    ORDINARY,
    SERVICES,
    SHORTEST,
    STEP,
    UNIT,
    WINDOW,
    Bars,
    bare,
    grams,
)
from routing_rules.loader import compile_rulebook
from training.voices import Templates, Voice, corpus, digest

TARGET = Path(__file__).parents[1] / "routing_rules" / "data" / "ear" / "weights.tsv"
LEAST = 2  # texts that a gram must stand in
STRENGTH = 30.0
TEMPLATE_WEIGHT = 6.0  # all fillings of a template weigh as much as so many written lines
KEPT = 20_000
"""Grams that are kept: those that move the most texts by the most."""

# Set on batches that had not been learned from (docs/judgement.md).
BARS = Bars(doubt=0.5, letter=6.0, loud=2.5, calm=-0.5, sheer=-1.5, beside=0.15, sure=0.92, leaning=0.55)


class Sample:
    __slots__ = ("danger", "platforms", "text", "weight")

    def __init__(self, text: str, danger: bool, platforms: tuple[str, ...], weight: float) -> None:
        self.text = text
        self.danger = danger
        self.platforms = platforms
        self.weight = weight


def samples(voices: Iterable[Voice], plain: Callable[[str], str]) -> list[Sample]:
    """Bare texts with their weights. A long everyday text is learned in windows; where in a long one the danger
    stands is not known, so it is left out."""
    templates = Templates()
    made = []
    for voice in voices:
        for line in voice.lines():
            texts = [bare(plain(text)) for text in templates.texts(line)]
            weight = TEMPLATE_WEIGHT / len(texts) if len(texts) > 1 else 1.0
            for text in texts:
                if len(text) <= WINDOW:
                    made.append(Sample(text, voice.danger, voice.platforms, weight))
                elif not voice.danger:
                    parts = [text[at : at + WINDOW] for at in range(0, len(text) - STEP, STEP)]
                    made += [Sample(part, False, voice.platforms, weight / 2) for part in parts]
    return made


def learn(
    taught: Sequence[Sample], labels: Sequence[str], order: Sequence[str]
) -> tuple[list[str], Any, Any]:
    """Grams, their weights for each of `order` against its last, and the biases."""
    standing = Counter(gram for each in taught for gram in set(grams(each.text)))
    known = {gram: n for n, gram in enumerate(sorted(g for g, times in standing.items() if times >= LEAST))}
    rows, columns, values = [], [], []
    for row, each in enumerate(taught):
        scale = 1.0 / max(len(each.text), SHORTEST) ** 0.5
        for gram, times in Counter(grams(each.text)).items():
            if gram in known:
                rows.append(row)
                columns.append(known[gram])
                values.append(times * scale)
    matrix = sparse.csr_matrix((values, (rows, columns)), shape=(len(taught), len(known)))
    model = LogisticRegression(C=STRENGTH, max_iter=600)
    model.fit(matrix, list(labels), sample_weight=[each.weight for each in taught])
    at = [list(model.classes_).index(name) for name in order]
    weights = (model.coef_ - model.coef_[at[-1]])[at[:-1]]
    bias = (model.intercept_ - model.intercept_[at[-1]])[at[:-1]]
    return (
        list(known),
        np.clip(np.rint(weights * UNIT), -MOST, MOST).astype(int),
        np.rint(bias * UNIT).astype(int),
    )


def prune(names: list[str], weights: Any, taught: Sequence[Sample], kept: int) -> dict[str, tuple[int, ...]]:
    """The grams that move the most texts by the most, with their weights."""
    standing = Counter(gram for each in taught for gram in set(grams(each.text)))
    moved = sorted(
        range(len(names)),
        key=lambda n: (-int(np.abs(weights[:, n]).max()) * standing[names[n]] ** 0.5, names[n]),
    )
    return {names[n]: tuple(int(w) for w in weights[:, n]) for n in moved[:kept] if weights[:, n].any()}


def teach(voices: Iterable[Voice], plain: Callable[[str], str]) -> str:
    """The weights as text: what `routing_rules.ear.load` reads."""
    heard = samples(voices, plain)
    services = [each.platforms[0] if each.danger else "-" for each in heard]
    services = ["110" if name == "122" else name for name in services]
    danger_names, danger_weights, danger_bias = learn(heard, services, (*SERVICES, "-"))
    danger = prune(danger_names, danger_weights, heard, KEPT)
    everyday = [each for each in heard if not each.danger and len(each.platforms) == 1]
    order = (*ORDINARY[1:], ORDINARY[0])
    names, weights, bias = learn(everyday, [each.platforms[0] for each in everyday], order)
    platform = prune(names, weights, everyday, KEPT)
    lines = [
        FORMAT,
        f"taught\t{digest()}",
        "bars\t" + "\t".join(map(str, msgspec.structs.astuple(BARS))),
        "bias\t" + "\t".join(str(int(each)) for each in (*danger_bias, *bias)),
    ]
    for gram in sorted(danger.keys() | platform.keys()):
        both = (*danger.get(gram, (0, 0, 0)), *platform.get(gram, (0, 0, 0)))
        lines.append("\t".join((gram, *map(str, both))))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the weights of everything that may be learned from."""
    lists = {name: content for name, content in shipped().items() if name.endswith(".toml")}
    book = compile_rulebook(lists)
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(teach(corpus(), book.lexicon.folding.plain))


if __name__ == "__main__":
    main()
