"""`liandong user`: account records of people and systems. They act by token; signing in comes with the desks."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dispatcher.cli.accounts import Wrong, actor_of, add_who, show, told, with_accounts
from dispatcher.cli.configured import add_config

if TYPE_CHECKING:
    from dispatcher.settings import Settings
    from dispatcher.store.accounts import Accounts


def register(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser("user", help="账号 / accounts", description="账号 / accounts")
    commands = parser.add_subparsers(dest="user_command", required=True, metavar="COMMAND")
    add = commands.add_parser(
        "add",
        help="新建账号 / make an account",
        description="新建账号。没有口令:现在只能凭令牌使用(liandong token add --account ID),网页登录随坐席台一起提供。/ "
        "Make an account. It has no password: it acts by token for now (liandong token add --account ID); signing in "
        "comes with the desks.",
    )
    add.add_argument("id", metavar="ID", help="账号编号 / account id")
    add_who(add)
    disable = commands.add_parser("disable", help="停用账号及其令牌 / stop an account and its tokens")
    disable.add_argument("id", metavar="ID", help="账号编号 / account id")
    for each, work in ((add, _add), (disable, _disable)):
        each.add_argument("--json", action="store_true", help="JSON 输出 / answer in JSON")
        add_config(each)
        each.set_defaults(handler=work)


def handler(arguments: argparse.Namespace) -> int:
    """Runs the chosen command."""
    code: int = arguments.handler(arguments)
    return code


def _add(arguments: argparse.Namespace) -> int:
    async def work(settings: Settings, accounts: Accounts, now: datetime) -> int:
        actor = actor_of(arguments, settings)
        if await accounts.find(actor.id) is not None:
            raise Wrong(
                f"{actor.id!r}: 账号已存在 / the account exists; disable it first, or choose another id"
            )
        await accounts.put(actor, arguments.name or actor.id, now)
        show(
            told(actor, name=arguments.name or actor.id, sign_in=False),
            f"已建账号 {actor.id},尚不能登录;令牌:liandong token add --account {actor.id}\n"
            f"account {actor.id} made; it cannot sign in yet, it acts by token",
            as_json=arguments.json,
        )
        return 0

    return with_accounts(arguments, work)


def _disable(arguments: argparse.Namespace) -> int:
    async def work(_: Settings, accounts: Accounts, now: datetime) -> int:
        done = await accounts.disable(arguments.id, now)
        show(
            {"account": arguments.id, "disabled": done},
            f"已停用 {arguments.id} / disabled"
            if done
            else f"没有这个账号 / no such account: {arguments.id}",
            as_json=arguments.json,
        )
        return 0 if done else 1

    return with_accounts(arguments, work)
