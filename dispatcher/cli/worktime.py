"""`liandong worktime`: due instants in legal working time, one at a time or one for each line of stdin."""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from dispatcher.data_files import packaged_files
from dispatcher.domain.worktime import Calendar, Calendars, Unreckonable
from routing_rules.calendar_files import load_calendars
from routing_rules.strict import DataFault

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_HOME = "630000"


def register(subparsers: Subparsers) -> None:
    """Add `worktime` and its own subcommands to the command line."""
    worktime = subparsers.add_parser(
        "worktime",
        help="法定工作时间计算 / legal working time",
        description="法定工作时间计算 / legal working time",
    )
    commands = worktime.add_subparsers(dest="worktime_command", required=True, metavar="COMMAND")
    add = commands.add_parser(
        "add",
        help="START 之后第 N 个工作日的到期时刻 / when N working days after START end",
        description="受理当日不计,第 N 个工作日下班时到期。/ The day of START is not counted; "
        "due at close of business of the N-th working day. With --json and neither START nor N, "
        "reads `START N` lines from stdin and answers one JSON object for each.",
    )
    add.add_argument(
        "start", nargs="?", metavar="START", help="ISO 8601,须带时区 / with zone: 2026-02-14T10:00:00+08:00"
    )
    add.add_argument("n", nargs="?", metavar="N", help="工作日数 / working days, 0 or more")
    add.add_argument(
        "--division",
        default=_HOME,
        metavar="CODE",
        help=f"GB/T 2260 行政区划代码 / division (default {_HOME})",
    )
    add.add_argument("--json", action="store_true", help="JSON 输出 / answer in JSON")
    add.set_defaults(handler=handler)


def handler(args: argparse.Namespace) -> int:
    """Answer on stdout. 0 when all was answered, 2 when something could not be read (said in words)."""
    try:
        calendar = Calendars(load_calendars(packaged_files("calendars"))).of(args.division)
    except DataFault as fault:
        return _refuse(f"行政区划代码无效 / {fault}")
    if args.start is None and args.json:
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(
                encoding="utf-8", errors="backslashreplace"
            )  # a bad byte spoils its line alone
        return _answer_lines(sys.stdin, calendar, args.division)
    if args.start is None or args.n is None:
        return _refuse("缺少 START 或 N / give START and N, or --json and lines of `START N` on stdin")
    try:
        answer = _answer(args.start, args.n, calendar, args.division)
    except _Unreadable as err:
        return _refuse(str(err))
    if args.json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        note = "(暂定:放假通知未发布 / provisional)" if answer["provisional"] else ""
        print(f"{answer['due']}{note}")
    return 0


class _Unreadable(ValueError):
    """What was given is no START or no N; the text tells people what to give."""


def _answer_lines(lines: Iterable[str], calendar: Calendar, division: str) -> int:
    outcome = 0
    for line in lines:
        try:
            start, n = _split(line)
            answer = _answer(start, n, calendar, division)
        except _Unreadable as err:
            answer = {"error": str(err), "line": line.rstrip("\r\n")[:200]}
            outcome = 2
        print(json.dumps(answer, ensure_ascii=False), flush=True)
    return outcome


def _split(line: str) -> tuple[str, str]:
    # a START may hold a blank between date and time, so N is what stands after the last one
    parts = line.strip().rsplit(maxsplit=1)
    if len(parts) != 2:
        raise _Unreadable("每行须为 START N / each line is START N, e.g. 2026-02-14T10:00:00+08:00 1")
    return parts[0], parts[1]


def _answer(start: str, n: str, calendar: Calendar, division: str) -> dict[str, object]:
    try:
        at = datetime.fromisoformat(start)
    except ValueError:
        raise _Unreadable(
            f"START 不是时间 / START is no time: {start[:80]!r}; write 2026-02-14T10:00:00+08:00"
        ) from None
    if at.utcoffset() is None:
        raise _Unreadable(
            f"START 缺少时区 / START has no time zone: {start[:80]!r}; write {at.isoformat()}+08:00"
        )
    if re.fullmatch(r"-?[0-9]{1,9}", n, re.ASCII) is None:
        raise _Unreadable(
            f"N 不是工作日数 / N is no number of working days: {n[:80]!r}; write 0 or more, e.g. 5"
        )
    try:
        due = calendar.add_workdays(at, int(n))
    except Unreckonable as err:
        raise _Unreadable(f"无法计算 / cannot be reckoned: {err}") from err
    return {
        "start": start,
        "n": int(n),
        "due": due.at.isoformat(),
        "provisional": due.provisional,
        "division": division,
        "calendar_version": calendar.version,
    }


def _refuse(words: str) -> int:
    print(f"liandong worktime: {words}", file=sys.stderr)
    return 2
