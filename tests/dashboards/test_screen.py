"""What the screen shows at an instant: time left in its own time, masked titles, counts where they belong."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from dashboards.page import left_words
from dashboards.screen import NATURAL, Screen, build
from dashboards.words import words_in
from dispatcher.views.board import Counted, Counts, OpenCase, UnitLamps
from tests.support.world import library, unit_of

ZONE = ZoneInfo("Asia/Shanghai")
FRIDAY = datetime(2026, 11, 6, 17, 0, tzinfo=ZONE)
MONDAY = datetime(2026, 11, 9, 9, 0, tzinfo=ZONE)


def case(**more: object) -> OpenCase:
    fields: dict[str, object] = {
        "id": UUID(int=1),
        "number": "12345-630100-2026-0000001",
        "platform": "12345-630100",
        "division": "630102",
        "unit": unit_of("housing"),
        "stage": "signed",
        "urgency": "general",
        "lamp": "",
        "danger": False,
        "reflow": False,
        "title": "暖气不热,我叫李文静",
        "due": MONDAY,
        "clock": "handle",
        "clock_unit": unit_of("housing"),
    }
    return OpenCase(**(fields | more))  # type: ignore[arg-type]


def screen(*cases: OpenCase, at: datetime = FRIDAY, counts: Counts | None = None) -> Screen:
    return build(cases, counts or Counts(), library(), at=at, position=7)


def test_working_time_stands_still_over_the_weekend() -> None:
    (line,) = screen(case(due=MONDAY)).lines

    assert line.left == 60 * 60  # Friday 17:00–17:30 and Monday 08:30–09:00


def test_clock_time_runs_day_and_night() -> None:
    (line,) = screen(case(due=MONDAY, natural=True)).lines

    assert line.frame == NATURAL
    assert line.left == (2 * 24 + 16) * 3600


def test_a_late_case_says_so_even_while_its_clock_stands_still() -> None:
    saturday = FRIDAY + timedelta(days=1)

    (line,) = screen(case(due=FRIDAY.replace(hour=17, minute=30)), at=saturday).lines

    assert line.late
    assert line.left == 0


@pytest.mark.parametrize(
    ("at", "running", "change"),
    [
        (FRIDAY, True, timedelta(minutes=30)),
        (FRIDAY.replace(hour=12, minute=30), False, timedelta(minutes=90)),
        (FRIDAY.replace(hour=20), False, timedelta(days=2, hours=12, minutes=30)),
    ],
)
def test_the_page_is_told_when_office_hours_change(at: datetime, running: bool, change: timedelta) -> None:
    (hours,) = screen(case(), at=at).hours.values()

    assert hours.running is running
    assert hours.change == change.total_seconds()


def test_titles_leave_masked() -> None:
    (line,) = screen(case()).lines

    assert "李文静" not in line.title
    assert line.title.startswith("暖气不热")


def test_counts_go_to_their_figure_and_region() -> None:
    counts = Counts(
        open=(
            Counted(line="12345", prefecture="6301", stage="assigned", lamp="red", danger=False, count=3),
            Counted(line="110", prefecture="6328", stage="police-received", lamp="", danger=True, count=1),
        ),
        units=(UnitLamps(unit=unit_of("housing"), red=3, amber=0),),
        received={"12345": 5, "110": 2},
    )

    shown = screen(counts=counts)

    assert shown.figures["open"] == 4
    assert shown.figures["to-sign"] == 3
    assert shown.figures["red"] == 3
    assert shown.figures["danger"] == 1
    assert (shown.figures["received"], shown.figures["received-110"]) == (7, 2)
    tiles = {region.code: region for region in shown.regions}
    assert len(tiles) == 8
    assert (tiles["630100"].open, tiles["630100"].red, tiles["630100"].heat) == (3, 3, 3)
    assert (tiles["632800"].open, tiles["632800"].red, tiles["632800"].heat) == (1, 0, 1)
    assert shown.bars[0].name == library().organisation.unit(unit_of("housing")).name


@pytest.mark.parametrize(
    ("left", "late", "frame", "chinese", "english"),
    [
        (59, False, "", "剩 0分59秒", "0 min 59 s left"),
        (3599, False, "630100", "剩 59分59秒", "59 min 59 s left"),
        (3600, False, "630100", "剩 1时00分", "1 h 00 min left"),
        (-61, True, "", "超 1分01秒", "1 min 01 s late"),
        (0, True, "630100", "超 0分00秒", "0 min 00 s late"),
        (200 * 3600, False, "630100", "剩 200时", "200 h left"),
        (50 * 3600, False, "", "剩 2天2时", "2 d 2 h left"),
    ],
)
def test_time_left_is_said_in_both_languages(
    left: int, late: bool, frame: str, chinese: str, english: str
) -> None:
    assert left_words(words_in("zh-CN"), left, late, frame) == chinese
    assert left_words(words_in("en"), left, late, frame) == english
