"""Units: codes by the standards, the tree, who answers where, who is on duty, bad files, the demonstration's units."""

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing_rules.demo import demo_organisation
from routing_rules.organisation import (
    KINDS,
    Rank,
    UnknownUnit,
    compile_organisation,
    faults_of_units,
)
from routing_rules.places import compile_places
from routing_rules.strict import DataFault
from routing_rules.unit_codes import body_check, division_code_fault, unit_code, unit_code_fault

DATA = Path(__file__).parents[2] / "routing_rules" / "data"
PLACES = compile_places({path.name: path.read_bytes() for path in (DATA / "places").glob("*.toml")})
FILES = {path.name: path.read_bytes() for path in (DATA / "organisation").glob("*.toml")}
EXAMPLE = compile_organisation(FILES, PLACES)
DEMO = demo_organisation(PLACES)

PROVINCE, CITY, COUNTY, SECTION = (unit.code for unit in EXAMPLE.units())
COUNTIES = [code for prefecture in PLACES.prefectures() for code in PLACES.counties(prefecture)]


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+08:00")


def test_the_worked_examples_of_the_standards_have_the_check_characters_they_print() -> None:
    assert body_check("D2143569") == "X"  # GB 11714-1997
    assert unit_code_fault("91350100M000100Y43") == ""  # GB 32100-2015


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("", "0 characters"),
        ("91350100M000100Y4", "17 characters"),
        ("91350100M000100Y44", "check character is 3"),
        ("91350100M000100Y4O", "holds O"),
        ("91350100m000100y43", "holds my"),
        ("B1350100M000100Y43", "begins with B1"),
        ("94350100M000100Y43", "begins with 94"),
        ("91990100M000100Y43", "begins with 99, which is no province"),
    ],
)
def test_a_wrong_unit_code_is_refused_with_what_is_wrong(code: str, fault: str) -> None:
    assert fault in unit_code_fault(code)


SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"


@given(st.text(alphabet=SIGNS, min_size=8, max_size=8), st.integers(8, 17), st.sampled_from(SIGNS))
def test_every_mistyped_character_is_found(body: str, place: int, sign: str) -> None:
    code = unit_code("11", "630102", body)
    mistyped = code[:place] + sign + code[place + 1 :]

    assert unit_code_fault(code) == ""
    assert (unit_code_fault(mistyped) == "") is (mistyped == code)


@pytest.mark.parametrize("code", ["630102", "630000", "630102001", "630102001002", "100000"])
def test_division_codes_of_six_nine_or_twelve_digits_are_well_formed(code: str) -> None:
    assert division_code_fault(code) == ""


@pytest.mark.parametrize("code", ["", "63010", "6301020", "630002", "990000", "63010a", "６３０１０２"])
def test_other_division_codes_are_refused(code: str) -> None:
    assert "GB/T 2260" in division_code_fault(code)


def test_a_unit_is_found_for_its_own_division_and_for_those_below() -> None:
    resolved = [
        EXAMPLE.resolve("housing", code) for code in ("630106", "630106002", "630102", "632801", "630122")
    ]

    assert [unit and unit.code for unit in resolved] == [COUNTY, COUNTY, CITY, PROVINCE, COUNTY]


def test_nobody_is_resolved_for_an_unknown_kind_or_place_or_another_province() -> None:
    assert EXAMPLE.resolve("heating", "630106") is None
    assert EXAMPLE.resolve("housing", "nowhere") is None
    assert EXAMPLE.resolve("housing", "620100") is None


def test_the_tree_goes_down_and_the_superior_up() -> None:
    assert [unit.code for unit in EXAMPLE.tree(CITY)] == [CITY, COUNTY, SECTION]
    assert [unit.code for unit in EXAMPLE.children(PROVINCE)] == [CITY]
    assert EXAMPLE.superior(PROVINCE) is None
    assert EXAMPLE.is_below(SECTION, CITY)
    assert not EXAMPLE.is_below(CITY, CITY)
    assert not EXAMPLE.is_below(CITY, SECTION)


def test_an_unknown_unit_is_refused_with_field_value_and_remedy() -> None:
    for ask in (EXAMPLE.unit, EXAMPLE.superior, EXAMPLE.tree, EXAMPLE.children):
        with pytest.raises(UnknownUnit) as refused:
            ask("nobody")
        assert (refused.value.field, refused.value.value) == ("unit", "nobody")


@pytest.mark.parametrize(
    ("unit", "when", "whose", "phone"),
    [
        (COUNTY, "2026-03-02T08:29:59", COUNTY, "0971-5559029"),
        (COUNTY, "2026-03-02T08:30:00", COUNTY, "0971-5559020"),
        (COUNTY, "2026-03-02T17:30:00", COUNTY, "0971-5559029"),
        (SECTION, "2026-03-02T10:00:00", SECTION, "0971-5559030"),
        (SECTION, "2026-03-02T23:00:00", COUNTY, "0971-5559029"),
        (CITY, "2026-03-02T03:00:00", CITY, "0971-5559010"),
    ],
)
def test_out_of_hours_the_night_phone_answers_else_the_superiors(
    unit: str, when: str, whose: str, phone: str
) -> None:
    duty = EXAMPLE.on_duty(unit, at(when))

    assert (duty.unit, duty.phone) == (whose, phone)


