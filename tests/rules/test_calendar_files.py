"""Calendar files: the shipped ones load, and every fault of a bad one is named."""

from __future__ import annotations

from datetime import date

import pytest

from dispatcher.data_files import packaged_files
from routing_rules.calendar import Status
from routing_rules.calendar_files import load_calendars
from routing_rules.strict import DataFault
from tests.support.calendars import NATIONAL, local_layer
from tests.support.seed_calendar import statutory


def faults_of(*texts: str) -> list[str]:
    files = {f"{number}.toml": text.encode() for number, text in enumerate(texts)}
    with pytest.raises(ExceptionGroup) as caught:
        load_calendars(files)
    assert all(isinstance(fault, DataFault) for fault in caught.value.exceptions)
    return [str(fault) for fault in caught.value.exceptions]


def test_the_shipped_calendars_load_and_cover_2004_to_2027() -> None:
    book = load_calendars(packaged_files("calendars"))

    status = {year.year: year.status for layer in book.chain("630000") for year in layer.years}

    assert sorted(status) == list(range(2004, 2028))
    assert {year for year, what in status.items() if what is Status.PROVISIONAL} == {2027}


def test_the_provisional_year_follows_the_statute_with_weekends_made_good() -> None:
    rest = statutory(2027)

    spring = [day for day, name in rest.items() if name == "春节"]
    assert (min(spring), max(spring)) == (date(2027, 2, 5), date(2027, 2, 10))
    assert sum(day.weekday() < 5 for day in rest) == 13


def test_every_fault_of_every_file_is_named_at_once() -> None:
    bad_national = NATIONAL.replace('until = "2026-02-23"', 'until = "2026-02-30"\ncolour = "red"')
    bad_local = local_layer(
        """
        [[frame]]
        hours = [["08:30", "12:00"], ["11:00", "17:30"], ["18:00", "17:00"]]
        [[frame]]
        season = ["02-29", "09-30"]
        hours = [["09:00", "25:00"]]
        """
    )

    faults = faults_of(bad_national, bad_local)

    expected = [
        "2026-02-30",
        "colour",
        "('11:00', '17:30')",
        "('18:00', '17:00')",
        "02-29",
        "('09:00', '25:00')",
    ]
    for word in expected:
        assert any(word in fault for fault in faults), (word, faults)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("colour = 1", "colour", id="an unknown table"),
        pytest.param("[[frame]]\nhours = []", "at least one stretch", id="no hours"),
        pytest.param(
            '[[frame]]\nhours = [["09:00", "17:00"]]\nfrom = "2026-05-01"\nuntil = "2026-04-01"',
            "lies before from",
            id="hours that end before they begin",
        ),
        pytest.param(
            '[[frame]]\nhours = [["09:00", "17:00"]]\n[[frame]]\nseason = ["05-01", "09-30"]\nhours = [["08:00", "16:00"]]',
            "overlaps",
            id="a season over hours for the whole year",
        ),
        pytest.param(
            '[[frame]]\nseason = ["10-01", "04-30"]\nhours = [["09:00", "17:00"]]\n'
            '[[frame]]\nseason = ["04-30", "09-30"]\nhours = [["08:00", "16:00"]]',
            "04-30",
            id="seasons that share one day",
        ),
        pytest.param(
            '[[holiday]]\nyear = 2026\nname = "节"\nfrom = "2026-07-01"', "no [[year]] row", id="no year row"
        ),
        pytest.param(
            '[[year]]\nyear = 2026\nstatus = "maybe"\nsource = "x"',
            "maybe",
            id="a status that does not exist",
        ),
        pytest.param(
            '[[year]]\nyear = 20266\nstatus = "confirmed"\nsource = "x"', "20266", id="an absurd year"
        ),
    ],
)
def test_a_bad_local_file_is_refused_with_the_reason(text: str, named: str) -> None:
    local = text if text.startswith("colour") else local_layer(text)

    faults = faults_of(NATIONAL, local)

    assert any(named in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("holiday", "named"),
    [
        ('from = "2026-07-01"\nuntil = "2026-06-01"', "within a month after"),
        ('from = "2026-07-01"\nuntil = "2026-09-01"', "within a month after"),
        ('until = "2026-07-01"', "a first day too"),
        ("", "days of rest, days of work, or both"),
        ('from = "2025-11-30"', "outside 2026"),
        ('work = ["2027-01-02"]', "outside 2026"),
        ('from = "2026-07-03"\nuntil = "2026-07-05"\nwork = ["2026-07-04"]', "a day is named once"),
    ],
)
def test_a_bad_holiday_is_refused_with_the_reason(holiday: str, named: str) -> None:
    year = '[[year]]\nyear = 2026\nstatus = "confirmed"\nsource = "x"\n'

    faults = faults_of(NATIONAL, local_layer(f'{year}[[holiday]]\nyear = 2026\nname = "节"\n{holiday}'))

    assert any(named in fault for fault in faults), faults


