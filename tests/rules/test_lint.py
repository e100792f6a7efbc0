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


FURTHER = """
[concept.jia]
words = ["甲"]
[concept.yi]
words = ["乙"]
[concept.empty]
words = []
[[item]]
id = "first"
title = "甲"
priority = 1
tier = "police"
clause = "110(1)"
platform = "110"
basis = "clause"
when = ["jia"]
[[item]]
id = "partly"
title = "甲乙或乙"
priority = 2
tier = "police"
clause = "110(1)"
platform = "110"
basis = "clause"
when = ["jia yi", "yi"]
flips = [{ if = "有甲", to = "first", example = "只有乙" }]
[[item]]
id = "never"
title = "没有词"
priority = 3
tier = "police"
clause = "110(1)"
platform = "110"
basis = "clause"
when = ["empty"]
[[item]]
id = "barred"
title = "要乙又不许乙"
priority = 4
tier = "gate"
clause = "110(1)"
platform = "110"
basis = "clause"
when = ["yi"]
unless = ["live:yi"]
since = 2027-01-01
[[item]]
id = "one"
title = "丁"
priority = 1
tier = "ordinary"
clause = "12345(2)"
platform = "12345"
owners = ["water"]
basis = "clause"
words = ["丁", "戊"]
[[item]]
id = "two"
title = "戊"
priority = 2
tier = "ordinary"
clause = "12345(2)"
platform = "12345"
owners = ["power"]
basis = "clause"
words = ["(戊|己)"]
"""


def test_lint_names_what_overlaps_what_nothing_reaches_and_what_is_not_yet_in_force() -> None:
    found = {
        (f.kind, f.where) for f in lint(compile_rulebook({"a.toml": (LAST + FURTHER).encode()}), today=TODAY)
    }

    assert {
        ("overlap", "partly"),
        ("unreachable", "never"),
        ("overlap", "two"),
        ("not-yet", "barred"),
        ("dead", "barred"),
        ("wrong-example", "partly"),
    } <= found
    assert ("shadowed", "partly") not in found


def test_a_list_from_the_future_is_named() -> None:
    found = lint(compile_rulebook({"a.toml": LAST.replace("2026-01-01", "2026-06-01").encode()}), today=TODAY)

    assert ("not-yet", "national") in {(f.kind, f.where) for f in found}
