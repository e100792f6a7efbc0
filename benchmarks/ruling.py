"""How fast a text is ruled with 3,000 rules: beside the bare matcher, a rule engine and a regex, in one run."""

import datetime as dt
import json
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import Figures, read_options
from benchmarks.ruling_texts import RULES, calls, decision_rows, dense, further_list, matters
from routing_rules.facts import read
from routing_rules.lexicon import PLANES
from routing_rules.loader import Rulebook, compile_rulebook, dump, restore
from routing_rules.match import rule
from routing_rules.ruling import Line
from routing_rules.words import expand, units

DATA = Path(__file__).parents[1] / "routing_rules" / "data"
AT = dt.datetime(2026, 3, 10, 10, tzinfo=dt.timezone(dt.timedelta(hours=8)))
SHORT, LONG = 60, 300


def shipped() -> dict[str, bytes]:
    return {
        str(path.relative_to(DATA)): path.read_bytes()
        for folder in ("lists", "lexicon", "examples", "ear")
        for path in sorted((DATA / folder).glob("*.t*"))
    }


def per_second(work: Callable[[Any], object], inputs: Sequence[Any], rounds: int) -> float:
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


def decision_table(book: Rulebook) -> Any:
    """The rules of the book as a decision table of zen-engine, the first that holds decides."""
    import zen  # only those who measure need the peer

    rules = [
        {"_id": str(n), "when": when, "item": json.dumps(item)}
        for n, (when, item) in enumerate(decision_rows(book))
    ]
    table = {
        "hitPolicy": "first",
        "inputs": [{"id": "when", "name": "when"}],
        "outputs": [{"id": "item", "name": "item", "field": "item"}],
        "rules": rules,
    }
    at = {"x": 0, "y": 0}
    nodes = [
        {"id": "in", "type": "inputNode", "name": "in", "position": at},
        {"id": "table", "type": "decisionTableNode", "name": "table", "position": at, "content": table},
        {"id": "out", "type": "outputNode", "name": "out", "position": at},
    ]
    edges = [
        {"id": f"{source}-{target}", "sourceId": source, "targetId": target, "type": "edge"}
        for source, target in (("in", "table"), ("table", "out"))
    ]
    return zen.ZenEngine().create_decision(json.dumps({"nodes": nodes, "edges": edges}))


def facts_for_zen(text: str, book: Rulebook) -> dict[str, dict[str, bool]]:
    """What the decision table reads: all facts of a text, by plane. Finding them is not on zen-engine's time."""
    facts = read(text, book.lexicon)
    held = [(number, facts.planes(number)) for number in range(book.lexicon.count)]
    return {
        name: {f"f{number}": True for number, planes in held if planes & plane}
        for name, plane in PLANES.items()
    }


def measure(count: int, rounds: int) -> Figures:
    files = shipped()
    start = time.process_time()
    own = compile_rulebook(files)
    compiling = time.process_time() - start
    cached = dump(own)
    start = time.process_time()
    restore(cached)
    restoring = time.process_time() - start

    book = compile_rulebook({**files, "lists/benchmark.toml": further_list(own)})
    words = {word for concept in book.sheet.concepts for raw in concept.words for word in expand(raw)}
    alternation = re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)))
    table = decision_table(book)

    def ruled(text: str) -> object:
        return rule(text, book=book, line=Line.hotline, division="630000", at=AT)

    def matched(text: str) -> object:
        return list(book.lexicon.automaton.iter(units(text)))

    figures = Figures()
    for length in (SHORT, LONG):
        inputs = calls(own, length, count)
        few = inputs[: max(20, count // 50)]
        rulings = per_second(ruled, inputs, rounds)
        bare = per_second(matched, inputs, rounds)
        engine = per_second(table.evaluate, [facts_for_zen(text, book) for text in few], 1)
        regex = per_second(alternation.findall, few, 1)
        slowest = p99_ms(ruled, inputs)
        figures.add(f"ruling_{length}_of_raw", rulings / bare, "share")
        if length == SHORT:
            figures.add("ruling_60_per_s", rulings, "texts/s", ">= 15000", rulings >= 15_000)
        else:
            figures.add(f"ruling_{length}_per_s", rulings, "texts/s")
        figures.add(f"ruling_{length}_p99_ms", slowest, "ms", "< 1", slowest < 1.0)
        figures.add(f"ruling_{length}_times_zen", rulings / engine, "times", ">= 1", rulings >= engine)
        figures.add(f"ruling_{length}_times_regex", rulings / regex, "times", ">= 1", rulings >= regex)
        hard = dense(own, length, count)
        figures.add(f"ruling_{length}_dense_per_s", per_second(ruled, hard, rounds), "texts/s")
        slowest = p99_ms(ruled, hard)
        figures.add(f"ruling_{length}_dense_p99_ms", slowest, "ms", "< 1", slowest < 1.0)
    figures.add("ruling_example_per_s", per_second(ruled, matters(own), rounds), "texts/s")
    rules = len(book.sheet.items)
    figures.add("rules", rules, "rules", f">= {RULES}", rules >= RULES)
    patterns = len(book.lexicon.patterns.of)
    figures.add("patterns", patterns, "patterns", ">= 4000", patterns >= 4_000)
    figures.add("compile_ms", compiling * 1e3, "ms")
    figures.add("restore_ms", restoring * 1e3, "ms", "<= 200", restoring <= 0.2)
    return figures


def main() -> None:
    """Measure and print. A call is one matter with everyday talk around it; a dense text is nothing but matters."""
    options = read_options(__doc__ or "")
    count, rounds = options.pick(quick=(400, 3), normal=(2_000, 5), full=(5_000, 9))
    measure(count, rounds).print_all(options.as_json)


if __name__ == "__main__":
    main()
