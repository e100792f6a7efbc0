"""`liandong rules check`: every data folder, or one set of lists, loaded, cross-checked and linted; all faults at once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.cli.rules.sources import SOURCES, NoSuchLists, files_from
from dispatcher.data_files import files_of
from dispatcher.lists import load_directory, load_organisation, load_places, rulebook_files
from dispatcher.settings import Data
from routing_rules.lint import lint
from routing_rules.loader import compile_rulebook

if TYPE_CHECKING:
    from routing_rules.loader import Rulebook
    from routing_rules.places import Places

T = TypeVar("T")


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault or finding. ``serious``: it stops a release; otherwise it is advice. ``kind``: shadowed, dead,
    unreachable, gap, overlap, expired, not-yet, missing-owner, wrong-example, no-example, unused, unknown-division,
    or fault for what cannot even be read."""

    room: str
    where: str
    words: str
    serious: bool
    kind: str = "fault"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was checked: versions by room (digests), counts, and everything found."""

    versions: dict[str, str]
    counts: dict[str, int]
    found: list[Fault]
    holds: bool


def register(check: argparse.ArgumentParser) -> None:
    """Adds the options."""
    check.add_argument(
        "source", nargs="?", metavar="LISTS", help=f"只检查这一版清单 / check these lists only: {SOURCES}"
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
    try:
        report = (
            check_all(settings.data, today)
            if arguments.source is None
            else check_lists(files_from(arguments.source, settings).files, settings.data, today)
        )
    except (NoSuchLists, OSError) as wrong:
        return refuse(wrong)
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
    from routing_rules.duplicate_files import compile_duplicates
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

    places = load("places", lambda: load_places(data))
    book = load("lists", lambda: compile_rulebook(rulebook_files(data)))
    if book is not None:
        versions["lists"], counts["lists"] = book.digest, len(book.sheet.items)
        found.extend(_linted(book, places, today))
    policy = load("policy", lambda: compile_policy(files_of("policy", data.policy), events=EVENT_WORDS))
    if policy is not None:
        versions["policy"], counts["policy"] = policy.digest, len(policy.clocks)
    calendars = load("calendars", lambda: load_calendars(files_of("calendars", data.calendars)))
    if calendars is not None:
        versions["calendars"], counts["calendars"] = calendars.digest, len(calendars.layers)
    if places is not None:
        counts["places"] = len(places.prefectures())
        organisation = load("organisation", lambda: load_organisation(data, places))
        if organisation is not None:
            versions["organisation"], counts["organisation"] = organisation.digest(), len(organisation)
        directory = load("directory", lambda: load_directory(data, places))
        if directory is not None:
            versions["directory"], counts["directory"] = "", len(directory.platforms())
    duplicates = load("duplicates", lambda: compile_duplicates(files_of("duplicates", data.duplicates)))
    if duplicates is not None:
        versions["duplicates"], counts["duplicates"] = "", len(duplicates.repeats) + len(duplicates.events)
    retention = load("retention", lambda: compile_retention(files_of("retention", None)))
    if retention is not None:
        versions["retention"], counts["retention"] = "", len(retention.rows)
    demo = files_of("demo", None)
    load("demo", lambda: demo_messages(demo["messages.toml"]))
    load("demo", lambda: demo_behaviour(demo["behaviour.toml"]))
    return Report(
        versions=versions, counts=counts, found=found, holds=not any(fault.serious for fault in found)
    )


def check_lists(files: Mapping[str, bytes], data: Data, today: date) -> Report:
    """Load and check one set of lists, lexicon and examples."""
    try:
        book = compile_rulebook(files)
    except ExceptionGroup as faults:
        found = [
            Fault(room="lists", where=getattr(each, "where", ""), words=str(each), serious=True)
            for each in _leaves(faults)
        ]
        return Report(versions={}, counts={}, found=found, holds=False)
    found = _linted(book, load_places(data), today)
    return Report(
        versions={"lists": book.digest},
        counts={"lists": len(book.sheet.items)},
        found=found,
        holds=not any(fault.serious for fault in found),
    )


def _linted(book: Rulebook, places: Places | None, today: date) -> list[Fault]:
    found = [
        Fault(
            room="lists",
            where=each.where,
            words=f"{each.kind}: {each.text}",
            serious=each.serious,
            kind=each.kind,
        )
        for each in lint(book, today=today)
    ]
    for head in book.sheet.heads:
        if places is not None and head.division and not places.knows((head.division + "0000")[:6]):
            words = f"unknown-division: {head.division}: 没有这个区划 / no such division of GB/T 2260"
            found.append(
                Fault(room="lists", where=head.layer, words=words, serious=True, kind="unknown-division")
            )
    return found


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
