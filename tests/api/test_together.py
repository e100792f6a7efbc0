"""Repeats and events over HTTP: suggested with reasons, masked and scoped, and attached by a person in one go."""

from __future__ import annotations

from datetime import timedelta

from tests.api import people
from tests.api.conftest import Api

MINUTE = timedelta(minutes=1)
POLICE = "110-630102"


async def _call(api: Api, words: str, caller: str, platform: str = people.HOTLINE) -> str:
    body = {"words": words, "division": "630102", "personal": {"caller": caller, "name": "马有福"}}
    case: str = (await api.ask("POST", "/calls", people.agent(platform), json=body)).json["case"]
    api.clock.set(api.clock.now() + MINUTE)
    return case


async def test_a_desk_sees_earlier_calls_of_the_number_and_others_about_the_event(api: Api) -> None:
    first = await _call(api, "花园北街路灯不亮,走夜路害怕", "13900000001")
    other = await _call(api, "花园北街整条街路灯都坏了,不亮", "13900000002")
    await _call(api, "咨询公积金怎么提取", "13900000001")
    again = await _call(api, "花园北街的路灯还是不亮", "13900000001")

    found = (await api.ask("GET", f"/cases/{again}/related", people.agent())).json

    assert found["nth"] == 2
    assert [(one["how"], one["case"]) for one in found["suggestions"]] == [
        ("nth", first),
        ("same-event", other),
    ]
    assert found["suggestions"][0]["reasons"][0] == "同一号码,相隔 3 分钟"
    assert (
        "the same place: 花园北街" in found["suggestions"][1]["reasons_en"]
        or found["suggestions"][1]["reasons_en"]
    )
    assert "13900000001" not in str(found)


async def test_a_live_desk_is_told_before_anything_is_registered_and_others_are_not(api: Api) -> None:
    first = await _call(api, "花园北街路灯不亮", "13900000001")
    asked = {"text": "花园北街路灯还不亮", "division": "630102", "caller": "139 0000 0001"}

    desk = (await api.ask("POST", "/rulings", people.agent(), json=asked)).json
    clerk = (
        await api.ask("POST", "/rulings", people.clerk(people.unit_of("urban-management")), json=asked)
    ).json

    assert [one["case"] for one in desk["related"]["suggestions"]] == [first]
    assert clerk["related"] is None


async def test_of_the_other_line_a_desk_learns_only_that_it_exists(api: Api) -> None:
    await _call(api, "花园北街路灯不亮,有人摔伤过", "13900000001")
    police = await _call(api, "花园北街路灯不亮,差点被抢", "13900000001", POLICE)

    found = (await api.ask("GET", f"/cases/{police}/related", people.agent(POLICE))).json

    (one,) = found["suggestions"]
    assert one["limited"]
    assert (one["case"], one["number"], one["platform"], one["title"], one["category"]) == (
        None,
        "",
        "",
        "",
        "",
    )
    assert one["stage_words"]
    assert one["reasons"] == ["同一号码、同一事项"]


async def test_a_case_that_is_not_yours_to_know_has_no_related_ones(api: Api) -> None:
    case = await _call(api, "花园北街路灯不亮", "13900000001")

    answered = await api.ask("GET", f"/cases/{case}/related", people.agent("12345-632800"))

    assert answered.status == 404


async def test_a_supervisor_attaches_all_in_one_go_and_what_may_not_follow_is_named(api: Api) -> None:
    parent = await _call(api, "花园北街路灯不亮", "13900000001")
    follower = await _call(api, "花园北街路灯坏了", "13900000002")
    danger = await _call(api, "花园北街有人拿着菜刀追人", "13900000003")
    body = {"cases": [follower, danger]}

    first = await api.ask(
        "POST", f"/cases/{parent}/attach-related", people.supervisor(), json=body, key="one"
    )
    again = await api.ask(
        "POST", f"/cases/{parent}/attach-related", people.supervisor(), json=body, key="one"
    )

    assert [one["attached"] for one in first.json["cases"]] == [True, False]
    assert first.json["cases"][1]["code"]
    assert again.json == first.json
    state = (await api.ask("GET", f"/cases/{parent}", people.supervisor())).json["state"]
    assert state["followers"] == [follower]
