"""`liandong rules check`: every data folder loaded, cross-checked and linted; all faults at once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.data_files import files_of
from dispatcher.lists import load_directory, load_organisation, load_places, rulebook_files
from dispatcher.settings import Data
from routing_rules.lint import lint
from routing_rules.loader import compile_rulebook

T = TypeVar("T")


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault or finding. ``serious``: it stops a release; otherwise it is advice."""

    room: str
    where: str
    words: str
    serious: bool


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was checked: versions by room (digests), counts, and everything found."""

    versions: dict[str, str]
    counts: dict[str, int]
    found: list[Fault]
    holds: bool


def register(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser("rules", help="检查清单与数据 / check lists and data")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="读入、交叉核对、试例、体检,一次列出全部问题 / load, cross-check, lint; all faults at once",
    )
    check.add_argument(
        "--on", metavar="DATE", help="按哪一天的效力检查(默认今天) / as they stand on a day (default today)"
    )
    check.add_argument("--advice", action="store_true", help="也列出建议 / list advice too")
    check.add_argument("--json", action="store_true", help="以 JSON 输出 / answer as JSON")
    add_config(check)
    check.set_defaults(handler=handler)


def handler(arguments: argparse.Namespace) -> int:
    """Checks. 0 when nothing serious was found, 1 when something was, 2 when the question was wrong."""
    settings = settings_of(arguments)
    today = _day(arguments.on)
    if today is None:
        return refuse(f"--on {arguments.on!r}: 写成 2026-02-14 / write it like that")
    report = check_all(settings.data, today)
    if arguments.json:
        print(msgspec.json.encode(report).decode())
        return 0 if report.holds else 1
    for fault in report.found:
        if fault.serious or arguments.advice:
            mark = "✗" if fault.serious else "·"
            print(f"{mark} {fault.room} {fault.where}: {fault.words}", file=sys.stderr)
    if (advice := sum(not fault.serious for fault in report.found)) and not arguments.advice:
        print(f"· 另有 {advice} 条建议(--advice 列出) / {advice} pieces of advice")
    for room, version in report.versions.items():
        print(f"✓ {room:<13} {version[:16]}  {report.counts.get(room, 0)} 项 / entries")
    serious = sum(fault.serious for fault in report.found)
    print("检查通过 / all is well" if report.holds else f"{serious} 处须改正 / {serious} to be mended")
    return 0 if report.holds else 1


def check_all(data: Data, today: date) -> Report:
    """Load and check every folder; what cannot be loaded is a fault like any other."""
    from dispatcher.releases import EVENT_WORDS
    from routing_rules.calendar_files import load_calendars
    from routing_rules.demo import demo_behaviour, demo_messages
    from routing_rules.policy_files import compile_policy
    from routing_rules.retention import compile_retention

    found: list[Fault] = []
    versions: dict[str, str] = {}
    counts: dict[str, int] = {}

    def load(room: str, make: Callable[[], T]) -> T | None:
        try:
            return make()
        except (OSError, ExceptionGroup) as fault:
            found.extend(
                Fault(room=room, where=getattr(each, "where", ""), words=str(each), serious=True)
                for each in _leaves(fault)
            )
            return None

    book = load("lists", lambda: compile_rulebook(rulebook_files(data)))
    if book is not None:
        versions["lists"], counts["lists"] = book.digest, len(book.sheet.items)
        found.extend(
            Fault(room="lists", where=each.where, words=f"{each.kind}: {each.text}", serious=each.serious)
            for each in lint(book, today=today)
        )
    policy = load("policy", lambda: compile_policy(files_of("policy", data.policy), events=EVENT_WORDS))
    if policy is not None:
        versions["policy"], counts["policy"] = policy.digest, len(policy.clocks)
    calendars = load("calendars", lambda: load_calendars(files_of("calendars", data.calendars)))
    if calendars is not None:
        versions["calendars"], counts["calendars"] = calendars.digest, len(calendars.layers)
    places = load("places", lambda: load_places(data))
    if places is not None:
        counts["places"] = len(places.prefectures())
        organisation = load("organisation", lambda: load_organisation(data, places))
        if organisation is not None:
            versions["organisation"], counts["organisation"] = organisation.digest(), len(organisation)
        directory = load("directory", lambda: load_directory(data, places))
        if directory is not None:
            versions["directory"], counts["directory"] = "", len(directory.platforms())
    retention = load("retention", lambda: compile_retention(files_of("retention", None)))
    if retention is not None:
        versions["retention"], counts["retention"] = "", len(retention.rows)
    demo = files_of("demo", None)
    load("demo", lambda: demo_messages(demo["messages.toml"]))
    load("demo", lambda: demo_behaviour(demo["behaviour.toml"]))
    return Report(
        versions=versions, counts=counts, found=found, holds=not any(fault.serious for fault in found)
    )


def _day(written: str | None) -> date | None:
    if written is None:
        from dispatcher.runtime.hands import Hands

        return Hands().wall().astimezone(ZoneInfo("Asia/Shanghai")).date()
    try:
        return datetime.strptime(written, "%Y-%m-%d").date()  # noqa: DTZ007 - a calendar day has no zone
    except ValueError:
        return None


def _leaves(fault: BaseException) -> Iterator[BaseException]:
    if isinstance(fault, BaseExceptionGroup):
        for each in fault.exceptions:
            yield from _leaves(each)
    else:
        yield fault
