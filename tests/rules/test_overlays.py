"""A division's list adds, overrides and narrows; the ruling says which layer decided; what cannot be is refused."""

import datetime as dt

from routing_rules.loader import Rulebook, compile_rulebook
from routing_rules.match import rule
from routing_rules.ruling import Line, Ruling
from tests.rules.test_loader import LAST, faults

AT = dt.datetime(2026, 3, 10, 10, tzinfo=dt.timezone(dt.timedelta(hours=8)))
PROVINCE = """
[[item]]
id = "lamp"
title = "路灯"
priority = 10
tier = "ordinary"
clause = "12345(2)"
platform = "12345"
owners = ["urban-management"]
basis = "clause"
words = ["路灯", "灯杆"]
guidance = "省里的说法"
[concept.village]
words = ["村"]
plain = true
"""
CITY = """
[list]
layer = "city"
division = "6301"
source = "市里的文件"
dated = 2026-02-01
"""


def overlay(rows: str, head: str = CITY) -> Rulebook:
    return compile_rulebook({"a.toml": (LAST + PROVINCE).encode(), "b.toml": (head + rows).encode()})


def ruled(book: Rulebook, text: str, division: str) -> Ruling:
    return rule(text, book=book, line=Line.hotline, division=division, at=AT)


def test_an_override_takes_what_it_does_not_say_from_its_base() -> None:
    book = overlay('[[item]]\nid = "city.lamp"\nbase = "lamp"\nowners = ["power"]\n')
    here, elsewhere = (ruled(book, "路灯不亮", division) for division in ("630104", "632500"))

    assert (here.item, here.layer, here.owners) == ("city.lamp", "city", ("power",))
    assert (here.guidance, here.category, here.platform) == ("省里的说法", elsewhere.category, "12345")
    assert (elsewhere.item, elsewhere.layer, elsewhere.owners) == ("lamp", "national", ("urban-management",))
    assert next(item for item in book.sheet.items if item.id == "city.lamp").source == "市里的文件"


def test_a_narrowed_item_is_silent_where_its_own_condition_fails() -> None:
    book = overlay('[[item]]\nid = "city.lamp"\nbase = "lamp"\nonly = ["village"]\n')

    assert ruled(book, "村里的路灯不亮", "630104").item == "city.lamp"
    assert ruled(book, "街上的路灯不亮", "630104").item == "last"
    assert ruled(book, "街上的路灯不亮", "632500").item == "lamp"


def test_an_exception_is_added_to_those_of_the_base() -> None:
    book = overlay('[[item]]\nid = "city.lamp"\nbase = "lamp"\nunless = ["village"]\n')

    assert ruled(book, "街上的路灯不亮", "630104").item == "city.lamp"
    assert ruled(book, "村里的路灯不亮", "630104").item == "last"


def test_own_words_stand_in_the_place_of_the_words_of_the_base() -> None:
    book = overlay('[[item]]\nid = "city.lamp"\nbase = "lamp"\nwords = ["街灯"]\n')

    assert ruled(book, "街灯不亮", "630104").item == "city.lamp"
    assert ruled(book, "路灯不亮", "630104").item == "last"
    assert ruled(book, "街灯不亮", "632500").item == "last"


def test_a_county_lies_over_its_prefecture() -> None:
    county = CITY.replace('"city"', '"county"').replace('"6301"', '"630104"')
    book = compile_rulebook(
        {
            "a.toml": (LAST + PROVINCE).encode(),
            "b.toml": (CITY + '[[item]]\nid = "city.lamp"\nbase = "lamp"\nowners = ["power"]\n').encode(),
            "c.toml": (
                county + '[[item]]\nid = "county.lamp"\nbase = "city.lamp"\nguidance = "县"\n'
            ).encode(),
        }
    )

    found = {division: ruled(book, "路灯不亮", division) for division in ("630104", "630105", "632521")}

    assert {division: each.item for division, each in found.items()} == {
        "630104": "county.lamp",
        "630105": "city.lamp",
        "632521": "lamp",
    }
    assert (found["630104"].owners, found["630104"].guidance) == (("power",), "县")


def test_an_overlay_whose_time_is_over_gives_the_word_back_to_its_base() -> None:
    book = overlay('[[item]]\nid = "city.lamp"\nbase = "lamp"\nowners = ["power"]\nuntil = 2026-03-09\n')

    assert ruled(book, "路灯不亮", "630104").item == "lamp"


def test_bases_in_a_circle_and_missing_bases_are_refused_together() -> None:
    rows = "".join(
        f'[[item]]\nid = "{name}"\nbase = "{base}"\n'
        for name, base in (("one", "two"), ("two", "one"), ("odd", "x"))
    )
    found = faults(a=LAST + PROVINCE, b=CITY + rows)

    assert {(fault.field, fault.where.split()[-1]) for fault in found} == {
        ("base", "one"),
        ("base", "two"),
        ("base", "odd"),
    }


def test_items_that_silence_each_other_in_a_circle_are_refused() -> None:
    row = PROVINCE[: PROVINCE.index("[concept")]
    twin = row.replace('"lamp"', '"twin"').replace("10", "11").replace("灯杆", "灯泡")
    found = faults(a=LAST + row + 'overrides = ["twin"]\n' + twin + 'overrides = ["lamp"]\n')

    assert [fault.field for fault in found] == ["overrides"]
    assert "lamp → twin → lamp" in str(found[0])


def test_an_overlay_may_not_reach_beyond_its_division() -> None:
    other = CITY.replace('"6301"', '"6325"').replace('"city"', '"other"')
    found = faults(
        a=LAST + PROVINCE,
        b=CITY + '[[item]]\nid = "city.lamp"\nbase = "lamp"\n',
        c=other + '[[item]]\nid = "other.lamp"\nbase = "city.lamp"\n',
    )

    assert [(fault.field, fault.value) for fault in found] == [("overrides", "city.lamp")]


def test_impossible_divisions_dates_and_conditions_are_named_at_once() -> None:
    head = CITY.replace('"6301"', '"63o1"')
    rows = '[[item]]\nid = "city.lamp"\nbase = "lamp"\nuntil = 2026-01-01\n'
    row = PROVINCE[: PROVINCE.index("[concept")].replace('"lamp"', '"lone"').replace("10", "12")
    found = faults(a=LAST + PROVINCE, b=head + rows, c=CITY + row + 'only = ["village"]\n')

    assert [fault.field for fault in found] == ["division"]  # what a file says wrongly comes first
    found = faults(a=LAST + PROVINCE, b=CITY + rows, c=CITY + row + 'only = ["village"]\n')
    assert {fault.field for fault in found} == {"until", "only"}


def test_the_shipped_overlay_speaks_in_its_prefecture_only() -> None:
    from tests.rules.shipped import judge

    here, beside = (judge("网购的鞋子开胶,商家不给退货", division=code) for code in ("632521", "632621"))

    assert (here.item, here.layer) == ("hainan.consumer", "hainan")
    assert (beside.item, beside.layer) == ("hotline.consumer", "qinghai")
    assert "12315" in here.guidance
