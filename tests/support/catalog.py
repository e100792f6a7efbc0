"""Finds every template that an answer of the API may carry, so that none stays without Chinese words.

Run ``python -m tests.support.catalog`` to list those that the catalogue lacks, ready to be pasted and translated.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from adapters.http_api.problems import _WORDS, TITLES
from dispatcher.languages import catalogue

ROOT = Path(__file__).parents[2]
PO = ROOT / "adapters/http_api/locale/zh_CN.po"
_FOLDERS = ("dispatcher/domain", "dispatcher/store", "adapters/http_api")
_RAISED = frozenset(
    {
        "Refused",
        "NotFound",
        "AlreadyThere",
        "WrongStage",
        "NotYours",
        "BadField",
        "AgainstRule",
        "KeyReused",
        "Problem",
    }
)


def templates() -> dict[str, str]:
    """Every template with a place where it is used."""
    found = {words: "adapters/http_api/problems.py" for pair in _WORDS.values() for words in pair if words}
    found.update(dict.fromkeys(TITLES.values(), "adapters/http_api/problems.py"))
    for folder in _FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            where = str(path.relative_to(ROOT))
            tree = ast.parse(path.read_text("utf-8"))
            for words in _said(tree):
                found.setdefault(words, where)
    return found


def untranslated() -> dict[str, str]:
    """Those of `templates` that the catalogue has no words for."""
    chinese = catalogue(PO.read_bytes())
    return {
        words: where
        for words, where in templates().items()
        if words != "{first}" and chinese.gettext(words) == words
    }


def _said(tree: ast.Module) -> Iterator[str]:
    constants = {
        node.targets[0].id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in _RAISED:
            spoken = list(node.args[2 if name == "Problem" else 0 :][:1])
            spoken += [keyword.value for keyword in node.keywords if keyword.arg == "remedy"]
            for value in spoken:
                yield from _words(value, constants)
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "say" and node.args:
            yield from _words(node.args[0], constants)


def _words(value: ast.expr, constants: dict[str, str]) -> Iterator[str]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
        yield value.value
    elif isinstance(value, ast.Name) and value.id in constants:
        yield constants[value.id]
    elif isinstance(value, ast.IfExp):
        yield from _words(value.body, constants)
        yield from _words(value.orelse, constants)


if __name__ == "__main__":
    for words, where in untranslated().items():
        print(f'#: {where}\nmsgid "{words}"\nmsgstr ""\n')  # noqa: T201
