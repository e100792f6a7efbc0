"""`liandong calendar`: which days are worked, what a notice would move, and loading it over open provisional limits."""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.cli.moves import (
    MOST,
    Moves,
    Order,
    carried_out,
    order_of,
    show_moves,
    show_order,
    surveyed,
    whoever,
)
from dispatcher.cli.storing import leaves, with_core

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dispatcher.domain.library import Library
    from dispatcher.domain.worktime import Calendar
    from dispatcher.settings import Settings
    from dispatcher.shelf import Notice
    from dispatcher.store.batches import Batch
    from dispatcher.wiring import Core

_LONGEST = 200
_LARGEST = 1_000_000


class LayerLine(msgspec.Struct, frozen=True, kw_only=True):
    """A layer in force: whose, what kind, which years it confirms or leaves provisional; ``loaded`` from the database."""

    id: str
    name: str
    division: str
    kind: str
    issued: str | None
    confirmed: list[int]
    provisional: list[int]
    source: str
    loaded: bool


class YearLine(msgspec.Struct, frozen=True, kw_only=True):
    """A year in a division: ``workdays`` by month, the days that are not what their weekday says, and office hours of
    the first working day of January and July."""

    year: int
    status: str
    workdays: list[int]
    rests: dict[str, str]
    made_up: dict[str, str]
    hours: dict[str, list[list[str]]]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """The calendar in force: its version (digest), layers in the order in which they apply, one year, and the orders
    that were given over open cases."""

    version: str
    division: str
    layers: list[LayerLine]
    year: YearLine
    orders: list[Order]


class MeetingLine(msgspec.Struct, frozen=True, kw_only=True):
    """A meeting or bulletin and its next dates: ``at`` (ISO 8601, legal time), ``provisional`` where a notice may still
    move it."""

    id: str
    name: str
    rule: str
    dates: list[dict[str, str | bool]]


class Meetings(msgspec.Struct, frozen=True, kw_only=True):
    """What comes round by the policy in force, from an instant on."""

    policy: str
    since: str
    meetings: list[MeetingLine]


