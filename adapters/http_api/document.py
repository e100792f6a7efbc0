"""The OpenAPI document: paths and bodies from aiohttp-pydantic, answers and problems from what each view tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from aiohttp import web
from aiohttp_pydantic.oas.pydantic_schema_to_oas import add_or_replace_translater
from aiohttp_pydantic.oas.view import generate_oas

from adapters.http_api.problems import PROBLEM_JSON, ProblemDocument
from adapters.http_api.view import ApiView, Told

VERSION: Final = "1.0.0"
_REF: Final = "#/components/schemas/{name}"
_STATUS: Final[Mapping[int, str]] = {
    400: "不是 JSON / not JSON",
    401: "缺少有效令牌 / no valid token",
    403: "角色、单位或地域不符 / not within role, organisation or region",
    404: "没有,或无权知悉 / not there, or not for you to know of",
    405: "方法不支持 / method not taken",
    409: "现在不能办理,见 allowed / not now; see allowed",
    413: "内容过大 / too large",
    415: "须为 JSON / must be JSON",
    422: "字段有误,或幂等键内容不同 / a field is wrong, or the key came with other content",
    500: "本方故障 / our fault",
    503: "暂不可用,可用同一幂等键重发 / not now; repeat with the same key",
}
_ABOUT: Final = """12345 与 110 联动平台接口。 Every command of a case is an endpoint of its own; questions take filters and cursors.

- 令牌 / token: `Authorization: Bearer TOKEN` (`liandong token add`).
- 幂等 / repeats: send `Idempotency-Key`; the same key with the same content gets the same answer and
  `Idempotent-Replay: true`, with other content 422.
- 错误 / problems: RFC 9457 `application/problem+json` naming field, value, remedy, in the language of `Accept-Language`
  (Chinese by default).
- 时刻 / instants: RFC 3339 with zone. Legal time is Asia/Shanghai.
"""


def document(app: web.Application) -> dict[str, Any]:
    """The OpenAPI 3.1 document of everything that is mounted in ``app``."""
    # OpenAPI 3.1 takes JSON Schema as pydantic and msgspec write it; the library would rewrite it for 3.0 and stumbles
    # over optional objects on the way.
    add_or_replace_translater("3.0.0", _as_it_is)
    found: dict[str, Any] = generate_oas([app], VERSION, "联动 Liandong API")
    views = dict(_views(app))
    models = sorted(
        {told.model for view in views.values() for told in view.told.values() if told.model}, key=_name
    )
    _, schemas = msgspec.json.schema_components([*models, ProblemDocument], ref_template=_REF)
    components = {**found.get("components", {}).get("schemas", {}), **schemas}
    return {
        "openapi": "3.1.0",
        "info": {"title": "联动 Liandong", "version": VERSION, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(_tags(views))],
        "paths": {path: _path(found["paths"][path], view) for path, view in views.items()},
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _views(app: web.Application) -> Iterator[tuple[str, type[ApiView]]]:
    for resource in app.router.resources():
        for route in resource:
            if isinstance(route.handler, type) and issubclass(route.handler, ApiView):
                info = route.get_info()
                yield info.get("path") or info["formatter"], route.handler


def _path(found: Mapping[str, Any], view: type[ApiView]) -> dict[str, Any]:
    return {method.lower(): _operation(found[method.lower()], told) for method, told in view.told.items()}


def _operation(found: Mapping[str, Any], told: Told) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": told.name,
        "summary": told.summary,
        "description": found.get("description", ""),
        "tags": [told.tag],
        "parameters": [_parameter(one) for one in found.get("parameters", ())],
        "responses": _responses(told),
    }
    if "requestBody" in found:
        operation["requestBody"] = {**found["requestBody"], "required": not told.optional_body}
    return operation


def _parameter(found: Mapping[str, Any]) -> dict[str, Any]:
    schema = {key: value for key, value in found["schema"].items() if key != "title"}
    name = found["name"]
    parameter = {"name": name, "in": found["in"], "required": found["required"], "schema": schema}
    if found["in"] == "header":
        parameter["name"] = "-".join(part.capitalize() for part in name.split("_"))
        parameter["description"] = "同一请求重发时不变 / the same at each repeat of a request"
    if found["in"] != "path" and "anyOf" in schema:
        # A parameter that is left out is left out; there is no way to write null.
        kinds = [kind for kind in schema.pop("anyOf") if kind != {"type": "null"}]
        schema.pop("default", None)
        schema.update(kinds[0])
    return parameter


def _responses(told: Told) -> dict[str, Any]:
    content: dict[str, Any] = dict(told.content)
    if told.model is not None:
        content["application/json"] = {"schema": {"$ref": _REF.format(name=told.model.__name__)}}
    done: dict[str, Any] = {"description": "完成 / done", "content": content}
    if told.status == 201:
        done["headers"] = {"Location": {"schema": {"type": "string"}}}
    problem = {PROBLEM_JSON: {"schema": {"$ref": _REF.format(name=ProblemDocument.__name__)}}}
    refused = {
        str(status): {"description": _STATUS[status], "content": problem}
        for status in sorted({*told.problems, 405, 500})
    }
    return {str(told.status): done, **refused}


def _tags(views: Mapping[str, type[ApiView]]) -> Iterator[str]:
    for view in views.values():
        for told in view.told.values():
            yield told.tag


def _name(model: type[msgspec.Struct]) -> str:
    return model.__name__


def _as_it_is(_schema: object) -> None:
    """JSON Schema 2020-12 is what OpenAPI 3.1 speaks."""
