"""`liandong rules replay`: past cases through a new list: which move, to whom, the load of units, what would come late.

Both lists rule every text; the work is shared by all processors. Nothing is written to the database.
"""

from __future__ import annotations

import argparse
import csv
import io
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.cli.messages import RowFault, UnreadableFile, parse_time, read_rows
from dispatcher.cli.progress import progress
from dispatcher.cli.rules.sources import SOURCES, NoSuchLists, book_from
from dispatcher.cli.storing import leaves
from dispatcher.lists import load_places
from routing_rules.forecast import HEADROOM, Arrival, UnitLoad, forecast, working_day
from routing_rules.loader import Rulebook
from routing_rules.match import rule
from routing_rules.places import Places
from routing_rules.ruling import Line, Ruling
from routing_rules.touched import Touched

_LEGAL = ZoneInfo("Asia/Shanghai")
_UNDATED = datetime(2026, 3, 10, 10, tzinfo=_LEGAL)  # rules without an hour are ruled at ten in the morning
_CHUNK = 400
_SHOWN = 3


class Case(NamedTuple):
    """One past case as it is ruled: ``at`` is None where the file gives no time."""

    id: str
    text: str
    line: str
    division: str
    at: datetime | None


class Verdict(NamedTuple):
    """What a list says about a case."""

    item: str
    platform: str
    decision: str
    danger: bool
    urgency: str
    unit: str


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """Cases that move from one item to another, with a few of their texts' beginnings."""

    before: str
    after: str
    count: int
    cases: tuple[str, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the new list would have done. Published as docs/cli/rules-replay.schema.json.

    ``danger_lost`` are ids of cases that the old list took for danger and the new one does not. ``units`` are kinds of
    owners; ``late`` figures come from a model (routing_rules/forecast.py) and are None where the file gives no times.
    """

    before: str
    after: str
    cases: int
    moved: int
    seconds: float
    platforms: tuple[Moved, ...]
    decisions: tuple[Moved, ...]
    items: tuple[Moved, ...]
    owners: tuple[Moved, ...]
    danger_gained: tuple[str, ...]
    danger_lost: tuple[str, ...]
    units: tuple[UnitLoad, ...]
    late_before: int | None
    late_after: int | None
    faults: tuple[RowFault, ...]


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument(
        "cases",
        type=Path,
        metavar="CASES",
        help="CSV:text 必有,可有 id title at division line / CSV with text; id, title, at, division, line may be there",
    )
    parser.add_argument("--old", default="in-force", metavar="LISTS", help=SOURCES)
    parser.add_argument("--new", default="configured", metavar="LISTS", help=SOURCES)
    parser.add_argument("--line", choices=[line.value for line in Line], default="12345")
    parser.add_argument("--division", default="630000", metavar="CODE", help="GB/T 2260")
    parser.add_argument(
        "--headroom",
        type=float,
        default=HEADROOM,
        metavar="SHARE",
        help="单位每日余力 / spare pace of units (0.2)",
    )
    parser.add_argument("--moves", type=Path, metavar="FILE", help="逐案去向写入 CSV / every move, as CSV")
    parser.add_argument(
        "--jobs", type=int, default=0, metavar="N", help="进程数 / processes (all processors)"
    )
    parser.add_argument("--json", action="store_true", help="以 JSON 输出 / answer as JSON")
    add_config(parser)
    parser.set_defaults(handler=handler)


def handler(arguments: argparse.Namespace) -> int:
    """Replays. 0 when no danger is lost, 1 when some is, 2 when the question was wrong."""
    settings = settings_of(arguments)
    try:
        _, old = book_from(arguments.old, settings)
        _, new = book_from(arguments.new, settings)
        places = load_places(settings.data)
        cases, faults = _read(arguments.cases, arguments.line, arguments.division, places)
    except (NoSuchLists, OSError, UnreadableFile) as fault:
        return refuse(fault)
    except ExceptionGroup as group:
        return refuse("\n".join(leaves(group)))
    began = time.monotonic()
    pairs: list[tuple[Verdict, Verdict]] = []
    with progress("replay", len(cases), "case") as bar:
        for chunk in _ruled(cases, old, new, places, arguments.jobs):
            pairs.extend(chunk)
            bar.update(len(chunk))
    report = _report(cases, pairs, old, new, faults, arguments.headroom, time.monotonic() - began)
    if arguments.moves is not None:
        arguments.moves.write_text(_moves(cases, pairs), encoding="utf-8-sig")
    print(msgspec.json.encode(report).decode() if arguments.json else "\n".join(_words(report)))
    return 1 if report.danger_lost else 0


def _read(path: Path, line: str, division: str, places: Places) -> tuple[list[Case], list[RowFault]]:
    """The cases of the file, and the faults of the rows left out."""
    cases: list[Case] = []
    faults: list[RowFault] = []
    if not places.knows(division):
        raise NoSuchLists(f"--division {division!r}: 没有这个区划 / use a GB/T 2260 code")
    for number, row in read_rows(path, ("text",), ("id", "title", "at", "division", "line")):
        found = len(faults)
        text = "。".join(part for part in (row.get("title", "").strip(), row["text"].strip()) if part)
        asked, where = row.get("line", "").strip() or line, row.get("division", "").strip() or ""
        written = row.get("at", "").strip()
        at = parse_time(written, _LEGAL) if written else None
        if not text:
            faults.append(RowFault(line=number, field="text", value="", remedy="空行 / give a text"))
        if asked not in {each.value for each in Line}:
            faults.append(RowFault(line=number, field="line", value=asked[:60], remedy="110 / 12345"))
        if where and not places.knows(where):
            faults.append(RowFault(line=number, field="division", value=where[:60], remedy="GB/T 2260"))
        if written and at is None:
            faults.append(RowFault(line=number, field="at", value=written[:60], remedy="2019-02-28T11:25:05"))
        if len(faults) == found:
            cases.append(Case(row.get("id", "").strip() or str(number), text, asked, where or division, at))
    return cases, faults


class _Work(NamedTuple):
    """What a chunk is ruled with."""

    old: Rulebook
    new: Rulebook
    places: Places
    touched: Touched


_WORK: list[_Work] = []


def _ruled(
    cases: Sequence[Case], old: Rulebook, new: Rulebook, places: Places, jobs: int
) -> Iterator[list[tuple[Verdict, Verdict]]]:
    """Chunks of verdicts in the order of the cases. Children take the compiled books over by fork, uncopied."""
    chunks = [cases[at : at + _CHUNK] for at in range(0, len(cases), _CHUNK)]
    _WORK[:] = [_Work(old, new, places, Touched(old, new))]
    wanted = jobs or os.cpu_count() or 1
    if wanted == 1 or len(chunks) < 2 or "fork" not in multiprocessing.get_all_start_methods():
        yield from map(_work, chunks)
        return
    with multiprocessing.get_context("fork").Pool(min(wanted, len(chunks))) as pool:
        yield from pool.imap(_work, chunks)


def _work(cases: Sequence[Case]) -> list[tuple[Verdict, Verdict]]:
    (work,) = _WORK
    made = []
    for case in cases:
        # The best place in the text, seen from where it was asked: narrower lists speak there.
        place = work.places.best(case.text, case.division)
        at, line = case.at or _UNDATED, Line(case.line)
        one = _verdict(rule(case.text, book=work.old, line=line, division=place, at=at))
        other = one
        if work.touched(case.text):
            other = _verdict(rule(case.text, book=work.new, line=line, division=place, at=at))
        made.append((one, other))
    return made


def _verdict(ruling: Ruling) -> Verdict:
    ours = ruling.platform == "12345" or "12345" in ruling.also
    unit = ruling.owners[0] if ours and ruling.owners else ""
    return Verdict(
        ruling.item, ruling.platform, ruling.decision.value, ruling.danger, ruling.urgency.value, unit
    )


def _report(
    cases: Sequence[Case],
    pairs: Sequence[tuple[Verdict, Verdict]],
    old: Rulebook,
    new: Rulebook,
    faults: Sequence[RowFault],
    headroom: float,
    seconds: float,
) -> Report:
    dated = bool(cases) and all(case.at is not None for case in cases)
    loads = forecast(_arrivals(cases, pairs, 0), _arrivals(cases, pairs, 1), headroom=headroom)
    return Report(
        before=old.digest,
        after=new.digest,
        cases=len(cases),
        moved=sum(one != other for one, other in pairs),
        seconds=round(seconds, 3),
        platforms=_moved(cases, pairs, "platform"),
        decisions=_moved(cases, pairs, "decision"),
        items=_moved(cases, pairs, "item"),
        owners=_moved(cases, pairs, "unit"),
        danger_gained=_danger(cases, pairs, gained=True),
        danger_lost=_danger(cases, pairs, gained=False),
        units=tuple(loads),
        late_before=sum(load.late_before for load in loads) if dated else None,
        late_after=sum(load.late_after for load in loads) if dated else None,
        faults=tuple(faults),
    )


def _arrivals(
    cases: Sequence[Case], pairs: Sequence[tuple[Verdict, Verdict]], which: int
) -> dict[str, list[Arrival]]:
    found: dict[str, list[Arrival]] = {}
    for case, pair in zip(cases, pairs, strict=True):
        verdict = pair[which]
        if verdict.unit:
            at = (case.at or _UNDATED).astimezone(_LEGAL).date()
            found.setdefault(verdict.unit, []).append(Arrival(working_day(at), verdict.urgency))
    return found


def _moved(cases: Sequence[Case], pairs: Sequence[tuple[Verdict, Verdict]], field: str) -> tuple[Moved, ...]:
    counts: Counter[tuple[str, str]] = Counter()
    shown: dict[tuple[str, str], list[str]] = {}
    for case, (one, other) in zip(cases, pairs, strict=True):
        key = (getattr(one, field), getattr(other, field))
        if key[0] != key[1]:
            counts[key] += 1
            if len(texts := shown.setdefault(key, [])) < _SHOWN:
                texts.append(f"{case.id}: {case.text[:40]}")
    return tuple(
        Moved(before=key[0], after=key[1], count=count, cases=tuple(shown[key]))
        for key, count in counts.most_common()
    )


def _danger(
    cases: Sequence[Case], pairs: Sequence[tuple[Verdict, Verdict]], *, gained: bool
) -> tuple[str, ...]:
    return tuple(
        case.id
        for case, (one, other) in zip(cases, pairs, strict=True)
        if other.danger is gained and one.danger is not gained
    )


def _moves(cases: Sequence[Case], pairs: Sequence[tuple[Verdict, Verdict]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    names = Verdict._fields
    writer.writerow(["id", *(f"old_{name}" for name in names), *(f"new_{name}" for name in names), "text"])
    for case, (one, other) in zip(cases, pairs, strict=True):
        if one != other:
            # A cell that begins like a formula would be run by a spreadsheet.
            text = f"'{case.text}" if case.text[:1] in "=+-@" else case.text
            writer.writerow([case.id, *one, *other, text])
    return out.getvalue()


def _words(report: Report) -> list[str]:
    rate = report.cases / report.seconds if report.seconds else 0.0
    rows = [
        f"{report.before[:12]} → {report.after[:12]}  {report.cases} 件 / cases, {report.seconds:.1f} s, {rate:,.0f}/s",
        f"改变 / moved: {report.moved}  险情增 / danger gained: {len(report.danger_gained)}"
        f"  险情失 / danger lost: {len(report.danger_lost)}",
    ]
    if report.danger_lost:
        rows.append(f"✗ 不再算险情 / no longer danger: {'、'.join(report.danger_lost[:20])}")
    for title, moved in (
        ("平台 / platform", report.platforms),
        ("事项 / item", report.items),
        ("承办 / owner", report.owners),
    ):
        rows.append(title)
        rows.extend(
            f"  {each.count:>7}  {each.before} ⇒ {each.after}   {each.cases[0]}" for each in moved[:12]
        )
    rows.append("单位 / unit                 旧/old    新/new   迟/late")
    rows.extend(
        f"  {load.unit:<24}{load.before:>7} {load.after:>8} {load.late_before:>6} → {load.late_after}"
        for load in report.units[:20]
        if load.before != load.after
    )
    if report.late_before is None:
        rows.append("没有时间列,不预测逾期 / without times nothing is said about what comes late")
    else:
        rows.append(f"预计逾期 / predicted late: {report.late_before} → {report.late_after}")
    rows.extend(f"✗ {fault}" for fault in report.faults[:10])
    if len(report.faults) > 10:
        rows.append(f"✗ …{len(report.faults) - 10}")
    return rows
