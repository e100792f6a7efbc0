"""The supervisor's board: open cases by time left, and counts over all that is open."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Row, case, func, literal, select
from sqlmodel import col

from dispatcher.domain.case import Case
from dispatcher.domain.commands import CASE
from dispatcher.domain.events import ClockRun
from dispatcher.store.codec import decode_state
from dispatcher.store.database import Database, Scope
from dispatcher.store.tables import Streams
from dispatcher.views.viewing import within

LIVE_ROWS: Final = 100
"""The most rows a live screen shows."""


class Narrowing(msgspec.Struct, frozen=True, kw_only=True):
    """Which cases to show; empty words narrow nothing. ``prefecture`` is a GB/T 2260 code such as "630100"."""

    lamp: str = ""
    line: str = ""
    prefecture: str = ""


class OpenCase(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the board. The title is as it was taken down: whoever shows it decides about masking.

    ``clock`` is the one that falls due first, at ``due``; ``natural``: it runs day and night; ``clock_unit`` is the
    unit whose calendar it goes by (empty: the province's). ``level`` is the highest rung reached on any clock.
    """

    id: UUID
    number: str
    platform: str
    division: str
    unit: str
    stage: str
    urgency: str
    lamp: str
    danger: bool
    reflow: bool
    title: str
    due: datetime
    clock: str = ""
    clock_unit: str = ""
    natural: bool = False
    level: int = 0


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """How many open cases share these properties. ``prefecture`` is its first four digits."""

    line: str
    prefecture: str
    stage: str
    lamp: str
    danger: bool
    count: int


class UnitLamps(msgspec.Struct, frozen=True, kw_only=True):
    """A unit's cases that are late or nearly so."""

    unit: str
    red: int
    amber: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """The strip of figures: everything open, the units with most lamps, receipts since an instant by line."""

    open: tuple[Counted, ...] = ()
    units: tuple[UnitLamps, ...] = ()
    received: dict[str, int] = {}


class Board:
    """Asks the store for the board. Every question carries the scope of whoever looks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def nearest(
        self, scope: Scope, narrowing: Narrowing, limit: int = LIVE_ROWS
    ) -> tuple[OpenCase, ...]:
        """The open cases with a running limit, the nearest first.

        Raises:
            Unreadable: a stored state was changed from outside.
        """
        statement = (
            select(
                col(Streams.id),
                col(Streams.number),
                col(Streams.platform),
                col(Streams.division),
                col(Streams.unit),
                col(Streams.stage),
                col(Streams.urgency),
                col(Streams.lamp),
                col(Streams.danger),
                col(Streams.title),
                col(Streams.due),
                col(Streams.state),
            )
            .where(*_open(scope), col(Streams.due).is_not(None), *_narrowed(narrowing))
            .order_by(col(Streams.due), col(Streams.id))
            .limit(limit)
        )
        async with self._database.reading(scope) as connection:
            rows = (await connection.execute(statement)).all()
        return tuple(_open_case(row) for row in rows)

    async def counts(self, scope: Scope, since: datetime, units: int = 16) -> Counts:
        """Counts over all open cases, and receipts since an instant. Reads every open row: ask it with measure."""
        line, prefecture = _line(), func.substr(col(Streams.division), 1, 4)
        keys = (line, prefecture, col(Streams.stage), col(Streams.lamp), col(Streams.danger))
        grouped = select(*keys, func.count()).where(*_open(scope)).group_by(*keys)
        red = func.sum(case((col(Streams.lamp) == "red", 1), else_=0))
        amber = func.sum(case((col(Streams.lamp) == "amber", 1), else_=0))
        by_unit = (
            select(col(Streams.unit), red, amber)
            .where(*_open(scope), col(Streams.unit) != "", col(Streams.lamp) != "")
            .group_by(col(Streams.unit))
            .order_by(red.desc(), amber.desc(), col(Streams.unit))
            .limit(units)
        )
        received = (
            select(line, func.count())
            .where(col(Streams.stream_kind) == CASE, within(scope, Streams), col(Streams.received) >= since)
            .group_by(line)
        )
        async with self._database.reading(scope) as connection:
            counted = (await connection.execute(grouped)).all()
            lamps = (await connection.execute(by_unit)).all()
            taken = (await connection.execute(received)).all()
        return Counts(
            open=tuple(
                Counted(
                    line=row[0], prefecture=row[1], stage=row[2], lamp=row[3], danger=row[4], count=row[5]
                )
                for row in counted
            ),
            units=tuple(UnitLamps(unit=unit, red=int(r), amber=int(a)) for unit, r, a in lamps),
            received={word: int(n) for word, n in taken},
        )


def _line() -> ColumnElement[str]:
    """The line of a platform id ("110" of "110-630100")."""
    return case((col(Streams.platform).like("110-%"), literal("110")), else_=literal("12345"))


def _open(scope: Scope) -> tuple[ColumnElement[bool], ...]:
    return (col(Streams.stream_kind) == CASE, col(Streams.open).is_(True), within(scope, Streams))


def _narrowed(narrowing: Narrowing) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if narrowing.lamp:
        conditions.append(col(Streams.lamp) == narrowing.lamp)
    if narrowing.line:
        conditions.append(col(Streams.platform).like(f"{narrowing.line}-%"))
    if narrowing.prefecture:
        conditions.append(col(Streams.division).like(f"{narrowing.prefecture[:4]}%"))
    return conditions


def _open_case(row: Row[*tuple[Any, ...]]) -> OpenCase:
    state = decode_state(row.state, Case)
    assert isinstance(state, Case)
    run = _first_due(state.running, row.due)
    return OpenCase(
        id=row.id,
        number=row.number,
        platform=row.platform,
        division=row.division,
        unit=row.unit,
        stage=row.stage,
        urgency=row.urgency,
        lamp=row.lamp,
        danger=row.danger,
        reflow=state.reflow,
        title=row.title or "",
        due=row.due,
        clock=run.clock if run else "",
        clock_unit=run.unit if run else "",
        natural=run is not None and run.natural == run.due,
        level=max((each.level for each in state.running), default=0),
    )


def _first_due(runs: Sequence[ClockRun], due: datetime) -> ClockRun | None:
    """The clock behind an instant; of several the one started last, which is the nearest to what must be done."""
    return max((run for run in runs if run.due == due), key=lambda run: run.started, default=None)
