"""`liandong policy`: the deadline policy in force, how it differs from what open cases go by, and applying it to them.

A case keeps the policy it was registered under. Applying another one to open cases takes two persons with a reason
each, is shown before it acts, and is refused where it shortens running limits unless that is asked for by name.
"""

from __future__ import annotations

import argparse
from collections import Counter
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
from dispatcher.cli.storing import with_core

if TYPE_CHECKING:
    from dispatcher.settings import Settings
    from dispatcher.store.batches import Batch
    from dispatcher.wiring import Core
    from routing_rules.policy import Limit, Policy

_LONGEST = 200


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One difference between two policies: which clock, ladder, count or hour, and both sides in words."""

    where: str
    before: str
    after: str


class Other(msgspec.Struct, frozen=True, kw_only=True):
    """A policy that open cases go by: how many of them, and how today's differs from it."""

    policy: str
    cases: int
    changes: list[Change]


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """What applying today's policy to open cases would do. ``shortens`` counts running limits that would come nearer."""

    policy: str
    name: str
    others: list[Other]
    shortens: int
    effect: Moves


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What applying it did. ``order`` null: every open case goes by it already."""

    order: Order | None
    diff: Diff


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """The policy in force: its version, open cases by the policy they go by, and the orders given."""

    policy: str
    name: str
    clocks: list[str]
    ladders: list[str]
    cases: dict[str, int]
    orders: list[Order]


def register(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "policy",
        help="时限政策 / the deadline policy over open cases",
        description="查看现行时限政策;预演并适用于在办诉求(每件保留登记时的政策,除非在此适用)。/ "
        "Show the deadline policy; see what applying it to open cases would move, and apply it.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="现行政策与在办诉求所用版本 / in force, and what open cases go by")
    diff = actions.add_parser("diff", help="预演:适用于在办后哪些时限会变 / what applying it would move")
    apply = actions.add_parser(
        "apply", help="适用于在办诉求,须两人各述理由 / apply it: two persons, two reasons"
    )
    apply.add_argument(
        "--reason", metavar="WHY", required=True, help="经办人的理由 / the first person's reason"
    )
    apply.add_argument(
        "--by", metavar="NAME", help="经办人(默认本机账号) / the first person (default your account)"
    )
    apply.add_argument("--second", metavar="NAME", required=True, help="复核人 / the second person")
    apply.add_argument(
        "--second-reason", metavar="WHY", required=True, help="复核人的理由 / that person's reason"
    )
    apply.add_argument(
        "--shorten", action="store_true", help="允许缩短在办时限 / also where running limits come nearer"
    )
    for each in (diff, apply):
        each.add_argument(
            "--most",
            type=int,
            default=MOST,
            metavar="N",
            help=f"--json 最多列出 N 项 / list N (default {MOST})",
        )
    for each in (show, diff, apply):
        each.add_argument("--json", action="store_true", help="以 JSON 输出 / answer as JSON")
        add_config(each)
        each.set_defaults(handler=handler)


def handler(arguments: argparse.Namespace) -> int:
    """0 done; 1 not as hoped (limits would come nearer, cases failed); 2 the question has faults. All faults at once."""
    settings = settings_of(arguments)
    if faults := _faults(arguments, settings):
        return refuse("\n".join(faults))

    async def work(core: Core) -> int:
        await core.shelf.take()
        if arguments.action == "show":
            return await _show(core, arguments)
        return await _move(core, arguments)

    return with_core(settings, work, writes=arguments.action == "apply")


def _faults(arguments: argparse.Namespace, settings: Settings) -> list[str]:
    from dispatcher.store.database import Database

    faults = []
    if arguments.action == "apply":
        for option, words in (("--reason", arguments.reason), ("--second-reason", arguments.second_reason)):
            if not 2 <= len(" ".join(words.split())) <= _LONGEST:
                faults.append(f"{option} {words[:40]!r}: 2 至 {_LONGEST} 字 / 2 to {_LONGEST} characters")
        if whoever(arguments.second.strip() or None) == whoever(arguments.by):
            faults.append(f"--second {arguments.second!r}: 须为另一人 / must be another person")
    file = Database(settings.database.url).path
    if file is not None and not file.exists():
        faults.append(
            f"database.url {file}: 没有这个数据库 / no such database; check --config and the folder"
        )
    return faults


async def _move(core: Core, arguments: argparse.Namespace) -> int:
    library = core.library()
    batch = await _order(core, arguments)
    effect = await surveyed(core, batch, library, arguments.most)
    diff = Diff(
        policy=library.policy.digest,
        name=library.policy.name,
        others=await _others(core),
        shortens=effect.changes.get("earlier", 0) + effect.changes.get("ended", 0),
        effect=effect,
    )
    if arguments.action == "diff":
        if arguments.json:
            print(msgspec.json.encode(diff).decode())
        else:
            _print_diff(diff)
        return 0
    if diff.shortens and not arguments.shorten:
        _print_diff(diff)
        return (
            refuse(
                f"{diff.shortens} 项在办时限会提前或终止,什么都没有改动;确认后加 --shorten / "
                f"{diff.shortens} running limits would come nearer or end; nothing was changed. If that is meant, add --shorten"
            )
            and 1
        )
    order = None
    failed = 0
    if effect.cases:
        done, effect = await carried_out(core, batch, (), library, arguments.most)
        order, failed = order_of(done), done.failed
        diff = msgspec.structs.replace(diff, effect=effect)
    if arguments.json:
        print(msgspec.json.encode(Applied(order=order, diff=diff)).decode())
    else:
        _print_diff(diff)
        if order is None:
            print("在办诉求均已适用 / every open case goes by it already")
        else:
            show_order(order)
    return 1 if failed else 0


async def _order(core: Core, arguments: argparse.Namespace) -> Batch:
    """The order to give; one that was broken off is the same order still."""
    from dispatcher.store.batches import POLICY, RUNNING, Batch, Batches

    digest = core.library().policy.digest
    for given in await Batches(core.database).all():
        if (given.what, given.target, given.state) == (POLICY, digest, RUNNING):
            return given
    now = core.clock.now()
    return Batch(
        id=f"policy-{digest}-{now:%Y%m%d%H%M%S}",
        what=POLICY,
        target=digest,
        reason=" ".join(getattr(arguments, "reason", "").split()),
        by=whoever(getattr(arguments, "by", None)),
        at=now,
        second=getattr(arguments, "second", "").strip(),
        second_reason=" ".join(getattr(arguments, "second_reason", "").split()),
    )


async def _by_policy(core: Core) -> dict[str, int]:
    """How many open cases go by which policy."""
    from typing import cast

    from sqlalchemy import select

    from dispatcher.domain.case import Case
    from dispatcher.store import codec
    from dispatcher.store.tables import Table

    stream = Table.metadata.tables["stream"]
    counted: Counter[str] = Counter()
    last = None
    while True:
        statement = select(stream.c.id, stream.c.state).where(stream.c.open.is_(True)).order_by(stream.c.id)
        if last is not None:
            statement = statement.where(stream.c.id > last)
        async with core.database.looking() as connection:
            rows = (await connection.execute(statement.limit(1000))).all()
        if not rows:
            return dict(counted.most_common())
        last = rows[-1].id
        counted.update(cast("Case", codec.decode_state(row.state, Case)).policy for row in rows)


async def _others(core: Core) -> list[Other]:
    library = core.library()
    return [
        Other(policy=digest, cases=number, changes=changes(library.clocks(digest).policy, library.policy))
        for digest, number in (await _by_policy(core)).items()
        if digest != library.policy.digest
    ]


def changes(before: Policy, after: Policy) -> list[Change]:
    """Every difference between two policies, clock by clock and ladder by ladder."""
    old, new = _entries(before), _entries(after)
    return [
        Change(where=where, before=old.get(where, "-"), after=new.get(where, "-"))
        for where in [*new, *(name for name in old if name not in new)]
        if old.get(where, "-") != new.get(where, "-")
    ]


def _entries(policy: Policy) -> dict[str, str]:
    entries = {}
    for clock in policy.clocks:
        entries[f"clock {clock.id}"] = (
            f"{', '.join(clock.starts)} → {', '.join(clock.stops)}; by {clock.basis}"
        )
        for number, limit in enumerate(clock.limits, start=1):
            entries[f"clock {clock.id} limit {number}"] = _limit(limit)
    for ladder in policy.ladders:
        for rung in (*ladder.early, *ladder.rungs):
            fields = {
                name: value
                for name, value in msgspec.structs.asdict(rung).items()
                if name not in ("id", "name") and value not in (None, "", (), False)
            }
            entries[f"ladder {ladder.id} rung {rung.id}"] = ", ".join(
                f"{k} {_plain(v)}" for k, v in fields.items()
            )
        entries[f"ladder {ladder.id}"] = f"from {ladder.anchor}, repeats {ladder.repeat_last or '-'}"
    entries |= {f"count {name}": str(value) for name, value in policy.counts.items()}
    entries |= {f"hour {name}": f"{value:%H:%M}" for name, value in policy.hours.items()}
    return entries


def _limit(limit: Limit) -> str:
    when = ", ".join(
        f"{name} {_plain(value)}"
        for name, value in msgspec.structs.asdict(limit.when).items()
        if value not in (None, (), "")
    )
    terms = ", ".join(
        f"{name} {_plain(value)}"
        for name, value in msgspec.structs.asdict(limit).items()
        if name != "when" and value not in (None, 0, "")
    )
    return f"[{when or 'all'}] {terms}"


def _plain(value: object) -> str:
    return "/".join(str(one) for one in value) if isinstance(value, tuple) else str(value)


def _print_diff(diff: Diff) -> None:
    print(f"现行 / in force {diff.policy} {diff.name}")
    for other in diff.others:
        print(
            f"{other.cases} 件在办按 {other.policy} / open cases go by it; {len(other.changes)} 处不同 / differences"
        )
        for change in other.changes:
            print(f"  {change.where}: {change.before} → {change.after}")
    show_moves(diff.effect)


async def _show(core: Core, arguments: argparse.Namespace) -> int:
    from dispatcher.store.batches import POLICY, Batches

    policy = core.library().policy
    shown = Shown(
        policy=policy.digest,
        name=policy.name,
        clocks=[clock.id for clock in policy.clocks],
        ladders=[ladder.id for ladder in policy.ladders],
        cases=await _by_policy(core),
        orders=[order_of(one) for one in await Batches(core.database).all() if one.what == POLICY],
    )
    if arguments.json:
        print(msgspec.json.encode(shown).decode())
        return 0
    print(f"现行 / in force {shown.policy} {shown.name}")
    for digest, number in shown.cases.items():
        print(f"  {number} 件在办按 {digest} / open cases go by it")
    for order in shown.orders:
        show_order(order)
    return 0
