"""Rulings as the asking line sees them, and what must hold for any text whatever."""

import datetime as dt
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing_rules.loader import compile_rulebook
from routing_rules.match import rule, weigh
from routing_rules.ruling import Decision, Hints, Line, Ruling, Urgency
from routing_rules.schema import PLATFORMS, RESCUE
from tests.rules.shipped import MORNING, book, judge
from tests.rules.test_loader import LAST

WORDS = [text for item in book().sheet.items for text in item.examples]
PIECES = st.sampled_from(
    [*WORDS, "。", ",", "没有", "去年", "正在", "尊敬的领导", "投诉", "吗", " ", "🔥", "བོད", "<b>"]
)


def sound(text: str, ruling: Ruling) -> None:
    assert ruling.platform in PLATFORMS
    assert 0.0 <= ruling.confidence <= 1.0
    assert all(text[e.start : e.end] == e.words for e in ruling.evidence)
    if ruling.danger:
        assert {ruling.platform, *ruling.also} & RESCUE
        assert ruling.platform != "12345"
        assert ruling.urgency is Urgency.urgent
        assert ruling.decision in {Decision.accept, Decision.transfer, Decision.dual}


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=400), st.sampled_from(Line))
def test_any_text_gets_a_ruling(text: str, line: Line) -> None:
    sound(text, judge(text, line=line))


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join), st.sampled_from(Line))
def test_any_mixture_of_telling_words_gets_a_sound_ruling(text: str, line: Line) -> None:
    sound(text, judge(text, line=line))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "\ud800",
        "\x00",
        "🔥" * 500,
        "打" * 100_000,
        "没有昨天打人," * 60_000,
        "<" * 50_000,
        "(" * 50_000,
    ],
)
def test_odd_texts_are_ruled_too(text: str) -> None:
    sound(text, judge(text))


def test_a_text_without_words_goes_to_a_person() -> None:
    ruling = judge("")

    assert (ruling.decision, ruling.confidence, ruling.item) == (Decision.human, 0.0, "last")


def test_what_no_list_knows_goes_to_a_person_and_never_silently_to_the_hotline() -> None:
    ruling = judge("嗯嗯啊啊那个这个")

    assert ruling.decision is Decision.human
    assert ruling.confidence < 0.5


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("小区停水两天了", Line.hotline, Decision.accept),
        ("小区停水两天了", Line.police, Decision.transfer),
        ("烧烤摊上两桌人打起来了", Line.police, Decision.accept),
        ("烧烤摊上两桌人打起来了", Line.hotline, Decision.transfer),
        ("烧烤摊上打起来了,有人头上流血", Line.hotline, Decision.dual),
        ("仓库起火了", Line.police, Decision.transfer),
        ("上个月被人冒充客服骗走了两万块钱", Line.hotline, Decision.transfer),
        ("广场舞音响开得太大,劝了也不听", Line.hotline, Decision.three_way),
        ("帮我买包烟送上来", Line.police, Decision.guide),
        ("有辆车停在我车位上,没留电话", Line.police, Decision.human),
        ("我的车坏在高速上了,怎么叫拖车", Line.police, Decision.guide),
    ],
)
def test_the_decision_is_relative_to_the_asking_line(text: str, line: Line, expected: Decision) -> None:
    assert judge(text, line=line).decision is expected


def test_a_caller_who_is_gone_is_handed_over_in_writing() -> None:
    ruling = judge("小区停水两天了", line=Line.police, hints=Hints(caller_gone=True))

    assert ruling.decision is Decision.hand_over


def test_police_matters_of_the_past_are_not_urgent() -> None:
    ruling = judge("上周停在楼下的电瓶车被偷了")

    assert (ruling.platform, ruling.danger, ruling.police_urgent) == ("110", False, False)


def test_identity_papers_are_the_hotlines() -> None:
    assert judge("身份证丢了怎么补办").platform == "12345"


def test_a_complaint_about_the_police_never_goes_to_the_police() -> None:
    ruling = judge("派出所民警办案拖了三年不立案,我要投诉")

    assert ruling.about_unit == "police"
    assert ruling.platform == "12345"
    assert ruling.owners == ("supervision",)
    assert "12389" in ruling.also


