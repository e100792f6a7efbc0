"""`liandong replay`: carries a file of messages through the real write path on a manual clock, years in minutes."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.cli.messages import Message, RowFault, UnreadableFile, read_messages
from dispatcher.cli.progress import progress
from dispatcher.cli.serve import loop_factory
from dispatcher.settings import Settings

if TYPE_CHECKING:
    from dispatcher.cli.simulation import Simulation
    from dispatcher.cli.tally import Report

_HOME = "630100"
_SHOWN = 12


def register(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "replay",
        help="重放来件 / replay messages on a manual clock",
        description="按来件时间推进时钟，把 CSV（列 id,title,at,text）里的每条来件走完真实写入路径，承办单位由程序按种子扮演。/ "
        "Carries every message of a CSV file through the real write path; departments are played from a seed.",
    )
    parser.add_argument("file", type=Path, metavar="FILE.csv", help="来件 / the messages")
    parser.add_argument(
        "--tz", default="Asia/Shanghai", metavar="ZONE", help="无时区时间所属时区 / zone of times without one"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="种子 / seed of everybody's behaviour (default 1)"
    )
    parser.add_argument(
        "--line", choices=("12345", "110"), default="12345", help="来件的线路 / the line they came in on"
    )
    parser.add_argument(
        "--division",
        default=_HOME,
        metavar="CODE",
        help=f"文中没有地名时的区划 / division of texts that name no place (default {_HOME})",
    )
    parser.add_argument(
        "--append", action="store_true", help="库中已有诉求也继续 / go on although there are cases already"
    )
    parser.add_argument("--no-verify", action="store_true", help="不重放日志核验 / skip the proof of the log")
    parser.add_argument("--json", action="store_true", help="以 JSON 输出 / answer as JSON")
    add_config(parser)
    parser.set_defaults(handler=handler)


def handler(arguments: argparse.Namespace) -> int:
    """Replays. 0 when all holds, 1 when rows had faults or a promise was broken, 2 when it could not begin."""
    try:
        zone = ZoneInfo(arguments.tz)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return refuse(f"--tz {arguments.tz!r}: 没有这个时区 / no such time zone; write Asia/Shanghai")
    settings = settings_of(arguments)
    try:
        messages, faults = read_messages(arguments.file, zone)
    except UnreadableFile as fault:
        return refuse(fault)
    for row in faults[:_SHOWN]:
        print(row, file=sys.stderr)
    if len(faults) > _SHOWN:
        print(
            f"… 另有 {len(faults) - _SHOWN} 处 / {len(faults) - _SHOWN} more (--json lists all)",
            file=sys.stderr,
        )
    if not messages:
        return refuse(f"{arguments.file}: 没有可用的来件 / holds no message that can be used")
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_replay(settings, arguments, messages, faults))


async def _replay(
    settings: Settings, arguments: argparse.Namespace, messages: list[Message], faults: list[RowFault]
) -> int:
    from sqlalchemy.exc import SQLAlchemyError

    from dispatcher.cli.simulation import ErrorLog, Simulation, StandsStill, ground_of, simulated
    from dispatcher.cli.storing import leaves
    from dispatcher.data_files import packaged_files
    from dispatcher.runtime.clock import ManualClock
    from dispatcher.runtime.logs import start_logging
    from dispatcher.store.errors import StoreError

    start_logging(settings.logging.level)
    errors = ErrorLog()
    logging.getLogger().addHandler(errors)
    began = time.perf_counter()
    clock = ManualClock(messages[0].at)
    try:
        async with simulated(settings, clock) as core:
            if not core.library.library.places.knows(arguments.division):
                return refuse(f"--division {arguments.division!r}: 没有这个区划 / use a GB/T 2260 code")
            if not arguments.append and await has_cases(core):
                return refuse(
                    f"{core.database}: 库中已有诉求；换一个空库，或加 --append / holds cases already; "
                    "name an empty database, or add --append"
                )
            simulation = Simulation(
                ground_of(core),
                clock,
                origin=f"replay/{arguments.line}",
                home=arguments.division,
                seed=arguments.seed,
                behaviour=packaged_files("demo")["behaviour.toml"],
            )
            with progress("replay", len(messages), "msg") as bar:
                try:
                    await simulation.run(_arrivals(messages, arguments.line), told=bar.update)
                except StandsStill as fault:
                    print(f"时间不再前进 / time stands still: {fault}", file=sys.stderr)
                    return 1
            report = await _report(core, simulation, arguments, messages, faults, errors, began, clock.now())
    except (StoreError, OSError) as fault:
        return refuse(f"不能开始 / cannot begin: {fault}")
    except SQLAlchemyError as fault:
        # Its words may hold the address with the password; the class says enough.
        return refuse(f"数据库不可用 / the database cannot be used: {type(fault).__name__}")
    except ExceptionGroup as faults:
        return refuse("不能开始 / cannot begin:\n" + "\n".join(leaves(faults)))
    finally:
        logging.getLogger().removeHandler(errors)
    if arguments.json:
        print(msgspec.json.encode(report).decode())
    else:
        _print(report)
    return 0 if report.holds and not faults else 1


async def has_cases(core: Any) -> bool:
    """Whether anything was registered in the store."""
    from sqlalchemy import select

    from dispatcher.store.tables import Table

    stream = Table.metadata.tables["stream"]
    async with core.database.looking() as connection:
        return (await connection.execute(select(stream.c.id).limit(1))).first() is not None


def _arrivals(messages: list[Message], line: str) -> list[Any]:
    from adapters.rehearsal.callers import Arrival

    return [
        Arrival(at=message.at, id=message.id, title=message.title, text=message.text, line=line)
        for message in messages
    ]


async def _report(
    core: Any,
    simulation: Simulation,
    arguments: argparse.Namespace,
    messages: list[Message],
    faults: list[RowFault],
    errors: Any,
    began: float,
    ended: datetime,
) -> Report:
    from dispatcher.cli.tally import Check, Report, Throughput, count, prove, prove_log

    seconds = time.perf_counter() - began
    done, rehearsal = simulation.progress, simulation.rehearsal
    tally = await count(core)
    checks = await prove(core, registered=done.registered, expected=len(messages))
    checks.append(
        Check(
            promise="no actor was refused without a rule / 没有无依据的拒绝",
            holds=rehearsal.unexplained == 0,
            seen=str(rehearsal.unexplained),
        )
    )
    logged = sum(errors.seen.values())
    checks.append(
        Check(promise="nothing was logged as an error / 没有错误日志", holds=logged == 0, seen=str(logged))
    )
    if not arguments.no_verify:
        checks.append(await prove_log(core))
    commands = sum(rehearsal.commands.values()) + done.registered + done.settled
    organisation = core.library.library.organisation
    zone = ZoneInfo("Asia/Shanghai")
    return Report(
        messages=done.registered,
        rows=len(messages) + len({fault.line for fault in faults}),
        faults=faults,
        turned_away=[f"{id_}: {why}" for id_, why in done.turned_away],
        first=messages[0].at.astimezone(zone).isoformat(),
        last=messages[-1].at.astimezone(zone).isoformat(),
        ended=ended.astimezone(zone).isoformat(),
        seed=arguments.seed,
        tally=tally,
        unit_names={code: organisation.unit(code).name for code in tally.units},
        acts=dict(rehearsal.commands.most_common()),
        refusals=[
            {**msgspec.to_builtins(refusal), "count": number}
            for refusal, number in sorted(rehearsal.refusals.items())
        ],
        errors=dict(errors.seen.most_common(50)),
        settled=done.settled,
        sent=done.sent,
        steps=done.steps,
        throughput=Throughput(
            seconds=round(seconds, 2),
            messages_per_second=round(done.registered / seconds, 1),
            commands_per_second=round(commands / seconds, 1),
            events_per_second=round(sum(tally.events.values()) / seconds, 1),
            simulated_days=round((ended - messages[0].at) / timedelta(days=1), 1),
        ),
        checks=checks,
        holds=all(check.holds for check in checks) and not done.turned_away,
    )


_TITLES = (
    ("platforms", "受理平台"),
    ("owners", "应由谁办"),
    ("decisions", "判定"),
    ("categories", "类别"),
    ("urgencies", "缓急"),
    ("stages", "现处阶段"),
    ("results", "办理结果"),
)
_OUTCOMES = {
    "in_time": "按时",
    "late": "逾期",
    "deemed": "视同签收",
    "ended_by_limit": "期满自动结束",
    "open": "进行中",
}


def _print(report: Report) -> None:
    tally, speed = report.tally, report.throughput
    out = sys.stdout.write
    out(
        f"登记 {report.messages} 条来件（文件 {report.rows} 行，有误 {len(report.faults)} 处），共 {tally.cases} 件诉求\n"
    )
    out(f"时间 {report.first} → {report.last}，办结至 {report.ended}（{speed.simulated_days:.0f} 天）\n")
    for field, title in _TITLES:
        out(f"{title:　<5} {_row(getattr(tally, field))}\n")
    names = {report.unit_names[code]: number for code, number in tally.units.items()}
    out(f"承办单位  {_row(names)}\n")
    out("时限\n")
    for clock, outcomes in tally.deadlines.items():
        shown = "  ".join(f"{_OUTCOMES.get(name, name)} {number}" for name, number in outcomes.items())
        out(f"  {clock:<16} {shown}\n")
    out(f"通知级别  {_row(tally.notices)}；投递 {report.sent} 次\n")
    out(
        f"危险 {tally.danger}　退单 {tally.returned}　延期 {tally.extended}　重办 {tally.redone}　"
        f"回流 {tally.reflow}　会商清单 {tally.consultation}\n"
    )
    out(
        f"用时 {speed.seconds:.1f} 秒：{speed.messages_per_second:.0f} 条/秒，"
        f"{speed.commands_per_second:.0f} 个指令/秒，{speed.events_per_second:.0f} 个事件/秒\n"
    )
    for refusal in report.refusals:
        mark = "有据" if refusal["explained"] else "无据！"
        out(
            f"拒绝（{mark}）{refusal['count']} × {refusal['command']} @ {refusal['stage']}: {refusal['detail']}\n"
        )
    for words, number in report.errors.items():
        out(f"错误日志 {number} × {words}\n")
    for line in report.turned_away[:_SHOWN]:
        out(f"未登记 {line}\n")
    for check in report.checks:
        out(f"{'✓' if check.holds else '✗'} {check.promise}（{check.seen}）\n")


def _row(counted: dict[str, int]) -> str:
    shown = [f"{name} {number}" for name, number in list(counted.items())[:_SHOWN]]
    more = len(counted) - len(shown)
    return "  ".join(shown) + (f"  … 另 {more} 项" if more > 0 else "")