class DayChange(msgspec.Struct, frozen=True, kw_only=True):
    """A day that is another one under the new calendar: work or rest before and after, and whether it was settled."""

    day: str
    before: str
    after: str
    settled: bool


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """What loading the file would do: versions before and after, days that change, limits that move."""

    file: str
    layer: str
    division: str
    confirms: list[int]
    version_before: str
    version_after: str
    days: list[DayChange]
    effect: Moves


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What loading the file did. ``already``: it was loaded before; ``order`` is then the one given at that time (null
    when nothing had to move)."""

    already: bool
    order: Order | None
    diff: Diff


def register(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "calendar",
        help="放假通知与工作日历 / holiday notices and working days",
        description="查看工作日历;预演并装载放假通知,重算在办的暂定时限。/ "
        "Show the calendar; see what a notice would move, and load it over open provisional limits.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="现行日历、来源与历次重算 / the calendar in force and its orders")
    show.add_argument("--division", metavar="CODE", help="GB/T 2260 区划(默认本部署) / division")
    show.add_argument("--year", type=int, metavar="YEAR", help="年份(默认今年) / year (default this one)")
    meetings = actions.add_parser(
        "meetings", help="会商、通报的下几次日期 / next dates of meetings and bulletins"
    )
    meetings.add_argument(
        "--from", dest="since", metavar="DATE", help="从哪天起(默认今天) / from (default today)"
    )
    meetings.add_argument(
        "--count", type=int, default=4, metavar="N", help="各列几次(默认 4) / how many of each"
    )
    diff = actions.add_parser("diff", help="预演:装载后哪些时限会变,不改动任何数据 / what would move")
    load = actions.add_parser(
        "load",
        help="装载通知并重算在办暂定时限,可中断后重来 / load a notice; killed at any instant, run it again",
    )
    for each in (diff, load):
        each.add_argument("file", type=Path, metavar="FILE.toml", help="日历文件 / a calendar file")
        each.add_argument(
            "--replace",
            action="store_true",
            help="取代先前装载的同名文件 / in place of the one loaded under the same id",
        )
        each.add_argument(
            "--most",
            type=int,
            default=MOST,
            metavar="N",
            help=f"--json 最多列出 N 项 / list N (default {MOST})",
        )
    load.add_argument("--reason", metavar="WHY", help="依据(默认取文件的 source) / why (default its source)")
    load.add_argument("--by", metavar="NAME", help="经办人(默认本机账号) / who (default your account)")
    for each in (show, meetings, diff, load):
        each.add_argument("--json", action="store_true", help="以 JSON 输出 / answer as JSON")
        add_config(each)
        each.set_defaults(handler=handler)


def handler(arguments: argparse.Namespace) -> int:
    """0 done; 1 some cases could not be moved; 2 the file or the question has faults and nothing was changed."""
    settings = settings_of(arguments)
    if arguments.action == "meetings":
        return _meetings(settings, arguments)
    if arguments.action == "show":
        return (
            with_core(settings, lambda core: _show(core, arguments), makes=True)
            if _exists(settings)
            else (_show_files(settings, arguments))
        )
    try:
        if arguments.file.stat().st_size > _LARGEST:
            return refuse(
                f"FILE {arguments.file}: 超过 1 MB / larger than 1 MB; a calendar file is a page long"
            )
        content = arguments.file.read_bytes()
    except OSError as err:
        return refuse(
            f"FILE {arguments.file}: {err.strerror or err}; 请给出可读的文件 / name a readable file"
        )
    if arguments.most < 0:
        return refuse(f"--most {arguments.most}: 不能为负 / give 0 or more")
    reason = " ".join((getattr(arguments, "reason", None) or "").split())
    if len(reason) > _LONGEST:
        return refuse(f"--reason: 最长 {_LONGEST} 字 / at most {_LONGEST} characters")
    if not _exists(settings):
        return refuse(
            f"database.url {settings.database.url}: 没有这个数据库 / no such database; check --config and the folder, "
            "or make one: liandong db upgrade"
        )

    async def work(core: Core) -> int:
        return await _load(core, arguments, content, reason)

    return with_core(settings, work, writes=arguments.action == "load")


def _exists(settings: Settings) -> bool:
    from dispatcher.store.database import Database

    file = Database(settings.database.url).path
    return file is None or file.exists()


async def _load(core: Core, arguments: argparse.Namespace, content: bytes, reason: str) -> int:
    """Both `diff` and `load`: the same survey, and for `load` the order."""
    from dispatcher.domain.worktime import Calendars
    from dispatcher.shelf import in_force, name_of, new_notice, renewed
    from dispatcher.store.batches import Batches
    from routing_rules.calendar_files import load_calendars

    await core.shelf.take()
    library = core.library()
    try:
        notice = new_notice(
            arguments.file.name, content, reason=reason, by=whoever(getattr(arguments, "by", None))
        )
        loaded = await core.shelf.notices()
        _same_id(notice, loaded, replace=arguments.replace)
        files = in_force(await core.shelf.folder(), [*loaded, notice])
        book = load_calendars(_named(files, {name_of(notice): arguments.file.name}))
    except ExceptionGroup as faults:
        print_faults = "\n".join(f"  {fault}" for fault in leaves(faults))
        return refuse(
            f"{arguments.file} 不能装载,什么都没有改动 / cannot be loaded, nothing was changed:\n{print_faults}"
        )
    calendars = Calendars(book)
    fresh = renewed(library, policies=library.all_policies(), calendars=calendars)
    days = _days(notice, library, fresh)
    batch = _order(core, notice, calendars.version, days)
    given = await Batches(core.database).get(batch.id)
    already = calendars.version == library.calendars.version
    if arguments.action == "diff":
        effect = await surveyed(core, batch, fresh, arguments.most)
        diff = _diff(notice, library, fresh, days, effect)
        if arguments.json:
            print(msgspec.json.encode(diff).decode())
        else:
            _print_diff(diff)
        return 0
    if already and (given is None or given.state == "done"):
        effect = await surveyed(core, batch, fresh, 0)
        if not effect.cases:
            told = Loaded(
                already=True,
                order=None if given is None else order_of(given),
                diff=_diff(notice, library, fresh, days, effect),
            )
            if arguments.json:
                print(msgspec.json.encode(told).decode())
            else:
                print("已装载过,没有要变动的 / loaded before, nothing is left to move")
            return 0
    core.enforce(fresh)
    done, effect = await carried_out(
        core, batch, _releases(core, notice, files, calendars.version), fresh, arguments.most
    )
    told = Loaded(already=already, order=order_of(done), diff=_diff(notice, library, fresh, days, effect))
    if arguments.json:
        print(msgspec.json.encode(told).decode())
    else:
        _print_diff(told.diff)
        show_order(order_of(done))
    return 1 if done.failed else 0


def _same_id(notice: Notice, loaded: list[Notice], *, replace: bool) -> None:
    from routing_rules.strict import DataFault

    there = next((one for one in reversed(loaded) if one.layer == notice.layer), None)
    if there is not None and there.text != notice.text and not replace:
        remedy = f"{there.by} loaded another file under this id; give it an id of its own, or add --replace"
        raise ExceptionGroup("calendar file", [DataFault(notice.file, "id", notice.layer, remedy)])


def _named(files: Mapping[str, bytes], names: Mapping[str, str]) -> dict[str, bytes]:
    """Faults name the file as the person gave it, unless another has that name."""
    return {
        (names[name] if name in names and names[name] not in files else name): content
        for name, content in files.items()
    }


def _order(core: Core, notice: Notice, version: str, days: list[DayChange]) -> Batch:
    from dispatcher.domain.worktime import LEGAL_ZONE
    from dispatcher.store.batches import CALENDAR, Batch

    rests = [date.fromisoformat(one.day) for one in days if one.settled and one.after == "rest"]
    bounds: tuple[datetime | None, datetime | None] = (None, None)
    if rests:
        begin = datetime.combine(min(rests), time(0), LEGAL_ZONE).astimezone(UTC)
        end = datetime.combine(max(rests) + timedelta(days=1), time(0), LEGAL_ZONE).astimezone(UTC)
        bounds = (begin, end)
    return Batch(
        id=f"calendar-{version[:16]}",
        what=CALENDAR,
        target=version,
        reason=notice.reason[:_LONGEST],
        by=notice.by,
        at=core.clock.now(),
        rests_from=bounds[0],
        rests_until=bounds[1],
    )


def _releases(core: Core, notice: Notice, files: Mapping[str, bytes], version: str) -> list[Any]:
    from dispatcher.shelf import NOTICE, calendar_content
    from dispatcher.store.releases import Release

    now = core.clock.now()
    return [
        Release(
            digest=digest, kind=kind, content=content, signers=(notice.by,), effective_from=now, created=now
        )
        for digest, kind, content in (
            (notice.digest(), NOTICE, notice.content()),
            (version, "calendar", calendar_content(files)),
        )
    ]


def _days(notice: Notice, library: Library, fresh: Library) -> list[DayChange]:
    """Days of the years the notice speaks of that change, for the division it speaks of."""
    from routing_rules.calendar import NATION
    from routing_rules.calendar_files import read_layer

    layer = read_layer(notice.file, notice.text.encode())
    years = [year.year for year in layer.years]
    if not years:
        return []
    division = library.home if layer.division == NATION else layer.division
    before, after = library.calendars.of(division), fresh.calendars.of(division)
    day, last = date(min(years) - 1, 12, 1), date(max(years), 12, 31)
    changed = []
    while day <= last:
        was, now = before.is_workday(day), after.is_workday(day)
        if was != now:
            words = {True: "work", False: "rest"}
            changed.append(
                DayChange(
                    day=day.isoformat(),
                    before=words[was],
                    after=words[now],
                    settled=not before.is_provisional(day),
                )
            )
        day += timedelta(days=1)
    return changed


def _diff(notice: Notice, before: Library, after: Library, days: list[DayChange], effect: Moves) -> Diff:
    from routing_rules.calendar_files import read_layer

    layer = read_layer(notice.file, notice.text.encode())
    return Diff(
        file=notice.file,
        layer=layer.id,
        division=layer.division,
        confirms=[year.year for year in layer.years if year.status == "confirmed"],
        version_before=before.calendars.version,
        version_after=after.calendars.version,
        days=days,
        effect=effect,
    )


def _print_diff(diff: Diff) -> None:
    years = "、".join(str(year) for year in diff.confirms) or "-"
    print(f"{diff.file}({diff.layer},{diff.division})确认年份 / confirms {years}")
    print(f"日历版本 / version {diff.version_before[:12]} → {diff.version_after[:12]}")
    words = {"rest": "休 / rest", "work": "班 / work"}
    for change in diff.days:
        mark = "(原已确定 / was settled)" if change.settled else ""
        print(f"  {change.day} {words[change.before]} → {words[change.after]}{mark}")
    show_moves(diff.effect)


def _meetings(settings: Settings, arguments: argparse.Namespace) -> int:
    from dispatcher.domain.ladders import meeting_after
    from dispatcher.domain.worktime import LEGAL_ZONE
    from dispatcher.releases import build_library
    from dispatcher.runtime.hands import Hands

    if not 1 <= arguments.count <= 100:
        return refuse(f"--count {arguments.count}: 1 至 100 / from 1 to 100")
    since = Hands().wall().astimezone(LEGAL_ZONE)
    if arguments.since is not None:
        try:
            since = datetime.combine(date.fromisoformat(arguments.since), time(0), LEGAL_ZONE)
        except ValueError:
            return refuse(f"--from {arguments.since!r}: 写成 2026-02-14 / write it like that")
        if not 2000 <= since.year <= 2100:
            return refuse(f"--from {arguments.since}: 2000 至 2100 年 / from the year 2000 to 2100")
    try:
        library = build_library(settings.data, settings.deployment.division)
    except ExceptionGroup as faults:
        return refuse("\n".join(leaves(faults)))
    lines = []
    for meeting in library.policy.meetings:
        held, found = since, list[dict[str, str | bool]]()
        for _ in range(arguments.count):
            try:
                held, provisional = meeting_after(library.policy, meeting.id, held, library.home_calendar())
            except LookupError:
                break  # its rule has an end
            found.append({"at": held.isoformat(), "provisional": provisional})
        lines.append(MeetingLine(id=meeting.id, name=meeting.name, rule=meeting.rule, dates=found))
    told = Meetings(policy=library.policy.digest, since=since.isoformat(), meetings=lines)
    if arguments.json:
        print(msgspec.json.encode(told).decode())
        return 0
    for line in told.meetings:
        shown = ", ".join(f"{str(one['at'])[:16]}{'?' if one['provisional'] else ''}" for one in line.dates)
        print(f"{line.id}({line.name}){shown}")
    return 0


async def _show(core: Core, arguments: argparse.Namespace) -> int:
    from dispatcher.store.batches import Batches

    await core.shelf.take()
    loaded = {notice.layer for notice in await core.shelf.notices()}
    orders = [order_of(batch) for batch in await Batches(core.database).all() if batch.what == "calendar"]
    return _print_shown(core.library(), arguments, loaded, orders, core.clock.now())


def _show_files(settings: Settings, arguments: argparse.Namespace) -> int:
    """Where there is no database yet: the files alone."""
    from dispatcher.releases import build_library
    from dispatcher.runtime.hands import Hands

    try:
        library = build_library(settings.data, settings.deployment.division)
    except ExceptionGroup as faults:
        return refuse("\n".join(leaves(faults)))
    return _print_shown(library, arguments, set(), [], Hands().wall())


def _print_shown(
    library: Library, arguments: argparse.Namespace, loaded: set[str], orders: list[Order], now: datetime
) -> int:
    from dispatcher.domain.worktime import LEGAL_ZONE
    from routing_rules.strict import DataFault

    division = arguments.division or library.home
    year = arguments.year if arguments.year is not None else now.astimezone(LEGAL_ZONE).year
    if not 1950 <= year <= 2100:
        return refuse(f"--year {year}: 1950 至 2100 / from 1950 to 2100")
    try:
        calendar, layers = library.calendars.of(division), library.calendars.layers_of(division)
    except DataFault as fault:
        return refuse(f"--division: {fault}")
    shown = Shown(
        version=library.calendars.version,
        division=division,
        layers=[
            LayerLine(
                id=layer.id,
                name=layer.name,
                division=layer.division,
                kind=layer.kind.value,
                issued=layer.issued.isoformat() if layer.issued else None,
                confirmed=[one.year for one in layer.years if one.status == "confirmed"],
                provisional=[one.year for one in layer.years if one.status == "provisional"],
                source=layer.source,
                loaded=layer.id in loaded,
            )
            for layer in layers
        ],
        year=_year(calendar, year),
        orders=orders,
    )
    if arguments.json:
        print(msgspec.json.encode(shown).decode())
    else:
        _print_words(shown)
    return 0


def _year(calendar: Calendar, year: int) -> YearLine:
    days = [date(year, 1, 1) + timedelta(days=n) for n in range(366)]
    days = [day for day in days if day.year == year]
    worked = [day for day in days if calendar.is_workday(day)]
    hours = {}
    for month in (1, 7):
        first = next(day for day in worked if day.month >= month)
        frames = calendar.frames(first)
        hours[first.isoformat()] = [[f"{a:%H:%M}", f"{b:%H:%M}"] for a, b in frames]
    return YearLine(
        year=year,
        status="provisional" if any(calendar.is_provisional(day) for day in days[:300]) else "confirmed",
        workdays=[sum(day.month == month for day in worked) for month in range(1, 13)],
        rests={
            day.isoformat(): calendar.name_of(day)
            for day in days
            if not calendar.is_workday(day) and (day.weekday() < 5 or calendar.name_of(day))
        },
        made_up={day.isoformat(): calendar.name_of(day) for day in worked if day.weekday() >= 5},
        hours=hours,
    )


def _print_words(shown: Shown) -> None:
    print(f"日历版本 / version {shown.version[:16]}  区划 / division {shown.division}")
    for layer in shown.layers:
        confirmed = f"{min(layer.confirmed)}–{max(layer.confirmed)}" if layer.confirmed else "-"
        provisional = "、".join(str(year) for year in layer.provisional)
        marks = " ".join(
            word
            for word, holds in (
                (f"暂定 / provisional {provisional}", bool(provisional)),
                ("命令 / order", layer.kind == "order"),
                ("已装载 / loaded", layer.loaded),
            )
            if holds
        )
        print(f"  {layer.division} {layer.id}({layer.name})确认 / confirmed {confirmed} {marks}".rstrip())
    year = shown.year
    state = "暂定,通知未发布 / provisional" if year.status == "provisional" else "已确认 / confirmed"
    print(f"{year.year} 年 {state},工作日 / working days {sum(year.workdays)}:{year.workdays}")
    print("  休 / rest: " + ", ".join(f"{day[5:]} {name}".strip() for day, name in year.rests.items()))
    print("  班 / made up: " + (", ".join(f"{day[5:]} {name}" for day, name in year.made_up.items()) or "-"))
    for day, frames in year.hours.items():
        print(f"  {day[5:]} " + " ".join(f"{opens}–{closes}" for opens, closes in frames))
    if shown.orders:
        print("历次重算 / orders over open cases")
        for order in shown.orders:
            show_order(order)
