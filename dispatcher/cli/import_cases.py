"""`liandong import`: open cases of another system and outage forms come in with their true receipt times.

Only milestones that still lie ahead are armed; what is late already is listed here and nobody is notified of it.
"""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.cli.messages import RowFault, UnreadableFile, parse_time, read_rows
from dispatcher.cli.progress import progress
from dispatcher.cli.storing import with_core

if TYPE_CHECKING:
    from dispatcher.domain.product import Answer
    from dispatcher.domain.stream import Submission
    from dispatcher.wiring import Core

_NAMES = uuid5(NAMESPACE_URL, "urn:liandong:import")
_LEGAL = ZoneInfo("Asia/Shanghai")
_NEEDED = ("id", "received", "text")
_KNOWN = (
    "id",
    "received",
    "first_received",
    "title",
    "text",
    "platform",
    "division",
    "channel",
    "caller",
    "contact",
    "name",
    "address",
)
_SHOWN = 20


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One case or form of the file. ``received`` is when it came to its platform, ``first_received`` when it first
    reached either platform (default: the same); both aware. ``line`` is where it stands in the file."""

    line: int
    id: str
    received: datetime
    first_received: datetime | None
    title: str
    text: str
    platform: str
    division: str
    channel: str
    personal: dict[str, str]


class Late(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that had passed before the case came in."""

    line: int
    id: str
    number: str
    clock: str
    due: datetime


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did. ``repeated`` were imported before, with the same content; ``refused`` were not taken."""

    rows: int
    imported: int
    repeated: int
    faults: list[RowFault]
    refused: list[RowFault]
    late: list[Late]


def register(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "import",
        help="导入在办件与故障单 / import open cases and outage forms",
        description="导入在办件与故障单(CSV 或 JSONL),列:id,received,text 必填;first_received,title,platform,division,channel,"
        "caller,contact,name,address 可选。只启动尚未到的时限,已逾期的列出而不通知;重复导入无害。/ "
        "Imports open cases and outage forms with their true receipt times; repeating it is harmless.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="CSV 或 JSONL / CSV or JSONL")
    parser.add_argument(
        "--platform", default="", metavar="ID", help="未写平台的行归此平台 / platform of rows that name none"
    )
    parser.add_argument(
        "--tz", default="Asia/Shanghai", metavar="ZONE", help="无时区时间所属时区 / zone of times without one"
    )
    parser.add_argument(
        "--skip-faulty",
        action="store_true",
        help="有误的行跳过,其余照导 / leave faulty rows out, take the rest",
    )
    parser.add_argument("--json", action="store_true", help="以 JSON 输出 / answer as JSON")
    add_config(parser)
    parser.set_defaults(handler=handler)


def handler(arguments: argparse.Namespace) -> int:
    """Imports. 0 when every row is in, 1 when some were left out or refused, 2 when nothing was imported."""
    try:
        zone = ZoneInfo(arguments.tz)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return refuse(f"--tz {arguments.tz!r}: 没有这个时区 / no such time zone; write Asia/Shanghai")
    settings = settings_of(arguments)
    try:
        rows, faults = read_cases(arguments.file, zone, arguments.platform)
    except UnreadableFile as fault:
        return refuse(fault)
    if faults and not arguments.skip_faulty:
        shown = "\n".join(str(fault) for fault in faults[:_SHOWN])
        return refuse(
            f"{shown}\n共 {len(faults)} 处有误,未导入任何一件;改正,或加 --skip-faulty / "
            f"{len(faults)} faults, nothing imported; mend them, or add --skip-faulty"
        )

    async def work(core: Core) -> int:
        report = await _import(core, rows, faults)
        if arguments.json:
            print(msgspec.json.encode(report).decode())
        else:
            _print(report)
        return 0 if not (report.faults or report.refused) else 1

    return with_core(settings, work, writes=True)


def read_cases(path: Path, zone: ZoneInfo, platform: str) -> tuple[list[Row], list[RowFault]]:
    """The rows of a file in the order of their receipt, and all its faults.

    Raises:
        UnreadableFile: it cannot be opened or decoded, or a column is missing.
    """
    rows: list[Row] = []
    faults: list[RowFault] = []
    seen: dict[str, int] = {}
    for line, raw in _raw(path, faults):
        found = len(faults)

        def wrong(field: str, value: str, remedy: str, line: int = line) -> None:
            faults.append(RowFault(line=line, field=field, value=value[:60], remedy=remedy))

        id_ = raw.get("id", "").strip()
        if not id_:
            wrong("id", "", "每行须有编号 / give each row an id")
        elif id_ in seen:
            wrong("id", id_, f"第 {seen[id_]} 行已有此编号 / line {seen[id_]} has it already")
        if not raw.get("text", "").strip() and not raw.get("title", "").strip():
            wrong("text", "", "标题与正文至少填一项 / give a title or a text")
        own = raw.get("platform", "").strip() or platform
        if not own:
            wrong("platform", "", "写明平台,或加 --platform / name it, or add --platform: 12345-630100")
        received = parse_time(raw.get("received", ""), zone)
        if received is None:
            wrong("received", raw.get("received", ""), "写成 2026-02-13T16:05:00 / write it like that")
        first = None
        if raw.get("first_received", "").strip():
            first = parse_time(raw["first_received"], zone)
            if first is None:
                wrong(
                    "first_received", raw["first_received"], "写成 2026-02-13T16:05:00 / write it like that"
                )
        if len(faults) == found and received is not None:
            seen[id_] = line
            rows.append(
                Row(
                    line=line,
                    id=id_,
                    received=received,
                    first_received=first,
                    title=raw.get("title", "").strip(),
                    text=raw.get("text", "").strip(),
                    platform=own,
                    division=raw.get("division", "").strip(),
                    channel=raw.get("channel", "").strip() or "phone",
                    personal={
                        key: raw[key].strip()
                        for key in ("caller", "contact", "name", "address")
                        if raw.get(key, "").strip()
                    },
                )
            )
    rows.sort(key=lambda row: row.received)
    return rows, faults


def _raw(path: Path, faults: list[RowFault]) -> list[tuple[int, dict[str, str]]]:
    if path.suffix.lower() not in (".jsonl", ".ndjson", ".json"):
        return list(read_rows(path, _NEEDED, _KNOWN))
    try:
        lines = path.read_bytes().splitlines()
    except OSError as err:
        raise UnreadableFile(
            f"{path}: {err.strerror or err}; 请给出可读的文件 / name a readable file"
        ) from err
    found: list[tuple[int, dict[str, str]]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append((number, msgspec.json.decode(line, type=dict[str, str])))
        except (msgspec.DecodeError, msgspec.ValidationError) as err:
            faults.append(
                RowFault(
                    line=number,
                    field="json",
                    value=str(err)[:60],
                    remedy="每行一个对象,值为文字 / one object of texts",
                )
            )
    return found


async def _import(core: Core, rows: list[Row], faults: list[RowFault]) -> Report:
    from dispatcher.domain.errors import Refused
    from dispatcher.domain.product import Answer
    from dispatcher.store.errors import Failed
    from dispatcher.store.numbers import Numbers

    numbers = Numbers(core.database)
    refused: list[RowFault] = []
    late: list[Late] = []
    imported = repeated = 0
    now = core.clock.now()
    with progress("import", len(rows), "case") as bar:
        for row in rows:
            sent = await _submission(core, row, numbers)
            try:
                outcome = await core.inbox.submit(sent)
            except Refused as no:
                fault = RowFault(line=row.line, field=no.field, value=no.value, remedy=f"{no} ({no.remedy})")
                refused.append(fault)
            except Failed as no:
                refused.append(RowFault(line=row.line, field="", value=row.id, remedy=no.why))
            else:
                imported += not outcome.repeated
                repeated += outcome.repeated
                late.extend(_late(row, msgspec.json.decode(outcome.answer, type=Answer), now))
            bar.update(1)
    return Report(
        rows=len(rows) + len({fault.line for fault in faults}),
        imported=imported,
        repeated=repeated,
        faults=faults,
        refused=refused,
        late=late,
    )


async def _submission(core: Core, row: Row, numbers: Any) -> Submission:
    """The command, its ids derived from the row, so that a second import of the file changes nothing."""
    from adapters.http_api.intake import case_number
    from dispatcher.domain.commands import RegisterCase
    from dispatcher.domain.stream import Actor, Role, Submission
    from dispatcher.domain.values import Personal
    from dispatcher.views.cases import number_of
    from routing_rules.ruling import Hints

    case: UUID = uuid5(_NAMES, f"{row.platform}/{row.id}")
    number = await number_of(core.database, case)
    if number is None:
        year = row.received.astimezone(_LEGAL).year
        number = case_number(row.platform, year, await numbers.take(row.platform, year))
    digits = "".join(sign for sign in row.personal.get("caller", "") if sign.isdigit())
    command = RegisterCase(
        case=case,
        platform=row.platform,
        number=number,
        title=row.title,
        words=row.text,
        channel=row.channel,
        division=row.division,
        received=row.received,
        first_received=row.first_received,
        personal=msgspec.convert(row.personal, Personal),
        caller_mac=core.vault.number_digest(digits) if digits else b"",
        hints=Hints(channel=row.channel),
        imported=True,
    )
    actor = Actor(
        id="import",
        roles=(Role.LINKAGE_ADMIN,),
        platform=row.platform,
        division=row.platform.partition("-")[2],
    )
    return Submission(message_id=uuid5(case, "import"), command=command, actor=actor)


def _late(row: Row, answer: Answer, now: datetime) -> list[Late]:
    return [
        Late(line=row.line, id=row.id, number=answer.number, clock=promise.clock, due=promise.due)
        for promise in answer.promises
        if promise.due < now
    ]


def _print(report: Report) -> None:
    print(
        f"{report.rows} 行:导入 {report.imported} 件,此前已导入 {report.repeated} 件,"
        f"有误 {len({fault.line for fault in report.faults})} 行,未受理 {len(report.refused)} 件"
    )
    for fault in (*report.faults, *report.refused):
        print(f"  ✗ {fault}")
    if report.late:
        print(f"已逾期 {len(report.late)} 项(不通知) / late already, nobody is notified:")
    for each in report.late:
        due = each.due.astimezone(_LEGAL).strftime("%Y-%m-%d %H:%M")
        print(f"  第 {each.line} 行 {each.id} {each.number} {each.clock} {due}")
