"""Reads message files for `replay`: columns id, title, at, text; every faulty row is named, none is lost silently."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

LONGEST_TEXT = 19_000
"""Characters of one message; what is longer is no message of a citizen."""

_LONGEST_CELL = 16_000_000  # a faulty cell is named by its line; it does not end the reading
_COLUMNS = ("id", "title", "at", "text")
_LOOSE = re.compile(
    r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})[ T]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?"
)


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One row: ``at`` is aware; ``line`` is where it stands in the file (from 1, the head counted)."""

    line: int
    id: str
    title: str
    at: datetime
    text: str


class RowFault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of a file: the line it begins on, the field, its value (cut) and what would mend it."""

    line: int
    field: str
    value: str
    remedy: str

    def __str__(self) -> str:
        return f"第 {self.line} 行 / line {self.line}: {self.field} = {self.value!r}: {self.remedy}"


class UnreadableFile(Exception):
    """The file as a whole cannot be used; the words say why and what to do."""


def read_messages(path: Path, zone: ZoneInfo) -> tuple[list[Message], list[RowFault]]:
    """The messages of a CSV file in the order of their times, and the faults of the rows left out.

    A time without an offset is one of ``zone``.

    Raises:
        UnreadableFile: it cannot be opened or decoded, or a column is missing.
    """
    messages: list[Message] = []
    faults: list[RowFault] = []
    first: dict[str, int] = {}
    for line, row in read_rows(path, _COLUMNS):
        found = len(faults)
        id_, title, text = row["id"].strip(), row["title"].strip(), row["text"].strip()
        if not id_:
            faults.append(
                RowFault(line=line, field="id", value="", remedy="每行须有编号 / give each row an id")
            )
        elif id_ in first:
            remedy = f"第 {first[id_]} 行已有此编号 / line {first[id_]} has it already; ids are unique"
            faults.append(RowFault(line=line, field="id", value=id_[:60], remedy=remedy))
        if not (title or text):
            remedy = "标题与正文至少填一项 / give a title or a text"
            faults.append(RowFault(line=line, field="text", value="", remedy=remedy))
        for field, words in (("title", title), ("text", text)):
            if len(words) > LONGEST_TEXT:
                remedy = f"最长 {LONGEST_TEXT} 字 / at most {LONGEST_TEXT} characters"
                faults.append(RowFault(line=line, field=field, value=words[:30] + "…", remedy=remedy))
        at = parse_time(row["at"], zone)
        if at is None:
            remedy = "写成 2019-02-28T11:25:05 或 2019/2/28 11:25:05 / write it like that"
            faults.append(RowFault(line=line, field="at", value=row["at"][:60], remedy=remedy))
        if len(faults) == found and at is not None:
            first[id_] = line
            messages.append(Message(line=line, id=id_, title=title, at=at, text=text))
    messages.sort(key=lambda message: message.at)
    return messages, faults


def parse_time(written: str, zone: ZoneInfo) -> datetime | None:
    """An instant written as ISO 8601 or like `2019/2/28 11:25:05`; None when it is neither.

    Without an offset it is local time of ``zone``; one that the zone skipped or repeated is taken as Python takes it.
    """
    matched = _LOOSE.fullmatch(written.strip())
    if matched is None:
        return None
    year, month, day, hour, minute = (int(part) for part in matched.groups()[:5])
    try:
        at = datetime(year, month, day, hour, minute, int(matched[6] or 0), tzinfo=zone)
        if matched[7]:
            offset = datetime.strptime(matched[7].replace("Z", "+0000"), "%z").tzinfo
            at = at.replace(tzinfo=offset)
    except ValueError:
        return None
    return at


def read_rows(
    path: Path, columns: tuple[str, ...], more: tuple[str, ...] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file as (line where it begins, column → text); missing trailing cells are empty.

    ``columns`` must be there, ``more`` may be; all others are ignored.

    UTF-8 (with or without a mark) and GB 18030 are read, the two that Chinese spreadsheets write.

    Raises:
        UnreadableFile: it cannot be opened or decoded, or a column is missing.
    """
    try:
        content = path.read_bytes()
    except OSError as err:
        raise UnreadableFile(
            f"{path}: {err.strerror or err}; 请给出可读的文件 / name a readable file"
        ) from err
    text = _decoded(path, content)
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        head = [cell.strip().lower() for cell in next(reader, [])]
        if missing := [column for column in columns if column not in head]:
            raise UnreadableFile(
                f"{path}: 缺少列 / missing columns: {', '.join(missing)}; 首行须为 / the first row names {', '.join(columns)}"
            )
        wanted = dict.fromkeys((*columns, *more))
        places = {column: head.index(column) for column in wanted if column in head}
        line = reader.line_num + 1
        for row in reader:
            if row:
                yield line, {column: row[n] if n < len(row) else "" for column, n in places.items()}
            line = reader.line_num + 1
    except csv.Error as err:
        raise UnreadableFile(
            f"{path}: 第 {reader.line_num} 行不是 CSV / line {reader.line_num}: {err}"
        ) from err


def _decoded(path: Path, content: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UnreadableFile(f"{path}: 须为 UTF-8 或 GB 18030 / save it as UTF-8")
