"""Writes docs/lifecycle.md and docs/events.md from the stage table and the classes: `python -m tests.support.draw_lifecycle`."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import get_args

import msgspec

from dispatcher.domain import commands as c
from dispatcher.domain import effects as f
from dispatcher.domain import events as e
from dispatcher.domain.authority import ROLES
from dispatcher.domain.lifecycle import ALLOWED, FOR_MACHINES, LEADS_TO, diagram
from dispatcher.domain.stream import Command
from dispatcher.domain.values import FINISHED, Stage

DOCS = Path(__file__).parents[2] / "docs"
_MADE = "<!-- Made by tests/support/draw_lifecycle.py from the classes; a test fails when it is stale. -->\n"


def lifecycle() -> str:
    """docs/lifecycle.md."""
    lines = [
        _MADE,
        "# Life of a case",
        "",
        "Which command is admitted in which stage (`dispatcher.domain.lifecycle.ALLOWED`), and where it can lead",
        "(`LEADS_TO`, held to the truth by a property test). Stages in italics owe nothing any more.",
        "",
        "```mermaid",
        diagram().rstrip(),
        "```",
        "",
        "| stage | admitted, and where it can lead |",
        "|---|---|",
    ]
    for stage, commands in ALLOWED.items():
        named = [_admitted(stage, command) for command in commands if command not in FOR_MACHINES]
        word = f"*{stage.value}*" if stage in FINISHED else stage.value
        lines.append(f"| {word} | {', '.join(named)} |")
    lines += [
        "",
        "Liandong itself sends "
        + ", ".join(sorted(f"`{c.name_of(one)}`" for one in FOR_MACHINES))
        + " in every stage.",
        "",
        "## Who sends what",
        "",
        "| command | roles | |",
        "|---|---|---|",
    ]
    for command in get_args(c.AnyCommand):
        roles = ", ".join(sorted(role.value for role in ROLES[command]))
        lines.append(f"| `{c.name_of(command)}` | {roles} | {_first(command)} |")
    return "\n".join(lines) + "\n"


def events() -> str:
    """docs/events.md."""
    lines = [
        _MADE,
        "# Events",
        "",
        "Every kind in the log, with its fields. A kind is chosen once and never used again; a deadline policy names",
        "events by their word (the kind without its version). Fields with `?` may be left out.",
        "",
        "| kind | fields | meaning |",
        "|---|---|---|",
    ]
    lines += [_row(event) for event in get_args(e.AnyEvent)]
    lines += [
        "",
        "## Effects",
        "",
        "What a commit wants done outside.",
        "",
        "| kind | fields | meaning |",
        "|---|---|---|",
    ]
    lines += [_row(effect) for effect in get_args(f.AnyEffect)]
    return "\n".join(lines) + "\n"


def _admitted(stage: Stage, command: type[Command]) -> str:
    targets = LEADS_TO.get(command, {})
    found: tuple[Stage, ...] = targets.get(stage, targets.get(None, ()))
    name = f"`{c.name_of(command)}`"
    return f"{name} → {' / '.join(one.value for one in found)}" if found else name


def _row(kind: type[msgspec.Struct]) -> str:
    return f"| `{kind.__struct_config__.tag}` | {_fields(kind)} | {_first(kind)} |"


def _fields(kind: type[msgspec.Struct]) -> str:
    return ", ".join(
        f"{field.encode_name}{'' if field.required else '?'}" for field in msgspec.structs.fields(kind)
    )


def _first(kind: type[msgspec.Struct]) -> str:
    own = kind.__dict__.get("__doc__") or ""
    return inspect.cleandoc(own).split("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def main() -> int:
    """Write both."""
    (DOCS / "lifecycle.md").write_text(lifecycle(), encoding="utf-8")
    (DOCS / "events.md").write_text(events(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
