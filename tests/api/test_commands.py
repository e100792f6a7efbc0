"""Every command is an endpoint; a case can be carried to its end over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, get_args

import pytest

from adapters.http_api.commands import command_classes
from dispatcher.domain import commands as c
from dispatcher.domain.stream import Actor, Role
from tests.api import people
from tests.api.conftest import Answered, Api

CHIEF = people.supervisor()


async def _do(api: Api, case: str, name: str, actor: Actor, **fields: Any) -> Answered:
    answered = await api.ask("POST", f"/cases/{case}/{name}", actor, json=fields)
    assert answered.status == 200, (name, answered.json)
    return answered


async def test_a_case_is_carried_from_call_to_callback(api: Api) -> None:
    unit = _unit("heating")
    agent, clerk = people.agent(), people.clerk(unit)
    sent = {"words": "城东区我家暖气不热已经三天了", "personal": {"caller": "13897001234"}}
    case = (await api.ask("POST", "/calls", agent, json=sent)).json["case"]

    await _do(api, case, "assign-case", agent, lead=unit)
    signed = await api.ask("POST", f"/cases/{case}/sign-for", clerk)
    assert (signed.status, signed.json["stage"]) == (200, "signed")
    await _do(api, case, "contact-citizen", clerk, reached=True, words="已电话联系,约定今日上门")
    await _do(api, case, "reply-case", clerk, words="已排气并更换阀门,室温正常", result="solved")
    await _do(api, case, "approve-reply", agent)
    await _do(api, case, "deliver-reply", agent, how="phone")
    await _do(api, case, "close-case", CHIEF, result="solved")
    api.clock.set(api.clock.now() + timedelta(hours=2))
    done = await _do(api, case, "call-back", agent, reached=True, call_rating=1, result_rating=1)

    assert done.json["stage"] == "called-back"
    trail = (await api.ask("GET", f"/cases/{case}/trail", CHIEF)).json["entries"]
    assert [entry["version"] for entry in trail] == list(range(1, len(trail) + 1))
    assert {"登记受理", "派单", "签收", "提交答复", "办结", "回访完成"} <= {entry["what"] for entry in trail}


async def test_a_command_that_the_stage_refuses_says_what_is_allowed_now(api: Api) -> None:
    case = (await api.ask("POST", "/calls", people.agent(), json={"words": "路灯不亮"})).json["case"]
    stored = await api.events()

    answered = await api.ask("POST", f"/cases/{case}/close-case", people.agent())

    assert answered.status == 409
    assert answered.json["code"] == "wrong-stage"
    assert "assign-case" in answered.json["allowed"]
    assert await api.events() == stored


async def test_a_repeated_command_is_done_once(api: Api) -> None:
    case = (await api.ask("POST", "/calls", people.agent(), json={"words": "路灯不亮"})).json["case"]
    path = f"/cases/{case}/urge-case"
    first = await api.ask("POST", path, people.agent(), json={"words": "请尽快"}, key="urge-1")

    again = await api.ask("POST", path, people.agent(), json={"words": "请尽快"}, key="urge-1")
    other = await api.ask("POST", path, people.agent(), json={"words": "再催"}, key="urge-1")

    assert (first.status, again.status, other.status) == (200, 200, 422)
    assert again.body == first.body and again.headers["Idempotent-Replay"] == "true"
    assert other.json["code"] == "key-reused"


async def test_a_case_that_is_not_there_is_refused_for_every_command(api: Api) -> None:
    nowhere = "00000000-0000-4000-8000-000000000000"

    answered = await api.ask("POST", f"/cases/{nowhere}/urge-case", people.agent())

    assert (answered.status, answered.json["code"]) == (404, "not-found")


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_every_command_of_people_and_systems_has_its_endpoint(api: Api) -> None:
    document = (await api.ask("GET", "/api/openapi.json")).json
    machine = {"expire-deadline", "report-notice-failed", "register-case"}
    machine |= {"report-notice-diverted", "report-notice-confirmed"}
    machine |= {"repair-deadline", "report-quarantined", "report-repeat", "report-surge"}

    others = {"trail", "notices", "related", "attach-related"}

    paths = {path.rpartition("/")[2] for path in document["paths"] if "/cases/{case}/" in path}

    assert {c.name_of(cls) for cls in get_args(c.AnyCommand)} - machine == paths - others
    assert len(command_classes()) == len(paths - others)


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("name", [c.name_of(cls) for cls in command_classes()])
async def test_no_command_takes_a_field_it_does_not_know(api: Api, name: str) -> None:
    everybody = Actor(
        id="everybody",
        roles=tuple(role for role in Role if role is not Role.SYSTEM),
        platform=people.HOTLINE,
        division="630100",
    )
    case = "00000000-0000-4000-8000-000000000000"

    answered = await api.ask("POST", f"/cases/{case}/{name}", everybody, json={"no-such-field": 1})

    assert answered.status == 422
    assert "no-such-field" in {fault["field"] for fault in answered.json["errors"]}


def _unit(kind: str) -> str:
    found = people.library().organisation.resolve(kind, "630102")
    assert found is not None
    return found.code
