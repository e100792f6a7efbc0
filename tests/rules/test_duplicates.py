"""Repeats and events: the shipped rules, what they suggest and why, and files whose every fault is named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.duplicate_pairs import SEEN, UNSEEN, Pair
from dispatcher.data_files import packaged_files
from routing_rules.duplicate_files import compile_duplicates
from routing_rules.duplicates import DuplicateRules, Earlier, Features, Told, how_repeated
from routing_rules.ruling import Hints
from routing_rules.similar import grams, nearness
from routing_rules.strict import DataFault
from tests.support.library import library

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
RULES = compile_duplicates(packaged_files("duplicates"))
MINUTE = timedelta(minutes=1)


def _features(
    text: str, *, line: str = "110", minutes: float = 0, category: str = "", danger: bool = False
) -> Features:
    at = AT + timedelta(minutes=minutes)
    told = Told(line=line, text=text, place="630102", category=category, danger=danger, received=at)
    return RULES.features(told)


def _ruled(line: str, text: str, minutes: float) -> Features:
    ruling = library().rule(text, line=line, division="630102", at=AT, hints=Hints())
    return _features(text, line=line, minutes=minutes, category=ruling.category, danger=ruling.danger)


@pytest.mark.parametrize("pairs", [SEEN, UNSEEN], ids=["seen", "unseen"])
def test_most_pairs_of_one_event_are_found_and_few_others(pairs: tuple[Pair, ...]) -> None:
    hits = [
        RULES.compare(_ruled(pair.line, pair.other, pair.minutes), _ruled(pair.line, pair.one, 0)).score
        >= RULES.suggest
        for pair in pairs
    ]

    same = [hit for pair, hit in zip(pairs, hits, strict=True) if pair.same]
    others = [hit for pair, hit in zip(pairs, hits, strict=True) if not pair.same]

    assert sum(same) / len(same) >= 0.8
    assert sum(others) / len(others) <= 0.1


def test_a_suggestion_says_why_in_both_languages() -> None:
    first = _features("建设街烧烤摊半夜放音响,吵得睡不着")
    second = _features("建设街那家烧烤店音乐声太大了", minutes=6)

    likely = RULES.compare(second, first)

    assert [reason.zh for reason in likely.reasons][:3] == ["相隔 6 分钟", "同一地点:建设街", "同类:噪声"]
    assert likely.reasons[1].en == "the same place: 建设街"


def test_the_same_words_about_two_streets_are_two_events() -> None:
    first, second = _features("建设街烧烤摊放音响扰民"), _features("胜利路烧烤摊放音响扰民", minutes=6)

    assert RULES.compare(second, first).score < RULES.suggest


def test_beyond_the_window_of_its_kind_nothing_is_one_event() -> None:
    words = "建设街烧烤摊半夜放音响,吵得睡不着"
    noise = next(rule for rule in RULES.events if rule.id == "noise")
    minutes = noise.within / MINUTE

    inside = RULES.compare(_features(words, minutes=minutes), _features(words))
    outside = RULES.compare(_features(words, minutes=minutes + 1), _features(words))

    assert inside.score >= RULES.suggest > outside.score == 0


def test_110_hears_only_of_danger_and_crowds() -> None:
    for rule in RULES.events:
        assert "110" not in rule.tell or rule.danger or rule.crowd
    heating = RULES.event_of("heating")
    assert heating is not None
    assert heating.tell == ("utility:heating",)


@pytest.mark.parametrize(
    ("line", "category", "minutes", "how"),
    [
        ("110", "", 0, "supplement"),
        ("110", "", 7.99, "supplement"),
        ("110", "", 8, "repeat"),
        ("110", "", 60, "repeat"),
        ("110", "", 60.01, ""),
        ("110", "社会管理/矛盾纠纷/相邻关系", 72 * 60, "repeat"),
        ("110", "社会管理/矛盾纠纷/相邻关系", 72 * 60 + 1, ""),
        ("12345", "", 1, "nth"),
        ("12345", "", 60 * 24 * 365, "nth"),
        ("110", "", -1, ""),
    ],
)
def test_windows_of_the_same_number_while_the_first_is_open(
    line: str, category: str, minutes: float, how: str
) -> None:
    rule = RULES.repeat(line, category)
    assert rule is not None

    earlier = Earlier(received=AT, closed=None, open=True)

    assert how_repeated(rule, earlier, AT + timedelta(minutes=minutes)) == how


@pytest.mark.parametrize(("days", "how"), [(0, "nth"), (30, "nth"), (30.001, "")])
def test_12345_counts_for_30_days_after_closing(days: float, how: str) -> None:
    rule = RULES.repeat("12345", "城乡建设/道路设施/路灯")
    assert rule is not None
    closed = AT + timedelta(days=90)

    earlier = Earlier(received=AT, closed=closed, open=False)

    assert how_repeated(rule, earlier, closed + timedelta(days=days)) == how


@given(st.text(max_size=600), st.text(max_size=600), st.booleans(), st.integers(0, 20_000))
def test_whatever_is_written_is_compared_and_the_other_way_round_is_the_same(
    one: str, other: str, danger: bool, minutes: int
) -> None:
    a, b = _features(one, danger=danger), _features(other, minutes=minutes)

    likely = RULES.compare(a, b)

    assert 0 <= likely.score <= 1
    assert likely.score == RULES.compare(b, a).score
    assert 0 <= RULES.same_matter(a, b).score <= 1


@given(st.text(alphabet=st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=80))
def test_pairs_are_those_of_neighbouring_signs(text: str) -> None:
    assert len(grams(text)) == len({text[at : at + 2] for at in range(len(text) - 1)})
    assert nearness(grams(text), grams(text)) == (1.0 if len(text) > 1 else 0.0)


def test_without_rules_nothing_is_suggested() -> None:
    none = DuplicateRules()
    told = Told(line="110", text="建设街噪音", place="630102", category="", received=AT)

    assert none.features(told).kinds == ()
    assert none.repeat("110", "") is None


def test_every_fault_of_every_file_is_named_at_once() -> None:
    content = """
schema = "duplicates-2"
suggest = 2.0
idle = ["", 3]
no_such_key = 1

[[repeat]]
line = "119"
within = "8 minutes"
urgent_from = 1

[[event]]
id = "noise"
name = "噪声"
words = ["吵"]
within = "1h"
surge = [20, 5]
surge_within = "2h"
tell = ["110", "utility:nothing"]

[[event]]
id = "noise"
name = "噪声"
words = ["吵"]
within = "90d"
surge = [5]
surge_within = "1h"
"""

    with pytest.raises(ExceptionGroup) as caught:
        compile_duplicates({"own.toml": content.encode()})

    faults = [fault for fault in caught.value.exceptions if isinstance(fault, DataFault)]
    named = {(fault.field, str(fault.value)) for fault in faults}
    assert len(faults) == len(caught.value.exceptions) >= 13
    assert {("line", "119"), ("within", "8 minutes"), ("urgent_from", "1"), ("surge", "[20, 5]")} <= named
    assert {("tell", "110"), ("tell", "utility:nothing"), ("id", "noise"), ("within", "90d")} <= named
    assert {("repeat", "110"), ("repeat", "12345"), ("suggest", "2.0"), ("idle", ""), ("idle", "3")} <= named


def test_a_row_that_is_never_reached_is_refused() -> None:
    content = (
        packaged_files("duplicates")["default.toml"].decode() + '\n[[repeat]]\nline = "110"\nwithin = "2h"\n'
    )

    with pytest.raises(ExceptionGroup, match="1 fault"):
        compile_duplicates({"own.toml": content.encode()})
