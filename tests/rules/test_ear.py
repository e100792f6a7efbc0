"""The ear: what it may and may not do beside the lists' words, and what it makes of any text."""

from functools import cache

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing_rules.ear import MOST, SERVICES, UNIT, WINDOW, Ear, EarFault, Weights, bare, grams, load_weights
from routing_rules.loader import compile_rulebook, dump, restore
from routing_rules.match import rule
from routing_rules.ruling import Line, Ruling
from routing_rules.schema import BESIDE, HEARD
from tests.rules.shipped import MORNING, book, files, judge
from training.voices import Templates, corpus, digest

WEIGHTS = "ear/weights.tsv"


def shipped_ear() -> Ear:
    ear = book().ear
    assert ear is not None
    return ear


@cache
def weights_as_written() -> dict[str, list[int]]:
    lines = files()[WEIGHTS].decode().splitlines()[4:]
    return {line.split("\t")[0]: [int(each) for each in line.split("\t")[1:4]] for line in lines}


def with_ear(text: str, **changes: object) -> Ruling:
    """The ruling of the shipped lists with an ear of which something is changed."""
    weights = msgspec.structs.replace(shipped_ear().weights, **changes)
    held = msgspec.msgpack.decode(dump(book()))
    held[-1] = weights
    return rule(
        text,
        book=restore(msgspec.msgpack.encode(held)),
        line=Line.hotline,
        division="630000",
        at=MORNING,
    )


def test_the_ear_was_taught_with_the_voices_that_lie_here() -> None:
    assert shipped_ear().weights.taught == digest(), "the voices have changed: make ear"


def test_the_ear_hears_danger_where_no_word_of_the_lists_speaks() -> None:
    ruling = judge("起搏器一直报警,人头晕眼黑")

    assert (ruling.item, ruling.platform, ruling.danger) == ("doubt.heard-ill", "120", True)
    assert ruling.evidence


def test_what_it_heard_is_shown_in_the_text_as_it_was_given() -> None:
    text = "起 搏 器 一直报警，人头晕眼黑！"
    ruling = judge(text)

    assert ruling.item == "doubt.heard-ill"
    assert [text[each.start : each.end] for each in ruling.evidence] == [e.words for e in ruling.evidence]
    assert all(each.fact == "heard-ill" for each in ruling.evidence)


LIVES = [
    (item.id, text)
    for item in book().sheet.items
    if item.tier == "gate" and not item.division
    for text in item.examples
    if not any("sheer-everyday" in line for line in item.unless)
]


@pytest.mark.parametrize(("item", "text"), LIVES, ids=[text[:20] for _, text in LIVES])
def test_no_ear_however_calm_silences_a_life_at_risk(item: str, text: str) -> None:
    assert with_ear(text, bias=(-MOST, -MOST, -MOST)).item == item


def test_an_ear_that_hears_danger_everywhere_never_takes_a_danger_from_the_service_of_its_words() -> None:
    for item, text in LIVES[::7]:
        assert with_ear(text, bias=(MOST, 0, 0)).item == item


def test_a_second_service_in_the_voice_is_told_beside_the_first() -> None:
    both = with_ear("有人在打架", bias=(3 * UNIT, 3 * UNIT, -MOST))

    assert both.platform == "110"
    assert {"119", "120"} & set(both.also)


@given(st.text(max_size=4 * WINDOW) | st.text(alphabet="火烟了救命人", max_size=4 * WINDOW))
def test_any_text_is_heard_and_the_packed_sum_is_the_sum(text: str) -> None:
    ear = shipped_ear()
    spoken = bare(text)
    heard = ear.hear(spoken)

    assert 0 <= heard.start <= heard.end <= len(spoken)
    assert sum(heard.shares()) == pytest.approx(1)
    assert set(ear.listen(text)) <= {*book().lexicon.numbers}
    if spoken and len(spoken) <= WINDOW:
        rows = weights_as_written()
        for n in range(len(SERVICES)):
            total = sum(rows[gram][n] for gram in grams(spoken) if gram in rows)
            wanted = total / UNIT / max(len(spoken), 4) ** 0.5 + ear.weights.bias[n] / UNIT
            assert heard.odds[n] == pytest.approx(wanted)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "。",
        "😀😀",
        "བོད་ཡིག",
        "火" * 3_000,
        "救命" * 500_000,
        "\x00\ud800",
        "<b>着火</b>" * 1_000,
        "a" * 90,
    ],
    ids=["empty", "sign", "emoji", "tibetan", "repeat", "megabyte", "broken", "markup", "latin"],
)
def test_odd_texts_are_heard_in_bounded_time(text: str) -> None:
    assert isinstance(judge(text).danger, bool)


def test_danger_in_the_middle_of_a_long_speech_is_heard() -> None:
    talk = "我先跟你说我们家的情况,我住在城东区,搬来三年了,平时也不爱麻烦政府,"
    text = (
        talk
        + "刚才我进屋看我老伴靠在炕上叫他不应手脚冰凉脸都灰了,"
        + "我们小区物业的电话你们有吧,给登记一下。"
    )

    assert judge(text).danger


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: b"\xff" + data, "not UTF-8"),
        (lambda data: data.replace(b"liandong-ear-1", b"another-ear-9", 1), "expected 'liandong-ear-1'"),
        (lambda data: data[:-1], "cut off"),
        (lambda data: data + b"abc\t1\t2\t3\t4\t5\t6\n", "expected a gram"),
        (lambda data: data + "火\t1\t2\n".encode(), "six weights"),
        (lambda data: data + "火\t99999\t0\t0\t0\t0\t0\n".encode(), "up to ±4000"),
        (lambda data: data.replace(b"\nbars\t", b"\nbeams\t", 1), "bars"),
    ],
)
def test_weights_that_cannot_be_used_are_refused_with_their_fault(spoil: object, words: str) -> None:
    assert callable(spoil)
    data = spoil(files()[WEIGHTS])

    with pytest.raises(EarFault, match=words):
        load_weights(data)
    with pytest.raises(ExceptionGroup) as refused:
        compile_rulebook({**files(), WEIGHTS: data})
    assert any("weights" in str(fault) for fault in refused.value.exceptions)


def test_the_weights_are_part_of_the_version_and_of_the_cache() -> None:
    lists = {name: data for name, data in files().items() if name != WEIGHTS}

    assert compile_rulebook(lists).digest != book().digest
    assert compile_rulebook(lists).ear is None
    again = restore(dump(book())).ear
    assert again is not None
    assert again.weights == shipped_ear().weights
    assert isinstance(again.weights, Weights)


def test_templates_are_filled_the_same_way_each_time_and_completely() -> None:
    line = "{child}(掉进|摔进)(井里|沟里)(了)?"

    made = Templates().texts(line)
    assert made == Templates().texts(line)
    assert len(made) > 20
    assert not any(sign in text for text in made for sign in "(){}|?")


def test_every_voice_names_lines_that_exist_and_leaves_no_gap_open() -> None:
    templates = Templates()
    for voice in corpus():
        assert set(voice.platforms) <= {"110", "119", "120", "122", "12345", "other", "none"}
        assert not voice.danger or set(voice.platforms) <= {"110", "119", "120", "122"}
        for line in voice.lines():
            assert not any(sign in text for text in templates.texts(line)[:3] for sign in "{}|"), line


def test_the_names_of_situations_and_services_go_together() -> None:
    assert len(HEARD) == len(BESIDE) == len(SERVICES)
