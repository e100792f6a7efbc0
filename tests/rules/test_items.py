"""Every clause of the plan and every sourced responsibility item has its place in the lists, contested ones marked."""

import csv
from pathlib import Path
from typing import NamedTuple

import pytest

from routing_rules.ruling import Decision, Line, Ruling
from tests.rules.shipped import book, judge

HERE = Path(__file__).parent
OUTSIDE = Path("/work/shared/domain/items.csv")  # third-party; not in the repository
ROWS = 181
SETTLED_BY_PEOPLE = {Decision.three_way, Decision.human}


class Row(NamedTuple):
    """One item: where a call about it must come out."""

    number: int
    lines: frozenset[str]
    decision: str
    contested: bool
    text: str


def rows() -> list[Row]:
    made = []
    for written in (HERE / "items.psv").read_text().splitlines():
        if written.startswith("#"):
            continue
        number, where, contested, text = written.split("|")
        lines, _, decision = where.partition("!")
        made.append(Row(int(number), frozenset(lines.split("+")), decision, contested == "yes", text))
    return made


def lines_of(ruling: Ruling) -> frozenset[str]:
    return frozenset({ruling.platform, *ruling.also})


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.number}")
def test_a_call_about_an_item_comes_out_at_its_platform(row: Row) -> None:
    ruling = judge(row.text)

    assert row.lines <= lines_of(ruling)
    assert ruling.platform in row.lines
    assert ruling.contested is row.contested
    if row.decision:
        assert ruling.decision.value == row.decision


@pytest.mark.parametrize("row", [row for row in rows() if row.contested], ids=lambda row: f"{row.number}")
@pytest.mark.parametrize("line", list(Line))
def test_a_contested_item_is_settled_by_people_unless_it_is_danger(row: Row, line: Line) -> None:
    ruling = judge(row.text, line=line)

    assert ruling.danger or ruling.decision in SETTLED_BY_PEOPLE


def test_every_row_is_covered_once() -> None:
    assert [row.number for row in rows()] == list(range(1, ROWS + 1))


@pytest.mark.skipif(not OUTSIDE.exists(), reason="the sourced items stay outside the repository")
def test_platform_and_dispute_agree_with_the_sourced_items() -> None:
    with OUTSIDE.open() as file:
        outside = list(csv.DictReader(file))
    named = {"其他": {"other"}, "引导": {"none"}, "并单": {"12345"}, "三方通话": {"12345"}}
    named["双派"] = {"110", "12345"}
    # 104: an entrapment is rescued by 119 where no lift desk answers. 113: guided where most places guide.
    ours = {104: {"119"}, 113: {"none"}, 103: {"119", "110"}}

    differing = []
    for row, said in zip(rows(), outside, strict=True):
        wanted = ours.get(row.number) or named.get(said["platform"]) or {said["platform"]}
        told = lines_of(judge(row.text))
        if not wanted <= told or row.contested is said["contested"].startswith("no"):
            differing.append((row.number, said["platform"], sorted(told)))

    assert [each for each in differing if each[0] != 39] == []  # 39 is unclear by its own definition


def test_every_item_names_its_ground_and_shows_an_example() -> None:
    items = [item for item in book().sheet.items if item.tier != "last"]

    assert [item.id for item in items if not (item.source or item.basis)] == []
    assert [item.id for item in items if not item.examples] == []


def test_every_door_of_what_belongs_to_neither_is_named() -> None:
    shut = [item for item in book().sheet.items if item.platform in {"none", "other"}]

    assert shut
    assert [item.id for item in shut if not item.guidance] == []
