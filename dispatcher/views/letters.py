"""Dead letters: effects that could not be delivered and wait for a person, the oldest first."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import and_, func, or_, select
from sqlmodel import col

from dispatcher.store.tables import Outbox, Streams
from dispatcher.views.cases import MOST, state_of
from dispatcher.views.cursor import cursor_of, read_cursor
from dispatcher.views.viewing import Viewer

_ORDER = "letter"


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One effect that was given up. ``behind`` counts those of its lane that wait behind it."""

    key: UUID
    case: UUID
    number: str
    platform: str
    receiver: str
    kind: str
    created: datetime
    attempts: int
    last_error: str
    behind: int


class LetterPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page. ``next`` is the cursor of the page after it, None at the end."""

    letters: tuple[DeadLetter, ...]
    next: str | None


async def list_dead_letters(viewer: Viewer, *, limit: int = 50, cursor: str = "") -> LetterPage:
    """One page of dead letters about the viewer's cases.

    Raises:
        BadCursor: the cursor is none of this question.
    """
    limit = max(1, min(limit, MOST))
    created, key = col(Outbox.created), col(Outbox.key)
    waiting = Outbox.__table__.alias("waiting")  # type: ignore[attr-defined]
    behind = (
        select(func.count())
        .select_from(waiting)
        .where(waiting.c.lane == col(Outbox.lane), waiting.c.no > col(Outbox.no), waiting.c.state == "ready")
        .scalar_subquery()
    )
    statement = (
        select(
            key,
            col(Outbox.stream_id),
            col(Outbox.receiver),
            col(Outbox.kind),
            created,
            col(Outbox.attempts),
            col(Outbox.last_error),
            col(Streams.number),
            col(Streams.platform),
            col(Streams.state),
            behind.label("behind"),
        )
        .join(Streams, col(Streams.id) == col(Outbox.stream_id))
        .where(col(Outbox.state) == "dead", viewer.streams())
        .order_by(created, key)
        .limit(limit + 1)
    )
    if cursor:
        mark = read_cursor(cursor, _ORDER)
        statement = statement.where(or_(created > mark.at, and_(created == mark.at, key > mark.id)))
    async with viewer.database.reading(viewer.scope) as connection:
        rows = (await connection.execute(statement)).all()
    shown = rows[:limit]
    last = shown[-1] if shown else None
    return LetterPage(
        letters=tuple(
            DeadLetter(
                key=row.key,
                case=row.stream_id,
                number=row.number,
                platform=row.platform,
                receiver=row.receiver,
                kind=row.kind,
                created=row.created,
                attempts=row.attempts,
                last_error=row.last_error,
                behind=row.behind,
            )
            for row in shown
            if viewer.sees(state_of(row.state))
        ),
        next=cursor_of(_ORDER, last.created, last.key) if last is not None and len(rows) > limit else None,
    )


async def dead_letter(viewer: Viewer, key: UUID) -> DeadLetter | None:
    """The dead letter with this key, or None where there is none that the viewer may know of."""
    statement = (
        select(
            col(Outbox.stream_id),
            col(Outbox.receiver),
            col(Outbox.kind),
            col(Outbox.created),
            col(Outbox.attempts),
            col(Outbox.last_error),
            col(Streams.number),
            col(Streams.platform),
            col(Streams.state),
        )
        .join(Streams, col(Streams.id) == col(Outbox.stream_id))
        .where(col(Outbox.key) == key, col(Outbox.state) == "dead", viewer.streams())
    )
    async with viewer.database.reading(viewer.scope) as connection:
        row = (await connection.execute(statement)).one_or_none()
    if row is None or not viewer.sees(state_of(row.state)):
        return None
    return DeadLetter(
        key=key,
        case=row.stream_id,
        number=row.number,
        platform=row.platform,
        receiver=row.receiver,
        kind=row.kind,
        created=row.created,
        attempts=row.attempts,
        last_error=row.last_error,
        behind=0,
    )
