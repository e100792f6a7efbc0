"""Working time beside chinesecalendar and pandas' CustomBusinessDay, on the same questions in the same run.

The questions: the n-th working day after a day of 2007–2025, n of 1 to 60. chinesecalendar walks day by day and
knows make-up days; CustomBusinessDay takes a list of holidays and cannot work on a weekend, so a share of its
answers is wrong; the figure says how large. Times are the best of several rounds, in one process.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from time import perf_counter
from typing import TypeVar

import chinese_calendar
import pandas

from benchmarks.figures import Figures, read_options
from dispatcher.data_files import packaged_files
from dispatcher.domain.worktable import compile_table
from dispatcher.domain.worktime import LEGAL_ZONE, Calendar
from routing_rules.calendar_files import load_calendars

Answer = TypeVar("Answer")
ROUNDS = 7
LENGTHS = (1, 5, 10, 15, 20, 60)


def best(ask: Callable[[], Sequence[Answer]], rounds: int = ROUNDS) -> tuple[float, Sequence[Answer]]:
    """Seconds of the fastest of some rounds, and the answers."""
    answers: Sequence[Answer] = ()
    fastest = float("inf")
    gc.disable()
    for _ in range(rounds):
        began = perf_counter()
        answers = ask()
        fastest = min(fastest, perf_counter() - began)
    gc.enable()
    return fastest, answers


def questions(count: int) -> list[tuple[datetime, int]]:
    """Receipts spread over 2007–2025 by a stride that meets every weekday and season, with lengths in turn."""
    first = datetime(2007, 1, 1, 9, 30, tzinfo=LEGAL_ZONE)
    span = (date(2025, 9, 1) - first.date()).days
    return [
        (first + timedelta(days=i * 2503 % span, minutes=i % 600), LENGTHS[i % len(LENGTHS)])
        for i in range(count)
    ]


def main() -> None:
    """Measure and print."""
    options = read_options(__doc__ or "")
    ours = options.pick(quick=5_000, normal=50_000, full=1_000_000)
    theirs = options.pick(quick=300, normal=1_500, full=6_000)
    figures = Figures()

    book = load_calendars(packaged_files("calendars"))
    chain = book.chain("630000")
    seconds, tables = best(lambda: [compile_table(chain)], rounds=20)
    figures.add("compile_ms", seconds * 1e3, "ms", "< 5", seconds < 0.005)
    calendar = Calendar(tables[0])

    asked = questions(ours)
    seconds, _ = best(lambda: [calendar.add_workdays(at, n) for at, n in asked])
    figures.add("due_us", seconds / ours * 1e6, "µs", "<= 2", seconds / ours <= 2e-6)

    spans = [(at, at + timedelta(days=n * 37, hours=n)) for at, n in asked]
    seconds, _ = best(lambda: [calendar.working_between(a, b) for a, b in spans])
    figures.add("span_us", seconds / ours * 1e6, "µs", "<= 2", seconds / ours <= 2e-6)
    in_utc = [(a.astimezone(UTC), b.astimezone(UTC)) for a, b in spans]
    seconds, _ = best(lambda: [calendar.working_between(a, b) for a, b in in_utc])
    figures.add("span_from_utc_us", seconds / ours * 1e6, "µs")
    amounts = [(at, timedelta(hours=n)) for at, n in asked]
    seconds, _ = best(lambda: [calendar.add_worktime(at, amount) for at, amount in amounts])
    figures.add("add_worktime_us", seconds / ours * 1e6, "µs")
    seconds, _ = best(lambda: [calendar.subtract_worktime(at, amount) for at, amount in amounts])
    figures.add("subtract_worktime_us", seconds / ours * 1e6, "µs")
    seconds, _ = best(lambda: [calendar.remaining(a, b) for a, b in spans])
    figures.add("remaining_us", seconds / ours * 1e6, "µs", "<= 2", seconds / ours <= 2e-6)
    received = [at.date() for at, _ in asked]
    seconds, _ = best(lambda: [calendar.nth_workday_before(day, 7) for day in received])
    figures.add("workday_before_us", seconds / ours * 1e6, "µs")

    # The same questions for all three; ours are the first ones of the same list.
    few = asked[:theirs]
    own, dues = best(lambda: [calendar.add_workdays(at, n) for at, n in few])
    own_days = [due.at.date() for due in dues]

    days = [
        (at.date() + timedelta(days=1), n - 1) for at, n in few
    ]  # its n = 0 is "this day or the next worked one"
    seconds, found = best(lambda: [chinese_calendar.find_workday(n, day) for day, n in days], rounds=2)
    figures.add("chinesecalendar_us", seconds / theirs * 1e6, "µs")
    figures.add("due_times_chinesecalendar", seconds / own, "times", ">= 20", seconds / own >= 20)
    wrong = sum(a != b for a, b in zip(found, own_days, strict=True))
    figures.add("due_unlike_chinesecalendar", wrong, "answers", "0", wrong == 0)

    rest = [day for day in chinese_calendar.constants.holidays if day.weekday() < 5]
    steps = {n: pandas.offsets.CustomBusinessDay(n, holidays=rest) for n in LENGTHS}
    stamps = [(pandas.Timestamp(at.date()), steps[n]) for at, n in few]
    seconds, stepped = best(lambda: [stamp + step for stamp, step in stamps], rounds=2)
    figures.add("pandas_us", seconds / theirs * 1e6, "µs")
    figures.add("due_times_pandas", seconds / own, "times", ">= 5", seconds / own >= 5)
    late = sum(a.date() != b for a, b in zip(stepped, own_days, strict=True))
    figures.add("pandas_wrong_share", late / theirs, "of 1")

    figures.print_all(options.as_json)


if __name__ == "__main__":
    main()
