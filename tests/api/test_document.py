"""The OpenAPI document and its readable page say what is there, and problems speak two languages."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from adapters.http_api.problems import TITLES
from tests.api import people
from tests.api.conftest import Api
from tests.support.catalog import untranslated

pytestmark = pytest.mark.parametrize("engine_name", ["sqlite"])


async def test_every_endpoint_is_documented_with_its_answers_and_problems(api: Api) -> None:
    document = (await api.ask("GET", "/api/openapi.json")).json

    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for operation in methods.values():
            statuses = set(operation["responses"])
            assert operation["description"] and operation["summary"], path
            assert {"401", "405", "500"} <= statuses and statuses & {"200", "201"}, path
            for name in re.findall(r"{(\w+)}", path):
                assert any(
                    one["name"] == name and one["in"] == "path" and one["required"]
                    for one in operation["parameters"]
                ), path


async def test_every_reference_in_the_document_leads_somewhere(api: Api) -> None:
    body = (await api.ask("GET", "/api/openapi.json")).body.decode()
    document = (await api.ask("GET", "/api/openapi.json")).json

    wanted = set(re.findall(r'"#/components/schemas/([^"]+)"', body))

    assert wanted and wanted <= set(document["components"]["schemas"])
    assert "#/$defs/" not in body


async def test_bodies_say_what_is_required(api: Api) -> None:
    document = (await api.ask("GET", "/api/openapi.json")).json
    schemas = document["components"]["schemas"]

    assert schemas["AssignCaseIn"]["required"] == ["lead"]
    assert schemas["AssignCaseIn"]["additionalProperties"] is False
    assert "case" not in schemas["AssignCaseIn"]["properties"]
    assert document["paths"]["/api/v1/cases/{case}/sign-for"]["post"]["requestBody"]["required"] is False
    assert document["paths"]["/api/v1/cases/{case}/assign-case"]["post"]["requestBody"]["required"] is True


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value for name, value in attrs if name == "id" and value]


async def test_the_page_needs_no_script_and_no_inline_style(api: Api) -> None:
    answered = await api.ask("GET", "/api")
    seen = _Seen()
    seen.feed(answered.body.decode())

    policy = answered.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "script" not in seen.tags and "style" not in seen.tags
    assert not {name for name in seen.attributes if name == "style" or name.startswith("on")}
    assert set(TITLES) <= set(seen.ids)  # where the type of a problem points to
    assert len(seen.ids) == len(set(seen.ids))
    assert (await api.ask("GET", "/api/api.css")).headers["Content-Type"].startswith("text/css")


@pytest.mark.parametrize(
    ("asked", "language", "title"),
    [
        ("", "zh-CN", "未找到"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN", "未找到"),
        ("en-GB", "en", "Not found"),
        ("fr, en;q=0.5, zh;q=0.3", "en", "Not found"),
        ("de", "zh-CN", "未找到"),
        ("en;q=x", "zh-CN", "未找到"),
    ],
)
async def test_a_problem_speaks_the_language_that_was_asked_for(
    api: Api, asked: str, language: str, title: str
) -> None:
    answered = await api.ask("GET", "/nothing", people.agent(), headers={"Accept-Language": asked})

    assert answered.headers["Content-Language"] == language
    assert answered.json["title"] == title


async def test_a_refusal_of_the_domain_is_told_in_chinese_with_the_stage_in_words(api: Api) -> None:
    case = (await api.ask("POST", "/calls", people.agent(), json={"words": "路灯不亮"})).json["case"]

    answered = await api.ask("POST", f"/cases/{case}/close-case", people.agent())

    assert answered.json["detail"].startswith("诉求当前为“")
    assert "ruled" not in answered.json["detail"] and "received" not in answered.json["detail"]


def test_every_refusal_has_chinese_words(engine_name: str) -> None:
    missing = untranslated()

    assert missing == {}, "run: python -m tests.support.catalog, and translate into adapters/http_api/locale"
