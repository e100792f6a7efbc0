"""`liandong rules rollback`: an earlier release in force again, at once. It was signed by two; one may go back to it."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import TYPE_CHECKING

from dispatcher.cli.configured import add_config, settings_of
from dispatcher.cli.rules.release import add_token, signed

if TYPE_CHECKING:
    from dispatcher.domain.stream import Actor
    from dispatcher.store.list_releases import Kept, ListSigning


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument(
        "digest", nargs="?", default="", metavar="RELEASE", help="默认上一版 / default: the one before"
    )
    parser.add_argument("--reason", required=True, metavar="WORDS", help="为什么 / why")
    add_token(parser)
    parser.add_argument("--json", action="store_true", help="以 JSON 输出 / answer as JSON")
    add_config(parser)
    parser.set_defaults(handler=handler)


def handler(arguments: argparse.Namespace) -> int:
    """Goes back. 0 done, 2 refused."""

    async def work(signing: ListSigning, by: Actor, at: datetime) -> Kept:
        return await signing.roll_back(arguments.digest, by=by, reason=arguments.reason, now=at)

    return signed(arguments, settings_of(arguments), work, "已退回 / rolled back")
