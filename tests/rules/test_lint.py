"""The findings that a list owner gets before a release."""

import datetime as dt

from routing_rules.lint import lint
from routing_rules.loader import compile_rulebook
from tests.rules.test_loader import LAST

TODAY = dt.date(2026, 3, 10)
ROWS = """
[concept.jia]
words = ["甲"]
[concept.yi]
words = ["乙"]
[concept.idle]
words = ["丙"]
[[item]]
id = "wide"
title = "甲"
priority = 1
tier = "police"
clause = "110(1)"
platform = "110"
basis = "clause"
when = ["jia"]
examples = ["说的是乙"]
[[item]]
id = "covered"
title = "甲和乙"
priority = 2
tier = "police"
clause = "110(1)"
platform = "110"
basis = "clause"
when = ["jia yi"]
[[item]]
id = "impossible"
title = "有乙无乙"
priority = 3
tier = "police"
clause = "110(1)"
platform = "110"
basis = "clause"
when = ["yi !yi"]
until = 2026-01-01
"""


def test_lint_names_each_weakness_with_its_row() -> None:
    found = {
        (f.kind, f.where) for f in lint(compile_rulebook({"a.toml": (LAST + ROWS).encode()}), today=TODAY)
    }

    assert {
        ("shadowed", "covered"),
        ("dead", "impossible"),
        ("expired", "impossible"),
        ("unused", "idle"),
        ("wrong-example", "wide"),
        ("no-example", "covered"),
        ("gap", "110(9)"),
    } <= found
