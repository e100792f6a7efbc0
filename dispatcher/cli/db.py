"""`liandong db upgrade`: brings the database to the schema that this version needs."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.settings import Settings


def register(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser("db", help="数据库升级 / upgrade the database")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    upgrade = actions.add_parser(
        "upgrade", help="升级到本版本所需的结构 / bring it to the schema needed here"
    )
    add_config(upgrade)
    upgrade.add_argument("--json", action="store_true", help="以 JSON 输出 / answer as JSON")
    upgrade.set_defaults(handler=handler)


def handler(arguments: argparse.Namespace) -> int:
    """Upgrades; repeating it is harmless."""
    return asyncio.run(_upgrade(settings_of(arguments), as_json=arguments.json))


async def _upgrade(settings: Settings, *, as_json: bool) -> int:
    from sqlalchemy.exc import SQLAlchemyError

    from dispatcher.runtime.clock import SystemClock
    from dispatcher.store import schema
    from dispatcher.store.database import Database
    from dispatcher.store.errors import StoreError

    try:
        database = Database(settings.database.url)
    except StoreError as fault:
        return refuse(fault)
    try:
        before = await schema.upgrade(database, SystemClock().now())
    except (StoreError, OSError) as fault:
        return refuse(f"未能升级 / not upgraded: {fault}")
    except SQLAlchemyError as fault:
        # Its words may hold the address with the password; the class says enough.
        return refuse(f"未能升级 / not upgraded: {type(fault).__name__} ({database})")
    finally:
        await database.close()
    if as_json:
        print(json.dumps({"database": str(database), "before": before, "after": schema.EXPECTED}))
    else:
        print(f"{database}: {before or '空 (empty)'} → {schema.EXPECTED}")
    return 0
