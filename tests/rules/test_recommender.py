"""The trained recommender: learns from rows, says what it is sure of and why, and its figures are honest."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing_rules.model.grams import folded, grams
from routing_rules.model.measures import NO_LINE, line_for, macro_f1, measured
from routing_rules.model.scorer import BadModel, Recommender
from routing_rules.model.training import CannotTrain, Row, Trained, evaluate, train
from tests.rules.shipped import category_rows

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture(scope="session")
def trained() -> Trained:
    return train(category_rows(), seed=1, now=NOW)


@pytest.fixture(scope="session")
def model(trained: Trained) -> Recommender:
    return Recommender(trained.content)


def test_the_same_rows_and_seed_give_the_same_bytes(trained: Trained) -> None:
    again = train(category_rows(), seed=1, now=NOW)

    assert again.content == trained.content
    assert train(category_rows(), seed=2, now=NOW).content != trained.content


def test_what_it_learnt_from_it_names_with_reasons_that_stand_in_the_text(model: Recommender) -> None:
    rows = category_rows()[::7]

    right = 0
    for row in rows:
        said = model.suggest(row.reading)
        right += said[0].label == row.category
        assert len(said) <= 3 and all(0 <= one.probability <= 1 for one in said)
        assert [one.probability for one in said] == sorted((one.probability for one in said), reverse=True)
        for one in said:
            assert all(
                row.reading[why.start : why.end] == why.words and why.weight > 0 for why in one.reasons
            )

    assert right > 0.9 * len(rows)


def test_the_card_is_measured_on_folds_that_were_not_learnt(trained: Trained, model: Recommender) -> None:
    card = model.heads["category"].card

    assert card == trained.cards[0]
    assert 1.5 / card.labels < card.macro_f1 < evaluate(model, category_rows(), fresh=False).macro_f1
    assert card.groups <= card.rows and 0 <= card.calibration_error < 0.2


def test_near_duplicates_stand_in_one_fold_so_that_copies_cannot_lift_the_figures() -> None:
    rows = category_rows()
    noise = [
        Row(text=row.text, category=rows[(n * 7919) % len(rows)].category) for n, row in enumerate(rows[:150])
    ]
    copied = [Row(text=f"{one.text}谢谢{k}", category=one.category) for one in noise for k in range(3)]

    card = train(copied, seed=1, now=NOW).cards[0]

    # Labels drawn at random can be learnt by heart only; a split that let copies leak would say nearly 1.
    assert card.macro_f1 < 0.6


def test_rows_that_it_learnt_prove_nothing_and_are_left_out(model: Recommender) -> None:
    rows = category_rows()

    assert evaluate(model, rows).rows == 0
    assert evaluate(model, rows, fresh=False).rows == len(rows)
    new = [
        Row(text=f"第{n}件:这是一段从来没有学过的话,讲的是别的事情", category=rows[0].category)
        for n in range(3)
    ]
    assert evaluate(model, [*rows, *new]).rows == 3


def test_a_challenger_is_measured_beside_the_champion_on_what_the_champion_does_not_know() -> None:
    rows = category_rows()
    champion = Recommender(train(rows[::2], seed=1, now=NOW).content)

    card = train(rows, seed=1, now=NOW, champion=champion).cards[0]

    assert card.rival is not None and card.rival.champion == champion.digest
    assert 0 < card.rival.rows <= len(rows) - len(rows[::2])


def test_units_are_learnt_where_rows_name_them(model: Recommender) -> None:
    named = [
        Row(text=row.text, category=row.category, units="heating" if n % 2 else "water")
        for n, row in enumerate(category_rows()[:80])
    ]

    both = Recommender(train(named, seed=1, now=NOW).content)

    assert "units" not in model.heads and model.suggest("暖气不热", "units") == ()
    assert both.heads["units"].labels == ("heating", "water")


def test_too_few_rows_of_a_category_are_named_and_left_out() -> None:
    rows = [*category_rows(), Row(text="独此一件", category="孤例")]

    made = train(rows, seed=1, now=NOW)

    assert made.left_out == {"孤例": 1}
    with pytest.raises(CannotTrain):
        train(rows[-1:], seed=1, now=NOW)


@pytest.mark.parametrize("content", [b"", b"model", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_bytes_that_are_no_model_are_refused(content: bytes) -> None:
    with pytest.raises(BadModel):
        Recommender(content)


def test_a_flipped_byte_is_either_refused_or_a_model_of_another_digest(trained: Trained) -> None:
    for at in range(0, len(trained.content), len(trained.content) // 40):
        bent = bytearray(trained.content)
        bent[at] ^= 0x55
        try:
            assert Recommender(bytes(bent)).digest != Recommender(trained.content).digest
        except BadModel:
            continue


@given(st.text(max_size=300))
def test_any_text_gets_an_answer(model: Recommender, text: str) -> None:
    said = model.suggest(text)

    assert all(text[why.start : why.end] == why.words for one in said for why in one.reasons)


@given(st.text(max_size=60))
def test_grams_are_the_runs_of_one_to_three_characters(text: str) -> None:
    read = folded(text)

    assert sorted(grams(read)) == sorted(read[a : a + n] for n in (1, 2, 3) for a in range(len(read) - n + 1))
    assert folded(read) == read or max(read) >= "\u0300"  # composing once may make a new pair to compose


def test_the_line_is_the_lowest_at_which_the_demanded_accuracy_holds() -> None:
    right = [True] * 90 + [False] * 10 + [True] * 20
    chances = [0.9] * 90 + [0.6] * 10 + [0.5] * 20

    assert line_for(right, chances, 0.97) == (0.9, 90 / 120)
    assert line_for(right, chances, 0.9) == (0.5, 1.0)
    assert line_for([False] * 50, [0.9] * 50, 0.97) == (NO_LINE, 0.0)


def test_macro_f1_counts_every_label_the_same() -> None:
    assert macro_f1(["a"] * 9 + ["b"], ["a"] * 10) == pytest.approx((18 / 19) / 2)
    assert measured([], [], [], accuracy=0.97).rows == 0
