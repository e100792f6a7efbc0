"""`liandong token`: bearer tokens for systems and people that use the API. A token is shown once, when it is made."""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from dispatcher.cli.accounts import Wrong, actor_of, add_who, show, told, with_accounts
from dispatcher.cli.configured import add_config
from dispatcher.settings import parse_duration

if TYPE_CHECKING:
    from dispatcher.settings import Settings
    from dispatcher.store.accounts import Accounts


def register(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "token", help="访问令牌 / bearer tokens", description="访问令牌 / bearer tokens"
    )
    commands = parser.add_subparsers(dest="token_command", required=True, metavar="COMMAND")
    add = commands.add_parser(
        "add",
        help="新建账号与令牌 / make an account and a token for it",
        description="新建账号与令牌,令牌只显示这一次。已有账号用 --account。/ Make an account and a token for it; the token is "
        "shown this once. For an account that exists use --account.",
    )
    add_who(add)
    add.add_argument(
        "--id", default="", metavar="ID", help="账号编号,默认同 --name / account id, by default the name"
    )
    add.add_argument("--account", default="", metavar="ID", help="已有账号 / an account that exists")
    add.add_argument("--label", default="api", metavar="LABEL", help="用途 / what it is for (default api)")
    add.add_argument(
        "--expires", default="365d", metavar="SPAN", help="有效期,如 90d / how long it is good (default 365d)"
    )
    revoke = commands.add_parser("revoke", help="停用令牌 / stop tokens")
    revoke.add_argument("account", metavar="ACCOUNT", help="账号 / account id")
    revoke.add_argument("--label", default="api", metavar="LABEL", help="用途 / which ones (default api)")
    for each, work in ((add, _add), (revoke, _revoke)):
        each.add_argument("--json", action="store_true", help="JSON 输出 / answer in JSON")
        add_config(each)
        each.set_defaults(handler=work)


def handler(arguments: argparse.Namespace) -> int:
    """Runs the chosen command."""
    code: int = arguments.handler(arguments)
    return code


def _add(arguments: argparse.Namespace) -> int:
    async def work(settings: Settings, accounts: Accounts, now: datetime) -> int:
        try:
            span = parse_duration(arguments.expires)
        except ValueError:
            raise Wrong(f"--expires {arguments.expires!r}: 写成 90d 或 12h / write 90d or 12h") from None
        if not timedelta(minutes=1) <= span <= timedelta(days=3660):
            raise Wrong(f"--expires {arguments.expires!r}: 1min–3660d")
        if arguments.account:
            if arguments.role or arguments.platform or arguments.unit or arguments.division:
                raise Wrong(
                    "--account: 已有账号的角色与单位不能在此更改 / an account keeps its roles; leave them out"
                )
            found = await accounts.find(arguments.account)
            if found is None:
                raise Wrong(
                    f"--account {arguments.account!r}: 没有这个账号 / no such account; see: liandong user add"
                )
            actor = found[0]
        else:
            actor = actor_of(arguments, settings)
            if await accounts.find(actor.id) is not None:
                raise Wrong(
                    f"--id {actor.id!r}: 账号已存在,用 --account / the account exists; use --account {actor.id}"
                )
            await accounts.put(actor, arguments.name or actor.id, now)
        token = await accounts.new_token(actor.id, arguments.label, now, expires=now + span)
        found_words = told(actor, token=token, label=arguments.label, expires=(now + span).isoformat())
        show(
            found_words,
            f"{token}\n只显示这一次,请妥善保存。 / Shown this once; keep it safe.",
            as_json=arguments.json,
        )
        return 0

    return with_accounts(arguments, work)


def _revoke(arguments: argparse.Namespace) -> int:
    async def work(_: Settings, accounts: Accounts, now: datetime) -> int:
        count = await accounts.revoke(arguments.account, arguments.label, now)
        show(
            {"account": arguments.account, "label": arguments.label, "revoked": count},
            f"已停用 {count} 个 / stopped {count}",
            as_json=arguments.json,
        )
        return 0 if count else 1

    return with_accounts(arguments, work)
