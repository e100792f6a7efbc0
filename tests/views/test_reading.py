"""What views promise without a database: masks, cursors, words for every event, scopes of every kind of account."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain import events as e
from dispatcher.domain.stream import Actor, Role
from dispatcher.domain.values import Stage
from dispatcher.store.database import Scope
from dispatcher.views import words
from dispatcher.views.cursor import BadCursor, cursor_of, read_cursor
from dispatcher.views.masking import mask_name, mask_number, mask_text
from dispatcher.views.viewing import scope_of
from tests.api import people


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("13897001234", "138****1234"),
        ("0971-5550123", "097*****0123"),
        ("5550123", "***0123"),
        ("110", "***"),
        ("", ""),
    ],
)
def test_a_number_is_shown_by_its_ends(written: str, shown: str) -> None:
    assert mask_number(written) == shown


@pytest.mark.parametrize(
    ("written", "hidden"),
    [
        ("请回电13897001234谢谢", "13897001234"),
        ("请回电138-9700-1234谢谢", "9700"),
        ("请回电138 9700 1234谢谢", "9700"),
        ("证号63010219900101123X。", "19900101"),
        ("卡号6222 0000 0000 0000 123", "0000 0000"),
        ("我叫张三丰,家住城东", "张三丰"),
        ("姓名:卓玛才让,电话", "卓玛才让"),
    ],
)
def test_a_text_hides_what_names_a_citizen(written: str, hidden: str) -> None:
    masked = mask_text(written)

    assert hidden not in masked
    assert len(masked) == len(written)


@pytest.mark.parametrize(
    "written",
    ["2026-02-14 10:00停水", "五四大街12号3单元", "12345接了", "自20260101起", "欠薪5000元共12人"],
)
def test_a_text_keeps_dates_places_and_amounts(written: str) -> None:
    assert mask_text(written) == written


@given(st.text(max_size=200))
def test_any_text_can_be_masked_and_keeps_its_length(written: str) -> None:
    assert len(mask_text(written)) == len(written)
    assert len(mask_name(written)) == len(written)


@given(st.datetimes(timezones=st.just(UTC)), st.uuids(), st.text(max_size=40))
def test_a_cursor_leads_back_to_its_row(at: datetime, id_: UUID, more: str) -> None:
    mark = read_cursor(cursor_of("due", at, id_, more), "due")

    assert (mark.at, mark.id, mark.more) == (at, id_, more)


@given(st.text(max_size=80))
def test_what_is_no_cursor_is_refused(written: str) -> None:
    with pytest.raises(BadCursor):
        read_cursor(written, "due")


def test_a_cursor_of_another_order_is_refused() -> None:
    cursor = cursor_of("received", datetime(2026, 1, 1, tzinfo=UTC), UUID(int=1))

    with pytest.raises(BadCursor):
        read_cursor(cursor, "due")


def test_every_event_and_stage_has_its_words() -> None:
    assert {e.word_of(event) for event in get_args(e.AnyEvent)} - set(words.EVENTS) == set()
    assert {stage.value for stage in Stage} == set(words.STAGES)


EVERYTHING = Scope(platforms=("*",), divisions=("*",))
SCOPES = {
    "an agent sees the own platform wherever its cases lie": (
        Actor(id="a", roles=(Role.AGENT_12345,), platform="12345-630200", division="630200"),
        Scope(platforms=("12345-630200",), divisions=("*",)),
    ),
    "a peer system sees the own platform": (
        Actor(id="a", roles=(Role.PEER,), platform="110-630100", division="630100"),
        Scope(platforms=("110-630100",), divisions=("*",)),
    ),
    "an auditor sees every platform of a prefecture": (
        Actor(id="a", roles=(Role.AUDIT_ADMIN,), division="632800"),
        Scope(platforms=("*",), divisions=("632800",)),
    ),
    "the province's auditor sees unknown places too": (
        Actor(id="a", roles=(Role.AUDIT_ADMIN,), division="630000"),
        EVERYTHING,
    ),
    "an auditor bound to nothing sees nothing": (Actor(id="a", roles=(Role.AUDIT_ADMIN,)), None),
    "staff without a platform see nothing": (
        Actor(id="a", roles=(Role.SUPERVISOR,), division="630000"),
        Scope(),
    ),
}


@pytest.mark.parametrize("name", SCOPES)
def test_scopes(name: str) -> None:
    actor, scope = SCOPES[name]

    found = scope_of(actor, people.library())

    assert found == scope if scope is not None else not found.divisions


def test_the_province_reaches_its_prefectures_of_the_same_line_only() -> None:
    actor = Actor(id="a", roles=(Role.SUPERVISOR,), platform="12345-630000", division="630000")

    platforms = scope_of(actor, people.library()).platforms

    assert {"12345-630000", "12345-630100", "12345-632800"} <= set(platforms)
    assert all(platform.startswith("12345-63") for platform in platforms)
