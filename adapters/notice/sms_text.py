"""Text messages as the air interface counts them: GSM 7-bit where it does, UCS-2 for Chinese, in parts where too long.

3GPP TS 23.038 (alphabet), TS 23.040 9.2.3.24.1 (concatenation): 160 septets or 70 UCS-2 units fit one message; in a
chain of several each gives six octets to its header: 153 or 67.
"""

from __future__ import annotations

from typing import Final

import msgspec

_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = "^{}\\[~]|€\f"
_PLAIN: Final = frozenset(_BASIC) - {"\x1b"}
GSM7_ONE, GSM7_MANY, UCS2_ONE, UCS2_MANY = 160, 153, 70, 67
_MOST_PARTS: Final = 255


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A text cut for the air interface. ``unicode``: UCS-2, otherwise the 7-bit alphabet."""

    unicode: bool
    texts: tuple[str, ...]


def split(text: str) -> Parts:
    """Cut a text into the messages it takes; no sign is torn in two. An empty text is one empty message.

    Raises:
        ValueError: a lone surrogate, or more than 255 parts.
    """
    text.encode("utf-8")  # UnicodeEncodeError, a ValueError, for a lone surrogate
    unicode = any(sign not in _PLAIN and sign not in _EXTENDED for sign in text)
    one, many = (UCS2_ONE, UCS2_MANY) if unicode else (GSM7_ONE, GSM7_MANY)
    if sum(_width(sign, unicode=unicode) for sign in text) <= one:
        return Parts(unicode=unicode, texts=(text,))
    texts, begin, filled = [], 0, 0
    for place, sign in enumerate(text):
        width = _width(sign, unicode=unicode)
        if filled + width > many:
            texts.append(text[begin:place])
            begin, filled = place, 0
        filled += width
    texts.append(text[begin:])
    if len(texts) > _MOST_PARTS:
        raise ValueError(f"the text takes {len(texts)} messages; a chain has at most {_MOST_PARTS}")
    return Parts(unicode=unicode, texts=tuple(texts))


def count(text: str) -> int:
    """How many messages a text takes."""
    return len(split(text).texts)


def _width(sign: str, *, unicode: bool) -> int:
    """Units of a sign: UTF-16 units, or septets."""
    if unicode:
        return 2 if ord(sign) > 0xFFFF else 1
    return 2 if sign in _EXTENDED else 1


def gsm7(text: str) -> bytes:
    """A text in the 7-bit alphabet, one septet in each octet (as SMPP carries data_coding 0).

    Raises:
        ValueError: a sign is not in the alphabet.
    """
    octets = bytearray()
    for sign in text:
        if sign in _EXTENDED:
            octets += bytes((0x1B, _EXTENSION[sign]))
        elif sign in _PLAIN:
            octets.append(_BASIC.index(sign))
        else:
            raise ValueError(f"{sign!r} is not in the 7-bit alphabet")
    return bytes(octets)


def from_gsm7(octets: bytes) -> str:
    """The text of octets in the 7-bit alphabet; what is in no table becomes a space (TS 23.038 6.2.1.1)."""
    signs, escaped = [], False
    for octet in octets:
        if escaped:
            signs.append(_UNESCAPED.get(octet, " "))
            escaped = False
        elif octet == 0x1B:
            escaped = True
        else:
            signs.append(_BASIC[octet] if octet < len(_BASIC) else " ")
    return "".join(signs)


_EXTENSION: Final = {
    "\f": 0x0A, "^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F, "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40, "€": 0x65,
}  # fmt: skip
_UNESCAPED: Final = {octet: sign for sign, octet in _EXTENSION.items()}
