"""How rulings come out, register by register and never pooled, with every miss: `python -m benchmarks.eval`."""

import argparse
import csv
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import msgspec

from benchmarks.ruling import AT, shipped
from routing_rules.loader import Rulebook, compile_rulebook
from routing_rules.match import rule
from routing_rules.ruling import Line, Ruling
from routing_rules.schema import RESCUE

HERE = Path(__file__).parent
SHARED = HERE.parents[1] / "shared"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A text with what is known of it: lines of which one must be reached, and whether it is danger (or unknown)."""

    text: str
    platforms: frozenset[str] = frozenset()
    danger: bool | None = None
    contested: bool = False


class Score:
    """Counts of one register, and the misses in words."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.right: Counter[str] = Counter()
        self.misses: list[str] = []

    def note(self, name: str, good: bool, call: Call, ruling: Ruling) -> None:
        self.seen[name] += 1
        self.right[name] += good
        if not good:
            wanted = "/".join(sorted(call.platforms)) or "-"
            self.misses.append(
                f"  {name}: want {wanted}, got {ruling.platform} by {ruling.item}: {call.text[:60]}"
            )


def examples(book: Rulebook) -> Iterator[Call]:
    """The examples that the lists carry: they pass by construction, so this register only shows regressions."""
    for row in book.sheet.examples:
        yield Call(text=row.text, platforms=frozenset({row.platform} - {""}), danger=row.danger)


def held_out() -> Iterator[Call]:
    """Calls of our own that no rule was written for."""
    for row in tomllib.loads((HERE / "held_out.toml").read_text())["call"]:
        danger = {"danger": True, "ordinary": False}.get(row["register"])
        yield Call(text=row["text"], platforms=frozenset(row["platform"].split("/")), danger=danger)


def stories() -> Iterator[Call]:
    """Reported calls with the platform that handled them; `both` is reached by either."""
    with (SHARED / "domain" / "stories_dev.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            both = row["platform"] == "both"
            platforms = frozenset({"110", "12345"} if both else {row["platform"]})
            yield Call(text=row["text"], platforms=platforms, contested=both)


def messages(name: str) -> Iterator[Call]:
    """Messages of citizens to a hotline: a danger among them is rare, so every alarm is counted as false."""
    with (SHARED / "data" / name).open(newline="") as file:
        for row in csv.DictReader(file):
            platform = row.get("platform", "")
            danger = None if platform and platform != "12345" else False
            yield Call(text=row["text"], platforms=frozenset({platform} - {""}), danger=danger)


def score(calls: Iterable[Call], book: Rulebook) -> Score:
    """Rules every call as the hotline sees it; 119 and 120 must be reached themselves, told or dispatched."""
    made = Score()
    for call in calls:
        ruling = rule(call.text, book=book, line=Line.hotline, division="630000", at=AT)
        reached = {ruling.platform, *ruling.also}
        if call.danger:
            service = min(call.platforms & RESCUE, default="110")
            good = ruling.danger and (call.platforms == {"110"} or bool(call.platforms & reached))
            made.note(f"danger {service}", good, call, ruling)
        elif call.danger is False:
            made.note("no alarm", not ruling.danger, call, ruling)
        if call.platforms and not call.danger:
            made.note("platform", ruling.platform in call.platforms, call, ruling)
    return made


def registers(book: Rulebook) -> Iterator[tuple[str, Iterable[Call]]]:
    yield "our examples", examples(book)
    yield "held-out calls", held_out()
    if SHARED.is_dir():
        yield "reported calls", stories()
        for name in ("messages_stream.csv", "messages_labelled.csv", "letters_platform.csv"):
            yield name, messages(name)


def main() -> None:
    """Print one table line for each register and figure, then every miss (`--misses N` shows at most N of each)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--misses", type=int, default=200, help="misses shown of each register")
    parser.add_argument("--json", action="store_true", help="figures only, as JSON")
    parser.add_argument("--quick", action="store_true", help="at most 500 texts of each register")
    options = parser.parse_args()
    book = compile_rulebook(shipped())
    figures: dict[str, dict[str, list[int]]] = {}
    for name, calls in registers(book):
        made = score(islice(calls, 500 if options.quick else None), book)
        figures[name] = {key: [made.right[key], made.seen[key]] for key in sorted(made.seen)}
        if options.json:
            continue
        print(name)
        for key, (right, seen) in figures[name].items():
            print(f"  {key:<12} {right:>5} of {seen:<5} {right / seen:7.2%}")
        for miss in made.misses[: options.misses]:
            print(miss)
    if options.json:
        print(msgspec.json.encode(figures).decode())


if __name__ == "__main__":
    main()
