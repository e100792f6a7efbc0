"""Who answers which line, where and when; bad directory files."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing_rules.directory import LINES, Directory, UnknownLine, compile_directory
from routing_rules.places import compile_places
from routing_rules.strict import DataFault

DATA = Path(__file__).parents[2] / "routing_rules" / "data"
PLACES = compile_places({path.name: path.read_bytes() for path in (DATA / "places").glob("*.toml")})
FILES = {path.name: path.read_bytes() for path in (DATA / "directory").glob("*.toml")}
DIRECTORY = compile_directory(FILES, PLACES)

NOON = datetime.fromisoformat("2026-03-02T12:00:00+08:00")
NIGHT = datetime.fromisoformat("2026-03-02T23:30:00+08:00")


def with_exceptions(rows: str) -> Directory:
    return compile_directory({**FILES, "zz.toml": f'schema = "directory-1"\n{rows}'.encode()}, PLACES)


@pytest.mark.parametrize(
    ("line", "division", "platform"),
    [
        ("110", "630102", "110-630102"),
        ("110", "632801", "110-632801"),
        ("110", "630102001002", "110-630102"),
        ("110", "630122", "110-630106"),
        ("12345", "630102", "12345-630100"),
        ("12345", "632724", "12345-632700"),
        ("119", "632801", "119-632800"),
        ("120", "630222", "120-630200"),
        ("122", "632301", "122-632300"),
    ],
)
def test_a_known_place_is_answered_by_the_closest_platform_of_the_line(
    line: str, division: str, platform: str
) -> None:
    receiver = DIRECTORY.receiver(line, division, NOON)

    assert (receiver.platform_id, receiver.question, receiver.passed) == (platform, "", ())


def test_a_place_known_to_the_prefecture_goes_to_its_110_with_a_question_for_the_agent() -> None:
    receiver = DIRECTORY.receiver("110", "632700", NOON)

    assert receiver.platform_id == "110-632700"
    assert "哪个县" in receiver.question


def test_a_place_known_to_the_prefecture_is_close_enough_for_its_12345() -> None:
    receiver = DIRECTORY.receiver("12345", "632700", NOON)

    assert (receiver.platform_id, receiver.question) == ("12345-632700", "")


@pytest.mark.parametrize("division", ["", "630000", "999999", "不知道"])
def test_an_unknown_place_goes_to_the_provinces_12345_and_to_a_prefectures_110_with_a_question(
    division: str,
) -> None:
    hotline = DIRECTORY.receiver("12345", division, NOON)
    police = DIRECTORY.receiver("110", division, NOON)

    assert hotline.platform_id == "12345-630000"
    assert police.platform_id == "110-630100"
    assert hotline.question
    assert police.question


def test_an_unknown_county_of_a_known_prefecture_goes_to_the_prefecture() -> None:
    receiver = DIRECTORY.receiver("110", "632799", NOON)

    assert receiver.platform_id == "110-632700"
    assert receiver.question


@pytest.mark.parametrize(
    ("line", "division", "platform", "number", "asks"),
    [
        ("12345", "620100", "12345-620100", "0931-12345", False),
        ("110", "620102", "110-620100", "0931-110", False),
        ("110", "620000", "110-620000", "0931-110", True),
        ("120", "110000", "120-110000", "010-120", False),
    ],
)
def test_another_province_is_reached_by_its_area_code(
    line: str, division: str, platform: str, number: str, asks: bool
) -> None:
    receiver = DIRECTORY.receiver(line, division, NOON)

    assert (receiver.platform_id, receiver.number, bool(receiver.question)) == (platform, number, asks)


def test_a_region_without_area_code_stays_at_home_with_a_question() -> None:
    receiver = DIRECTORY.receiver("12345", "810000", NOON)

    assert receiver.platform_id == "12345-630000"
    assert receiver.question


def test_an_inactive_platform_leaves_its_calls_to_its_superior_up_to_the_province() -> None:
    county_out = '[[platform]]\nid = "110-632801"\nline = "110"\ndivision = "632801"\nstate = "inactive"\n'
    both_out = county_out + county_out.replace("632801", "632800")

    county = with_exceptions(county_out).receiver("110", "632801", NOON)
    prefecture = with_exceptions(both_out).receiver("110", "632801", NOON)

    assert (county.platform_id, county.passed) == ("110-632800", ("110-632801 inactive",))
    assert prefecture.platform_id == "110-630000"
    assert prefecture.passed == ("110-632801 inactive", "110-632800 inactive")


def test_a_diverting_platform_sends_its_calls_where_it_says() -> None:
    directory = with_exceptions(
        '[[platform]]\nid = "12345-632600"\nline = "12345"\ndivision = "632600"\n'
        'state = "diverting"\ndiverts_to = "12345-632700"\n'
    )

    receiver = directory.receiver("12345", "632621", NOON)

    assert (receiver.platform_id, receiver.passed) == ("12345-632700", ("12345-632600 diverting",))


@pytest.mark.parametrize(
    ("at", "platform"),
    [
        ("2026-03-02T08:29:59+08:00", "12345-630000"),
        ("2026-03-02T08:30:00+08:00", "12345-632600"),
        ("2026-03-02T17:59:59+08:00", "12345-632600"),
        ("2026-03-02T18:00:00+08:00", "12345-630000"),
        ("2026-03-02T00:30:00+00:00", "12345-632600"),
    ],
)
def test_hours_are_legal_time_and_outside_them_the_superior_answers(at: str, platform: str) -> None:
    directory = with_exceptions(
        '[[platform]]\nid = "12345-632600"\nline = "12345"\ndivision = "632600"\nhours = "08:30-18:00"\n'
    )

    assert directory.receiver("12345", "632621", datetime.fromisoformat(at)).platform_id == platform


def test_hours_across_midnight_are_understood() -> None:
    directory = with_exceptions(
        '[[platform]]\nid = "110-632857"\nline = "110"\ndivision = "632857"\nhours = "20:00-08:00"\n'
        'diverts_to = "110-632802"\n'
    )

    assert directory.receiver("110", "632857", NIGHT).platform_id == "110-632857"
    assert directory.receiver("110", "632857", NOON).platform_id == "110-632802"


def test_when_every_way_is_shut_the_first_platform_rings_all_the_same() -> None:
    rows = "".join(
        f'[[platform]]\nid = "110-{code}"\nline = "110"\ndivision = "{code}"\nstate = "inactive"\n'
        for code in ("632801", "632800")
    )
    shut_above = FILES["qinghai.toml"].decode().replace("only_escalation = true", 'state = "inactive"')
    files = {"qinghai.toml": shut_above.encode(), "zz.toml": f'schema = "directory-1"\n{rows}'.encode()}

    receiver = compile_directory(files, PLACES).receiver("110", "632801", NOON)

    assert receiver.platform_id == "110-632801"
    assert len(receiver.passed) == 3


def test_every_county_has_a_110_and_every_prefecture_a_12345_and_rescue_services() -> None:
    counties = [code for prefecture in PLACES.prefectures() for code in PLACES.counties(prefecture)]

    assert len(DIRECTORY.platforms("110")) == len(counties) + 8 + 1
    assert [len(DIRECTORY.platforms(line)) for line in ("12345", "119", "120", "122")] == [9, 8, 8, 8]
    assert all(platform.number.startswith("09") for platform in DIRECTORY.platforms())


@given(st.sampled_from(LINES), st.text(max_size=14), st.datetimes(timezones=st.just(UTC)))
def test_any_place_at_any_hour_has_a_receiver(line: str, division: str, at: datetime) -> None:
    receiver = DIRECTORY.receiver(line, division, at)

    assert receiver.platform_id == f"{line}-{receiver.division}"
    assert receiver.number.endswith(line)


def test_an_unknown_line_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownLine, match="12345, 110, 119, 120, 122"):
        DIRECTORY.receiver("12369", "630102", NOON)


def test_an_instant_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        DIRECTORY.receiver("110", "630102", NOON.replace(tzinfo=None))


def test_a_bad_file_is_refused_with_every_fault_at_once() -> None:
    bad = """
