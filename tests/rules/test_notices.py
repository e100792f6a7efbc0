"""How notices go out, as data: routes, quiet hours, who stands in; every fault of a file at once."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest

from routing_rules.duty import Absence, Person, Roster, contact_of, duty_of, is_mobile, roster_faults
from routing_rules.notices import compile_notices
from routing_rules.policy import RECIPIENTS
from routing_rules.strict import DataFault

DATA = Path(__file__).parents[2] / "routing_rules" / "data" / "notices"
RULES = compile_notices({path.name: path.read_bytes() for path in DATA.glob("*.toml")})


def at(words: str) -> datetime:
    return datetime.fromisoformat(f"{words}+08:00")


def somebody(name: str, *away: tuple[str, str]) -> Person:
    spans = tuple(Absence(first=date.fromisoformat(a), last=date.fromisoformat(b)) for a, b in away)
    return Person(name=name, phone=f"0971-555{len(name):04d}", away=spans)


def faults_of(text: str) -> list[str]:
    with pytest.raises(ExceptionGroup) as refused:
        compile_notices({"mine.toml": text.encode()})
    return [
        f"{fault.field}: {fault.remedy}" for fault in refused.value.exceptions if isinstance(fault, DataFault)
    ]


@pytest.mark.parametrize("urgent", [True, False])
@pytest.mark.parametrize("role", [*RECIPIENTS, "unit-desk", "duty-desk"])
def test_everybody_who_can_be_told_has_a_way_that_never_fails(role: str, urgent: bool) -> None:
    assert RULES.route(role, urgent=urgent)[-1] == "desk"


def test_the_duty_phone_rings_for_what_is_urgent_and_a_citizen_is_never_rung() -> None:
    assert RULES.route("unit-duty-phone", urgent=True)[:2] == ("phone", "sms")
    assert "phone" not in RULES.route("unit-duty-phone", urgent=False)
    assert "phone" not in RULES.route("citizen", urgent=True)


@pytest.mark.parametrize(
    ("when", "until"),
    [
        ("2026-03-02T21:29", None),
        ("2026-03-02T21:30", "2026-03-03T07:30"),
        ("2026-03-03T03:00", "2026-03-03T07:30"),
        ("2026-03-03T07:30", None),
    ],
)
def test_quiet_hours_begin_at_their_minute_and_end_before_theirs(when: str, until: str | None) -> None:
    assert RULES.channel("sms").quiet_until(at(when)) == (at(until) if until else None)
    assert RULES.channel("email").quiet_until(at(when)) is None


def test_every_fault_of_a_file_is_named_at_once() -> None:
    found = faults_of(
        """
        schema = "notices-0"
        [[route]]
        to = ["*"]
        channels = ["desk", "sms", "fax"]
        [[route]]
        to = ["citizen"]
        channels = ["phone"]
        [[channel]]
        id = "sms"
        quiet = "late"
        urgent = { tries = 0, within = "soon" }
        [[channel]]
        id = "pigeon"
        """
    )

    for words in ("notices-1", "no such channel: fax", "never reached", "rung by people", "legal time"):
        assert any(words in fault for fault in found), words
    for field in ("tries", "within", "id"):
        assert any(fault.startswith(field) for fault in found), field


def test_the_desk_ends_a_list_of_channels() -> None:
    (fault,) = faults_of('schema = "notices-1"\n[[route]]\nto = ["x"]\nchannels = ["desk", "sms"]')

    assert "put it last" in fault


def test_a_leader_who_is_away_is_stood_in_for_by_the_next_and_then_by_a_deputy() -> None:
    first, second = ("甲", ("2026-03-02", "2026-03-08")), ("乙乙", ("2026-03-02", "2026-03-04"))
    roster = Roster(
        phone="0971-5550000",
        leaders=(somebody(first[0], first[1]), somebody(second[0], second[1])),
        deputies=(somebody("丙丙丙"),),
    )

    def told(when: str) -> tuple[str, str]:
        duty = duty_of("u", roster, roster.phone, at(when))
        contact = contact_of("unit-duty-leader", roster, roster, duty, at(when))
        assert contact.phone == duty.leader_phone
        return contact.name, contact.stands_in

    assert told("2026-03-03T10:00") == ("丙丙丙", "unit-deputy")
    assert told("2026-03-05T10:00") == ("乙乙", "")
    assert {told("2026-03-09T10:00")[0], told("2026-03-16T10:00")[0]} == {"甲", "乙乙"}


def test_a_head_is_found_at_their_post_or_stood_in_for_down_to_the_duty_leader() -> None:
    roster = Roster(
        phone="0971-5550000",
        leaders=(somebody("值班"),),
        deputies=(somebody("副职"),),
        posts={"unit-head": (somebody("主任", ("2026-03-03", "2026-03-03")),)},
    )
    duty = duty_of("u", roster, roster.phone, at("2026-03-02T10:00"))

    def told(role: str, when: str) -> tuple[str, str]:
        contact = contact_of(role, roster, roster, duty, at(when))
        return contact.name, contact.stands_in

    assert told("unit-head", "2026-03-02T10:00") == ("主任", "")
    assert told("unit-head", "2026-03-03T10:00") == ("值班", "unit-duty-leader")
    assert told("unit-deputy-head", "2026-03-02T10:00") == ("副职", "unit-deputy")
    assert told("unit-lead", "2026-03-02T10:00") == ("", "duty-desk")


@pytest.mark.parametrize(
    ("number", "is_one"),
    [("13800000000", True), ("+8613800000000", True), ("0971-5550000", False), ("110", False), ("", False)],
)
def test_text_messages_go_to_mobiles_only(number: str, is_one: bool) -> None:
    assert is_mobile(number) is is_one


def test_a_roster_names_what_is_wrong_with_its_people() -> None:
    bad = Person(name="丁", phone="", mobile="0971", email="nobody", away=(
        Absence(first=date(2026, 3, 2), last=date(2026, 3, 1)),
    ))  # fmt: skip
    roster = Roster(
        phone="1", leaders=(bad,), deputies=(somebody("副职"),), posts={"boss": ()}, mobile="1", email="x"
    )

    fields = [(fault.field, fault.remedy) for fault in roster_faults("here", roster)]

    assert len(fields) == 7
