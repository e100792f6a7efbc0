"""Armed deadlines by the instant they fall, for whoever must act next."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import and_, or_, select
from sqlmodel import col

from dispatcher.domain.stream import LIVE
from dispatcher.store.tables import Deadlines, Streams
from dispatcher.views.cases import MOST, state_of
from dispatcher.views.cursor import cursor_of, read_cursor
from dispatcher.views.masking import mask_text
from dispatcher.views.viewing import Viewer

_ORDER = "deadline"


class DueLine(msgspec.Struct, frozen=True, kw_only=True):
    """One milestone that will fall at ``due`` unless its clock stops first. ``title`` is masked."""

    case: UUID
    number: str
    platform: str
    division: str
    unit: str
    holder: str
    stage: str
    lamp: str
    urgency: str
    danger: bool
    title: str
    clock: str
    milestone: str
    due: datetime
    provisional: bool


class DuePage(msgspec.Struct, frozen=True, kw_only=True):
    """One page, the nearest first. ``next`` is the cursor of the page after it, None at the end."""

    deadlines: tuple[DueLine, ...]
    next: str | None


async def list_deadlines(
    viewer: Viewer,
    *,
    until: datetime | None = None,
    milestone: str = "",
    clock: str = "",
    limit: int = 50,
    cursor: str = "",
) -> DuePage:
    """One page of armed deadlines of the viewer's cases, those already past and not yet settled first.

    Args:
        until: only those that fall before this instant.
        milestone: only this one ("limit" is the limit itself).
        clock: only those of this clock of the policy.

    Raises:
        BadCursor: the cursor is none of this question.
    """
    limit = max(1, min(limit, MOST))
    due, stream = col(Deadlines.due), col(Deadlines.stream_id)
    row_key = col(Deadlines.clock) + "/" + col(Deadlines.milestone)
    statement = (
        select(
            stream,
            col(Deadlines.clock),
            col(Deadlines.milestone),
            due,
            col(Deadlines.provisional),
            col(Streams.number),
            col(Streams.platform),
            col(Streams.division),
            col(Streams.unit),
            col(Streams.holder),
            col(Streams.stage),
            col(Streams.lamp),
            col(Streams.urgency),
            col(Streams.danger),
            col(Streams.title),
            col(Streams.state),
        )
        .join(Streams, col(Streams.id) == stream)
        .where(col(Deadlines.state).in_(LIVE), viewer.within(Deadlines), viewer.streams())
        .order_by(due, stream, row_key)
        .limit(limit + 1)
    )
    if until is not None:
        statement = statement.where(due < until)
    if milestone:
        statement = statement.where(col(Deadlines.milestone) == milestone)
    if clock:
        statement = statement.where(col(Deadlines.clock) == clock)
    if cursor:
        mark = read_cursor(cursor, _ORDER)
        statement = statement.where(
            or_(
                due > mark.at,
                and_(due == mark.at, or_(stream > mark.id, and_(stream == mark.id, row_key > mark.more))),
            )
        )
    async with viewer.database.reading(viewer.scope) as connection:
        rows = (await connection.execute(statement)).all()
    shown = rows[:limit]
    last = shown[-1] if shown else None
    return DuePage(
        deadlines=tuple(
            DueLine(
                case=row.stream_id,
                number=row.number,
                platform=row.platform,
                division=row.division,
                unit=row.unit,
                holder=row.holder,
                stage=row.stage,
                lamp=row.lamp,
                urgency=row.urgency,
                danger=row.danger,
                title=mask_text(row.title or ""),
                clock=row.clock,
                milestone=row.milestone,
                due=row.due,
                provisional=row.provisional,
            )
            for row in shown
            if viewer.sees(state_of(row.state))
        ),
        next=(
            cursor_of(_ORDER, last.due, last.stream_id, f"{last.clock}/{last.milestone}")
            if last is not None and len(rows) > limit
            else None
        ),
    )
