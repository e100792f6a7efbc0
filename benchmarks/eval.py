"""How rulings come out, register by register and never pooled, with every miss: `python -m benchmarks.eval`."""

import argparse
import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, pairwise
from pathlib import Path

import msgspec

from benchmarks.figures import Figures
from benchmarks.ruling import AT, shipped
from routing_rules.loader import Rulebook, compile_rulebook
from routing_rules.match import rule
from routing_rules.ruling import Line, Ruling
from routing_rules.schema import RESCUE
from training.voices import read_voices

HERE = Path(__file__).parent
SHARED = HERE.parents[1] / "shared"
AIMS = {"danger": 0.98, "no alarm": 0.97, "platform": 0.92}
COVERED = 0.97
BINS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.01)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A text with what is known of it: lines of which one must be reached, and whether it is danger (or unknown)."""

    text: str
    platforms: frozenset[str] = frozenset()
    danger: bool | None = None
    contested: bool = False


class Score:
    """Counts of one register, the misses in words, and how sure each platform was that was right or wrong."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.right: Counter[str] = Counter()
        self.misses: list[str] = []
        self.sure: list[tuple[float, bool]] = []

    def note(self, name: str, good: bool, call: Call, ruling: Ruling) -> None:
        self.seen[name] += 1
        self.right[name] += good
        if not good:
            wanted = "/".join(sorted(call.platforms)) or "-"
            self.misses.append(
                f"  {name}: want {wanted}, got {ruling.platform} by {ruling.item}: {call.text[:60]}"
            )

    def share(self, name: str) -> float:
        return self.right[name] / self.seen[name]

    def coverage(self) -> float:
        """The largest share of texts, the surest first, of which COVERED are right."""
        most = right = 0
        ranked = sorted(self.sure, key=lambda each: -each[0])
        for count, (confidence, good) in enumerate(ranked, start=1):
            right += good
            tied = count < len(ranked) and ranked[count][0] == confidence
            if not tied and right >= COVERED * count:
                most = count
        return most / len(self.sure)

    def reliability(self) -> Iterator[tuple[float, float, int, float]]:
        """For each bin of confidence: from, until, how many, how many of them were right."""
        for low, high in pairwise(BINS):
            held = [good for confidence, good in self.sure if low <= confidence < high]
            if held:
                yield low, high, len(held), sum(held) / len(held)


def examples(book: Rulebook) -> Iterator[Call]:
    """The examples that the lists carry: they pass by construction, so this register only shows regressions."""
    for row in book.sheet.examples:
        yield Call(text=row.text, platforms=frozenset({row.platform} - {""}), danger=row.danger)


def unheard(path: Path) -> Iterator[Call]:
    """A batch of our own that no rule was written for and nothing was learned from."""
    for voice in read_voices(path):
        for text in voice.lines():
            platforms = frozenset(voice.platforms)
            yield Call(
                text=text, platforms=platforms, danger=voice.danger, contested=len(voice.platforms) > 1
            )


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
            good = ruling.danger and ("110" in call.platforms or bool(call.platforms & reached))
            made.note(f"danger {service}", good, call, ruling)
            made.sure.append((ruling.confidence, good))
        elif call.danger is False:
            made.note("no alarm", not ruling.danger, call, ruling)
        if call.platforms and not call.danger:
            good = ruling.platform in call.platforms
            made.note("platform, all", good, call, ruling)
            if not call.contested:
                made.note("platform, uncontested", good, call, ruling)
                made.sure.append((ruling.confidence, good))
    return made


def registers(book: Rulebook) -> Iterator[tuple[str, Iterable[Call]]]:
    yield "our examples", examples(book)
    for path in sorted((HERE / "unheard").glob("*.toml")):
        yield f"unheard calls, {path.stem}", unheard(path)
    if SHARED.is_dir():
        yield "reported calls", stories()
        for name in ("messages_stream.csv", "messages_labelled.csv", "letters_platform.csv"):
            yield name, messages(name)


def report(name: str, made: Score, figures: Figures, shown: int, say: Callable[[str], None]) -> None:
    """One line for each figure of a register, its reliability, and at most `shown` misses."""
    say(name)
    aimed = name.startswith("unheard")
    for key in sorted(made.seen):
        share = made.share(key)
        least = AIMS.get(key.split(",")[0].split(" 1")[0]) if aimed and key != "platform, all" else None
        aim = f">= {least:.0%}" if least is not None else ""
        ok = share >= least if least is not None else None
        figures.add(f"{name}: {key}", round(share, 4), "share", aim, ok)
        say(
            f"  {key:<22} {made.right[key]:>5} of {made.seen[key]:<5} {share:7.2%} {aim}{' MISSED' if ok is False else ''}"
        )
    if made.sure:
        figures.add(f"{name}: coverage at {COVERED:.0%}", round(made.coverage(), 4), "share")
        say(f"  coverage at {COVERED:.0%}        {made.coverage():16.2%}")
        for low, high, count, right in made.reliability():
            say(f"  confidence {low:.1f}–{min(high, 1.0):.1f}  {count:>12} texts, right {right:7.2%}")
    for miss in made.misses[:shown]:
        say(miss)


def main() -> None:
    """Print the figures of each register and every miss (`--misses N` shows at most N of each register)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--misses", type=int, default=200, help="misses shown of each register")
    parser.add_argument("--json", action="store_true", help="end with one JSON object on the last line")
    parser.add_argument("--quick", action="store_true", help="at most 500 texts of each register")
    options = parser.parse_args()
    book = compile_rulebook(shipped())
    figures = Figures()
    for name, calls in registers(book):
        made = score(islice(calls, 500 if options.quick else None), book)
        report(name, made, figures, options.misses, print)
    if options.json:
        print(figures.as_json(), flush=True)


if __name__ == "__main__":
    main()
