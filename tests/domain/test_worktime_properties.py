"""Legal time holds its laws for any instants, amounts and hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.worktime import LEGAL_ZONE, Calendar
from tests.support.calendars import NATIONAL, calendar_of, local_layer, shipped

PLAIN = shipped().of("630000")
VARIED = calendar_of(
    NATIONAL,
    local_layer("""
[[frame]]
season = ["05-01", "09-30"]
hours = [["08:30", "12:00"], ["12:00", "12:30"], ["14:30", "18:00"]]
[[frame]]
season = ["10-01", "04-30"]
hours = [["00:00", "06:00"], ["22:00", "24:00"]]
[[frame]]
days = "make-up"
hours = [["10:00", "15:00"]]
"""),
)

calendars = st.sampled_from([PLAIN, VARIED])
zones = st.sampled_from([LEGAL_ZONE, UTC])
# wide enough for both edges of the tables (2002, 2024 and 2032, 2034), summer time and leap days
instants = st.datetimes(datetime(1985, 1, 1), datetime(2062, 12, 31), timezones=zones)  # noqa: DTZ001
dates = st.dates(date(1985, 1, 1), date(2062, 12, 31))
amounts = st.timedeltas(timedelta(microseconds=1), timedelta(hours=9000))
counts = st.integers(0, 3000)


def counted(calendar: Calendar, first: date, last: date) -> int:
    """Working days after `first` up to `last`, one by one: the slow truth."""
    days = range(first.toordinal() + 1, last.toordinal() + 1)
    return sum(calendar.is_workday(date.fromordinal(day)) for day in days)


@given(calendars, instants, amounts)
def test_time_added_can_be_taken_away_again(calendar: Calendar, start: datetime, amount: timedelta) -> None:
    end = calendar.add_worktime(start, amount).at

    assert calendar.working_between(start, end) == amount
    assert calendar.subtract_worktime(end, amount) == calendar.next_working_instant(start)


@given(calendars, instants, amounts)
def test_time_taken_away_can_be_added_again(calendar: Calendar, end: datetime, amount: timedelta) -> None:
    start = calendar.subtract_worktime(end, amount)
    back = calendar.add_worktime(start, amount).at

    assert calendar.in_frame(start)
    assert back <= end
    assert calendar.working_between(back, end) == timedelta(0)


@given(calendars, instants, amounts, amounts)
def test_adding_twice_is_adding_the_sum(
    calendar: Calendar, start: datetime, one: timedelta, two: timedelta
) -> None:
    stepwise = calendar.add_worktime(calendar.add_worktime(start, one).at, two).at

    assert stepwise == calendar.add_worktime(start, one + two).at


@given(calendars, instants, instants, instants)
def test_spans_add_up_and_turn_their_sign(calendar: Calendar, a: datetime, b: datetime, c: datetime) -> None:
    assert calendar.working_between(a, b) + calendar.working_between(b, c) == calendar.working_between(a, c)
    assert calendar.working_between(a, b) == -calendar.working_between(b, a)
    assert calendar.workdays_between(a, b) + calendar.workdays_between(b, c) == calendar.workdays_between(
        a, c
    )


@given(calendars, instants, instants)
def test_working_time_never_runs_faster_than_the_clock(calendar: Calendar, a: datetime, b: datetime) -> None:
    start, end = min(a, b), max(a, b)

    assert timedelta(0) <= calendar.working_between(start, end) <= end - start


@given(calendars, instants, instants, counts, amounts)
def test_who_comes_later_is_due_no_earlier(
    calendar: Calendar, a: datetime, b: datetime, n: int, amount: timedelta
) -> None:
    first, second = min(a, b), max(a, b)

    assert calendar.add_workdays(first, n).at <= calendar.add_workdays(second, n).at
    assert calendar.add_workdays(first, n).at <= calendar.add_workdays(first, n + 1).at
    assert calendar.add_workdays(first, n + 1).at < calendar.add_workdays(first, n + 2).at
    assert calendar.add_worktime(first, amount).at <= calendar.add_worktime(second, amount).at
    assert calendar.natural_days(first, n).at <= calendar.natural_days(second, n).at


@given(calendars, dates, st.integers(1, 400))
def test_the_nth_working_day_is_the_one_that_counting_finds(calendar: Calendar, day: date, n: int) -> None:
    found = calendar.nth_workday_after(day, n)

    assert calendar.is_workday(found)
    assert counted(calendar, day, found) == n
    assert calendar.nth_workday_before(found, n) <= day or calendar.is_workday(day)
    assert calendar.nth_workday_before(found, n) == calendar.nth_workday_before(day + timedelta(days=1), 1)


@given(calendars, instants, st.integers(0, 40))
def test_a_due_instant_is_a_close_of_business_not_before_the_start(
    calendar: Calendar, start: datetime, n: int
) -> None:
    due = calendar.add_workdays(start, n).at
    closed = due - timedelta(microseconds=1)

    assert due >= start
    assert calendar.frame_close(closed.date()) == due


@given(calendars, dates)
def test_the_frames_of_a_day_are_its_working_time(calendar: Calendar, day: date) -> None:
    midnight = datetime(day.year, day.month, day.day, tzinfo=LEGAL_ZONE)
    frames = calendar.frames(day)

    assert sum((b - a for a, b in frames), timedelta(0)) == calendar.working_between(
        midnight, midnight + timedelta(days=1)
    )
    assert bool(frames) == calendar.is_workday(day)


@given(calendars, instants)
def test_the_next_working_instant_is_the_first_one_in_office_hours(calendar: Calendar, at: datetime) -> None:
    opens = calendar.next_working_instant(at)

    assert opens >= at
    assert calendar.working_between(at, opens) == timedelta(0)
    assert calendar.next_working_instant(opens) == opens
