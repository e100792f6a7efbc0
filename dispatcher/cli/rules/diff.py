"""`liandong rules diff`: what differs between two sets of lists, and which examples come out elsewhere."""

from __future__ import annotations

import argparse

import msgspec

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.cli.rules.sources import SOURCES, NoSuchLists, book_from, today
from dispatcher.cli.storing import leaves
from routing_rules.compare import Comparison, compare

_MARKS = {"added": "+", "removed": "-", "changed": "~"}


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("before", metavar="A", help=SOURCES)
    parser.add_argument("after", metavar="B", help=SOURCES)
    parser.add_argument("--json", action="store_true", help="以 JSON 输出 / answer as JSON")
    add_config(parser)
    parser.set_defaults(handler=handler)


def handler(arguments: argparse.Namespace) -> int:
    """Compares. 0 when they are the same or differ without breaking a proof, 1 when one is broken, 2 when the
    question was wrong."""
    settings = settings_of(arguments)
    try:
        _, before = book_from(arguments.before, settings)
        _, after = book_from(arguments.after, settings)
    except (NoSuchLists, OSError) as fault:
        return refuse(fault)
    except ExceptionGroup as faults:
        return refuse("\n".join(leaves(faults)))
    found = compare(before, after, today=today())
    print(msgspec.json.encode(found).decode() if arguments.json else "\n".join(_words(found)))
    return 1 if any(move.proof_broken for move in found.moves) else 0


def _words(found: Comparison) -> list[str]:
    rows = [f"{found.before[:12]} → {found.after[:12]}"]
    if found.same:
        return [*rows, "没有差别 / they are the same"]
    for item in found.items:
        rows.append(f"{_MARKS[item.change]} {item.id} {item.title} ({item.layer})")
        rows.extend(f"    {each.field}: {each.before} → {each.after}" for each in item.fields)
    for words in found.words:
        gained = " ".join(f"+{word}" for word in words.added[:12])
        lost = " ".join(f"-{word}" for word in words.removed[:12])
        more = max(0, len(words.added) - 12) + max(0, len(words.removed) - 12)
        rows.append(f"~ {words.concept}: {gained} {lost}".rstrip() + (f" …{more}" if more else ""))
    rows.extend(f"~ {name}" for name in found.facts)
    rows.append(f"示例去向改变 / examples that move: {len(found.moves)}")
    for move in found.moves[:40]:
        mark = "✗" if move.proof_broken else "·"
        rows.append(f"{mark} “{move.text[:40]}” {move.before} ⇒ {move.after}")
    return rows
