"""The demonstration's messages and behaviour: complete, well-formed, and refused with every fault when not."""

from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from routing_rules.demo import demo_behaviour, demo_messages
from routing_rules.directory import compile_directory
from routing_rules.places import compile_places
from routing_rules.ruling import Urgency
from routing_rules.strict import DataFault

DATA = Path(__file__).parents[2] / "routing_rules" / "data"
PLACES = compile_places({path.name: path.read_bytes() for path in (DATA / "places").glob("*.toml")})
DIRECTORY = compile_directory(
    {path.name: path.read_bytes() for path in (DATA / "directory").glob("*.toml")}, PLACES
)
MESSAGES_FILE = (DATA / "demo" / "messages.toml").read_bytes()
BEHAVIOUR_FILE = (DATA / "demo" / "behaviour.toml").read_bytes()
MESSAGES = demo_messages(MESSAGES_FILE)


def faults_of(group: ExceptionGroup[Exception]) -> set[tuple[str, str]]:
    return {(fault.field, str(fault.value)) for fault in group.exceptions if isinstance(fault, DataFault)}


def test_the_messages_cover_both_lines_every_kind_danger_repeats_and_neither() -> None:
    lines = Counter(message.line for message in MESSAGES)
    events = Counter(message.event for message in MESSAGES if message.event)

    assert len(MESSAGES) >= 240
    assert min(lines["12345"], lines["110"]) >= 60
    assert {message.kind for message in MESSAGES} == {"咨询", "求助", "投诉", "举报", "建议"}
    assert 0.06 <= sum(message.danger for message in MESSAGES) / len(MESSAGES) <= 0.12
    assert {"110", "119", "120", "12345", "none", "other"} <= {message.platform for message in MESSAGES}
    assert sum(count >= 3 for count in events.values()) >= 5
    assert min(events.values()) >= 2


def test_no_message_is_written_twice() -> None:
    assert max(Counter(message.text for message in MESSAGES).values()) == 1


def test_every_message_happens_in_a_division_that_the_gazetteer_knows() -> None:
    assert [message.id for message in MESSAGES if not PLACES.knows(message.division)] == []


def test_every_prefecture_has_messages() -> None:
    prefectures = {message.division[:4] + "00" for message in MESSAGES}

    assert set(PLACES.prefectures()) <= prefectures


def test_a_place_read_from_a_message_never_leads_to_another_prefecture() -> None:
    # the division of a message is what its writer meant; the text may say less, but must not say otherwise
    strayed = [
        (message.id, message.text, read)
        for message in MESSAGES
        if (read := PLACES.best(message.text, message.division))[:4] != message.division[:4]
        and not message.division.endswith("0000")
    ]

    assert strayed == []


def test_most_texts_name_their_county_themselves() -> None:
    named = sum(
        PLACES.best(m.text, "630000") == m.division for m in MESSAGES if not m.division.endswith("00")
    )

    assert named / len(MESSAGES) > 0.75


def test_every_message_has_a_receiver_on_the_line_it_belongs_to() -> None:
    noon = datetime.fromisoformat("2026-03-02T12:00:00+08:00")
    for message in MESSAGES:
        if message.platform.isdigit():
            assert DIRECTORY.receiver(message.platform, message.division, noon).platform_id.startswith(
                message.platform
            )


def test_bad_messages_are_refused_with_every_fault_at_once() -> None:
    bad = (
        MESSAGES_FILE.decode()
        .replace('id = "demo-002"', 'id = "demo-001"', 1)
        .replace('kind = "咨询"', 'kind = "闲聊"', 1)
    )
    bad += '\n[[message]]\nid = "x"\nline = "119"\ndivision = "9"\nkind = "求助"\nplatform = "12369"\ntitle = ""\ntext = ""\n'
    bad += '[[message]]\nid = "y"\ncolour = "red"\n'

    with pytest.raises(ExceptionGroup) as refused:
        demo_messages(bad.encode())

    assert faults_of(refused.value) >= {
        ("id", "demo-001"),
        ("kind", "闲聊"),
        ("line", "119"),
        ("division", "9"),
        ("platform", "12369"),
        ("text", ""),
        ("colour", "red"),
        ("line", "None"),
    }


def test_every_urgency_has_its_behaviour_and_an_urgent_case_is_never_extended() -> None:
    behaviour = demo_behaviour(BEHAVIOUR_FILE)

    assert set(behaviour) == set(Urgency)
    assert behaviour[Urgency.urgent].extension_share == 0
    assert behaviour[Urgency.urgent].material_share == 0
    assert behaviour[Urgency.urgent].sign_after.natural


def test_bad_behaviour_is_refused_with_every_fault_at_once() -> None:
    bad = (
        BEHAVIOUR_FILE.decode()
        .replace('urgency = "joint"', 'urgency = "general"')
        .replace("contact_share = 0.97", "contact_share = 1.97")
        .replace(
            '{ least = "PT10M", usual = "PT2H", most = "PT12H" }',
            '{ least = "PT3H", usual = "PT2H", most = "PT12H" }',
        )
        .replace("[0.30, 0.28,", "[0.40, 0.28,")
        .replace("extension_days = 5", "extension_days = 0")
        .replace("solved_share = 0.58", "solved_share = 0.98")
    )

    with pytest.raises(ExceptionGroup) as refused:
        demo_behaviour(bad.encode())

    # one urgent sign_after and the callback have the same delay in the file
    fields = {field for field, _ in faults_of(refused.value)}
    assert fields == {
        "urgency",
        "contact_share",
        "sign_after",
        "callback_after",
        "satisfaction",
        "extension_days",
        "solved_share",
    }


def test_a_missing_urgency_is_named() -> None:
    rows = BEHAVIOUR_FILE.decode().split("[[class]]")

    with pytest.raises(ExceptionGroup) as refused:
        demo_behaviour("[[class]]".join(rows[:-1]).encode())

    assert faults_of(refused.value) == {("urgency", "joint")}
