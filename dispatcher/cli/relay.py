"""`liandong relay`: whether anything is sent out, and by a person's word no longer or again (a restore leaves it paused)."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.cli.storing import with_core

if TYPE_CHECKING:
    from dispatcher.wiring import Core

_LONGEST = 200


def register(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser("relay", help="外发的暂停与恢复 / pause sending out, or resume it")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, help_ in (
        ("status", "外发是否暂停及原因 / whether it is paused, and why"),
        ("resume", "恢复外发;运行中的节点数秒内照办 / send again; running nodes follow within seconds"),
        ("pause", "暂停外发,须说明原因 / send nothing until resumed, with a reason"),
    ):
        one = actions.add_parser(action, help=help_, description=help_)
        if action == "pause":
            one.add_argument("reason", metavar="REASON", help="原因 / why")
        one.add_argument("--json", action="store_true", help="以 JSON 输出 / answer as JSON")
        add_config(one)
        one.set_defaults(handler=handler)


def handler(arguments: argparse.Namespace) -> int:
    """Does it and tells how it stands after. Repeating it is harmless."""
    reason = " ".join(getattr(arguments, "reason", "").split())
    if arguments.action == "pause" and not 2 <= len(reason) <= _LONGEST:
        return refuse(f"REASON '{reason[:40]}': 2 至 {_LONGEST} 字 / 2 to {_LONGEST} characters")

    async def work(core: Core) -> int:
        if arguments.action == "pause":
            await core.outbox.pause("cli", core.clock.now(), reason)
        elif arguments.action == "resume":
            await core.outbox.resume()
        why, depth = await core.outbox.paused(), await core.outbox.depth()
        if arguments.json:
            answer = {"paused": bool(why), "why": why, "ready": depth.ready, "dead": depth.dead}
            print(json.dumps(answer, ensure_ascii=False))
        else:
            print(f"外发已暂停 / paused: {why}" if why else "外发正常 / sending")
            print(f"待发 {depth.ready},死信 {depth.dead} / {depth.ready} waiting, {depth.dead} dead letters")
        return 0

    return with_core(settings_of(arguments), work)
