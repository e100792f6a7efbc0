"""The auditor's ledger: what the log says must fire, kept apart from the engine's rows and compared with them.

Nothing here uses the engine's code: neither its fold of a case nor its deadline rows. Four kinds of event say when a
milestone is armed, gone or put back; they are read once, in the order of the log, behind a position of the ledger's
own. Every question is bounded: a stretch of the log, what falls due about now, a stretch of a turn over everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    ColumnElement,
    Row,
    and_,
    bindparam,
    delete,
    func,
    insert,
    join,
    or_,
    outerjoin,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from dispatcher.domain.stream import LIVE, DeadlineState
from dispatcher.domain.worktime import LEGAL_ZONE
from dispatcher.store.database import Database
from dispatcher.store.postgres import PLANS
from dispatcher.store.tables import Deadlines, Events, Position, Table

STRETCH = 2_000
"""Positions of the log read in one transaction."""
MOST = 200
"""Findings told by one question; the next one finds the rest."""
MOST_WAITING = 1_000
"""Overdue rows that are looked at one by one; of more, only their number is told."""
AHEAD = timedelta(seconds=30)
"""What falls due within this time is looked at in every round."""
FIRST_TURN = 50_000
LARGEST_LOOK = 100_000
"""Expectations looked at in one round of a turn: before the size is known, and at most."""

_expectation = Table.metadata.tables["expectation"]
_audit = Table.metadata.tables["audit"]
_KEY = (_expectation.c.stream_id, _expectation.c.clock, _expectation.c.milestone)
_LAST_ID = UUID(int=(1 << 128) - 1)


class _Armed(msgspec.Struct):
    milestone: str
    due: datetime


class _Run(msgspec.Struct):
    clock: str
    armed: tuple[_Armed, ...] = ()


class _ClocksSet(msgspec.Struct):
    runs: tuple[_Run, ...] = ()


class _Reached(msgspec.Struct):
    clock: str
    milestone: str
    due: datetime
    next: tuple[_Armed, ...] = ()


class _PutBack(msgspec.Struct):
    clock: str
    milestone: str
    due: datetime


CLOCKS, REACHED, PUT_BACK = "clocks-set.1", "milestone-reached.1", "deadline-repaired.1"
KINDS = (CLOCKS, REACHED, PUT_BACK)
"""The kinds of event that say what must fire; a test holds them to `dispatcher.domain.events`."""

_clocks = msgspec.json.Decoder(_ClocksSet)
_reached = msgspec.json.Decoder(_Reached)
_put_back = msgspec.json.Decoder(_PutBack)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A milestone whose row is not what the log says. ``found``: "missing", "altered" or "quarantined".

    ``position`` of the event that armed it last tells two findings about the same milestone apart.
    """

    stream_id: UUID
    clock: str
    milestone: str
    due: datetime
    position: int
    found: str


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What the last round found. Counts of milestones.

    ``expected``: should have fired by now, since the first event; ``fired``: did. ``absent``: rows gone or altered.
    ``overdue``: rows that are there, due longer ago than the grace, and not settled. ``behind``: events not read yet.
    ``late_max``: how late the latest of this legal day was, or is. ``turned``: end of the last whole turn.
    """

    at: datetime | None
    position: int
    expected: int
    fired: int
    absent: int
    overdue: int
    quarantined: int
    behind: int
    repaired: int
    late_max: timedelta
    turned: datetime | None

    @property
    def missing(self) -> int:
        """What should have fired, or be there to fire, and is not."""
        return self.absent + self.overdue + self.quarantined

    @property
    def clean(self) -> bool:
        """Everything was looked at, and nothing is wrong."""
        return self.at is not None and self.turned is not None and not self.missing and self.behind <= STRETCH


class Overtaken(Exception):
    """Another node has read on; this one must not write what it computed."""


class Ledger:
    """Reads the log, keeps what it expects, and compares."""

    def __init__(self, database: Database, *, stretch: int = STRETCH) -> None:
        self._database = database
        self._stretch = stretch

    async def account(self) -> Account:
        """The account as the last round left it."""
        async with self._database.looking() as connection:
            row = await _row(connection)
        if row is None:
            return _account({}, timedelta())
        return _account(row, timedelta(microseconds=row["late_max"]))

    async def read(self, now: datetime) -> int:
        """Read one stretch of the log.

        Returns:
            How many positions are left to be read.

        Raises:
            Overtaken: another node has read it meanwhile.
        """
        async with self._database.looking() as connection:
            newest = await _newest(connection)
            row = await _row(connection)
            begin = row["position"] if row is not None else 0
            end = min(begin + self._stretch, newest)
            if end <= begin and row is not None:
                return 0
            events = (
                await connection.execute(
                    select(
                        col(Events.position),
                        col(Events.stream_id),
                        col(Events.at),
                        col(Events.kind),
                        col(Events.body),
                    )
                    .where(
                        col(Events.position) > begin, col(Events.position) <= end, col(Events.kind).in_(KINDS)
                    )
                    .order_by(col(Events.position))
                )
            ).all()
        stretch = Stretch(now)
        for event in events:
            stretch.take(event.position, event.stream_id, event.at, event.kind, event.body)
        async with self._database.writing() as connection:
            await self._apply(connection, stretch, row, begin, end)
        return newest - end

    async def _apply(
        self,
        connection: AsyncConnection,
        stretch: Stretch,
        row: Mapping[str, Any] | None,
        begin: int,
        end: int,
    ) -> None:
        if row is None:
            await connection.execute(
                text(
                    "INSERT INTO audit (id, position, fired, late_max, late_day, turn_rows, turn_size, expected,"
                    " absent, overdue, quarantined, behind, repaired)"
                    " VALUES (1, 0, 0, 0, '', 0, 0, 0, 0, 0, 0, 0, 0) ON CONFLICT (id) DO NOTHING"
                )
            )
        late = stretch.late_max
        if row is not None and row["late_day"] == stretch.day:
            late = max(late, timedelta(microseconds=row["late_max"]))
        moved = await connection.execute(
            update(_audit)
            .where(_audit.c.id == 1, _audit.c.position == begin)
            .values(
                position=end,
                fired=_audit.c.fired + stretch.fired,
                repaired=_audit.c.repaired + stretch.repaired,
                late_max=late // timedelta(microseconds=1),
                late_day=stretch.day,
            )
        )
        if moved.rowcount != 1:
            raise Overtaken
        if stretch.reset:
            await connection.execute(
                delete(_expectation).where(
                    _expectation.c.stream_id == bindparam("s"), _expectation.c.clock == bindparam("c")
                ),
                [{"s": stream, "c": clock} for stream, clock in stretch.reset],
            )
        if gone := stretch.deleted:
            await connection.execute(
                delete(_expectation).where(
                    *(key == bindparam(short) for key, short in zip(_KEY, "scm", strict=True))
                ),
                [{"s": s, "c": c, "m": m} for s, c, m in gone],
            )
        if stretch.there:
            await connection.execute(
                insert(_expectation),
                [
                    {"stream_id": s, "clock": c, "milestone": m, "due": due, "position": position}
                    for (s, c, m), (due, position) in stretch.there.items()
                ],
            )

    async def look(self, now: datetime, *, grace: timedelta, rounds: int) -> tuple[Account, list[Finding]]:
        """Compare what falls due about now, and the next stretch of the turn, with the deadline rows.

        Streams with events that were not read yet are passed over: the next round has read them. So a commit lies
        before both the ledger and the rows, or before neither.

        Args:
            grace: how late a row may be settled before it counts as overdue.
            rounds: in how many rounds a turn over everything should end.

        Returns:
            The account, which is kept, and the findings.
        """
        async with self._database.snapshot() as connection:
            if self._database.is_postgres:
                for name, value in PLANS.items():  # walks along indexes, whatever statistics there are
                    await connection.execute(text(f"SET LOCAL {name} = {value}"))
            row = await _row(connection)
            newest = await _newest(connection)
            if row is None:
                return _account({"behind": newest}, timedelta()), []
            looking = _Looking(connection, row["position"])
            begin, end, count = await looking.stretch(row, rounds)
            found = {
                (one.stream_id, one.clock, one.milestone): one
                for one in (
                    *await looking.mismatched(_expectation.c.due < now + AHEAD),
                    *await looking.mismatched(
                        _expectation.c.stream_id > begin, _expectation.c.stream_id <= end
                    ),
                )
            }
            due_now = await looking.count(_expectation.c.due < now)
            overdue, oldest = await looking.waiting(now, grace)
            quarantined, told = await looking.quarantined()
        size, over = row["turn_rows"] + count, end == _LAST_ID
        late = timedelta(microseconds=row["late_max"]) if row["late_day"] == _day(now) else timedelta()
        values = {
            "at": now,
            "expected": row["fired"] + due_now,
            "absent": len(found),
            "overdue": overdue,
            "quarantined": quarantined,
            "behind": newest - row["position"],
            "late_max": max(late, now - oldest if oldest else late) // timedelta(microseconds=1),
            "late_day": _day(now),
            "turn": None if over else end,
            "turn_rows": 0 if over else size,
            "turn_size": size if over else row["turn_size"],
            "turned": now if over else row["turned"],
        }
        async with self._database.writing() as connection:
            await connection.execute(update(_audit).where(_audit.c.id == 1).values(**values))
        account = _account(row | values, timedelta(microseconds=values["late_max"]))
        return account, [*found.values(), *told]


class Stretch:
    """What a stretch of the log does to the ledger, in memory."""

    def __init__(self, now: datetime) -> None:
        self.day = _day(now)
        self.fired = 0
        self.repaired = 0
        self.late_max = timedelta()
        self.reset: set[tuple[UUID, str]] = set()
        self.there: dict[tuple[UUID, str, str], tuple[datetime, int]] = {}
        self.gone: set[tuple[UUID, str, str]] = set()

    def take(self, position: int, stream: UUID, at: datetime, kind: str, body: bytes) -> None:
        """One event."""
        if kind == CLOCKS:
            for run in _clocks.decode(body).runs:
                for key in [key for key in self.there if key[:2] == (stream, run.clock)]:
                    del self.there[key]
                self.reset.add((stream, run.clock))
                self._arm(stream, run.clock, run.armed, position)
        elif kind == REACHED:
            reached = _reached.decode(body)
            self.fired += 1
            if _day(at) == self.day:
                self.late_max = max(self.late_max, at - reached.due)
            key = (stream, reached.clock, reached.milestone)
            self.there.pop(key, None)
            self.gone.add(key)
            self._arm(stream, reached.clock, reached.next, position)
        else:
            back = _put_back.decode(body)
            self.repaired += 1
            self.there[stream, back.clock, back.milestone] = (back.due, position)

    def _arm(self, stream: UUID, clock: str, armed: Sequence[_Armed], position: int) -> None:
        for one in armed:
            self.there[stream, clock, one.milestone] = (one.due, position)

    @property
    def deleted(self) -> set[tuple[UUID, str, str]]:
        """Rows to be deleted one by one: gone, or to be put anew, and not of a clock that was reset whole."""
        return {key for key in self.gone | self.there.keys() if key[:2] not in self.reset}


def _same_row() -> ColumnElement[bool]:
    return and_(
        col(Deadlines.stream_id) == _expectation.c.stream_id,
        col(Deadlines.clock) == _expectation.c.clock,
        col(Deadlines.milestone) == _expectation.c.milestone,
    )


class _Looking:
    """The bounded questions of one round, in one snapshot."""

    def __init__(self, connection: AsyncConnection, position: int) -> None:
        self._connection = connection
        self._position = position

    async def stretch(self, row: Mapping[str, Any], rounds: int) -> tuple[UUID, UUID, int]:
        """The next streams of the turn: after which, up to which, and how many expectations they have."""
        wanted = -(-row["turn_size"] // rounds) + 1000 if row["turned"] else FIRST_TURN
        begin = row["turn"] or UUID(int=0)
        stream = _expectation.c.stream_id
        ids = select(stream).where(stream > begin).order_by(stream)
        end = (await self._connection.execute(ids.offset(min(wanted, LARGEST_LOOK)).limit(1))).scalar()
        end = end or _LAST_ID
        return begin, end, await self.count(stream > begin, stream <= end)

    async def mismatched(self, *where: ColumnElement[bool]) -> list[Finding]:
        """Expectations without a row that says the same."""
        state = col(Deadlines.state)
        asked = await self._connection.execute(
            select(*_KEY, _expectation.c.due, _expectation.c.position, state)
            .select_from(outerjoin(_expectation, Deadlines, _same_row()))
            .where(
                *where,
                or_(
                    state.is_(None),
                    state.not_in((*LIVE, _QUARANTINED)),
                    and_(state.in_(LIVE), col(Deadlines.due) != _expectation.c.due),
                ),
            )
            .limit(MOST)
        )
        rows = asked.all()
        if not rows:
            return []
        unread = await self._connection.execute(
            select(col(Events.stream_id))
            .where(
                col(Events.position) > self._position,
                col(Events.stream_id).in_({row.stream_id for row in rows}),
            )
            .distinct()
        )
        moving = set(unread.scalars())
        return [
            _finding(row, "missing" if row.state is None else "altered")
            for row in rows
            if row.stream_id not in moving
        ]

    async def count(self, *where: ColumnElement[bool]) -> int:
        """How many expectations."""
        return int(
            (
                await self._connection.execute(select(func.count()).select_from(_expectation).where(*where))
            ).scalar_one()
        )

    async def waiting(self, now: datetime, grace: timedelta) -> tuple[int, datetime | None]:
        """How many rows are there, due for longer than the grace, and not settled; and the first instant that waits.

        In two steps, both along an index: a join here would be planned over everything that is armed.
        """
        due = _expectation.c.due
        first = await self._connection.execute(
            select(*_KEY, due).where(due < now).order_by(due).limit(MOST_WAITING)
        )
        rows = first.all()
        if not rows:
            return 0, None
        there = await self._connection.execute(
            select(col(Deadlines.stream_id), col(Deadlines.clock), col(Deadlines.milestone)).where(
                col(Deadlines.stream_id).in_({row.stream_id for row in rows}), col(Deadlines.state).in_(LIVE)
            )
        )
        live = {tuple(row) for row in there.all()}
        dues = [row.due for row in rows if tuple(row[:3]) in live]
        overdue = sum(one < now - grace for one in dues)
        if len(rows) == MOST_WAITING and overdue:
            overdue = await self.count(due < now - grace)
        return overdue, min(dues, default=None)

    async def quarantined(self) -> tuple[int, list[Finding]]:
        """How many rows were set aside, and those of them that the log expects."""
        state = col(Deadlines.state)
        number = await self._connection.execute(
            select(func.count()).select_from(Deadlines).where(state == _QUARANTINED)
        )
        asked = await self._connection.execute(
            select(*_KEY, _expectation.c.due, _expectation.c.position)
            .select_from(join(Deadlines, _expectation, _same_row()))
            .where(state == _QUARANTINED)
            .order_by(col(Deadlines.due))
            .limit(MOST)
        )
        return int(number.scalar_one()), [_finding(row, "quarantined") for row in asked]


_QUARANTINED = DeadlineState.QUARANTINED.value


def _finding(row: Row[*tuple[Any, ...]], found: str) -> Finding:
    return Finding(
        stream_id=row.stream_id,
        clock=row.clock,
        milestone=row.milestone,
        due=row.due,
        position=row.position,
        found=found,
    )


def _day(at: datetime) -> str:
    return at.astimezone(LEGAL_ZONE).date().isoformat()


async def _row(connection: AsyncConnection) -> dict[str, Any] | None:
    row = (await connection.execute(select(_audit))).mappings().one_or_none()
    return None if row is None else dict(row)


async def _newest(connection: AsyncConnection) -> int:
    return int((await connection.execute(select(col(Position.value)))).scalar_one())


def _account(row: Mapping[str, Any], late_max: timedelta) -> Account:
    return Account(
        at=row.get("at"),
        turned=row.get("turned"),
        late_max=late_max,
        **{
            name: row.get(name, 0)
            for name in (
                "position",
                "expected",
                "fired",
                "absent",
                "overdue",
                "quarantined",
                "behind",
                "repaired",
            )
        },
    )
