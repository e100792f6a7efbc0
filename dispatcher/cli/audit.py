"""`liandong audit`: what the auditor of deadlines finds now, and, once a person has mended it, what was set aside again."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from dispatcher.cli.configured import add_config, settings_of
from dispatcher.cli.storing import with_core

if TYPE_CHECKING:
    from dispatcher.wiring import Core


def register(subparsers: Any) -> None:
    """Adds the verb."""
    words = "时限稽核:独立重读日志并核对时限 / read the log anew and compare deadlines with it"
    parser = subparsers.add_parser("audit", help=words, description=words)
    parser.add_argument(
        "--release",
        action="store_true",
        help="把隔离的时限放回(原因排除之后) / put deadlines in quarantine back, once their cause is mended",
    )
    parser.add_argument("--json", action="store_true", help="以 JSON 输出 / answer as JSON")
    add_config(parser)
    parser.set_defaults(handler=handler)


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A milestone whose row is not what the log says: "missing", "altered" or "quarantined"."""

    case: UUID
    clock: str
    milestone: str
    due: datetime
    found: str


class Audited(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. ``expected`` and ``fired`` count since the first event; ``released``: put back just now."""

    clean: bool
    expected: int
    fired: int
    missing: int
    late_max_s: float
    repaired: int
    released: int
    findings: tuple[Found, ...]


def handler(arguments: argparse.Namespace) -> int:
    """Looks at everything once; 1 while something is wrong. Repairing is left to the nodes that serve."""

    async def work(core: Core) -> int:
        audited = await _audit(core, release=arguments.release)
        if arguments.json:
            print(msgspec.json.encode(audited).decode())
        else:
            _print(audited)
        return 0 if audited.clean or audited.released == len(audited.findings) > 0 else 1

    return with_core(settings_of(arguments), work, writes=arguments.release)


async def _audit(core: Core, *, release: bool) -> Audited:
    from dispatcher.runtime.auditor import put_back
    from dispatcher.store.expectations import Finding, Ledger, Overtaken

    ledger = Ledger(core.database)
    while True:
        try:
            if not await ledger.read(core.clock.now()):
                break
        except Overtaken:  # a serving node reads too
            continue
    found: dict[tuple[UUID, str, str], Finding] = {}
    turns = 0
    while turns < 2:  # the turn that is under way, and a whole one
        now = core.clock.now()
        account, some = await ledger.look(now, grace=core.settings.auditor.grace, rounds=1)
        found |= {(one.stream_id, one.clock, one.milestone): one for one in some}
        turns += account.turned == now
    findings = tuple(found.values())
    released = 0
    if release:
        released = await put_back(core.inbox, [one for one in findings if one.found == "quarantined"])
    return Audited(
        clean=account.clean and not findings,
        expected=account.expected,
        fired=account.fired,
        missing=max(account.missing, len(findings)),
        late_max_s=account.late_max.total_seconds(),
        repaired=account.repaired,
        released=released,
        findings=tuple(
            Found(case=one.stream_id, clock=one.clock, milestone=one.milestone, due=one.due, found=one.found)
            for one in findings
        ),
    )


def _print(audited: Audited) -> None:
    print(
        f"应到 {audited.expected},已到 {audited.fired},缺失 {audited.missing},最迟 {audited.late_max_s:.3f} 秒"
        " / expected, fired, missing, latest by"
    )
    for one in audited.findings:
        print(f"· {one.found} {one.case} {one.clock}/{one.milestone} {one.due.isoformat()}")
    if audited.released:
        print(f"放回 {audited.released} 个 / {audited.released} put back")
