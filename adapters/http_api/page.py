"""The readable page of the API at ``/api``: made from the document, without a script, under a strict policy."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

import jinja2

CSP: Final = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def style() -> bytes:
    """The page's style sheet."""
    return resources.files("adapters.http_api").joinpath("static", "api.css").read_bytes()


def page(document: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """The page: one section for each group, one entry for each endpoint, the problem codes at the end.

    Args:
        titles: what the page says about each code, in Chinese.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    source = resources.files("adapters.http_api").joinpath("static", "api.html.j2").read_text("utf-8")
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation["tags"][0], []).append(
                {
                    "path": path,
                    "method": method.upper(),
                    "operation": operation,
                    "parameters": operation["parameters"],
                    "fields": _fields(operation, document),
                    "answers": _answers(operation),
                }
            )
    return environment.from_string(source).render(
        info=document["info"], groups=groups, titles=titles, openapi="/api/openapi.json"
    )


def _fields(operation: Mapping[str, Any], document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The body's fields, nested ones under dotted names."""
    if "requestBody" not in operation:
        return []
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return list(_flat(_resolved(schema, document), document, ""))


def _flat(schema: Mapping[str, Any], document: Mapping[str, Any], path: str) -> list[dict[str, Any]]:
    rows = []
    required = set(schema.get("required", ()))
    for name, each in schema.get("properties", {}).items():
        inner = _resolved(each, document)
        rows.append(
            {
                "name": path + name,
                "kind": _kind(inner, document),
                "required": name in required,
                "words": each.get("description", ""),
            }
        )
        rows += _flat(inner, document, f"{path}{name}.")
    return rows


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        found: Mapping[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    for one in schema.get("anyOf", ()):
        if one != {"type": "null"}:
            return _resolved(one, document)
    return schema


def _kind(schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"[{_kind(_resolved(schema.get('items', {}), document), document)}]"
    kind = str(schema.get("format") or schema.get("type") or "")
    if "maxLength" in schema:
        kind += f" ≤{schema['maxLength']}"
    return kind


def _answers(operation: Mapping[str, Any]) -> str:
    return " ".join(operation["responses"])
