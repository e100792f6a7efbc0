"""Every example of the shipped lists comes out as its owner says."""

import datetime as dt

import pytest

from routing_rules.lint import SERIOUS, judge, lint, proofs
from routing_rules.schema import Example
from tests.rules.shipped import MORNING, book

PROOFS = list(proofs(book(), MORNING.date()))


@pytest.mark.parametrize(
    ("example", "division"),
    [(example, division) for _, example, division in PROOFS],
    ids=[example.text[:24] for _, example, _ in PROOFS],
)
def test_an_example_comes_out_as_its_list_says(example: Example, division: str) -> None:
    assert judge(book(), MORNING, example, division) is None


def test_the_shipped_book_has_no_serious_finding() -> None:
    serious = [finding for finding in lint(book(), today=dt.date(2026, 3, 10)) if finding.kind in SERIOUS]

    assert serious == []


def test_all_fifteen_clauses_of_the_plan_have_items() -> None:
    held = {item.clause for item in book().sheet.items}

    assert {f"12345({n})" for n in range(1, 7)} | {f"110({n})" for n in range(1, 10)} <= held


def test_no_dead_number_is_offered_to_a_caller() -> None:
    assert not [item.id for item in book().sheet.items if "12369" in item.guidance or "12369" in item.tell]
