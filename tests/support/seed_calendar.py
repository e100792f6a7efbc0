"""Writes the national calendar files; run by hand: `python -m tests.support.seed_calendar routing_rules/data/calendars`.

Days of 2004–2026 come from the `chinesecalendar` package (MIT), addresses of notices from
`tests/data/state_council_days.csv`. The next year is drawn up from the statute alone and stays provisional.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path

from chinese_calendar import constants

DAY = timedelta(days=1)
CHINESE = {
    "New Year's Day": "元旦",
    "Spring Festival": "春节",
    "Tomb-sweeping Day": "清明节",
    "Labour Day": "劳动节",
    "Dragon Boat Festival": "端午节",
    "Mid-autumn Festival": "中秋节",
    "National Day": "国庆节",
    "Anti-Fascist 70th Day": "抗日战争暨反法西斯战争胜利70周年纪念日",
}

# 全国年节及纪念日放假办法 (State Council decree 270, amended by decree 795, in force since 2025-01-01), article 2:
# New Year 1 day, Spring Festival 4 (New Year's Eve and the first three days), Qingming 1, Labour Day 2,
# Dragon Boat 1, Mid-Autumn 1, National Day 3. Lunar and solar-term dates are tabulated:
# first day of the first lunar month, Qingming, fifth of the fifth, fifteenth of the eighth lunar month.
LUNAR = {2027: (date(2027, 2, 6), date(2027, 4, 5), date(2027, 6, 9), date(2027, 9, 15))}

HEAD = """\
# {comment}

[layer]
id = "{id}"
name = "{name}"
division = "000000"
source = "{source}"
"""
HOURS = """
# Close of business is 17:30 unless a division says otherwise; the lunch hours are this product's default.
[[frame]]
hours = [["08:30", "12:00"], ["14:00", "17:30"]]
"""


def notice_year(day: date, name: str) -> int:
    """The year whose notice moves the day: New Year's days in December belong to the coming year."""
    return day.year + 1 if day.month == 12 and name == "元旦" else day.year


def runs(days: dict[date, str]) -> Iterator[tuple[int, str, date, date]]:
    """Join neighbouring days of rest of one name into (year, name, first, last)."""
    first: date | None = None
    for day in sorted(days):
        first = first or day
        if days.get(day + DAY) != days[day]:
            yield notice_year(first, days[day]), days[day], first, day
            first = None


def lines_of(rest: dict[date, str], work: dict[date, str]) -> Iterator[str]:
    """The `holiday = [...]` rows; worked days stand with the rest of the same name nearest to them."""
    spans = list(runs(rest))
    made_up: dict[int, list[date]] = {number: [] for number in range(len(spans))}
    for day, name in sorted(work.items()):
        near = [n for n, span in enumerate(spans) if span[1] == name and span[0] == notice_year(day, name)]
        made_up[min(near, key=lambda n: abs(spans[n][2] - day))].append(day)
    for number, (year, name, first, last) in enumerate(spans):
        until = f', until = "{last}"' if last > first else ""
        days = ", ".join(f'"{day}"' for day in made_up[number])
        worked = f", work = [{days}]" if days else ""
        yield f'  {{ year = {year}, name = "{name}", from = "{first}"{until}{worked} }},'


def statutory(year: int) -> dict[date, str]:
    """Days of rest by article 2, with the weekend days among them made good on the next working days (article 6)."""
    spring, qingming, dragon, moon = LUNAR[year]
    holidays: list[tuple[str, date, int]] = [
        ("元旦", date(year, 1, 1), 1),
        ("春节", spring - DAY, 4),
        ("清明节", qingming, 1),
        ("劳动节", date(year, 5, 1), 2),
        ("端午节", dragon, 1),
        ("中秋节", moon, 1),
        ("国庆节", date(year, 10, 1), 3),
    ]
    rest: dict[date, str] = {}
    for name, first, length in holidays:
        days = [first + DAY * n for n in range(length)]
        owed = sum(day.weekday() >= 5 for day in days)
        rest |= dict.fromkeys(days, name)
        day = days[-1]
        while owed:
            day += DAY
            if day.weekday() < 5 and day not in rest:
                owed -= 1
            rest[day] = name  # a weekend on the way is free anyway and keeps the run in one piece
    return rest


def year_rows(years: Iterable[int], status: str, sources: dict[int, str]) -> str:
    """The `year = [...]` array."""
    rows = "\n".join(f'  {{ year = {y}, status = "{status}", source = "{sources[y]}" }},' for y in years)
    return f"year = [\n{rows}\n]\n"


def main(folder: Path) -> None:
    """Write national.toml and national-2027-provisional.toml into the folder."""
    table = Path(__file__).parents[1] / "data" / "state_council_days.csv"
    with table.open(encoding="utf-8", newline="") as file:
        moved = [(date.fromisoformat(row["date"]), row) for row in csv.DictReader(file)]
    sources = {
        notice_year(day, row["name"]): f"https://www.{row['notice'].replace(';', ' https://www.')}"
        for day, row in moved
    }
    sources |= dict.fromkeys((2004, 2005, 2006), "chinesecalendar 1.11.0 (no notice in the gov.cn archive)")
    rest = {day: CHINESE[name] for day, name in constants.holidays.items()}
    work = {day: CHINESE[name] for day, name in constants.workdays.items()}
    first, last = min(rest).year, max(rest).year
    body = HEAD.format(
        comment=f"National days of rest and of work, {first}–{last}. Written by tests/support/seed_calendar.py.",
        id="national",
        name="全国",
        source="国务院办公厅关于部分节假日安排的通知(各年)",
    )
    # plain arrays come before the first table of arrays: TOML would read them into that table otherwise
    arrays = year_rows(range(first, last + 1), "confirmed", sources)
    arrays += "\nholiday = [\n" + "\n".join(lines_of(rest, work)) + "\n]\n"
    folder.joinpath("national.toml").write_text(placed(body, arrays) + HOURS, encoding="utf-8")

    (coming,) = LUNAR
    statute = "国务院令第795号(2024-11-10)"
    body = HEAD.format(
        comment=f"{coming} by the statute alone, until the notice comes. Written by tests/support/seed_calendar.py.",
        id=f"national-{coming}-provisional",
        name=f"全国({coming} 年,通知未发布)",
        source="全国年节及纪念日放假办法(国务院令第795号修订)第二条、第六条",
    )
    arrays = year_rows((coming,), "provisional", {coming: statute})
    arrays += "\nholiday = [\n" + "\n".join(lines_of(statutory(coming), {})) + "\n]\n"
    folder.joinpath(f"national-{coming}-provisional.toml").write_text(placed(body, arrays), encoding="utf-8")


def placed(head: str, arrays: str) -> str:
    """Put top-level arrays after the opening comment and before the first table, where TOML wants them."""
    comment, table = head.split("\n\n", 1)
    return f"{comment}\n\n{arrays}\n{table}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
