"""Words as list owners write them: expanded into strings, folded into one shape, and as units that a search reads."""

import codecs
import itertools
import re

MOST_EXPANSIONS = 4_000
LONGEST = 2_400
TAIL = 600

_PIECE = re.compile(r"\(([^()]*)\)(\??)|([^()|?])(\??)")
# What stands between characters and means nothing: blanks, zero-width and control characters, markup.
_NOISE = re.compile(r"<[^<>]{0,200}>|_x000d_|[\s\u200b-\u200f\u2060\ufeff\x00-\x1f*]+")
_NOISY = re.compile(r"\s(?<=[^\x00-\x7f]\s)\s*[^\x00-\x7f]|[\u200b-\u200f\u2060\ufeff\x00-\x08<*]|_x000d_")
_BEYOND = re.compile("[\U00010000-\U0010ffff]")


def expand(word: str) -> tuple[str, ...]:
    """All strings that a word stands for: `(a|b|)` is a choice, `?` after a group or character an option.

    Raises ValueError when the word is malformed, stands for an empty string or for too many strings.
    """
    if word in {"?", "!"}:
        return (word,)
    parts: list[tuple[str, ...]] = []
    at = 0
    count = 1
    for piece in _PIECE.finditer(word):
        if piece.start() != at:
            break
        at = piece.end()
        choices = tuple(piece[1].split("|")) if piece[3] is None else (piece[3],)
        if piece[2] or piece[4]:
            choices = (*choices, "")
        parts.append(choices)
        count *= len(choices)
    if at != len(word) or not parts:
        raise ValueError(f"is malformed at character {at + 1}")
    if count > MOST_EXPANSIONS:
        raise ValueError(f"stands for {count} strings; the most allowed is {MOST_EXPANSIONS}")
    made = tuple(dict.fromkeys("".join(choice) for choice in itertools.product(*parts)))
    if "" in made:
        raise ValueError("stands for an empty string")
    return made


def units(text: str) -> str:
    """The text as two symbols below 256 for each character of the basic plane; others become a blank sign.

    The automaton searches the children of a node one by one; with thousands of Chinese characters under its
    root that cost most of the time. Two narrow levels instead of one wide one made it six times as fast.
    """
    coded = codecs.utf_16_be_encode(text, "surrogatepass")[0]
    if len(coded) != 2 * len(text):
        coded = codecs.utf_16_be_encode(_BEYOND.sub("□", text), "surrogatepass")[0]
    return str(coded, "latin-1")


class Folding:
    """Full-width to half-width, capitals to small, traditional to simplified: one character for one."""

    __slots__ = ("_odd", "_table")

    def __init__(self, traditional: str, simplified: str) -> None:
        table = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
        table.update({"\u3000": " ", "\r": " ", "\t": " "})
        table.update({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})
        table.update({chr(code): chr(code - 0xFEE0 + 32) for code in range(0xFF21, 0xFF3B)})
        table.update(zip(traditional, simplified, strict=True))
        self._table = table
        signs = "".join(re.escape(sign) for sign in table)
        # One look for anything that is not as it should be: most texts have nothing of it and are done.
        self._odd = re.compile(rf"[{signs}\s\u200b-\u200f\u2060\ufeff\x00-\x1f*<_]")

    def plain(self, text: str) -> str:
        """Every character in its one shape."""
        return self._odd.sub(self._fold, _narrow(text))

    def of(self, text: str) -> tuple[str, list[int] | None]:
        """The text in its one shape and without noise, at most LONGEST characters of its head and TAIL of its
        end; with it where each character stood, or None when none has moved."""
        cut = text if len(text) <= LONGEST + TAIL else text[:LONGEST] + text[-TAIL:]
        folded = _narrow(cut)
        if self._odd.search(folded) is not None:
            folded = self._odd.sub(self._fold, folded)
            if _NOISY.search(folded) is not None:
                return _without_noise(folded, len(text) - len(cut))
        return (folded, None) if len(cut) == len(text) else _without_noise(folded, len(text) - len(cut))

    def _fold(self, found: re.Match[str]) -> str:
        sign = found[0]
        return self._table.get(sign, sign)


def _narrow(text: str) -> str:
    """Punctuation in half width: nearly every text holds it, and this is cheaper than a look at each character."""
    return (
        text.replace("\uff0c", ",")
        .replace("\uff01", "!")
        .replace("\uff1f", "?")
        .replace("\uff1a", ":")
        .replace("\uff1b", ";")
        .replace("\uff08", "(")
        .replace("\uff09", ")")
    )


def _without_noise(folded: str, shift: int) -> tuple[str, list[int]]:
    """The folded text without what means nothing; what lay between head and tail is ``shift`` characters long."""
    kept: list[str] = []
    offsets: list[int] = []
    at = 0
    for noise in _NOISE.finditer(folded):
        kept.append(folded[at : noise.start()])
        offsets.extend(range(at, noise.start()))
        at = noise.end()
    kept.append(folded[at:])
    offsets.extend(range(at, len(folded)))
    if shift:
        offsets = [n if n < LONGEST else n + shift for n in offsets]
    return "".join(kept), offsets