def test_leaders_take_turns_by_the_week_from_monday() -> None:
    days = [at(f"2026-03-{day:02d}T12:00:00") for day in range(2, 23)]  # three weeks from a Monday

    leaders = [EXAMPLE.on_duty(CITY, day).leader for day in days]

    assert len(set(leaders[:7])) == len(set(leaders[7:14])) == 1
    assert leaders[0] != leaders[7]
    assert leaders[0] == leaders[14]


def test_an_instant_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        EXAMPLE.on_duty(CITY, at("2026-03-02T12:00:00").replace(tzinfo=None))


def test_a_bad_file_is_refused_with_every_fault_at_once() -> None:
    good = FILES["example.toml"].decode()
    mistyped = CITY[:-1] + ("0" if CITY[-1] != "0" else "1")
    bad = (
        good.replace(f'parent = "{PROVINCE}"', f'parent = "{SECTION}"')  # a circle
        .replace(f'code = "{COUNTY}"', f'code = "{mistyped}"')  # a wrong check, and an orphaned section
        .replace('kind = "housing"\ndivision = "630000"', 'kind = "castles"\ndivision = "639999"')
        .replace('hours = "08:30-17:30"\nnight', 'hours = "always"\nnight')
        .replace('rank = "section"', 'rank = "emperor"\ncolour = "red"')
    )

    with pytest.raises(ExceptionGroup) as refused:
        compile_organisation({"bad.toml": bad.encode()}, PLACES)

    found = {(f.field, f.value) for f in refused.value.exceptions if isinstance(f, DataFault)}
    assert found >= {
        ("parent", SECTION),
        ("code", mistyped),
        ("kind", "castles"),
        ("division", "639999"),
        ("roster.hours", "always"),
        ("rank", "emperor"),
        ("colour", "red"),
    }


def unit_row(
    code: str, name: str, division: str, more: str = "", people: str = '{ name = "a", phone = "1" }'
) -> str:
    return (
        f'[[unit]]\ncode = "{code}"\nname = "{name}"\nkind = "water"\ndivision = "{division}"\n{more}\n'
        f'[unit.roster]\nphone = "1"\nleaders = [{people}]\ndeputies = [{{ name = "b", phone = "2" }}]\n'
    )


A, B = unit_code("11", "630102", "DEM99001"), unit_code("11", "630100", "DEM99002")


@pytest.mark.parametrize(
    ("rows", "field", "value"),
    [
        (unit_row(A, "甲", "630102") + unit_row(A, "乙", "630103"), "code", A),
        (unit_row(A, "甲", "630102") + unit_row(B, "乙", "630102"), "kind", "water"),
        (unit_row(A, "甲", "630102", f'parent = "{B}"') + unit_row(B, "乙", "630102001"), "kind", "water"),
        (unit_row(A, "甲", "630100", f'parent = "{B}"') + unit_row(B, "乙", "630102"), "parent", B),
        (unit_row(A, "甲", "630102", 'rank = "station"'), "parent", ""),
        (unit_row(A, "甲", "630102", f'parent = "{A}"'), "parent", A),
        (unit_row(A, "甲", "630102", people=""), "roster.leaders", []),
        (unit_row(A, "甲", "630102", people='{ name = "无号", phone = "" }'), "roster.leaders", "无号"),
    ],
)
def test_a_unit_that_breaks_the_tree_or_the_roster_is_refused(rows: str, field: str, value: object) -> None:
    with pytest.raises(ExceptionGroup) as refused:
        compile_organisation({"u.toml": f'schema = "organisation-1"\n{rows}'.encode()}, PLACES)

    assert (field, value) in [
        (f.field, f.value) for f in refused.value.exceptions if isinstance(f, DataFault)
    ]


def test_the_demonstrations_organisation_has_no_fault() -> None:
    assert faults_of_units([(unit.name, unit) for unit in DEMO.units()], PLACES) == []


def test_the_demonstrations_organisation_is_the_same_on_every_build() -> None:
    assert demo_organisation(PLACES).digest() == DEMO.digest()
    assert DEMO.digest() != EXAMPLE.digest()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_owner_answers_everywhere_in_the_demonstration(kind: str) -> None:
    for code in ("630000", *PLACES.prefectures()):
        unit = DEMO.resolve(kind, code)
        assert unit is not None
        assert (unit.division, unit.rank) == (code, Rank.DEPARTMENT)
    for code in COUNTIES:
        unit = DEMO.resolve(kind, code)
        assert unit is not None
        assert unit.division in PLACES.chain(code)


def test_an_order_can_be_passed_down_from_city_to_county_to_section_to_township() -> None:
    city = DEMO.resolve("housing", "630100")
    assert city is not None

    ranks = {unit.rank for unit in DEMO.tree(city.code) if unit.division == "630106"}

    assert ranks == {Rank.DEPARTMENT, Rank.SECTION, Rank.STATION}
    station = next(unit for unit in DEMO.tree(city.code) if unit.rank is Rank.STATION)
    section = DEMO.superior(station.code)
    assert section is not None
    assert section.rank is Rank.SECTION


def test_every_demonstration_unit_but_the_provinces_government_has_a_superior() -> None:
    tops = [unit.name for unit in DEMO.units() if not unit.parent]

    assert tops == ["青海省人民政府"]


def test_every_demonstration_number_is_fictional_and_belongs_to_one_unit() -> None:
    phones = [
        phone
        for unit in DEMO.units()
        for phone in (
            unit.roster.phone,
            *(who.phone for who in (*unit.roster.leaders, *unit.roster.deputies)),
        )
    ]

    assert len(phones) == len(set(phones))
    assert all(phone.split("-")[1].startswith("555") and len(phone) == 12 for phone in phones)
