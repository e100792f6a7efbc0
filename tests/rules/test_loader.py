"""Lists that are wrong are refused with every fault named; those that are right keep their digest."""

import pickle

import pytest

from routing_rules.loader import compile_rulebook, dump, restore
from routing_rules.schema import RuleFault
from tests.rules.shipped import MORNING, book, files, judge

LAST = """
[list]
layer = "national"
source = "own"
dated = 2026-01-01
[[item]]
id = "last"
title = "其他"
priority = 1
tier = "last"
clause = "12345(6)"
platform = "12345"
basis = "clause"
"""


def faults(**lists: str) -> list[RuleFault]:
    with pytest.raises(ExceptionGroup) as refused:
        compile_rulebook({f"{name}.toml": text.encode() for name, text in lists.items()})
    return [fault for fault in refused.value.exceptions if isinstance(fault, RuleFault)]


def test_every_fault_of_a_row_is_named_at_once() -> None:
    found = faults(
        a=LAST
        + '[[item]]\nid = "x"\ntitle = 3\npriority = "high"\ntier = "gate"\nclause = "1"\nplatfrom = "110"\n'
    )

    assert {(fault.field, fault.where.split()[-1]) for fault in found} == {
        ("title", "x"),
        ("priority", "x"),
        ("platfrom", "x"),
        ("platform", "x"),
    }


def test_faults_between_rows_are_named_at_once() -> None:
    item = """
[[item]]
id = "last"
title = "甲"
priority = 1
tier = "gate"
clause = "110(1)"
platform = "12345"
owners = ["moon"]
when = ["nothing-like-this", "odd:fire"]
overrides = ["nobody"]
"""
    found = faults(a=LAST + item)

    assert {fault.field for fault in found} == {"owners", "source", "platform", "when", "id", "overrides"}


def test_a_pattern_that_explodes_is_refused() -> None:
    word = "(一|二|三|四|五|六|七|八|九|十)" * 5
    found = faults(a=LAST, b=f'[concept.wide]\nwords = ["{word}"]\n')

    assert [fault.field for fault in found] == ["words"]
    assert "100000" in found[0].remedy


@pytest.mark.parametrize("word", ["(a|b", "a|b", "(|)", "((a|b)c)", ""])
def test_a_malformed_pattern_is_refused(word: str) -> None:
    assert [fault.field for fault in faults(a=LAST, b=f'[concept.odd]\nwords = ["{word}"]\n')] == ["words"]


def test_broken_syntax_and_encoding_are_faults_of_their_files_only() -> None:
    with pytest.raises(ExceptionGroup) as refused:
        compile_rulebook({"a.toml": b"x = ", "b.toml": b"\xff\xfe", "c.toml": LAST.encode()})

    assert {str(fault).split(":")[0] for fault in refused.value.exceptions} == {"a.toml", "b.toml"}


def test_a_book_without_catch_all_is_refused() -> None:
    assert [fault.field for fault in faults(a='[concept.a]\nwords = ["甲"]\n')] == ["tier"]


def test_two_items_of_a_tier_may_not_share_a_priority() -> None:
    pair = """
[concept.jia]
words = ["甲"]
[[item]]
id = "one"
title = "甲"
priority = 5
tier = "gate"
clause = "110(1)"
platform = "110"
basis = "clause"
when = ["jia"]
"""
    found = faults(a=LAST + pair + pair[pair.index("[[item]]") :].replace('"one"', '"two"'))

    assert [fault.field for fault in found] == ["priority"]


def test_the_digest_is_of_the_content_and_not_of_comments_or_file_names() -> None:
    one = compile_rulebook({"a.toml": LAST.encode()})
    same = compile_rulebook({"z.toml": ("# a remark\n" + LAST).encode()})
    other = compile_rulebook({"a.toml": LAST.replace("其他", "其它").encode()})

    assert one.digest == same.digest
    assert one.digest != other.digest


def test_a_restored_book_and_a_pickled_one_rule_alike() -> None:
    twin = restore(dump(book()))
    third = pickle.loads(pickle.dumps(book()))

    assert twin.digest == third.digest == book().digest == compile_rulebook(files()).digest
    assert judge("厨房着火了", at=MORNING).item == "gate.fire"
    assert twin.lexicon.patterns == book().lexicon.patterns


def test_words_that_together_stand_for_too_much_are_refused_where_they_do() -> None:
    word = "(一|二|三|四|五|六|七|八|九|十)" * 3
    wide = "\n".join(f'[concept.wide{n:03}]\nwords = ["{word}{n:03}"]' for n in range(700))
    found = faults(a=LAST, b=wide)

    assert [(fault.field, fault.value) for fault in found] == [("words", f"{word}600")]


def test_a_control_character_in_a_word_is_refused() -> None:
    found = faults(a=LAST, b='[concept.odd]\nwords = ["打\\u001f人"]\n')

    assert [fault.field for fault in found] == ["words"]
