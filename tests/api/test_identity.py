"""Who may ask what: tokens, roles, organisations, regions."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.http_api.commands import command_classes
from adapters.http_api.identity import FRESH
from dispatcher.domain import commands as c
from dispatcher.domain.authority import ROLES
from dispatcher.domain.stream import Actor, Role
from tests.api import people
from tests.api.conftest import Api

NOBODY = "00000000-0000-4000-8000-000000000000"
QUESTIONS = (
    "/cases",
    "/deadlines",
    "/figures",
    f"/cases/{NOBODY}",
    f"/cases/{NOBODY}/trail",
    "/dead-letters",
)


def _actor(role: Role) -> Actor:
    if role in (Role.CLERK, Role.LEAD):
        return Actor(id=f"only-{role}", roles=(role,), unit=_unit(), division="630100")
    platform = "110-630100" if role in (Role.AGENT_110, Role.LIAISON) else people.HOTLINE
    return Actor(id=f"only-{role}", roles=(role,), platform=platform, division="630100")


def _unit() -> str:
    found = people.library().organisation.resolve("heating", "630102")
    assert found is not None
    return found.code


@pytest.mark.parametrize("path", QUESTIONS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer ld_unknown-unknown-unknown"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer a b"},
    ],
)
@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_without_a_valid_token_nothing_is_told(api: Api, path: str, headers: dict[str, str]) -> None:
    answered = await api.ask("GET", path, headers=headers)

    assert (answered.status, answered.json["code"]) == (401, "unauthorized")
    assert answered.headers["WWW-Authenticate"].startswith('Bearer realm="liandong"')


async def test_a_revoked_token_stops_within_seconds(api: Api) -> None:
    actor = people.agent()
    assert (await api.ask("GET", "/cases", actor)).status == 200

    await api.accounts.revoke(actor.id, "test", api.clock.now())
    api.clock.set(api.clock.now() + FRESH)

    assert (await api.ask("GET", "/cases", actor)).status == 401


async def test_an_expired_token_opens_nothing(api: Api) -> None:
    actor = people.agent()
    await api.accounts.put(actor, actor.id, api.clock.now())
    token = await api.accounts.new_token(actor.id, "short", api.clock.now(), expires=api.clock.now() + FRESH)
    headers = {"Authorization": f"Bearer {token}"}
    assert (await api.ask("GET", "/cases", headers=headers)).status == 200

    api.clock.set(api.clock.now() + 2 * FRESH)

    assert (await api.ask("GET", "/cases", headers=headers)).status == 401


async def test_only_a_hash_of_the_token_is_kept(api: Api) -> None:
    token = await api.token(people.agent())

    async with api.services.database.looking() as connection:
        rows = (await connection.exec_driver_sql("SELECT * FROM token")).all()

    assert len(rows) == 1
    assert token not in repr(rows) and token.removeprefix("ld_") not in repr(rows)


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SYSTEM])
async def test_a_role_reaches_exactly_the_commands_that_are_its_own(api: Api, role: Role) -> None:
    actor = _actor(role)
    surprises: list[tuple[str, int]] = []

    for cls in command_classes():
        answered = await api.ask("POST", f"/cases/{NOBODY}/{c.name_of(cls)}", actor, json=_body(cls))
        wanted = 404 if role in ROLES[cls] else 403
        if answered.status != wanted:
            surprises.append((c.name_of(cls), answered.status))

    assert surprises == []


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SYSTEM])
async def test_intake_export_and_dead_letters_are_for_their_roles(api: Api, role: Role) -> None:
    actor = _actor(role)
    chiefs = {Role.SUPERVISOR, Role.LINKAGE_ADMIN}
    wanted = {
        ("POST", "/calls"): role in ROLES[c.RegisterCase],
        ("GET", "/export/events"): role in chiefs | {Role.QUALITY, Role.PEER, Role.AUDIT_ADMIN},
        ("GET", "/export/cases"): role in chiefs | {Role.QUALITY, Role.PEER, Role.AUDIT_ADMIN},
        ("GET", "/dead-letters"): role in chiefs | {Role.SQUAD_LEADER},
        ("GET", "/cases"): True,
        ("GET", "/figures"): True,
    }

    for (method, path), admitted in wanted.items():
        body = {"words": "路灯不亮"} if method == "POST" else None
        answered = await api.ask(method, path, actor, json=body)
        assert (answered.status != 403) is admitted, (path, answered.status)


async def test_a_case_of_another_platform_is_not_there(api: Api) -> None:
    case = (await api.ask("POST", "/calls", people.agent(), json={"words": "路灯不亮"})).json["case"]
    stranger = people.agent("12345-630200")

    for path in (f"/cases/{case}", f"/cases/{case}/trail"):
        assert (await api.ask("GET", path, stranger)).status == 404
    assert (await api.ask("POST", f"/cases/{case}/urge-case", stranger)).status == 404
    assert (await api.ask("GET", "/cases", stranger)).json["cases"] == []
    assert (await api.ask("GET", "/figures", stranger)).json["open"] == 0


async def test_the_province_sees_what_lies_below_it(api: Api) -> None:
    case = (await api.ask("POST", "/calls", people.agent(), json={"words": "路灯不亮"})).json["case"]
    province = people.supervisor("12345-630000")

    assert (await api.ask("GET", f"/cases/{case}", province)).status == 200
    assert [line["id"] for line in (await api.ask("GET", "/cases", province)).json["cases"]] == [case]


async def test_a_unit_sees_a_case_from_its_assignment_on_and_never_one_about_itself(api: Api) -> None:
    unit = _unit()
    clerk = people.clerk(unit)
    sent = {"words": "城东区我家暖气不热已经三天了"}
    case = (await api.ask("POST", "/calls", people.agent(), json=sent)).json["case"]
    assert (await api.ask("GET", f"/cases/{case}", clerk)).status == 404

    await api.ask("POST", f"/cases/{case}/assign-case", people.agent(), json={"lead": unit})
    assert (await api.ask("GET", f"/cases/{case}", clerk)).status == 200
    assert [line["id"] for line in (await api.ask("GET", "/cases", clerk)).json["cases"]] == [case]

    about = {"reason": "投诉的正是该单位", "about": unit}
    changed = await api.ask("POST", f"/cases/{case}/override-ruling", people.agent(), json=about)
    assert changed.status == 200
    for path in (f"/cases/{case}", f"/cases/{case}/trail"):
        assert (await api.ask("GET", path, clerk)).status == 404
    assert (await api.ask("GET", "/cases", clerk)).json["cases"] == []
    assert (await api.ask("GET", "/deadlines", clerk)).json["deadlines"] == []
    assert (await api.ask("GET", "/figures", clerk)).json["open"] == 0


async def test_a_unit_never_learns_who_reported_in_confidence(api: Api) -> None:
    unit = _unit()
    sent = {
        "words": "城东区我家暖气不热已经三天了",
        "confidential": True,
        "personal": {"caller": "13897001234", "name": "张三"},
    }
    case = (await api.ask("POST", "/calls", people.agent(), json=sent)).json["case"]
    await api.ask("POST", f"/cases/{case}/assign-case", people.agent(), json={"lead": unit})

    for_unit = await api.ask("GET", f"/cases/{case}", people.clerk(unit))
    for_desk = await api.ask("GET", f"/cases/{case}", people.agent())

    assert for_unit.json["citizen"] is None
    assert for_desk.json["citizen"]["caller"] == "138****1234"
    assert b"13897001234" not in for_unit.body + for_desk.body


async def test_the_auditor_sees_the_trail_and_not_the_words(api: Api) -> None:
    sent = {"words": "路灯不亮,秘密的话", "title": "路灯"}
    case = (await api.ask("POST", "/calls", people.agent(), json=sent)).json["case"]
    auditor = Actor(id="auditor", roles=(Role.AUDIT_ADMIN,), division="630000")

    seen = await api.ask("GET", f"/cases/{case}/trail", auditor)

    assert seen.status == 200 and len(seen.json["entries"]) >= 2
    assert "秘密".encode() not in seen.body


_FIELDS: dict[str, Any] = {
    "words": "说明",
    "reason": "理由",
    "to": "110-630100",
    "lead": "x",
    "unit": "x",
    "units": ["x", "y"],
    "door": "法院",
    "item": "x",
    "accept": True,
    "days": 1,
    "grant": True,
    "why": "material",
    "result": "solved",
    "agree": True,
    "reached": True,
    "justified": True,
    "other": "00000000-0000-4000-8000-000000000001",
    "basis": "期满",
    "batch": "b1",
}


def _body(cls: type[Any]) -> dict[str, Any]:
    """The least that a command's body must hold."""
    import msgspec

    body = {f.name: _FIELDS[f.name] for f in msgspec.structs.fields(cls) if f.required and f.name != "case"}
    if cls is c.AskReturn:
        body["reason"] = "not-our-power"
    return body
