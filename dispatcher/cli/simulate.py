"""`liandong simulate`: the time machine. A seeded year of calls through the real decide and plan, in memory, in minutes."""

from __future__ import annotations

import argparse
import asyncio
import gc
import math
import resource
import sys
import time
from collections import Counter
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import msgspec

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.cli.notice_proof import NoticeProof, Proved
from dispatcher.cli.progress import Bar, progress
from dispatcher.cli.storing import leaves
from dispatcher.data_files import packaged_files
from dispatcher.domain import events as e
from dispatcher.domain.worktime import LEGAL_ZONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dispatcher.domain.case import Case
    from dispatcher.domain.library import Library
    from dispatcher.domain.stream import Change
    from dispatcher.settings import Settings
    from routing_rules.demo import DemoMessage

_MOST_MONTHS = 60
_MOST_CASES = 10_000_000
_A_DAY = {"province": 822, "prefecture": 300, "county": 40}
"""Cases a day by the level of the division: assumptions of this product; a province comes to 300,000 a year."""
_AFTER = timedelta(days=400)
"""How long after the last call a run goes on at most, for what is still open."""
_OF_UNITS = ("handle", "sub")
_SHOWN = 12
_Z = 1.645


class ClockLine(msgspec.Struct, frozen=True, kw_only=True):
    """Runs of one clock and how many of them passed their limit."""

    clock: str
    runs: int
    late: int


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What a unit has to expect: orders (its own and those passed down to it) it got, those it was late with, the share
    with its 90 % interval (Wilson), and late ones in a month."""

    unit: str
    name: str
    orders: int
    late: int
    share: float
    low: float
    high: float
    late_a_month: float


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """One run under one policy. ``cases`` counts also those that the other platform got; ``kept_most`` is how many were
    in memory at once; ``left_open`` those that still owed something at the end; ``notices`` by level."""

    policy: str
    registered: int
    turned_away: int
    unexplained_refusals: int
    cases: int
    commands: int
    events: int
    ended: str
    kept_most: int
    left_open: int
    clocks: list[ClockLine]
    notices: dict[str, int]
    proof: Proved


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. Everything but ``seconds`` and ``memory_mb`` (largest resident size of the process) is the same for the same seed and data. ``other`` is the run under the
    policy of ``--policy``; ``days`` and ``hours`` count calls by legal date and hour."""

    seed: int
    division: str
    first: str
    months: int
    seconds: float
    memory_mb: int
    holds: bool
    storms: list[str]
    days: dict[str, int]
    hours: dict[str, int]
    late_by_month: dict[str, int]
    units: list[Forecast]
    run: Played
    other: Played | None


