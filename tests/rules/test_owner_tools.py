"""What a list owner's tools say: differences, reasons with their places, what a new list would do."""

import datetime as dt
from functools import cache

import pytest

from routing_rules.compare import compare
from routing_rules.explain import explain
from routing_rules.forecast import Arrival, forecast, late, working_day
from routing_rules.lint import proofs
from routing_rules.loader import Rulebook, compile_rulebook
from routing_rules.match import rule
from routing_rules.ruling import Line
from routing_rules.touched import Touched
from tests.rules.shipped import MORNING, book, files

HOTLINE = "lists/hotline.toml"
EDITS = {
    "a word more": (HOTLINE, '"路灯", ', '"路灯", "庭院灯", '),
    "a word less": (HOTLINE, '"停水", ', ""),
    "another owner": (HOTLINE, 'owners = ["education"]', 'owners = ["market"]'),
    "an idiom": ("lexicon/context.toml", '"价格战", ', '"价格战", "学校门口", '),
    "an exception": ("lists/gate.toml", 'unless = ["pyramid", "dog"', 'unless = ["pyramid", "child", "dog"'),
    "another tier": (
        "lists/police.toml",
        'id = "police.racing"\ntitle = "飙车炸街、危险驾驶"\npriority = 150\ntier = "police"',
        'id = "police.racing"\ntitle = "飙车炸街、危险驾驶"\npriority = 50\ntier = "about"',
    ),
}


@cache
def edited(name: str) -> Rulebook:
    file, old, new = EDITS[name]
    whole = files()
    changed = whole[file].decode().replace(old, new)
    assert changed != whole[file].decode()
    return compile_rulebook({**whole, file: changed.encode()})


def ruled(text: str, by: Rulebook) -> tuple[object, ...]:
    made = rule(text, book=by, line=Line.hotline, division="630000", at=MORNING)
    return made.item, made.decision, made.owners, made.also, made.confidence, made.about_unit


@pytest.mark.parametrize("name", EDITS)
def test_a_text_that_is_not_touched_by_an_edit_is_ruled_as_before(name: str) -> None:
    touched = Touched(book(), edited(name))
    texts = [example.text for _, example, _ in proofs(book(), MORNING.date())][::7]

    moved = [text for text in texts if ruled(text, book()) != ruled(text, edited(name))]

    assert [text for text in moved if not touched(text)] == []
    assert sum(map(touched, texts)) < len(texts) / 2, "most texts need one ruling only"


def test_equal_books_touch_nothing_and_words_that_blanks_part_are_seen() -> None:
    assert not Touched(book(), compile_rulebook(files()))("路灯 不亮")
    assert Touched(book(), edited("a word more"))("庭 院 灯 不亮")
    assert not Touched(book(), edited("a word more"))("食 堂")


def test_a_comparison_names_what_changed_and_which_examples_move() -> None:
    found = compare(book(), edited("a word less"), today=MORNING.date())

    assert not found.same
    assert [(each.concept, each.removed) for each in found.words] == [("words/hotline.water-out", ("停水",))]
    assert found.items == ()
    found = compare(book(), edited("another owner"), today=MORNING.date())
    changed = {each.id: [field.field for field in each.fields] for each in found.items}
    assert changed == {"hotline.school": ["owners"]}
    assert compare(book(), book(), today=MORNING.date()).same


def test_a_broken_proof_is_said() -> None:
    file = "lists/gate.toml"
    whole = files()
    cut = whole[file].decode().replace('when = ["dog-bite"]', 'when = ["dog-bite snake"]')
    found = compare(book(), compile_rulebook({**whole, file: cut.encode()}), today=MORNING.date())

    broken = [move for move in found.moves if move.proof_broken]
    assert broken
    assert all("gate.dog" in move.before and "gate.dog" not in move.after for move in broken)


def test_an_explanation_names_the_winner_and_why_each_other_item_lost() -> None:
    text = "上个月停在楼下的电瓶车被偷了,路灯也不亮"
    found = explain(text, book=book(), line=Line.hotline, division="630000", at=MORNING)
    losers = {loser.item: loser for loser in found.losers}

    assert (found.item, found.platform) == ("police.theft", "110")
    assert {each.words for each in found.spans} <= {"被偷", "偷了"}
    assert losers["hotline.lamp"].why == "lower-tier"
    assert losers["gate.stolen"].why == "unmet"
    assert "past" in losers["gate.stolen"].words
    for loser in found.losers:
        assert all(text[each.start : each.end] == each.words for each in loser.spans)
    assert ("被偷", "stolen", ("past", "head")) in {
        (each.words, each.fact, each.planes) for each in found.facts
    }


def test_an_explanation_shows_exceptions_overlays_and_weights() -> None:
    def losers(text: str, division: str = "630000") -> dict[str, tuple[str, str]]:
        found = explain(text, book=book(), line=Line.hotline, division=division, at=MORNING)
        return {loser.item: (loser.why, loser.words) for loser in found.losers}

    assert losers("没有人受伤,就是两车剐蹭")["gate.crash"][0] == "forbidden"
    assert losers("路口有两车追尾,人都没事。")["gate.crash"][0] in {"unmet", "forbidden"}
    assert losers("网购的鞋子开胶,商家不给退货", "632521")["hotline.consumer"][0] == "overridden"
    assert losers("网购的鞋子开胶,商家不给退货")["hainan.consumer"][0] == "not-in-force"
    assert losers("楼栋门口的路灯不亮,修路灯要多久")["hotline.property"][0] == "lighter"


@pytest.mark.parametrize("text", ["", "😀", "<b>着火</b>", "火" * 5000, "\x00\ud800"])
def test_any_text_is_explained(text: str) -> None:
    found = explain(text, book=book(), line=Line.police, division="", at=MORNING)

    assert found.item
    assert len(found.losers) <= 12


def test_late_work_is_counted_by_the_pace_of_a_unit() -> None:
    urgent = [Arrival(0, "urgent")] * 4

    assert late(urgent, 4) == 0
    assert late(urgent, 2) == 0  # two today, two tomorrow: one working day is in time
    assert late(urgent, 1) == 2
    assert late([*urgent, Arrival(0, "joint")], 1) == 2  # what is due later waits
    assert late([], 1) == 0
    assert late([Arrival(0, "urgent"), Arrival(40, "urgent")], 1) == 0


def test_a_unit_keeps_the_pace_of_its_old_load_and_a_new_one_gets_the_middle_one() -> None:
    old = {"power": [Arrival(day, "general") for day in range(40)]}
    new = {"power": [Arrival(0, "urgent")] * 40, "gas": [Arrival(0, "urgent")] * 4}
    by_unit = {load.unit: load for load in forecast(old, new, headroom=0.2)}

    assert by_unit["power"].pace == by_unit["gas"].pace == 2
    assert (by_unit["power"].late_before, by_unit["power"].late_after) == (0, 36)
    assert by_unit["gas"].late_after == 0


def test_weekends_fall_on_the_monday_after() -> None:
    friday = dt.date(2026, 3, 6)
    days = [working_day(friday + dt.timedelta(days=n)) - working_day(friday) for n in range(5)]

    assert days == [0, 1, 1, 1, 2]
