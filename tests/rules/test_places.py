"""Where a text says that something happens: spans, the best division, names, superiors, area codes, bad files."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing_rules.places import Places, Precision, UnknownDivision, compile_places
from routing_rules.strict import DataFault

DATA = Path(__file__).parents[2] / "routing_rules" / "data" / "places"
FILES = {path.name: path.read_bytes() for path in DATA.glob("*.toml")}
PLACES = compile_places(FILES)

XINING = "630100"


@pytest.mark.parametrize(
    ("text", "division"),
    [
        ("我家在西宁市城东区,楼上漏水", "630102"),
        ("城东这边停水两天了", "630102"),
        ("海南州共和县的路灯不亮", "632521"),
        ("海南的牧民反映草场被占", "632500"),
        ("海南省三亚的酒店不退钱", "460000"),
        ("在兰州火车站被骗了", "620100"),
        ("海东平安的路坑坑洼洼", "630203"),
        ("湟中县上新庄的水渠堵了", "630106"),
        ("同仁县的学校", "632301"),
        ("河南县宁木特的牧场断电", "632324"),
        ("黄南河南的草场", "632324"),
        ("玛多花石峡雪大,车走不动", "632626"),
        ("我在央隆的夏季草场,牛被偷了", "632222"),
        ("格尔木一个工地欠薪", "632801"),
        ("我在巴塘草原放牛,围栏被人剪了", "632701"),
        ("莫河骆驼场的水井坏了", "632821"),
        ("湟源街上的积雪没人扫", "630123"),
        ("在湟源超市买到过期牛奶", "630123"),
        ("大通煤场夜里装车", "630121"),
        ("刚察青海湖边上有人落水", "632224"),
    ],
)
def test_the_division_is_read_from_the_words_of_the_text(text: str, division: str) -> None:
    assert PLACES.best(text, XINING) == division


@pytest.mark.parametrize(
    "text",
    [
        "",
        "我们平安到家了,谢谢",
        "现在平安了",
        "大家互助一下",
        "中华人民共和国消费者权益保护法",
        "这个病久治不愈",
        "要从部门源头治理",
        "祁连路的下水道堵了",
        "我是四川人,来打工的",
        "手机归属地是青岛",
        "归属地青海果洛的号码一直骚扰我",
        "车牌是甘肃的",
        "阿里巴巴上买的货",
        "北京时间早上八点",
        "G6次列车晚点了",
        "同心同德搞建设",
        "车往格尔木方向跑了",
        "广大市民和商户都有意见",
        "住在城中村的租户",
        "多巴胺穿搭的店退货难",
        "G6栋的电梯坏了",
        "化隆拉面馆用的油不好",
        "孩子在北京上学,奖学金迟迟不到账",
        "我常年在广州打工,家里的地被占了",
        "老板的公司在合同上写的是深圳市南山区",
    ],
)
def test_words_that_only_look_like_a_place_leave_the_platforms_own_division(text: str) -> None:
    assert PLACES.best(text, XINING) == XINING


def test_a_mobiles_home_area_is_never_the_place() -> None:
    assert PLACES.best("这个手机归属地是青岛,我人在玉树", XINING) == "632700"
    assert PLACES.area_code("13997000000") == ""
    assert PLACES.area_code("013997000000") == ""


@pytest.mark.parametrize(
    ("text", "division", "kilometre", "direction"),
    [
        ("京藏高速K1748往兰州方向追尾了", "630202", 1748, "兰州"),
        ("G109国道2900公里处翻车", "632801", 2900, ""),
        ("在109线1800公里的地方爆胎", "630222", 1800, ""),
    ],
)
def test_a_road_with_a_kilometre_stone_gives_the_division_and_the_direction(
    text: str, division: str, kilometre: int, direction: str
) -> None:
    span = PLACES.find(text)[-1]

    assert (span.division, span.kilometre, span.direction) == (division, kilometre, direction)
    assert span.precision is Precision.KILOMETRE


def test_a_kilometre_between_two_known_stretches_gives_only_the_prefecture() -> None:
    assert PLACES.best("京藏高速K1770有落石", XINING) == "630200"


@pytest.mark.parametrize("text", ["京藏高速限速120公里太低了", "京藏高速上还有300公里才到"])
def test_a_speed_limit_or_a_distance_is_no_kilometre_stone(text: str) -> None:
    assert [span.kilometre for span in PLACES.find(text)] == [None]


def test_a_shared_landmark_is_settled_by_the_text_then_by_the_platform_then_left_open() -> None:
    assert PLACES.best("海晏青海湖边垃圾没人管", XINING) == "632223"
    assert PLACES.best("青海湖边垃圾没人管", "632500") == "632521"
    assert PLACES.best("青海湖边垃圾没人管", XINING) == "630000"


def test_every_span_lies_in_the_text_it_was_read_from() -> None:
    text = "我在西宁市城西区虎台,京藏高速K1820有落石,海南州也有"

    spans = PLACES.find(text)

    assert [text[span.start : span.end] for span in spans] == [span.words for span in spans]
    assert [span.words for span in spans] == ["西宁市", "城西区", "虎台", "京藏高速", "海南州"]


def test_a_very_long_text_is_read_at_both_ends_with_right_offsets() -> None:
    text = "湟源" + "啊" * 1_000_000 + "在格尔木"

    spans = PLACES.find(text)

    assert [(text[s.start : s.end], s.division) for s in spans] == [("湟源", "630123"), ("格尔木", "632801")]


@given(st.text(max_size=300))
def test_any_text_gives_spans_inside_it_and_a_known_division(text: str) -> None:
    for span in PLACES.find(text):
        assert text[span.start : span.end] == span.words
    assert PLACES.knows(PLACES.best(text, XINING))


WORDS = st.sampled_from(
    ["在", "西宁", "城东", "海南", "河南", "青海湖", "G6", "K1800", "方向", "人", "路", "平安", "兰州", "。"]
)


@given(st.lists(WORDS, max_size=12))
def test_any_heap_of_place_words_gives_a_known_division(words: list[str]) -> None:
    assert PLACES.knows(PLACES.best("".join(words), XINING))


def test_qinghai_has_eight_prefectures_and_forty_five_county_level_divisions() -> None:
    prefectures = PLACES.prefectures()

    assert [PLACES.name(code)[:2] for code in prefectures] == [
        "西宁",
        "海东",
        "海北",
        "黄南",
        "海南",
        "果洛",
        "玉树",
        "海西",
    ]
    # 44 counties, districts and cities of GB/T 2260 and the Dachaidan administrative committee
    assert sum(len(PLACES.counties(code)) for code in prefectures) == 45


def test_a_chain_climbs_from_the_county_to_the_province() -> None:
    assert PLACES.chain("630102") == ("630102", "630100", "630000")
    assert PLACES.chain("632700") == ("632700", "630000")
    assert PLACES.chain("630000") == ("630000",)
    assert PLACES.chain("630102001002") == ("630102", "630100", "630000")
    assert PLACES.chain("429004") == ("429004", "420000")
    assert PLACES.full_name("632801") == "青海省海西蒙古族藏族自治州格尔木市"


def test_a_former_code_leads_to_its_heir() -> None:
    assert PLACES.name("630122") == "湟中区"
    assert PLACES.name("632321") == "同仁市"


@pytest.mark.parametrize("code", ["", "63", "639999", "6301021", "abcdef", "海东"])
def test_an_unknown_code_is_refused_with_field_value_and_remedy(code: str) -> None:
    assert not PLACES.knows(code)
    with pytest.raises(UnknownDivision) as refused:
        PLACES.chain(code)
    assert (refused.value.field, refused.value.value) == ("division", code)
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("digits", "division"),
    [
        ("0971", "630100"),
        ("0979", "632801"),
        ("0977", "632800"),
        ("09715550100", "630100"),
        ("+86 971 5550100", "630100"),
        ("010", "110000"),
        ("0931-5550100", "620100"),
        ("024", "210100"),
        ("110", ""),
        ("5550100", ""),
        ("", ""),
        ("09", ""),
    ],
)
def test_an_area_code_gives_its_division(digits: str, division: str) -> None:
    assert PLACES.area_code(digits) == division


def test_every_home_division_and_every_mainland_province_has_an_area_code() -> None:
    assert PLACES.phone_area("630102") == "0971"
    assert PLACES.phone_area("632801") == "0979"
    assert PLACES.phone_area("632802") == "0977"
    assert PLACES.phone_area("620000") == "0931"
    for prefecture in PLACES.prefectures():
        assert all(PLACES.phone_area(county) for county in PLACES.counties(prefecture))


def faults_of(files: Mapping[str, bytes]) -> list[DataFault]:
    with pytest.raises(ExceptionGroup) as refused:
        compile_places(files)
    faults = refused.value.exceptions
    assert all(isinstance(fault, DataFault) and fault.remedy for fault in faults)
    return [fault for fault in faults if isinstance(fault, DataFault)]


def test_a_bad_file_is_refused_with_every_fault_at_once() -> None:
    bad = """
