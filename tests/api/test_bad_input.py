"""Bad input gets a clear 4xx that names field, value and remedy; nothing is stored."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.api import people
from tests.api.conftest import BODY_LIMIT, Api

pytestmark = pytest.mark.parametrize("engine_name", ["sqlite"])  # the edge is the same on both engines

RAW = {
    "not json": (b"{", 400, "malformed"),
    "nothing": (b"", 415, "unsupported-media-type"),
    "two values": (b'{"words":"a"} x', 400, "malformed"),
    "not utf-8": (b'{"words":"\xff\xfe"}', 400, "malformed"),
    "a lone surrogate": (b'{"words":"\\ud800"}', 400, "malformed"),
    "deep nesting": (b'{"words":' + b"[" * 50_000, 400, "malformed"),
    "not a number": (b'{"words":"a","call":NaN}', 422, "bad-field"),
    "an endless number": (b'{"words":"a","call":' + b"9" * 6000 + b"}", 400, "malformed"),
    "a list": (b"[]", 422, "bad-field"),
    "null": (b"null", 422, "bad-field"),
}
FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "words missing": ({}, "words"),
    "an unknown field": ({"words": "a", "wrods": "b"}, "wrods"),
    "a nested unknown field": ({"words": "a", "personal": {"phone": "1"}}, "personal.phone"),
    "a number for words": ({"words": 5}, "words"),
    "a word for a flag": ({"words": "a", "anonymous": "yes"}, "anonymous"),
    "NUL": ({"words": "a\0b"}, "words"),
    "a control character": ({"words": "a\x07b"}, "words"),
    "a line break in a code": ({"words": "a", "call": "x\ny"}, "call"),
    "too many words": ({"words": "长" * 20_001}, "words"),
    "a million words": ({"words": "x" * 1_000_000}, "words"),
    "an unknown division": ({"words": "a", "division": "639999"}, "division"),
    "an unknown platform": ({"words": "a", "platform": "12345-999999"}, "platform"),
    "a time without zone": ({"words": "a", "received": "2026-11-18T09:59:00"}, "received"),
    "a time that is a number": ({"words": "a", "received": 1700000000}, "received"),
    "a time that is a number in text": ({"words": "a", "received": "1700000000"}, "received"),
    "a time that is a date": ({"words": "a", "received": "2026-11-18"}, "received"),
    "a time in the future": ({"words": "a", "received": "2026-11-18T10:03:00+08:00"}, "received"),
    "a time too far back for a live call": (
        {"words": "a", "received": "2026-11-18T09:00:00+08:00"},
        "received",
    ),
    "an ancient time": ({"words": "a", "first_received": "2019-02-28T11:25:05+08:00"}, "first_received"),
    "an id that is none": ({"words": "a", "peer_case": "17"}, "peer_case"),
}


@pytest.mark.parametrize("name", RAW)
async def test_a_body_that_is_no_object_of_ours_is_refused(api: Api, name: str) -> None:
    raw, status, code = RAW[name]

    answered = await api.ask("POST", "/calls", people.agent(), raw=raw, headers=_type(raw))

    assert (answered.status, answered.json["code"]) == (status, code)
    assert answered.headers["Content-Type"] == "application/problem+json"
    assert answered.json["remedy"]
    assert await api.events() == 0


@pytest.mark.parametrize("name", FIELDS)
async def test_a_wrong_field_is_named_with_its_remedy(api: Api, name: str) -> None:
    sent, field = FIELDS[name]

    answered = await api.ask("POST", "/calls", people.agent(), json=sent)

    assert answered.status == 422
    assert answered.json["field"] == field
    assert answered.json["detail"] and answered.json["remedy"]
    assert await api.events() == 0


async def test_all_wrong_fields_are_told_at_once(api: Api) -> None:
    answered = await api.ask("POST", "/calls", people.agent(), json={"anonymous": 1, "nope": 2})

    assert {fault["field"] for fault in answered.json["errors"]} == {"words", "anonymous", "nope"}


async def test_what_a_citizen_wrote_never_comes_back_in_a_problem(api: Api) -> None:
    sent = {"words": 13897001234, "personal": {"caller": 13897001234, "name": ["秘密"]}}

    answered = await api.ask("POST", "/calls", people.agent(), json=sent)

    assert answered.status == 422
    assert b"13897001234" not in answered.body
    assert "秘密".encode() not in answered.body


async def test_a_body_over_the_limit_is_refused_by_its_announced_length(api: Api) -> None:
    answered = await api.ask("POST", "/calls", people.agent(), raw=b"x" * (BODY_LIMIT + 1))

    assert (answered.status, answered.json["code"]) == (413, "too-large")


async def test_a_body_over_the_limit_is_refused_while_it_is_read(api: Api) -> None:
    async def endless() -> Any:
        for _ in range(BODY_LIMIT // 65_536 + 2):
            yield b"x" * 65_536

    answered = await api.ask(
        "POST", "/calls", people.agent(), raw=endless(), headers={"Content-Type": "application/json"}
    )

    assert (answered.status, answered.json["code"]) == (413, "too-large")


async def test_a_megabyte_of_text_does_not_hold_up_the_others(api: Api) -> None:
    actor = people.agent()
    await api.ask("GET", "/figures", actor)
    slowest = 0.0

    async def heartbeat() -> None:
        nonlocal slowest
        last = time.perf_counter()
        while not done.is_set():
            await asyncio.sleep(0)
            slowest = max(slowest, time.perf_counter() - last)
            last = time.perf_counter()

    done = asyncio.Event()
    watching = asyncio.create_task(heartbeat())
    answered = await api.ask("POST", "/calls", actor, json={"words": "杀" * 350_000})
    done.set()
    await watching

    assert answered.status == 422
    assert slowest < 0.5  # generous: this machine is shared; ruling a million signs would take longer


async def test_another_kind_of_body_is_refused(api: Api) -> None:
    answered = await api.ask(
        "POST", "/calls", people.agent(), raw=b"words=a", headers={"Content-Type": "text/plain"}
    )

    assert (answered.status, answered.json["field"]) == (415, "Content-Type")


@pytest.mark.parametrize("key", ["with space", "x" * 256, "钥匙"])
async def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    answered = await api.ask(
        "POST",
        "/calls",
        people.agent(),
        json={"words": "a"},
        headers={"Idempotency-Key": key.encode().decode("latin-1")},
    )

    assert (answered.status, answered.json["field"]) == (422, "idempotency_key")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("divison=630100", "divison"),
        ("division=639999", "division"),
        ("platform=x", "platform"),
        ("unit=x", "unit"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=a", "limit"),
        ("lamp=blue", "lamp"),
        ("stage=nowhere", "stage.0"),
        ("received_from=2026-11-18T10:00:00", "received_from"),
        ("received_from=yesterday", "received_from"),
        ("limit=1&limit=2", "limit"),
        ("cursor=%20", "cursor"),
        ("cursor=AAAA", "cursor"),
        ("number=%00", "number"),
    ],
)
async def test_a_question_with_a_wrong_parameter_is_refused(api: Api, query: str, field: str) -> None:
    answered = await api.ask("GET", f"/cases?{query}", people.agent())

    assert (answered.status, answered.json["field"]) == (422, field)


@pytest.mark.parametrize("path", ["/nothing", "/cases/17", "/cases/17/trail", "/cases/17/sign-for"])
async def test_a_path_that_is_not_there_is_a_problem_document(api: Api, path: str) -> None:
    method = "POST" if path.endswith("sign-for") else "GET"

    answered = await api.ask(method, path, people.clerk(_unit()))

    assert (answered.status, answered.json["code"]) == (404, "not-found")


async def test_a_method_that_is_not_taken_is_a_problem_document(api: Api) -> None:
    answered = await api.ask("DELETE", "/cases", people.agent())

    assert (answered.status, answered.json["code"]) == (405, "method-not-allowed")
    assert answered.headers["Allow"] == "GET"


async def test_a_fault_of_ours_is_a_problem_with_an_id_that_is_in_the_log(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    token = {"Authorization": f"Bearer {await api.token(people.agent())}"}
    await api.ask("GET", "/cases", headers=token)
    async with api.services.database.writing() as connection:
        await connection.exec_driver_sql("ALTER TABLE stream RENAME TO gone")

    answered = await api.ask("GET", "/cases", headers=token)

    assert (answered.status, answered.json["code"]) == (500, "internal")
    assert b"Traceback" not in answered.body and b"gone" not in answered.body
    told = [record for record in caplog.records if record.name == "liandong.api"]
    assert [f"urn:uuid:{record.__dict__['fault']}" for record in told] == [answered.json["instance"]]


def _unit() -> str:
    return people.library().organisation.units(kind="heating")[0].code


def _type(raw: bytes) -> dict[str, str]:
    return {"Content-Type": "application/json"} if raw else {"Content-Type": "application/octet-stream"}
