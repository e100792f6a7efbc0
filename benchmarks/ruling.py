"""How fast a text is ruled: beside the bare matcher and a regex alternation over the same patterns, in one run."""

import datetime as dt
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.figures import Figures, read_options
from routing_rules.lexicon import expand, units
from routing_rules.loader import Rulebook, compile_rulebook, dump, restore
from routing_rules.match import rule
from routing_rules.ruling import Line

DATA = Path(__file__).parents[1] / "routing_rules" / "data"
AT = dt.datetime(2026, 3, 10, 10, tzinfo=dt.timezone(dt.timedelta(hours=8)))


def shipped() -> dict[str, bytes]:
    return {
        str(path.relative_to(DATA)): path.read_bytes()
        for folder in ("lists", "lexicon", "examples")
        for path in sorted((DATA / folder).glob("*.toml"))
    }


def texts(book: Rulebook, length: int, count: int) -> list[str]:
    """Texts of one length, pieced together from the examples of our own lists."""
    pool = [example.text for example in book.sheet.examples]
    pool += [text for item in book.sheet.items for text in item.examples]
    made = []
    for n in range(count):
        text, at = "", n
        while len(text) < length:
            text += pool[at % len(pool)] + "。"
            at = at * 31 + 17
        made.append(text[:length])
    return made


def per_second(work: Callable[[str], object], inputs: Sequence[str], rounds: int) -> float:
    """Best of several rounds, by processor time of this process: neighbours on the core don't count."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        for text in inputs:
            work(text)
        best = min(best, time.process_time() - start)
    return len(inputs) / best


def p99_ms(work: Callable[[str], object], inputs: Sequence[str]) -> float:
    taken = []
    for text in inputs:
        start = time.process_time_ns()
        work(text)
        taken.append((time.process_time_ns() - start) / 1e6)
    return statistics.quantiles(taken, n=100)[98]


def measure(count: int, rounds: int) -> Figures:
    files = shipped()
    start = time.process_time()
    book = compile_rulebook(files)
    compiling = time.process_time() - start
    cached = dump(book)
    start = time.process_time()
    restore(cached)
    restoring = time.process_time() - start
    words = {word for concept in book.sheet.concepts for raw in concept.words for word in expand(raw)}
    alternation = re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)))

    def ruled(text: str) -> object:
        return rule(text, book=book, line=Line.hotline, division="630000", at=AT)

    def matched(text: str) -> object:
        return list(book.lexicon.automaton.iter(units(text)))

    figures = Figures()
    for length in (60, 300):
        inputs = texts(book, length, count)
        rulings = per_second(ruled, inputs, rounds)
        bare = per_second(matched, inputs, rounds)
        regex = per_second(alternation.findall, inputs[: max(20, count // 50)], 1)
        slowest = p99_ms(ruled, inputs)
        figures.add(f"ruling_{length}_of_raw", rulings / bare, "share")
        if length == 60:
            figures.add("ruling_60_per_s", rulings, "texts/s", ">= 15000", rulings >= 15_000)
        else:
            figures.add(f"ruling_{length}_per_s", rulings, "texts/s")
        figures.add(f"ruling_{length}_times_regex", rulings / regex, "times", ">= 1", rulings >= regex)
        figures.add(f"ruling_{length}_p99_ms", slowest, "ms", "<= 1", slowest <= 1.0)
    spoken = [example.text for example in book.sheet.examples]
    figures.add("ruling_example_per_s", per_second(ruled, spoken, rounds), "texts/s")
    patterns = len(book.lexicon.patterns)
    figures.add("patterns", patterns, "patterns", ">= 4000", patterns >= 4_000)
    figures.add("compile_ms", compiling * 1e3, "ms")
    figures.add("restore_ms", restoring * 1e3, "ms", "<= 200", restoring <= 0.2)
    return figures


def main() -> None:
    """Measure and print; the texts are dense with telling words, so this is the hard case."""
    options = read_options(__doc__ or "")
    count, rounds = options.pick(quick=(400, 2), normal=(2_000, 4), full=(5_000, 7))
    measure(count, rounds).print_all(options.as_json)


if __name__ == "__main__":
    main()
