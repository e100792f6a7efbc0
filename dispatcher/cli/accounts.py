"""What `user` and `token` share: the options that say who an account is, checked against what exists."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from dispatcher.cli.configured import settings_of
from dispatcher.domain.stream import Actor, Role

if TYPE_CHECKING:
    from datetime import datetime

    from dispatcher.settings import Settings
    from dispatcher.store.accounts import Accounts

T = TypeVar("T")

ROLES = tuple(role.value for role in Role if role is not Role.SYSTEM)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_STAFF = frozenset(Role) - {Role.CLERK, Role.LEAD, Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN, Role.AUDIT_ADMIN}
_OF_UNITS = frozenset({Role.CLERK, Role.LEAD})
_WHOLE = frozenset({Role.AUDIT_ADMIN, Role.SECURITY_ADMIN, Role.SYSTEM_ADMIN})


class Wrong(ValueError):
    """Options that make no account; the lines say which and what to write. All of them at once."""


def add_who(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say who an account is."""
    parser.add_argument(
        "--role",
        action="append",
        choices=ROLES,
        metavar="ROLE",
        default=[],
        help=f"角色,可重复 / role, may be given several times: {', '.join(ROLES)}",
    )
    parser.add_argument(
        "--platform", default="", metavar="ID", help="平台 / platform id, such as 12345-630100"
    )
    parser.add_argument("--unit", default="", metavar="CODE", help="承办单位 / unit, GB 32100 code")
    parser.add_argument("--division", default="", metavar="CODE", help="行政区划 / division, GB/T 2260 code")
    parser.add_argument("--name", default="", metavar="NAME", help="名称 / name shown to people")


def actor_of(arguments: argparse.Namespace, settings: Settings) -> Actor:
    """The account that the options describe, its codes looked up in the organisation.

    Raises:
        Wrong: something is missing or unknown; all of it is said.
    """
    from dispatcher.lists import load_directory, load_organisation, load_places

    faults: list[str] = []
    roles = tuple(dict.fromkeys(Role(word) for word in arguments.role))
    platform, unit, division = arguments.platform, arguments.unit, arguments.division
    id_ = arguments.id or arguments.name
    if not _ID.fullmatch(id_ or ""):
        faults.append(
            f"--id {id_!r}: 用字母、数字与 . _ @ - / letters, digits and . _ @ - (given by --id, else by --name)"
        )
    if not roles:
        faults.append("--role: 至少一个 / give at least one")
    places = load_places(settings.data)
    if platform and load_directory(settings.data, places).platform(platform) is None:
        faults.append(
            f"--platform {platform!r}: 没有这个平台 / no such platform, write one like 12345-630100"
        )
    if division and not places.knows(division):
        faults.append(f"--division {division!r}: 没有这个区划 / no such division, write one like 630100")
    if unit:
        try:
            found = load_organisation(settings.data, places).unit(unit)
            division = division or found.division
        except LookupError:
            faults.append(f"--unit {unit!r}: 没有这个单位 / no such unit; give its GB 32100 code")
    if _STAFF.intersection(roles) and not platform:
        faults.append("--platform: 平台人员须注明平台 / staff of a platform name it")
    if _OF_UNITS.intersection(roles) and not unit:
        faults.append("--unit: 承办单位人员须注明单位 / people of a unit name it")
    if platform and unit:
        faults.append(
            "--platform 与 --unit 只能有一个 / an account belongs to a platform or to a unit, not to both"
        )
    if _WHOLE.intersection(roles) and len(_WHOLE.intersection(roles)) > 1:
        faults.append(
            "--role: 系统、安全、审计管理员须由不同人担任 / the three administrators are different people"
        )
    if faults:
        raise Wrong("\n".join(faults))
    if not division:
        division = platform.rpartition("-")[2] or settings.deployment.division
    return Actor(id=id_, roles=roles, platform=platform, unit=unit, division=division)


def with_accounts(
    arguments: argparse.Namespace, work: Callable[[Settings, Accounts, datetime], Awaitable[T]]
) -> T | int:
    """Runs some work on the accounts of the configured store; 2 when it cannot be used (said on standard error)."""
    from dispatcher.runtime.clock import SystemClock
    from dispatcher.store import schema
    from dispatcher.store.accounts import Accounts
    from dispatcher.store.database import Database
    from dispatcher.store.errors import StoreError

    settings = settings_of(arguments)

    async def run() -> T:
        database = Database(settings.database.url)
        try:
            now = SystemClock().now()
            await schema.check(database, now)
            return await work(settings, Accounts(database), now)
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except (StoreError, Wrong, OSError) as fault:
        print(fault, file=sys.stderr)
        return 2


def told(actor: Actor, **more: Any) -> dict[str, Any]:
    """An account as it is shown."""
    return {
        "account": actor.id,
        "roles": [role.value for role in actor.roles],
        "platform": actor.platform,
        "unit": actor.unit,
        "division": actor.division,
        **more,
    }


def show(found: dict[str, Any], words: str, *, as_json: bool) -> None:
    """Says it in JSON or in words."""
    print(json.dumps(found, ensure_ascii=False) if as_json else words)
