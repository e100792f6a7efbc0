"""How alike texts are: MinHash follows the true share of common shingles, and near texts meet in a band."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from routing_rules.similar import BINS, bands, groups, likeness, shingles, signature

STREET = "人民路和建设街交叉口路灯坏了三天没人修,晚上骑车看不见路,麻烦尽快派人来看一下"


def test_a_text_is_wholly_like_itself_and_a_stranger_hardly() -> None:
    other = "幼儿园周六不给开门还要收费,打电话没人接,想问一下归哪个部门管,什么时候能退"

    assert likeness(signature(STREET), signature(STREET)) == 1
    assert likeness(signature(STREET), signature(STREET.replace("路", " 路 "))) == 1
    assert likeness(signature(STREET), signature(other)) < 0.1
    assert likeness((), signature(STREET)) == 0


def test_the_estimate_follows_the_true_share_of_common_shingles() -> None:
    for cut in range(12, len(STREET), 4):
        one, other = shingles(STREET), shingles(STREET[:cut])
        true = len(one & other) / len(one | other)
        assert abs(likeness(signature(STREET), signature(STREET[:cut])) - true) < 0.25


def test_near_texts_meet_in_a_band() -> None:
    worded = STREET.replace("三天", "四天")

    assert set(bands(signature(STREET))) & set(bands(signature(worded)))
    assert len(set(bands(signature(STREET)))) == BINS // 4


def test_texts_that_are_alike_over_others_are_one_group() -> None:
    chain = [STREET, STREET[:-4] + "谢谢你们", "你好" + STREET[:-4] + "谢谢你们", "完全不同的一句话"]

    found = groups(chain)

    assert found[0] == found[1] == found[2] != found[3]


@given(st.lists(st.text(max_size=80), max_size=8))
def test_any_texts_have_groups_and_equal_ones_the_same(texts: list[str]) -> None:
    found = groups([*texts, *texts])

    for n, text in enumerate(texts):
        if signature(text):
            assert found[n] == found[n + len(texts)]
