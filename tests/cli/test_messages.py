"""Message files: what is read, in which order, and how faults are named."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dispatcher.cli.messages import UnreadableFile, parse_time, read_messages

SHANGHAI = ZoneInfo("Asia/Shanghai")


def written(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "messages.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("2019/2/28 11:25:05", datetime(2019, 2, 28, 3, 25, 5, tzinfo=UTC)),
        ("2019-02-28 11:25:05", datetime(2019, 2, 28, 3, 25, 5, tzinfo=UTC)),
        ("2019-02-28T11:25", datetime(2019, 2, 28, 3, 25, tzinfo=UTC)),
        ("2019-02-28T11:25:05Z", datetime(2019, 2, 28, 11, 25, 5, tzinfo=UTC)),
        ("2019-02-28T11:25:05+06:00", datetime(2019, 2, 28, 5, 25, 5, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_iso_or_as_spreadsheets_write_them(words: str, expected: datetime) -> None:
    assert parse_time(words, SHANGHAI) == expected


@pytest.mark.parametrize(
    "words", ["", "yesterday", "2019-02-30 10:00:00", "2019-02-28", "11:25:05", "2019/2/28 25:00"]
)
def test_what_is_no_instant_is_not_guessed(words: str) -> None:
    assert parse_time(words, SHANGHAI) is None


def test_messages_come_in_the_order_of_their_times_and_other_columns_are_ignored(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '\ufeffid,user,title,at,text\n2,u,b,2020/1/2 8:00:00,later\n1,u,a,2020-01-01 08:00:00,"earlier,\nin two lines"\n',
    )

    messages, faults = read_messages(path, SHANGHAI)

    assert faults == []
    assert [(m.id, m.text) for m in messages] == [("1", "earlier,\nin two lines"), ("2", "later")]


def test_every_faulty_row_is_named_with_its_line_and_the_others_are_kept(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'id,title,at,text\n1,a,soon,x\n,,2020/1/1 8:00:00,\n"3","long\nname",2020/1/1 8:00:00,x\n3,b,2020/1/1 8:00:00,x\n',
    )

    messages, faults = read_messages(path, SHANGHAI)

    assert [m.id for m in messages] == ["3"]
    assert [(f.line, f.field) for f in faults] == [(2, "at"), (3, "id"), (3, "text"), (6, "id")]


def test_a_file_in_the_national_encoding_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "id,title,at,text\n1,路灯,2020/1/1 8:00:00,路灯坏了\n", "gb18030")

    messages, _ = read_messages(path, SHANGHAI)

    assert messages[0].text == "路灯坏了"


def test_a_missing_column_refuses_the_file_and_says_which(tmp_path: Path) -> None:
    path = written(tmp_path, "id,text\n1,x\n")

    with pytest.raises(UnreadableFile, match="title, at"):
        read_messages(path, SHANGHAI)


def test_a_file_that_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="readable"):
        read_messages(tmp_path / "none.csv", SHANGHAI)