def register(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "simulate",
        help="推演一年 / play a year ahead",
        description="按种子在内存中推演一地一段时间的来件（采暖季、风雪、岁末年初），核对应发通知无一遗漏、无一多发，"
        "预测各单位逾期，比较改用另一政策的后果。不读写数据库。/ "
        "Plays a seeded year of calls through the real rules in memory, proves that every expected notice and no other "
        "went out, forecasts breaches by unit, and what another policy would have done. No database is touched.",
    )
    parser.add_argument("--months", type=int, default=12, metavar="N", help="几个月(默认 12) / months")
    parser.add_argument(
        "--cases", type=int, metavar="N", help="来件总数(默认按区划层级) / calls in all (default by level)"
    )
    parser.add_argument(
        "--from", dest="since", default="2025-01-01", metavar="DATE", help="起始日 / first day"
    )
    parser.add_argument("--division", metavar="CODE", help="区划(默认本部署) / division (default this one)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="种子(默认 1) / seed")
    parser.add_argument(
        "--policy", type=Path, metavar="FOLDER", help="另以此政策推演并比较 / compare with this policy"
    )
    parser.add_argument("--report", type=Path, metavar="FILE.html", help="写出图表 / write charts")
    parser.add_argument("--json", action="store_true", help="以 JSON 输出 / answer as JSON")
    add_config(parser)
    parser.set_defaults(handler=handler)


def handler(arguments: argparse.Namespace) -> int:
    """0 every promise holds; 1 one does not; 2 the question has faults, all told at once, and nothing was played."""
    settings = settings_of(arguments)
    faults = []
    if not 1 <= arguments.months <= _MOST_MONTHS:
        faults.append(f"--months {arguments.months}: 1 至 {_MOST_MONTHS} / give 1 to {_MOST_MONTHS}")
    if arguments.cases is not None and not 1 <= arguments.cases <= _MOST_CASES:
        faults.append(f"--cases {arguments.cases}: 1 至 {_MOST_CASES} / give 1 to {_MOST_CASES}")
    first = _date(arguments.since)
    if first is None:
        faults.append(
            f"--from {arguments.since[:20]!r}: 须为 2007 至 2090 年间的日期 / a date such as 2025-01-01"
        )
    if arguments.report is not None and not arguments.report.absolute().parent.is_dir():
        faults.append(f"--report {arguments.report}: 没有这个文件夹 / no such folder; make it first")
    library, found = _library(settings, None)
    faults += found
    other, found = _library(settings, arguments.policy) if arguments.policy is not None else (None, [])
    faults += found
    division = arguments.division or settings.deployment.division
    if library is not None and not library.places.knows(division):
        faults.append(f"--division {division[:20]!r}: 没有这个区划 / use a GB/T 2260 code")
    if faults or library is None or first is None:
        return refuse("\n".join(faults))
    report = _played(settings, arguments, library, other, division, first)
    if arguments.report is not None:
        from dispatcher.cli.simulate_page import page

        try:
            arguments.report.write_text(page(report), encoding="utf-8")
        except OSError as err:
            return refuse(
                f"--report {arguments.report}: {err.strerror or err}; 请另选文件 / name another file"
            )
    if arguments.json:
        print(msgspec.json.encode(report).decode())
    else:
        _print(report)
    return 0 if report.holds else 1


def _date(words: str) -> date | None:
    try:
        day = date.fromisoformat(words)
    except ValueError:
        return None
    return day if 2007 <= day.year <= 2090 else None


def _library(settings: Settings, policy: Path | None) -> tuple[Library | None, list[str]]:
    from dispatcher.cli.memory import Remembering
    from dispatcher.releases import build_library

    data = settings.data if policy is None else msgspec.structs.replace(settings.data, policy=policy)
    try:
        return Remembering.of(build_library(data, settings.deployment.division)), []
    except ExceptionGroup as faults:
        before = "" if policy is None else f"--policy {policy}: "
        return None, [f"{before}{leaf}" for leaf in leaves(faults)]


def _played(
    settings: Settings,
    arguments: argparse.Namespace,
    library: Library,
    other: Library | None,
    division: str,
    first: date,
) -> Report:
    from adapters.rehearsal.chance import Chances
    from adapters.rehearsal.year import Shape, days_of
    from dispatcher.runtime.clock import jitter
    from routing_rules.demo import demo_messages

    began = time.perf_counter()
    months = first.month - 1 + arguments.months
    last = date(first.year + months // 12, months % 12 + 1, min(first.day, 28))
    calendar = library.calendars.of(division)
    chances = Chances(arguments.seed, jitter)
    count = (last - first).days
    days = days_of(first, count, lambda day: not calendar.is_workday(day), chances, Shape())
    level = library.places.division(division).level
    cases = arguments.cases or count * _A_DAY.get(level, _A_DAY["county"])
    places = _places(library, division, level)
    messages = demo_messages(packaged_files("demo")["messages.toml"])
    play = _Play(settings, arguments.seed, division, days, cases, places, messages)
    runs = 1 if other is None else 2
    gc.freeze()  # the releases stay; what a run makes is frozen records without cycles
    gc.set_threshold(100_000, 50, 50)
    with progress("simulate", cases * runs, "case") as bar:
        tally, run = asyncio.run(play.under(library, bar))
        compared = asyncio.run(play.under(other, bar))[1] if other is not None else None
    return Report(
        seed=arguments.seed,
        division=division,
        first=first.isoformat(),
        months=arguments.months,
        seconds=round(time.perf_counter() - began, 2),
        memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        holds=_holds(run) and (compared is None or _holds(compared)),
        storms=[day.day.isoformat() for day in days if day.storm],
        days=dict(sorted(tally.days.items())),
        hours={f"{hour:02d}": tally.hours[hour] for hour in range(24)},
        late_by_month=dict(sorted(tally.months.items())),
        units=_forecasts(tally, library, arguments.months),
        run=run,
        other=compared,
    )


def _places(library: Library, division: str, level: str) -> tuple[str, ...]:
    if level == "province":
        return ()
    return library.places.counties(division) or (division,) if level == "prefecture" else (division,)


def _holds(run: Played) -> bool:
    return run.proof.holds and not run.turned_away and not run.unexplained_refusals


class _Play:
    """The same calls and the same dice, under one policy or another."""

    def __init__(
        self,
        settings: Settings,
        seed: int,
        division: str,
        days: Sequence[Any],
        cases: int,
        places: Sequence[str],
        messages: Sequence[DemoMessage],
    ) -> None:
        self._settings = settings
        self._seed = seed
        self._division = division
        self._days = days
        self._cases = cases
        self._places = places
        self._messages = messages

    async def under(self, library: Library, bar: Bar) -> tuple[Tally, Played]:
        """Plays it."""
        from adapters.rehearsal.chance import Chances
        from adapters.rehearsal.year import Shape, arrivals
        from dispatcher.cli.memory import Memory
        from dispatcher.cli.simulation import Simulation
        from dispatcher.runtime.clock import ManualClock, jitter

        first, last = self._days[0].day, self._days[-1].day
        clock = ManualClock(datetime.combine(first, time_of_day(), LEGAL_ZONE))
        proof, tally = NoticeProof(library), Tally()

        def watched(id_: UUID, before: Case | None, change: Change, now: datetime) -> None:
            proof.see(id_, before, change, now)
            tally.see(id_, change, now)

        def dropped(id_: UUID) -> None:
            proof.drop(id_)
            tally.drop(id_)

        memory = Memory(library, clock, self._settings.deployment.platforms, watched=watched, dropped=dropped)
        simulation = Simulation(
            memory.ground(),
            clock,
            origin="simulate",
            home=self._division,
            seed=self._seed,
            behaviour=packaged_files("demo")["behaviour.toml"],
        )
        coming = arrivals(
            self._days, self._cases, self._messages, self._places, Chances(self._seed, jitter), Shape()
        )
        until = datetime.combine(last, time_of_day(), LEGAL_ZONE) + _AFTER
        await simulation.run(coming, until=until, told=bar.update)
        left = [case for case in memory.left().values() if case.is_open]
        return tally, Played(
            policy=library.policy.digest,
            registered=simulation.progress.registered,
            turned_away=len(simulation.progress.turned_away),
            unexplained_refusals=simulation.rehearsal.unexplained,
            cases=tally.cases,
            commands=memory.commands,
            events=memory.events,
            ended=tally.last.astimezone(LEGAL_ZONE).isoformat() if tally.last is not None else "",
            kept_most=memory.most_kept,
            left_open=len(left),
            clocks=[
                ClockLine(clock=name, runs=runs, late=tally.late[name])
                for name, runs in sorted(tally.runs.items())
            ],
            notices={str(level): number for level, number in sorted(tally.notices.items())},
            proof=proof.result(until),
        )


class Tally:
    """Counts of one run; of a case only its open clocks are kept."""

    def __init__(self) -> None:
        self.cases = 0
        self.days: Counter[str] = Counter()
        self.hours: Counter[int] = Counter()
        self.months: Counter[str] = Counter()
        self.runs: Counter[str] = Counter()
        self.late: Counter[str] = Counter()
        self.unit_orders: Counter[str] = Counter()
        self.unit_late: Counter[str] = Counter()
        self.notices: Counter[int] = Counter()
        self.last: datetime | None = None
        self._open: dict[UUID, dict[str, e.ClockRun]] = {}

    def see(self, id_: UUID, change: Change, now: datetime) -> None:
        """One change of one case."""
        self.last = now
        for recorded in change.events:
            if recorded.ref.id != id_:
                continue
            event = cast("e.AnyEvent", recorded.event)
            if isinstance(event, e.ClocksSet):
                self._clocks(id_, event)
            elif isinstance(event, e.MilestoneReached):
                self._fallen(id_, event, now)
            elif isinstance(event, e.CaseRegistered):
                self.cases += 1
                if event.channel != "linkage":
                    local = event.received.astimezone(LEGAL_ZONE)
                    self.days[local.date().isoformat()] += 1
                    self.hours[local.hour] += 1
        for planned in change.effects:
            if planned.ref.id == id_:
                self.notices[getattr(planned.effect, "level", 0)] += 1

    def drop(self, id_: UUID) -> None:
        """It is over."""
        self._open.pop(id_, None)

    def _clocks(self, id_: UUID, event: e.ClocksSet) -> None:
        mine = self._open.setdefault(id_, {})
        for run in event.runs:
            had = mine.get(run.clock)
            if run.stopped is not None:
                mine.pop(run.clock, None)
                continue
            if had is None or (had.started, had.unit) != (run.started, run.unit):
                self.runs[run.clock] += 1
                if run.clock in _OF_UNITS and run.unit:
                    self.unit_orders[run.unit] += 1
            mine[run.clock] = run

    def _fallen(self, id_: UUID, event: e.MilestoneReached, now: datetime) -> None:
        run = self._open.get(id_, {}).get(event.clock)
        if run is None or event.milestone != "limit" or run.at_limit != "nothing":
            return
        self.late[event.clock] += 1
        if event.clock in _OF_UNITS and run.unit:
            self.unit_late[run.unit] += 1
            self.months[now.astimezone(LEGAL_ZONE).strftime("%Y-%m")] += 1


def _forecasts(tally: Tally, library: Library, months: int) -> list[Forecast]:
    found = []
    for unit, orders in tally.unit_orders.items():
        late = tally.unit_late[unit]
        low, high = interval(late, orders)
        known = library.unit(unit)
        found.append(
            Forecast(
                unit=unit,
                name=known.name if known is not None else unit,
                orders=orders,
                late=late,
                share=round(late / orders, 4),
                low=round(low, 4),
                high=round(high, 4),
                late_a_month=round(late / months, 2),
            )
        )
    return sorted(found, key=lambda one: (-one.late, -one.orders, one.unit))


def interval(hits: int, of: int) -> tuple[float, float]:
    """The 90 % interval of a share by Wilson's score."""
    share, square = hits / of, _Z * _Z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = _Z * math.sqrt(share * (1 - share) / of + square / (4 * of * of)) / (1 + square / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def _print(report: Report) -> None:
    out = sys.stdout.write
    run, proof = report.run, report.run.proof
    out(
        f"推演 {report.division} {report.first} 起 {report.months} 个月，种子 {report.seed}："
        f"来件 {run.registered}，共 {run.cases} 件，{run.events} 个事件，用时 {report.seconds:.1f} 秒，内存 {report.memory_mb} MB / "
        f"{run.registered} calls, {run.cases} cases\n"
    )
    for played in (run, report.other):
        if played is None:
            continue
        proof = played.proof
        out(
            f"{'✓' if proof.holds else '✗'} 政策 {played.policy[:8]}：应发通知 {proof.expected}，实发 {proof.sent}，"
            f"漏 {proof.missing}，多 {proof.extra}；节点 {proof.milestones}，未到 {proof.never_fell}，"
            f"时刻不符 {proof.wrong_instant}/{proof.instants_checked} / notices expected, sent, missing, extra\n"
        )
        for fault in proof.faults:
            out(f"  {fault.what} {fault.case} {fault.at.isoformat()} {fault.detail}\n")
        if played.turned_away or played.unexplained_refusals:
            out(
                f"✗ 未登记 {played.turned_away}，无依据的拒绝 {played.unexplained_refusals} / turned away, refused\n"
            )
    others = {line.clock: line for line in report.other.clocks} if report.other is not None else {}
    out("时限：次数、逾期 / clocks: runs, late\n")
    for line in run.clocks:
        beside = others.get(line.clock)
        shown = f"  → {beside.runs} {beside.late}（{beside.late - line.late:+d}）" if beside else ""
        out(f"  {line.clock:<16} {line.runs:>8} {line.late:>7}{shown}\n")
    out("各单位逾期预测（90% 区间） / breaches to expect by unit\n")
    for unit in report.units[:_SHOWN]:
        out(
            f"  {unit.name}　{unit.orders} 件，逾期 {unit.late}（{unit.share:.1%}，{unit.low:.1%}–{unit.high:.1%}），"
            f"每月 {unit.late_a_month:.1f}\n"
        )
    if report.storms:
        out(f"风雪 / storm: {report.storms[0]} – {report.storms[-1]}\n")