schema = "directory-1"
[[line]]
line = "110"
name = "{town}"
levels = ["village"]
number = "{area}{"
unplaced = "999999"
[[platform]]
id = "110-1"
line = "110"
division = "630102"
hours = "all day"
state = "asleep"
[[platform]]
id = "12345-630100"
line = "12345"
division = "630100"
hours = "9-9"
diverts_to = "110-632801"
[[platform]]
id = "110-632801"
line = "110"
division = "632801"
state = "diverting"
diverts_to = "110-632802"
[[platform]]
id = "110-632802"
line = "110"
division = "632802"
state = "diverting"
diverts_to = "110-632801"
[[platform]]
id = "110-630103"
line = "110"
division = "630103"
state = "diverting"
"""

    with pytest.raises(ExceptionGroup) as refused:
        compile_directory({**FILES, "zz.toml": bad.encode()}, PLACES)

    found = {(f.field, f.value) for f in refused.value.exceptions if isinstance(f, DataFault)}
    assert found >= {
        ("name", "{town}"),
        ("number", "{area}{"),
        ("levels", "village"),
        ("unplaced", "999999"),
        ("line", "110"),
        ("state", "asleep"),
        ("hours", "9-9"),
        ("diverts_to", "110-632801"),
        ("diverts_to", "110-632802"),
        ("diverts_to", ""),
    }
