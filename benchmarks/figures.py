"""What every benchmark prints: one human line for each figure, then all of them as one JSON object."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How long a benchmark may take (`size` is quick, normal or full) and whether it ends in JSON."""

    size: str
    as_json: bool

    def pick(self, *, quick: T, normal: T, full: T) -> T:
        """The value that belongs to the chosen size."""
        return {"quick": quick, "normal": normal, "full": full}[self.size]


def read_options(description: str, argv: Sequence[str] | None = None) -> Options:
    """Read the flags all benchmarks share: `--quick` or `--full`, and `--json`."""
    parser = argparse.ArgumentParser(description=description)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="size", action="store_const", const="quick", help="seconds; for CI")
    size.add_argument("--full", dest="size", action="store_const", const="full", help="as large as the claim")
    parser.add_argument("--json", action="store_true", help="end with one JSON object on the last line")
    parser.set_defaults(size="normal")
    read = parser.parse_args(argv)
    return Options(size=read.size, as_json=read.json)


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One measured number. `aim` is words for a reader (`<= 2`); `ok` is the verdict, None where none is due."""

    value: float
    unit: str
    aim: str
    ok: bool | None


class Figures:
    """The figures of one run, in the order in which they were measured."""

    def __init__(self) -> None:
        self._by_name: dict[str, Figure] = {}

    def add(self, name: str, value: float, unit: str, aim: str = "", ok: bool | None = None) -> None:
        """Keep one figure; a name given twice or a number that JSON cannot carry is a ValueError."""
        if name in self._by_name:
            raise ValueError(f"figure {name!r} was measured twice; give each measurement its own name")
        if not math.isfinite(value):
            raise ValueError(f"figure {name!r} is {value}; a benchmark reports finite numbers only")
        self._by_name[name] = Figure(value=value, unit=unit, aim=aim, ok=ok)

    def value(self, name: str) -> float:
        """A figure measured earlier in this run; KeyError when there is none of that name."""
        return self._by_name[name].value

    @property
    def all_ok(self) -> bool:
        """True unless a figure missed its aim; figures without an aim do not count."""
        return all(figure.ok is not False for figure in self._by_name.values())

    def print_all(self, as_json: bool) -> None:
        """Print one line for each figure and, with `as_json`, the whole as the very last line."""
        width = max((len(name) for name in self._by_name), default=0)
        for name, figure in self._by_name.items():
            verdict = {True: "ok", False: "MISSED", None: ""}[figure.ok]
            aim = f"aim {figure.aim}" if figure.aim else ""
            line = f"{name:<{width}}  {figure.value:>12.4g} {figure.unit:<10} {aim:<16} {verdict}"
            print(line.rstrip())
        if as_json:
            print(self.as_json(), flush=True)

    def as_json(self) -> str:
        """All figures as one JSON object on one line."""
        shown = {
            name: {"value": f.value, "unit": f.unit, "aim": f.aim, "ok": f.ok}
            for name, f in self._by_name.items()
        }
        return json.dumps(shown, ensure_ascii=False)
