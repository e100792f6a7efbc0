"""Legal time: the notices as referee, the worked examples, and the promises of every question."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dispatcher.domain.worktime import LEGAL_ZONE, Calendar, Unreckonable
from tests.support.calendars import NATIONAL, calendar_of, local_layer, shipped

REFEREE = Path(__file__).parents[1] / "data" / "state_council_days.csv"
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def qinghai() -> Calendar:
    return shipped().of("630000")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=LEGAL_ZONE)


def moved_days() -> dict[date, str]:
    with REFEREE.open(encoding="utf-8", newline="") as file:
        return {date.fromisoformat(row["date"]): row["kind"] for row in csv.DictReader(file)}


def test_every_day_from_2007_to_2026_is_what_the_state_council_made_it(qinghai: Calendar) -> None:
    moved = moved_days()
    days = [date(2006, 12, 30) + DAY * n for n in range((date(2027, 1, 1) - date(2006, 12, 30)).days)]

    wrong = [
        day
        for day in days
        if qinghai.is_workday(day) != (moved[day] == "work" if day in moved else day.weekday() < 5)
    ]

    assert wrong == []
    assert len(days) == 7307


def test_the_first_december_day_that_a_notice_ever_moved_is_where_certainty_ends(qinghai: Calendar) -> None:
    december = min((day.month, day.day) for day in moved_days() if day.month == 12)

    assert december == (12, 29)
    assert not qinghai.is_provisional(date(2026, 12, 28))
    assert qinghai.is_provisional(date(2026, 12, 29))


@pytest.mark.parametrize(
    ("received", "n", "due"),
    [
        ("2026-02-13", 1, "2026-02-14"),
        ("2026-02-13", 5, "2026-02-27"),
        ("2026-02-14", 1, "2026-02-24"),
        ("2026-02-15", 5, "2026-02-28"),
        ("2026-02-18", 1, "2026-02-24"),
        ("2026-04-30", 5, "2026-05-11"),
        ("2026-04-30", 10, "2026-05-18"),
        ("2026-09-18", 5, "2026-09-24"),
        ("2026-09-30", 1, "2026-10-08"),
        ("2026-09-30", 5, "2026-10-13"),
        ("2026-09-30", 20, "2026-11-03"),
    ],
)
@pytest.mark.parametrize("hour", ["00:00", "09:30", "12:30", "17:30", "23:59:59.999999"])
def test_the_worked_examples_hold_at_any_hour_of_receipt(
    qinghai: Calendar, received: str, hour: str, n: int, due: str
) -> None:
    answer = qinghai.add_workdays(at(f"{received} {hour}"), n)

    assert answer.at == at(f"{due} 17:30")
    assert not answer.provisional


def test_the_day_of_receipt_is_that_of_legal_time_whatever_the_zone(qinghai: Calendar) -> None:
    late_in_utc = datetime(2026, 2, 12, 16, 0, tzinfo=UTC)  # already the 13th in China

    assert qinghai.add_workdays(late_in_utc, 1).at == at("2026-02-14 17:30")
    assert qinghai.add_workdays(late_in_utc - timedelta(microseconds=1), 1).at == at("2026-02-13 17:30")
    assert qinghai.add_workdays(late_in_utc, 1).at.tzinfo is LEGAL_ZONE


@pytest.mark.parametrize(
    ("received", "due"),
    [
        ("2026-02-13 03:00", "2026-02-13 17:30"),
        ("2026-02-13 17:30", "2026-02-13 17:30"),
        ("2026-02-13 17:30:00.000001", "2026-02-14 17:30"),
        ("2026-02-14 18:00", "2026-02-24 17:30"),
        ("2026-02-18 09:00", "2026-02-24 17:30"),
    ],
)
def test_no_working_days_at_all_end_at_the_next_close_of_business(
    qinghai: Calendar, received: str, due: str
) -> None:
    assert qinghai.add_workdays(at(received), 0).at == at(due)


@pytest.mark.parametrize(
    ("received", "n", "due"),
    [
        ("2026-09-01 10:00", 15, "2026-09-17 00:00"),
        ("2026-09-20 10:00", 11, "2026-10-09 00:00"),  # 1 October rolls to the 8th
        ("2026-02-12 10:00", 2, "2026-02-15 00:00"),  # a worked Saturday is no day of rest
        ("2028-02-14 10:00", 15, "2028-03-01 00:00"),  # 29 February is a day like others
        ("2026-09-01 10:00", 0, "2026-09-02 00:00"),
    ],
)
def test_calendar_days_end_at_midnight_and_roll_over_days_of_rest(
    qinghai: Calendar, received: str, n: int, due: str
) -> None:
    assert qinghai.natural_days(at(received), n).at == at(due)


def test_only_the_last_calendar_day_can_make_a_natural_limit_provisional(qinghai: Calendar) -> None:
    assert not qinghai.natural_days(at("2026-12-01 10:00"), 27).provisional
    assert qinghai.natural_days(at("2026-12-01 10:00"), 28).provisional


def test_limits_into_an_unpublished_year_are_provisional_and_never_an_error(qinghai: Calendar) -> None:
    assert not qinghai.add_workdays(at("2026-12-21 10:00"), 5).provisional
    assert qinghai.add_workdays(at("2026-12-21 10:00"), 15).provisional
    assert qinghai.add_workdays(at("2027-02-04 10:00"), 1).at == at("2027-02-11 17:30")
    assert qinghai.add_workdays(at("2031-10-01 10:00"), 1).at == at("2031-10-02 17:30")
    assert qinghai.add_workdays(at("2999-12-30 10:00"), 1000).provisional


def test_before_the_first_table_monday_to_friday_are_worked_and_nothing_is_provisional(
    qinghai: Calendar,
) -> None:
    answer = qinghai.add_workdays(at("1995-09-29 10:00"), 1)

    assert answer.at == at("1995-10-02 17:30")
    assert not answer.provisional


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        ("2026-03-02 09:00", 1, "2026-03-02 10:00"),
        ("2026-03-02 11:00", 1, "2026-03-02 12:00"),  # the end of a frame is the earliest such instant
        ("2026-03-02 11:30", 1, "2026-03-02 14:30"),  # over lunch
        ("2026-03-02 12:30", 1, "2026-03-02 15:00"),
        ("2026-03-02 17:00", 1, "2026-03-03 09:00"),
        ("2026-02-14 17:00", 1, "2026-02-24 09:00"),  # over the Spring Festival
        ("2026-03-01 10:00", 7, "2026-03-02 17:30"),
        ("2026-03-02 08:30", 14, "2026-03-03 17:30"),
        ("2026-03-02 03:00", 0, "2026-03-02 03:00"),
    ],
)
def test_working_hours_pass_in_office_hours_only(qinghai: Calendar, start: str, hours: int, end: str) -> None:
    answer = qinghai.add_worktime(at(start), timedelta(hours=hours))

    assert answer.at == at(end)
    assert qinghai.working_between(at(start), at(end)) == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("end", "hours", "start"),
    [
        ("2026-03-02 10:00", 1, "2026-03-02 09:00"),
        ("2026-03-02 14:30", 1, "2026-03-02 11:30"),
        ("2026-03-02 14:00", 1, "2026-03-02 11:00"),
        ("2026-02-24 08:30", 1, "2026-02-14 16:30"),
        ("2026-03-02 15:00", 1, "2026-03-02 14:00"),  # the latest such instant, not 12:00
        ("2026-03-02 03:00", 0, "2026-03-02 03:00"),
    ],
)
def test_working_hours_are_counted_back_to_the_latest_instant(
    qinghai: Calendar, end: str, hours: int, start: str
) -> None:
    assert qinghai.subtract_worktime(at(end), timedelta(hours=hours)) == at(start)


def test_what_remains_turns_negative_once_office_hours_pass_after_the_limit(qinghai: Calendar) -> None:
    due = at("2026-03-02 17:30")

    assert qinghai.remaining(at("2026-03-02 16:00"), due) == timedelta(hours=1, minutes=30)
    assert qinghai.remaining(at("2026-03-03 08:30"), due) == timedelta(0)
    assert qinghai.remaining(at("2026-03-03 09:00"), due) == timedelta(minutes=-30)


def test_rungs_fall_at_nine_of_the_working_days_after_the_limit(qinghai: Calendar) -> None:
    limit = at("2026-02-13 17:30")

    assert qinghai.at_frame_start(limit, 0) == limit
    assert qinghai.at_frame_start(limit, 1) == at("2026-02-14 09:00")
    assert qinghai.at_frame_start(limit, 2) == at("2026-02-24 09:00")
    assert qinghai.at_frame_start(limit, 1, time(7)) == at("2026-02-14 08:30")
    assert qinghai.at_frame_start(limit, 1, time(10, 15)) == at("2026-02-14 10:15")


def test_days_are_counted_forward_backward_and_between(qinghai: Calendar) -> None:
    assert qinghai.nth_workday_after(date(2026, 2, 14), 1) == date(2026, 2, 24)
    assert qinghai.nth_workday_after(date(2026, 2, 14), 0) == date(2026, 2, 14)
    assert qinghai.nth_workday_after(date(2026, 2, 15), 0) == date(2026, 2, 24)
    assert qinghai.nth_workday_before(date(2026, 2, 24), 1) == date(2026, 2, 14)
    assert qinghai.nth_workday_before(date(2026, 2, 23), 0) == date(2026, 2, 14)
    assert qinghai.workdays_between(at("2026-02-13 20:00"), at("2026-02-24 01:00")) == 2
    assert qinghai.workdays_between(at("2026-02-24 01:00"), at("2026-02-13 20:00")) == -2


def test_office_hours_of_a_day_and_the_next_working_instant(qinghai: Calendar) -> None:
    day = date(2026, 2, 14)

    assert qinghai.frame_open(day) == at("2026-02-14 08:30")
    assert qinghai.frame_close(day) == at("2026-02-14 17:30")
    assert [(a.time(), b.time()) for a, b in qinghai.frames(day)] == [
        (time(8, 30), time(12)),
        (time(14), time(17, 30)),
    ]
    assert qinghai.frames(date(2026, 2, 15)) == ()
    assert qinghai.next_working_instant(at("2026-02-14 12:00")) == at("2026-02-14 14:00")
    assert qinghai.next_working_instant(at("2026-02-14 17:30")) == at("2026-02-24 08:30")
    assert qinghai.in_frame(at("2026-02-14 08:30"))
    assert not qinghai.in_frame(at("2026-02-14 12:00"))


def test_a_holiday_and_its_make_up_day_know_their_name(qinghai: Calendar) -> None:
    assert qinghai.name_of(date(2026, 2, 14)) == "春节"
    assert qinghai.name_of(date(2026, 2, 17)) == "春节"
    assert qinghai.name_of(date(2026, 3, 2)) == ""


def test_a_prefecture_has_its_own_holiday_and_its_neighbours_do_not() -> None:
    calendars = shipped()

    lhasa, qinghai = calendars.of("540102"), calendars.of("630102")

    assert lhasa.add_workdays(at("2026-02-14 10:00"), 1).at == at("2026-02-27 17:30")
    assert qinghai.add_workdays(at("2026-02-14 10:00"), 1).at == at("2026-02-24 17:30")
    assert lhasa.version != qinghai.version


def test_divisions_under_the_same_layers_share_one_compiled_calendar() -> None:
    calendars = shipped()

    assert calendars.of("630102") is calendars.of("632701100200")
    assert hash(calendars.of("630102")) == hash(shipped().of("110101"))
    assert calendars.of("630102") == shipped().of("110101")


SEASONS = local_layer("""
[[frame]]
season = ["05-01", "09-30"]
hours = [["08:30", "12:00"], ["14:30", "18:00"]]
[[frame]]
season = ["10-01", "04-30"]
hours = [["09:00", "12:00"], ["14:00", "17:00"]]
[[frame]]
days = "make-up"
hours = [["10:00", "15:00"]]
""")


@pytest.mark.parametrize(
    ("received", "due"),
    [
        ("2026-04-29", "2026-04-30 17:00"),
        ("2026-04-30", "2026-05-01 18:00"),
        ("2026-09-29", "2026-09-30 18:00"),
        ("2026-09-30", "2026-10-01 17:00"),
        ("2026-12-31", "2027-01-01 17:00"),
        ("2026-02-13", "2026-02-14 15:00"),  # a worked Saturday with hours of its own
        ("2032-06-30", "2032-07-01 18:00"),
    ],
)
def test_seasonal_and_make_up_hours_decide_when_business_closes(received: str, due: str) -> None:
    calendar = calendar_of(NATIONAL, SEASONS)

    assert calendar.add_workdays(at(f"{received} 10:00"), 1).at == at(due)


def test_dated_hours_hold_between_their_dates_only() -> None:
    calendar = calendar_of(
        NATIONAL,
        local_layer('[[frame]]\nfrom = "2026-06-03"\nuntil = "2026-06-04"\nhours = [["00:00", "24:00"]]'),
    )

    closes = [calendar.frame_close(date(2026, 6, day)) for day in (2, 3, 4, 5)]

    assert closes == [
        at("2026-06-02 17:30"),
        at("2026-06-04 00:00"),
        at("2026-06-05 00:00"),
        at("2026-06-05 17:30"),
    ]
    assert calendar.working_between(at("2026-06-03 00:00"), at("2026-06-05 00:00")) == timedelta(hours=48)
    assert calendar.add_workdays(at("2026-06-02 10:00"), 1).at == at("2026-06-04 00:00")


def test_an_exceptional_order_overrides_notice_and_local_holiday() -> None:
    year = (
        '[[year]]\nyear = 2026\nstatus = "confirmed"\nsource = "x"\n[[holiday]]\nyear = 2026\nname = "节"\n'
    )
    local = local_layer(year + 'from = "2026-06-01"\nuntil = "2026-06-03"')
    order = local_layer(
        year + 'from = "2026-06-04"\nwork = ["2026-06-02"]',
        id="order",
        head='kind = "order"\nissued = "2026-05-30"',
    )

    calendar = calendar_of(NATIONAL, local, order)

    assert [calendar.is_workday(date(2026, 6, day)) for day in (1, 2, 3, 4, 5)] == [
        False,
        True,
        False,
        False,
        True,
    ]
    assert calendar.add_workdays(at("2026-05-29 10:00"), 1).at == at("2026-06-02 17:30")


def test_a_missing_year_between_two_notices_is_provisional_and_so_is_a_local_one_to_be_confirmed() -> None:
    year = '[[year]]\nyear = {}\nstatus = "{}"\nsource = "x"\n'
    later = local_layer(year.format(2028, "confirmed"), id="later", division="000000")
    local = local_layer(year.format(2026, "provisional"))

    nation = calendar_of(NATIONAL, later, division="110000")
    prefecture = calendar_of(NATIONAL, later, local)

    assert [nation.is_provisional(date(y, 6, 1)) for y in (2025, 2026, 2027, 2028, 2029)] == [
        False,
        False,
        True,
        False,
        True,
    ]
    assert prefecture.is_provisional(date(2026, 6, 1))


def test_instants_of_the_summer_time_years_keep_their_legal_day(qinghai: Calendar) -> None:
    summer = datetime(1988, 7, 1, 15, 30, tzinfo=UTC)  # 00:30 of 2 July on the clocks of 1988

    assert qinghai.working_between(summer, at("1988-07-04 09:30")) == timedelta(hours=1)
    assert qinghai.add_workdays(summer, 1).at == at("1988-07-04 17:30")


@pytest.mark.parametrize(
    "zone", [UTC, timezone(timedelta(hours=-11)), ZoneInfo("America/New_York"), ZoneInfo("Asia/Urumqi")]
)
def test_the_zone_of_a_question_never_changes_the_answer(
    qinghai: Calendar, zone: timezone | ZoneInfo
) -> None:
    start, end = at("2026-02-13 16:15"), at("2026-03-09 10:45")

    turned = start.astimezone(zone), end.astimezone(zone)

    assert qinghai.working_between(*turned) == qinghai.working_between(start, end)
    assert qinghai.add_worktime(turned[0], timedelta(hours=30)) == qinghai.add_worktime(
        start, timedelta(hours=30)
    )
    assert qinghai.add_workdays(turned[0], 7) == qinghai.add_workdays(start, 7)


def test_questions_without_an_answer_are_refused_by_name(qinghai: Calendar) -> None:
    start = at("2026-03-02 10:00")
    naive = start.replace(tzinfo=None)

    with pytest.raises(Unreckonable, match=r"n = -1: is negative"):
        qinghai.add_workdays(start, -1)
    with pytest.raises(Unreckonable, match="amount"):
        qinghai.add_worktime(start, timedelta(seconds=-1))
    with pytest.raises(Unreckonable, match="no time zone"):
        qinghai.add_workdays(naive, 1)
    with pytest.raises(Unreckonable, match="no time zone"):
        qinghai.working_between(start, naive)
    with pytest.raises(Unreckonable, match="outside the years"):
        qinghai.add_workdays(start, 10**9)
    with pytest.raises(Unreckonable, match="outside the years"):
        qinghai.add_worktime(start, timedelta.max)
    with pytest.raises(Unreckonable, match="day of rest"):
        qinghai.frame_close(date(2026, 2, 15))
    with pytest.raises(Unreckonable, match="without zone"):
        qinghai.at_frame_start(start, 1, time(9, tzinfo=UTC))


def test_a_calendar_never_changes(qinghai: Calendar) -> None:
    with pytest.raises(AttributeError, match="never changes"):
        qinghai.anything = 1
