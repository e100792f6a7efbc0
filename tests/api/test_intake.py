"""A call or message comes in over HTTP: registered once, however often it is sent."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from tests.api import people
from tests.api.conftest import Api

HEAT = {"words": "我家暖气不热已经三天了,城东区", "personal": {"caller": "138 9700 1234", "name": "测试"}}


async def test_a_call_is_ruled_numbered_and_promised_before_it_is_answered(api: Api) -> None:
    answered = await api.ask("POST", "/calls", people.agent(), json=HEAT, key="one")

    assert answered.status == 201
    case = answered.json
    assert answered.headers["Location"] == f"/api/v1/cases/{case['case']}"
    assert case["number"].startswith("12345-630100-2026-")
    assert case["item"] and case["stage"] == "ruled"
    assert {promise["clock"] for promise in case["promises"]} >= {"total", "assign"}
    assert "assign-case" in case["allowed"]


async def test_the_same_key_and_content_gives_the_same_answer_and_one_case(api: Api) -> None:
    first = await api.ask("POST", "/calls", people.agent(), json=HEAT, key="one")
    stored = await api.events()

    again = await api.ask("POST", "/calls", people.agent(), json=HEAT, key="one")

    assert again.status == 201
    assert again.body == first.body
    assert again.headers["Idempotent-Replay"] == "true"
    assert "Idempotent-Replay" not in first.headers
    assert await api.events() == stored


async def test_many_at_once_with_one_key_are_one_case(api: Api) -> None:
    await api.token(people.agent())

    answers = await asyncio.gather(
        *(api.ask("POST", "/calls", people.agent(), json=HEAT, key="at-once") for _ in range(8))
    )

    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["case"] for answer in answers}) == 1
    assert len({answer.json["number"] for answer in answers}) == 1
    assert sum("Idempotent-Replay" not in answer.headers for answer in answers) == 1


async def test_the_same_key_with_other_content_is_refused_and_nothing_stored(api: Api) -> None:
    await api.ask("POST", "/calls", people.agent(), json=HEAT, key="one")
    stored = await api.events()

    other = await api.ask("POST", "/calls", people.agent(), json={"words": "路灯不亮"}, key="one")

    assert other.status == 422
    assert other.json["code"] == "key-reused"
    assert await api.events() == stored


async def test_two_senders_may_use_the_same_key(api: Api) -> None:
    one = await api.ask("POST", "/calls", people.agent(), json=HEAT, key="one")
    other = await api.ask("POST", "/calls", people.agent("12345-630200"), json=HEAT, key="one")

    assert (one.status, other.status) == (201, 201)
    assert one.json["case"] != other.json["case"]


async def test_without_a_key_each_call_is_a_case_of_its_own(api: Api) -> None:
    one = await api.ask("POST", "/calls", people.agent(), json=HEAT)
    other = await api.ask("POST", "/calls", people.agent(), json=HEAT)

    assert one.json["number"] != other.json["number"]


async def test_a_message_that_names_no_channel_did_not_come_by_telephone(api: Api) -> None:
    made = await api.ask("POST", "/messages", people.agent(), json={"words": "建议增加公交站"})
    called = await api.ask("POST", "/calls", people.agent(), json={"words": "建议增加公交站"})

    found = [await api.ask("GET", f"/cases/{each.json['case']}", people.agent()) for each in (made, called)]

    assert [each.json["state"]["channel"] for each in found] == ["web", "phone"]


async def test_a_message_keeps_its_channel_and_the_time_it_came(api: Api) -> None:
    came = (api.clock.now() - timedelta(minutes=5)).isoformat()
    sent = {"words": "建议增加公交站", "channel": "wechat", "received": came}

    answered = await api.ask("POST", "/messages", people.agent(), json=sent)

    state = (await api.ask("GET", f"/cases/{answered.json['case']}", people.agent())).json["state"]
    assert (state["channel"], state["received"]) == ("wechat", "2026-11-18T01:55:00Z")


async def test_an_agent_registers_for_the_own_platform_only(api: Api) -> None:
    answered = await api.ask("POST", "/calls", people.agent(), json={**HEAT, "platform": "12345-630200"})

    assert answered.status == 403
    assert answered.json["field"] == "platform"
    assert await api.events() == 0


async def test_danger_needs_no_field_but_the_words(api: Api) -> None:
    answered = await api.ask("POST", "/calls", people.agent(), json={"words": "有人拿刀砍人,快来"})

    assert answered.status == 201
    assert answered.json["danger"] is True
    assert answered.json["owner"] == "110"


async def test_cases_are_found_by_the_number_that_called_however_it_is_written(api: Api) -> None:
    made = (await api.ask("POST", "/calls", people.agent(), json=HEAT)).json["case"]
    await api.ask("POST", "/calls", people.agent(), json={"words": "别人的事"})

    found = await api.ask("POST", "/cases/by-caller", people.agent(), json={"caller": "+86 138-9700-1234"})

    assert [line["id"] for line in found.json["cases"]] == [made]
