"""`liandong retention`: at the end of its keeping a case's key is destroyed; the erasure is an event, the chain stays."""

from __future__ import annotations

import argparse
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import msgspec

from dispatcher.cli.configured import add_config, settings_of
from dispatcher.cli.progress import progress
from dispatcher.cli.storing import with_core
from dispatcher.data_files import files_of

if TYPE_CHECKING:
    from dispatcher.store.retention import Expired
    from dispatcher.wiring import Core
    from routing_rules.retention import Keep

_PAGE = 500


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was erased, by platform; ``kept`` counts what a hold or a rule keeps, by reason; ``undecided`` are platforms
    without a period. ``left`` are rows that still hold personal data of erased cases (always 0 unless something is
    wrong); ``elsewhere`` are places that this database cannot empty."""

    dry_run: bool
    due: dict[str, int]
    erased: dict[str, int]
    kept: dict[str, int]
    undecided: list[str]
    left: int
    elsewhere: list[str]


def register(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "retention",
        help="到期销毁个人信息 / erase what is past its time",
        description="销毁到期诉求的密钥与个人信息;法定保全的不动;销毁本身记入日志,verify 仍然通过。/ "
        "Destroys keys and personal fields of cases past their keeping; legal holds stop it.",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="只列出,不销毁 / say what would be erased, erase nothing"
    )
    parser.add_argument("--json", action="store_true", help="以 JSON 输出 / answer as JSON")
    add_config(parser)
    parser.set_defaults(handler=handler)


def handler(arguments: argparse.Namespace) -> int:
    """Erases. 0 when all that was due is gone or lawfully kept, 1 when something is left, 2 when it could not begin."""
    settings = settings_of(arguments)

    async def work(core: Core) -> int:
        report = await _run(core, dry_run=arguments.dry_run)
        if arguments.json:
            print(msgspec.json.encode(report).decode())
        else:
            _print(report)
        return 1 if report.left else 0

    return with_core(settings, work, writes=not arguments.dry_run)


async def _run(core: Core, *, dry_run: bool) -> Report:
    from dispatcher.store.erasures import journal_of, keep_journal
    from routing_rules.retention import compile_retention

    periods = compile_retention(files_of("retention", None))
    now = core.clock.now()
    due: Counter[str] = Counter()
    erased: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    undecided: list[str] = []
    left = 0
    elsewhere: dict[str, None] = {}
    with progress("retention", None, "case") as bar:
        for platform in await _platforms(core):
            keep = periods.of(platform)
            if keep is None:
                undecided.append(platform)
                continue
            after: UUID | None = None
            while page := await _page(core, platform, now - keep.period, after):
                after = page[-1].ref.id
                due[platform] += len(page)
                for each in page if not dry_run else ():
                    if why := await _erase(core, each.ref.id, keep, now):
                        kept[why] += 1
                        continue
                    erased[platform] += 1
                    rest, places = await _rest(core, each)
                    left += rest
                    elsewhere.update(dict.fromkeys(places))
                bar.update(len(page))
    if erased:
        await keep_journal(core.database, journal_of(core.settings.database.anchor_file), core.vault)
    return Report(
        dry_run=dry_run,
        due=dict(due),
        erased=dict(erased),
        kept=dict(kept),
        undecided=undecided,
        left=left,
        elsewhere=list(elsewhere),
    )


async def _platforms(core: Core) -> list[str]:
    from sqlalchemy import select

    from dispatcher.domain.commands import CASE
    from dispatcher.store.tables import Table

    stream = Table.metadata.tables["stream"]
    async with core.database.looking() as connection:
        cases = select(stream.c.platform).where(stream.c.stream_kind == CASE).distinct()
        found = await connection.execute(cases.order_by(stream.c.platform))
        return [str(platform) for platform in found.scalars().all()]


async def _page(core: Core, platform: str, before: datetime, after: UUID | None) -> list[Expired]:
    from dispatcher.domain.commands import CASE
    from dispatcher.store.retention import expired

    return await expired(core.database, platform, before, kind=CASE, after=after, limit=_PAGE)


async def _erase(core: Core, case: UUID, keep: Keep, now: datetime) -> str:
    """Erases one case; what keeps it, or empty."""
    from dispatcher.domain.commands import EraseCase
    from dispatcher.domain.errors import Refused
    from dispatcher.domain.stream import SYSTEM, Submission

    command = EraseCase(case=case, basis=keep.basis)
    message = uuid5(case, f"retention/{now.date().isoformat()}")
    try:
        await core.inbox.submit(Submission(message_id=message, command=command, actor=SYSTEM))
    except Refused as refused:
        return refused.code
    return ""


async def _rest(core: Core, erased: Expired) -> tuple[int, tuple[str, ...]]:
    from dispatcher.store.retention import leftovers

    found = await leftovers(core.database, erased.ref)
    return sum(found.rows.values()), found.elsewhere


def _print(report: Report) -> None:
    if report.dry_run:
        print(f"到期 {sum(report.due.values())} 件,未销毁(--dry-run) / due, nothing erased")
    else:
        print(f"到期 {sum(report.due.values())} 件,已销毁 {sum(report.erased.values())} 件 / due, erased")
    for platform, number in report.due.items():
        print(f"  {platform}: {number} → {report.erased.get(platform, 0)}")
    for why, number in report.kept.items():
        print(f"  保留 / kept {number}: {why}")
    for platform in report.undecided:
        print(f"  {platform}: 没有保存期限,不销毁 / no period is set, nothing is erased")
    if report.left:
        print(f"✗ 仍有 {report.left} 行个人信息 / rows of personal data are left")
    for place in report.elsewhere:
        print(f"  另须处理 / elsewhere: {place}")
