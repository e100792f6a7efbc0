"""Progress bars on standard error, only where a person is watching."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Bar(Protocol):
    """How far a long work has come."""

    def update(self, n: float = 1) -> object: ...

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> object: ...


class _Nothing:
    """The bar of a log file or a pipe."""

    def update(self, n: float = 1) -> object:
        return None

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> object:
        return None


@contextmanager
def progress(what: str, total: int | None, unit: str) -> Iterator[Bar]:
    """A bar while the block runs; nothing is printed unless standard error is a terminal."""
    if not sys.stderr.isatty():
        yield _Nothing()
        return
    from tqdm import tqdm  # only a terminal pays for importing it

    with tqdm(total=total, desc=what, unit=unit, unit_scale=unit == "B", file=sys.stderr, leave=False) as bar:
        yield bar
