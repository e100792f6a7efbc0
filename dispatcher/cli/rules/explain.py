"""`liandong rules explain`: which item wins a text, and why the others that it speaks of do not."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime

import msgspec

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.cli.rules.sources import SOURCES, NoSuchLists, book_from, now
from dispatcher.cli.storing import leaves
from dispatcher.lists import load_places
from routing_rules.explain import Explanation, explain
from routing_rules.ruling import Evidence, Hints, Line


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument(
        "text", nargs="?", metavar="TEXT", help="诉求原话;不给则读标准输入 / else standard input"
    )
    parser.add_argument("--lists", default="configured", metavar="LISTS", help=SOURCES)
    parser.add_argument("--line", choices=[line.value for line in Line], default="12345")
    parser.add_argument("--division", default="630000", metavar="CODE", help="GB/T 2260")
    parser.add_argument("--at", metavar="ISO", help="时刻,须带时区 / instant with zone (default now)")
    parser.add_argument("--caller-gone", action="store_true", help="已挂断 / the caller is gone")
    parser.add_argument("--facts", action="store_true", help="列出读到的全部事实 / every fact that was read")
    parser.add_argument("--json", action="store_true", help="JSON 输出,每行一个 / answer in JSON, one a line")
    add_config(parser)
    parser.set_defaults(handler=handler)


def handler(arguments: argparse.Namespace) -> int:
    """Explains each text. 0 when done, 2 when the question was wrong."""
    settings = settings_of(arguments)
    at = now()
    if arguments.at is not None:
        try:
            at = datetime.fromisoformat(arguments.at)
        except ValueError:
            at = at.replace(tzinfo=None)
        if at.tzinfo is None:
            return refuse(f"--at {arguments.at!r}: 须为带时区的时刻 / write 2026-02-14T10:00:00+08:00")
    try:
        places = load_places(settings.data)
        if not places.knows(arguments.division):
            return refuse(f"--division {arguments.division!r}: 没有这个区划 / use a GB/T 2260 code")
        name, book = book_from(arguments.lists, settings)
    except (NoSuchLists, OSError) as fault:
        return refuse(fault)
    except ExceptionGroup as faults:
        return refuse("\n".join(leaves(faults)))
    texts = [arguments.text] if arguments.text is not None else (row.rstrip("\n") for row in sys.stdin)
    for text in texts:
        found = explain(
            text,
            book=book,
            line=Line(arguments.line),
            division=places.best(text, arguments.division),
            at=at,
            hints=Hints(caller_gone=arguments.caller_gone),
        )
        if arguments.json:
            print(msgspec.json.encode(found).decode())
        else:
            print("\n".join(_words(text, found, name, facts=arguments.facts)))
    return 0


def _words(text: str, found: Explanation, name: str, *, facts: bool) -> list[str]:
    danger = "  ⚠ 涉险 / danger" if found.danger else ""
    rows = [
        f"“{text if len(text) <= 60 else text[:60] + '…'}”",
        f"✓ {found.item} {found.title} → {found.platform} {found.decision}{danger}"
        f" · 把握 {found.confidence:.0%} · {found.layer} · {name} {found.list_version[:12]}",
    ]
    if found.also:
        rows.append(f"  同时 / also {'、'.join(found.also)}")
    if found.spans:
        rows.append(f"  依据 / rests on {_places(found.spans)}")
    for loser in found.losers:
        rows.append(f"✗ {loser.item} {loser.title} → {loser.platform}: {loser.words}")
        if loser.spans:
            rows.append(f"    {_places(loser.spans)}")
    if facts:
        rows.extend(
            f"· {each.start}–{each.end} “{each.words}” {each.fact} {'、'.join(each.planes)}"
            for each in found.facts
        )
    return rows


def _places(spans: tuple[Evidence, ...]) -> str:
    return "、".join(f"“{each.words}”[{each.start}–{each.end}]" for each in spans)
