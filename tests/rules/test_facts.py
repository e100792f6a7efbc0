"""What is read from a text: time, denial, supposition, idiom, register, and where it stands."""

import pytest

from routing_rules.facts import Facts, read
from routing_rules.lexicon import ANY, HEAD, LIVE, PAST, SUPPOSED
from tests.rules.shipped import book, judge


def holds(facts: Facts, plane: int, name: str) -> bool:
    return bool(facts.planes(book().lexicon.numbers[name]) & plane)


def planes(text: str, name: str) -> set[int]:
    facts = read(text, book().lexicon)
    return {plane for plane in (LIVE, PAST, SUPPOSED, ANY, HEAD) if holds(facts, plane, name)}


@pytest.mark.parametrize(
    ("text", "fact", "expected"),
    [
        ("厨房着火了", "fire", {LIVE, ANY, HEAD}),
        ("去年我家着火了", "fire", {PAST, ANY, HEAD}),
        ("没有着火,就是问问", "fire", set()),
        ("担心着火", "fire", {SUPPOSED, ANY}),
        ("如果着火怎么跑", "fire", {SUPPOSED, ANY}),
        ("有着火的风险", "fire", {SUPPOSED, ANY}),
        ("上个月着过一次,现在又着火了", "fire", {LIVE, ANY, HEAD}),
        ("两家店的价格战打得头破血流的价格", "wound", set()),
        ("打车去火车站", "beaten", set()),
        ("太阳晒得热死人了", "corpse", set()),
    ],
)
def test_a_fact_lands_on_the_planes_of_its_context(text: str, fact: str, expected: set[int]) -> None:
    assert planes(text, fact) == expected


def test_a_missing_child_stays_missing_however_long_ago_it_left() -> None:
    assert LIVE in planes("昨天孩子走丢了", "missing")


def test_a_fear_of_suicide_counts_as_suicide() -> None:
    assert LIVE in planes("我怕他自杀", "suicide")


def test_a_letter_tells_and_does_not_call() -> None:
    letter = "尊敬的领导您好,关于我村问题反映如下:邻居打人多次,请求政府有关部门查处。"

    assert LIVE not in planes(letter, "beaten")


def test_a_letter_that_summons_is_live() -> None:
    letter = "尊敬的领导您好,关于我村问题反映如下:他们正在打人,快来救人!"

    assert LIVE in planes(letter, "beaten")


def test_spans_survive_blanks_markup_and_full_width() -> None:
    text = "<p>厨 房　着 火了！</p>"
    facts = read(text, book().lexicon)
    start, end = facts.span(facts.places(book().lexicon.numbers["fire"])[0])

    assert text[start:end].replace(" ", "").startswith("着火")


def test_spans_in_the_tail_of_a_long_text_point_into_it() -> None:
    text = "今天天气很好" * 2000 + "。快来,我家正在着火"
    facts = read(text, book().lexicon)
    start, end = facts.span(facts.places(book().lexicon.numbers["fire"])[-1])

    assert text[start:end] == "着火"


def test_traditional_characters_are_read_like_simplified_ones() -> None:
    assert LIVE in planes("廚房裡煙很大,電線起火", "fire")


def test_two_halves_that_mean_little_alone_make_a_danger_together() -> None:
    assert LIVE in planes("屋里生着炉子,两个人恶心站不起来", "vapour")
    assert LIVE not in planes("屋里生着炉子,暖和得很", "vapour")


@pytest.mark.parametrize("text", ["建议给河边装护栏,孩子掉进水里过", "上回着火之后保险没赔"])
def test_a_proposal_or_what_comes_after_is_no_alarm(text: str) -> None:
    assert not judge(text).danger
