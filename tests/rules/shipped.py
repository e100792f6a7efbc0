"""The shipped rulebook for the tests of the lists, compiled once, and the hour at which they rule."""

import datetime as dt
from collections import Counter
from functools import cache
from pathlib import Path

from routing_rules.demo import demo_messages
from routing_rules.loader import Rulebook, compile_rulebook
from routing_rules.match import rule
from routing_rules.model.training import Row
from routing_rules.ruling import Hints, Line, Ruling

DATA = Path(__file__).parents[2] / "routing_rules" / "data"
MORNING = dt.datetime(2026, 3, 10, 10, tzinfo=dt.timezone(dt.timedelta(hours=8)))


def files() -> dict[str, bytes]:
    return {
        str(path.relative_to(DATA)): path.read_bytes()
        for folder in ("lists", "lexicon", "examples", "ear")
        for path in sorted((DATA / folder).glob("*.t*"))
    }


@cache
def book() -> Rulebook:
    return compile_rulebook(files())


def judge(
    text: str,
    *,
    line: Line = Line.hotline,
    division: str = "630000",
    at: dt.datetime = MORNING,
    hints: Hints | None = None,
) -> Ruling:
    return rule(text, book=book(), line=line, division=division, at=at, hints=hints or Hints())


@cache
def category_rows() -> tuple[Row, ...]:
    """Our own examples of ordinary matters with the first step of the category that they are ruled to be."""
    told = [row.text for row in book().sheet.examples]
    told += [text for item in book().sheet.items for text in item.examples]
    told += [message.text for message in demo_messages((DATA / "demo" / "messages.toml").read_bytes())]
    rows = []
    for text in dict.fromkeys(told):
        ruling = judge(text)
        if not ruling.danger and ruling.platform == "12345" and ruling.category:
            rows.append(Row(text=text, category=ruling.category.split("/")[0]))
    often = [label for label, _ in Counter(row.category for row in rows).most_common(4)]
    return tuple(row for row in rows if row.category in often)
