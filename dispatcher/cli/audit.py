"""`liandong audit`: what the auditor of deadlines finds now, and, once a person has mended it, what was set aside again."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

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


def handler(arguments: argparse.Namespace) -> int:
    """Looks at everything once; 1 while something is wrong. Repairing is left to the nodes that serve."""

    async def work(core: Core) -> int:
        from dispatcher.runtime.auditor import put_back
        from dispatcher.store.expectations import Ledger

        ledger, now = Ledger(core.database), core.clock.now()
        while await ledger.read(now):
            pass
        account, findings = await ledger.look(now, grace=core.settings.auditor.grace, rounds=1)
        released = 0
        if arguments.release:
            released = await put_back(core.inbox, [one for one in findings if one.found == "quarantined"])
        if arguments.json:
            answer = {
                "clean": account.clean,
                "expected": account.expected,
                "fired": account.fired,
                "missing": account.missing,
                "late_max_s": account.late_max.total_seconds(),
                "repaired": account.repaired,
                "released": released,
                "findings": [
                    {
                        "case": str(one.stream_id),
                        "clock": one.clock,
                        "milestone": one.milestone,
                        "due": one.due.isoformat(),
                        "found": one.found,
                    }
                    for one in findings
                ],
            }
            print(json.dumps(answer, ensure_ascii=False))
        else:
            print(
                f"应到 {account.expected},已到 {account.fired},缺失 {account.missing},最迟"
                f" {account.late_max.total_seconds():.3f} 秒 / expected, fired, missing, latest by"
            )
            for one in findings:
                print(f"· {one.found} {one.stream_id} {one.clock}/{one.milestone} {one.due.isoformat()}")
            if released:
                print(f"放回 {released} 个 / {released} put back")
        return 0 if account.clean or released == len(findings) > 0 else 1

    return with_core(settings_of(arguments), work, writes=arguments.release)