schema = "places-0"
home = "630000"
surprise = 1
[[division]]
code = "63010"
name = "甲"
short = "甲市"
colour = "red"
[[division]]
code = "630102"
name = "城东区"
short = "城东区"
area = "971"
[[place]]
kind = "moon"
words = ["月亮湾"]
division = "639900"
[[road]]
words = ["某高速"]
division = "630102"
segments = ["10-5 630102", "1-20 630102", "15-30 630102"]
[[ambiguous]]
word = "某地"
divisions = ["630102"]
[[not_place]]
words = ["城东区"]
"""

    fields = {(fault.field, str(fault.value)) for fault in faults_of({"bad.toml": bad.encode()})}

    assert fields >= {
        ("schema", "['places-0']"),
        ("surprise", "…"),
        ("colour", "red"),
        ("home", "630000"),
        ("area", "971"),
        ("kind", "moon"),
        ("division", "639900"),
        ("segments", "10-5 630102"),
        ("segments", "15-30"),
        ("divisions", "('630102',)"),
        ("word", "城东区"),
        ("code", "630102"),
    }


@pytest.mark.parametrize("content", [b"\xff\xfe", b"home = ", b"home = 5\nschema = 1"])
def test_a_file_that_is_no_toml_of_this_kind_is_named(content: bytes) -> None:
    faults = faults_of({**FILES, "odd.toml": content})

    assert all(fault.where.startswith("odd.toml") for fault in faults)


def test_a_division_listed_twice_is_refused() -> None:
    twice = b'schema = "places-1"\n[[division]]\ncode = "630102"\nname = "x1"\nshort = "x2"\n'

    assert [(f.field, f.value) for f in faults_of({**FILES, "zz.toml": twice})] == [("code", "630102")]


def test_places_are_the_same_however_often_they_are_compiled() -> None:
    again: Places = compile_places(dict(reversed(list(FILES.items()))))

    assert again.find("在海南州共和县倒淌河") == PLACES.find("在海南州共和县倒淌河")
