"""The voices: what callers say, written by us, with the line that each belongs to; templates expanded."""

import hashlib
import random  # noqa: TID251 - seeded by the line itself
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec

VOICES = Path(__file__).parent / "voices"
SLOTS = "slots.toml"
SAMPLES = 60
"""A template gives so many texts at most."""

_GAP = re.compile(r"\(([^()]*)\)(\??)|\{(\w+)\}")


class Voice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Texts of one kind: lines of which one must be reached, whether it is danger, one text a line."""

    platform: str
    danger: bool
    texts: str
    kind: str = ""

    @property
    def platforms(self) -> tuple[str, ...]:
        return tuple(self.platform.split("/"))

    def lines(self) -> list[str]:
        return self.texts.strip().splitlines()


def read_voices(path: Path) -> list[Voice]:
    """The voices of one file; msgspec.ValidationError or TOMLDecodeError when it is malformed."""
    return msgspec.convert(tomllib.loads(path.read_text())["voice"], list[Voice])


def corpus() -> Iterator[Voice]:
    """Everything that may be learned from, file by file."""
    for path in sorted(VOICES.glob("*.toml")):
        if path.name != SLOTS:
            yield from read_voices(path)


def digest() -> str:
    """SHA-256 of all files that are learned from: what the ear must have been taught with."""
    key = hashlib.sha256()
    for path in sorted(VOICES.glob("*.toml")):
        key.update(path.name.encode() + b"\0" + path.read_bytes())
    return key.hexdigest()


class Templates:
    """Fills the gaps of a line: `(a|b)` is a choice, `(a|b)?` one that may be left out, `{slot}` a word of slots.toml."""

    def __init__(self) -> None:
        self._slots: dict[str, list[str]] = tomllib.loads((VOICES / SLOTS).read_text())["slot"]

    def texts(self, line: str) -> list[str]:
        """The line itself, or at most SAMPLES different fillings; always the same for the same line."""
        if _GAP.search(line) is None:
            return [line]
        rng = random.Random(line)
        return sorted({self._filled(line, rng) for _ in range(SAMPLES)})

    def _filled(self, line: str, rng: random.Random) -> str:
        once: str = _GAP.sub(lambda gap: self._fill(gap, rng), line)
        return _GAP.sub(lambda gap: self._fill(gap, rng), once)  # a choice may hold a slot

    def _fill(self, gap: re.Match[str], rng: random.Random) -> str:
        if gap[3]:
            return rng.choice(self._slots[gap[3]])
        choices: list[str] = gap[1].split("|")
        return rng.choice([*choices, ""] if gap[2] else choices)