def test_misconduct_that_is_going_on_is_clause_eight() -> None:
    ruling = judge("两个民警正在派出所门口打我弟弟")

    assert (ruling.platform, ruling.clause, ruling.danger) == ("110", "110(8)", True)


def test_a_silent_call_is_danger_only_with_a_sign_of_it() -> None:
    plain = judge("", hints=Hints(silent=True))
    marked = judge("", hints=Hints(silent=True, earlier_risk=True))

    assert (plain.danger, plain.decision) == (False, Decision.human)
    assert (marked.danger, marked.platform) == (True, "110")


def test_secrecy_asked_for_in_the_words_is_seen() -> None:
    named = judge("举报楼上私办幼儿园,请不要透露我的信息")
    nameless = judge("我要匿名举报一家饭店偷倒泔水")

    assert (named.confidential, named.anonymous) == (True, False)
    assert (nameless.confidential, nameless.anonymous) == (True, True)


def test_numbered_requests_are_split_into_points() -> None:
    text = (
        "关于我们小区的几个问题:一、路灯坏了一个月没人修;二、垃圾三天没有清运;三、电梯年检过期。请尽快解决。"
    )

    assert len(judge(text).points) == 3


OVERLAY = """
[concept.goat]
words = ["山羊"]
[[item]]
id = "wide"
title = "羊"
priority = 10
tier = "police"
clause = "110(9)"
platform = "110"
basis = "clause"
when = ["goat"]
"""
NARROW = """
[list]
layer = "prefecture"
division = "6301"
source = "own"
dated = 2026-01-01
[[item]]
id = "narrow"
title = "城里的羊"
priority = 11
tier = "police"
clause = "12345(2)"
platform = "12345"
owners = ["urban-management"]
basis = "clause"
when = ["goat"]
overrides = ["wide"]
since = 2026-02-01
"""


@pytest.mark.parametrize(
    ("division", "day", "item", "layer"),
    [
        ("630100", dt.date(2026, 3, 1), "narrow", "prefecture"),
        ("630102", dt.date(2026, 3, 1), "narrow", "prefecture"),
        ("632500", dt.date(2026, 3, 1), "wide", "national"),
        ("630100", dt.date(2026, 1, 31), "wide", "national"),
    ],
)
def test_a_narrower_list_overrides_in_its_division_and_time(
    division: str, day: dt.date, item: str, layer: str
) -> None:
    two = compile_rulebook({"a.toml": (LAST + OVERLAY).encode(), "b.toml": NARROW.encode()})
    at = dt.datetime.combine(day, dt.time(9), MORNING.tzinfo)

    ruling = rule("我家山羊", book=two, line=Line.hotline, division=division, at=at)

    assert (ruling.item, ruling.layer) == (item, layer)


@pytest.mark.parametrize(
    ("text", "leads", "hear"),
    [
        ("有人拿刀追人,屋里着火了", "110", {"119", "120"}),
        ("有人持刀砍人,还着火了,有人受伤流血", "110", {"119", "120"}),
        ("孩子吞了玩具,头还卡在椅子背里", "119", {"120"}),
    ],
)
def test_of_two_dangers_at_once_the_rescuers_of_both_hear(text: str, leads: str, hear: set[str]) -> None:
    ruling = judge(text)

    assert ruling.platform == leads
    assert hear <= set(ruling.also)
    assert leads not in ruling.also


@settings(max_examples=100, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_what_is_ruled_is_the_first_of_all_that_holds(text: str) -> None:
    """`rule` stops early; `weigh` looks at everything. They may not differ about what decides."""
    ruling = judge(text)
    _, held = weigh(text, book=book(), division="630000", at=MORNING)

    assert (ruling.item == "last") == (not held)
    if held and held[0].item.tier == "gate":
        assert ruling.item == held[0].item.id
    elif held:
        assert ruling.item in {
            row.item.id for row in held if row.item.tier == held[0].item.tier or held[0].item.alone
        }


@pytest.mark.parametrize(
    "text",
    ["有人拿刀砍人流血着火跳楼煤气泄漏" * 60_000, "没有昨天打人," * 150_000, "?" * 1_000_000, "1." * 500_000],
)
def test_a_megabyte_is_ruled_in_bounded_time(text: str) -> None:
    start = time.process_time()
    judge(text)

    # A hundred times what it takes when nobody else uses the machine.
    assert time.process_time() - start < 1.0
