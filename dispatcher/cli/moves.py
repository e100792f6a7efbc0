"""What `calendar` and `policy` share: what an order over open cases would move, surveyed or carried out, in words."""

from __future__ import annotations

import asyncio
import getpass
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec

from dispatcher.cli.progress import progress

if TYPE_CHECKING:
    from dispatcher.domain.library import Library
    from dispatcher.runtime.moving import Found
    from dispatcher.store.batches import Batch
    from dispatcher.store.releases import Release
    from dispatcher.wiring import Core

_LEGAL = ZoneInfo("Asia/Shanghai")
_SHOWN = 12
MOST = 1000
"""Moves listed by --json unless asked otherwise; the counts are always of all."""


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One limit before and after (ISO 8601, legal time). ``after`` null: its clock ends. ``change`` is earlier, later,
    settled (the same instant, no longer provisional), same (only what is told before or after it moves) or ended."""

    case: str
    number: str
    clock: str
    before: str
    after: str | None
    change: str
    provisional: bool
    rule: str


class Moves(msgspec.Struct, frozen=True, kw_only=True):
    """What an order moves: ``examined`` open cases were looked at, ``cases`` of them move; ``changes`` counts limits by
    kind of change and ``clocks`` by clock; ``moves`` lists them, the first ``--most``."""

    examined: int
    cases: int
    changes: dict[str, int]
    clocks: dict[str, int]
    moves: list[Move]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order over open cases: its one batch id, what it puts into force, who gave it and why, how far it is."""

    batch: str
    what: str
    target: str
    state: str
    moved: int
    failed: int
    by: str
    reason: str
    at: str
    second: str = ""
    second_reason: str = ""


class Tally:
    """Counts moves as they are found."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.examined = self.cases = 0
        self.changes: Counter[str] = Counter()
        self.clocks: Counter[str] = Counter()
        self.moves: list[Move] = []

    def add(self, looked: int, found: Sequence[Found]) -> None:
        """One chunk."""
        self.examined += looked
        self.cases += len(found)
        for one in found:
            for moved in one.moves:
                change = _change(moved.before, moved.after, moved.provisional)
                self.changes[change] += 1
                self.clocks[moved.clock] += 1
                if len(self.moves) < self.most:
                    self.moves.append(
                        Move(
                            case=str(one.case),
                            number=one.number,
                            clock=moved.clock,
                            before=_legal(moved.before),
                            after=None if moved.after is None else _legal(moved.after),
                            change=change,
                            provisional=moved.provisional,
                            rule=moved.rule,
                        )
                    )

    def told(self) -> Moves:
        """All of it."""
        return Moves(
            examined=self.examined,
            cases=self.cases,
            changes=dict(self.changes),
            clocks=dict(self.clocks.most_common()),
            moves=self.moves,
        )


def _change(before: datetime, after: datetime | None, provisional: bool) -> str:
    if after is None:
        return "ended"
    if after != before:
        return "later" if after > before else "earlier"
    return "same" if provisional else "settled"


def _legal(at: datetime) -> str:
    return at.astimezone(_LEGAL).isoformat(timespec="seconds")


def whoever(named: str | None) -> str:
    """Who gives the order: as named, else the account of this machine."""
    return f"cli:{named or getpass.getuser()}"[:100]


async def surveyed(core: Core, batch: Batch, library: Library, most: int) -> Moves:
    """What the order would move; nothing is written."""
    from dispatcher.runtime.moving import survey
    from dispatcher.store.batches import Batches

    tally = Tally(most)
    with progress("diff", None, "case") as bar:
        async for looked, found in survey(Batches(core.database), batch, library, core.clock):
            tally.add(looked, found)
            bar.update(looked)
    return tally.told()


async def carried_out(
    core: Core, batch: Batch, releases: Sequence[Release], library: Library, most: int
) -> tuple[Batch, Moves]:
    """Write the order down and carry it out; where another process is at it, wait for that one.

    Raises:
        Unavailable: the database went away; giving the same order again goes on with it.
    """
    from dispatcher.runtime.clock import new_id
    from dispatcher.runtime.moving import carry_out
    from dispatcher.store.batches import RUNNING, Batches
    from dispatcher.store.leases import Leases

    batches, leases = Batches(core.database), Leases(core.database, f"cli/{new_id().hex}")
    order = await batches.begin(batch, releases)
    tally = Tally(most)
    with progress("moving", None, "case") as bar:

        def told(looked: int, found: list[Found]) -> None:
            tally.add(looked, found)
            bar.update(looked)

        while True:
            done = await carry_out(batches, order, library, core.inbox, core.clock, leases, told=told)
            if done is not None:
                await batches.supersede(done)
                return done, tally.told()
            await asyncio.sleep(timedelta(milliseconds=300).total_seconds())
            order = await batches.get(order.id) or order
            if order.state != RUNNING:
                return order, tally.told()


def order_of(batch: Batch) -> Order:
    """An order as people see it."""
    return Order(
        batch=batch.id,
        what=batch.what,
        target=batch.target,
        state=batch.state,
        moved=batch.moved,
        failed=batch.failed,
        by=batch.by,
        reason=batch.reason,
        at=_legal(batch.at),
        second=batch.second,
        second_reason=batch.second_reason,
    )


_CHANGES = {
    "later": "顺延 / later",
    "earlier": "提前 / earlier",
    "settled": "时刻不变,由暂定转为确定 / settled where they were",
    "same": "时限不变,提醒随动 / only what is told before or after moves",
    "ended": "计时终止 / their clock ends",
}


_WORTH_SAYING = ("later", "earlier", "ended")
"""Changes that are listed in words; what stays where it was is only counted."""


def _short(at: str) -> str:
    return at[:16].replace("T", " ")


def show_moves(moves: Moves) -> None:
    """In words, on stdout."""
    print(
        f"查看在办 {moves.examined} 件,变动 {moves.cases} 件 / {moves.examined} open cases looked at, {moves.cases} move"
    )
    for change, number in moves.changes.items():
        print(f"  {number} {_CHANGES[change]}")
    worth = [move for move in moves.moves if move.change in _WORTH_SAYING]
    for move in worth[:_SHOWN]:
        after = "终止 / ends" if move.after is None else _short(move.after)
        mark = "(仍暂定 / still provisional)" if move.provisional else ""
        print(f"  {move.number} {move.clock}: {_short(move.before)} → {after}{mark} · {move.rule}")
    more = sum(moves.changes.get(change, 0) for change in _WORTH_SAYING) - min(_SHOWN, len(worth))
    if more > 0:
        print(f"  … 另 {more} 项(--json 列出) / {more} more (--json lists them)")


def show_order(order: Order) -> None:
    """In words, on stdout."""
    states = {
        "running": "进行中 / running",
        "done": "完成 / done",
        "failed": "有未成 / some failed",
        "superseded": "已被取代 / superseded",
    }
    print(
        f"  {order.batch} {order.at} {states[order.state]} 变动 {order.moved} 件 / moved"
        + (f",未成 {order.failed} / failed" if order.failed else "")
        + f" · {order.by}: {order.reason}"
    )
