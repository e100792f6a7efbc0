"""Languages: a gettext catalogue read straight from its .po file, so that no compiled copy can go stale.

Message ids are English; Simplified Chinese is the first language of every screen and notice.
"""

from __future__ import annotations

import ast
import gettext
import io
import struct
from collections.abc import Iterator
from typing import Final

CHINESE: Final = "zh-CN"
ENGLISH: Final = "en"
LANGUAGES: Final = (CHINESE, ENGLISH)

_MAGIC = 0x950412DE
_BETWEEN = "\x04"  # gettext's mark between a context and its message id


class BadCatalogue(ValueError):
    """A .po file that cannot be read: names the line and what stands there."""

    def __init__(self, line: int, words: str, remedy: str) -> None:
        super().__init__(f"line {line}: {words!r}: {remedy}")
        self.line = line
        self.words = words
        self.remedy = remedy


def catalogue(po: bytes) -> gettext.NullTranslations:
    """The translations of a .po file (UTF-8, without plural forms); untranslated entries keep their English.

    Raises:
        BadCatalogue: something in it is not an entry, or an id stands there twice.
    """
    entries: dict[str, str] = {}
    for line, context, message, translated in _entries(po.decode("utf-8")):
        key = f"{context}{_BETWEEN}{message}" if context else message
        if key in entries:
            raise BadCatalogue(line, message, "this id stands twice; keep one")
        if translated:
            entries[key] = translated
    entries[""] = "Content-Type: text/plain; charset=UTF-8\n"
    return gettext.GNUTranslations(io.BytesIO(_compiled(entries)))


def _entries(text: str) -> Iterator[tuple[int, str, str, str]]:
    """(line, context, id, translation) of each entry; the header is an entry with an empty id and is left out."""
    entry: dict[str, str] = {}
    keyword, began = "", 0
    for number, raw in enumerate([*text.splitlines(), ""], 1):
        line = raw.strip()
        if not line:
            if entry.get("msgid"):
                yield began, entry.get("msgctxt", ""), entry["msgid"], entry.get("msgstr", "")
            entry, keyword = {}, ""
            continue
        if line.startswith("#"):
            continue
        head, quote, rest = line.partition('"')
        word = head.strip()
        if not quote or word not in ("", "msgctxt", "msgid", "msgstr") or (not word and not keyword):
            raise BadCatalogue(number, line, 'write msgctxt, msgid or msgstr and then "words"')
        if word:
            keyword, began = word, began if entry else number
            entry[keyword] = ""
        try:
            entry[keyword] += str(ast.literal_eval(quote + rest))
        except (SyntaxError, ValueError) as err:
            raise BadCatalogue(number, line, "close the quotation mark and escape those within") from err


def _compiled(entries: dict[str, str]) -> bytes:
    """GNU's .mo layout: a header, two tables of (length, offset), then the words, each ended by a zero byte."""
    pairs = sorted((key.encode(), value.encode()) for key, value in entries.items())
    count, tables = len(pairs), 28
    offset = tables + 16 * count
    words = bytearray()
    columns: list[list[bytes]] = [[], []]
    for column in (0, 1):
        for pair in pairs:
            columns[column].append(struct.pack("<II", len(pair[column]), offset + len(words)))
            words += pair[column] + b"\0"
    head = struct.pack("<IIIIIII", _MAGIC, 0, count, tables, tables + 8 * count, 0, offset)
    return head + b"".join(columns[0]) + b"".join(columns[1]) + bytes(words)