def test_a_national_make_up_day_that_is_worked_anyway_is_a_slip_of_the_pen() -> None:
    faults = faults_of(NATIONAL.replace("2026-02-28", "2026-02-27"))

    assert len(faults) == 1
    assert "2026, 2, 27" in faults[0]
    assert "worked anyway" in faults[0]


def test_two_notices_that_confirm_one_year_contradict_each_other() -> None:
    second = '[[year]]\nyear = 2026\nstatus = "confirmed"\nsource = "x"\n[[holiday]]\nyear = 2026\nname = "节"\nfrom = "2026-02-28"'

    faults = faults_of(NATIONAL, local_layer(second, id="again", division="000000"))

    assert any("confirms this year too" in fault for fault in faults)
    assert any("already makes it a day of work" in fault for fault in faults)


def test_national_hours_must_cover_the_whole_year() -> None:
    faults = faults_of(NATIONAL.replace("[[frame]]", '[[frame]]\nseason = ["05-01", "04-29"]'))

    assert len(faults) == 1
    assert "04-30" in faults[0]


def test_without_a_national_file_there_is_no_calendar() -> None:
    year = '[[year]]\nyear = 2026\nstatus = "confirmed"\nsource = "x"\n'

    assert "national office hours" in faults_of(local_layer(year))[0]


def test_an_order_without_its_date_and_an_id_used_twice_are_refused() -> None:
    faults = faults_of(
        NATIONAL, local_layer("", head='kind = "order"'), local_layer("", division="632800", id="national")
    )

    assert any("issued" in fault for fault in faults)
    assert any("another file has this id" in fault for fault in faults)


def test_broken_toml_and_broken_utf8_are_faults_and_not_tracebacks() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        load_calendars({"a.toml": b"[layer", "b.toml": b"\xff"})

    told = " ".join(str(fault) for fault in caught.value.exceptions)
    assert "a.toml" in told
    assert "b.toml" in told


def test_a_notice_replaces_the_provisional_year_it_was_awaited_for() -> None:
    year = '[[year]]\nyear = 2027\nstatus = "{}"\nsource = "x"\n[[holiday]]\nyear = 2027\nname = "元旦"\nfrom = "2027-01-0{}"'
    guess = local_layer(year.format("provisional", 1), id="guess", division="000000")
    notice = local_layer(year.format("confirmed", 4), id="notice", division="000000")

    book = load_calendars({"a": NATIONAL.encode(), "b": guess.encode(), "c": notice.encode()})

    assert [layer.id for layer in book.layers] == ["national", "notice"]


def test_layers_apply_from_the_nation_to_the_county_and_orders_last_by_date() -> None:
    hours = '[[frame]]\nhours = [["09:00", "17:00"]]'
    order = 'kind = "order"\nissued = "{}"'
    texts = [
        local_layer(hours, id="late-order", division="000000", head=order.format("2026-03-02")),
        local_layer(hours, id="early-order", division="000000", head=order.format("2026-03-01")),
        local_layer(hours, id="county", division="632701"),
        local_layer(hours, id="prefecture", division="632700"),
        local_layer(hours, id="province", division="630000"),
        local_layer(hours, id="elsewhere", division="632800"),
        NATIONAL,
    ]

    book = load_calendars({f"{n}.toml": text.encode() for n, text in enumerate(texts)})

    chain = [layer.id for layer in book.chain("632701100200")]
    assert chain == ["national", "province", "prefecture", "county", "early-order", "late-order"]


def test_the_version_changes_with_the_content_and_not_with_the_comments() -> None:
    plain, commented, other = NATIONAL, "# a remark\n" + NATIONAL, NATIONAL.replace("17:30", "18:00")

    digests = [load_calendars({"n.toml": text.encode()}).digest for text in (plain, commented, other)]

    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


@pytest.mark.parametrize("code", ["", "63", "63010", "6301020", "六三零零零零", "630102\n", "63010a"])
def test_what_is_no_division_code_is_refused(code: str) -> None:
    book = load_calendars({"n.toml": NATIONAL.encode()})

    with pytest.raises(DataFault, match="GB/T 2260"):
        book.chain(code)
