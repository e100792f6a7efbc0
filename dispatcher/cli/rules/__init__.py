"""`liandong rules`: what a list owner does with lists: copy, check, explain, diff, replay, release, roll back."""

from __future__ import annotations

import argparse
import importlib
from typing import Any, NamedTuple


class Action(NamedTuple):
    """A word after `liandong rules`, the module that knows it, and what it does."""

    word: str
    module: str
    words: str


ACTIONS = (
    Action(
        "check",
        "check",
        "读入、交叉核对、试例、体检,一次列出全部问题 / load, cross-check, lint; all faults at once",
    ),
    Action(
        "explain",
        "explain",
        "一段话由哪一条事项胜出、其余为何落选 / which item wins a text, and why the others lose",
    ),
    Action("diff", "diff", "两版清单的差别与影响 / what differs between two releases or folders"),
    Action("replay", "replay", "用旧案试新清单:谁会变、去哪里、单位负荷 / past cases through a new list"),
    Action("export", "export", "把一版清单写成可编辑的文件夹 / write a release as a folder to edit"),
    Action(
        "release", "release", "两人签发:提出、批准、列出 / release by two persons: propose, approve, list"
    ),
    Action("rollback", "rollback", "退回上一版 / go back to an earlier release"),
)


def register(subparsers: Any) -> None:
    """Adds the verb with all its actions."""
    parser = subparsers.add_parser("rules", help="检查清单与数据 / check lists and data")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action in ACTIONS:
        module = importlib.import_module(f"dispatcher.cli.rules.{action.module}")
        module.register(actions.add_parser(action.word, help=action.words, description=action.words))


def handler(arguments: argparse.Namespace) -> int:
    """Runs the chosen action."""
    code: int = arguments.handler(arguments)
    return code
