"""Notices as a desk reads them: what was sent to a unit or a platform, the newest first.

A platform's desk also reads the messages to its citizens that no channel took: somebody must tell them.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import and_, exists, or_, select
from sqlmodel import col

from dispatcher.domain.effects import AlertLine, Notify, TellCitizen
from dispatcher.store.codec import kind_of
from dispatcher.store.tables import Outbox, Receipts, Streams
from dispatcher.views.cases import MOST, state_of
from dispatcher.views.cursor import cursor_of, read_cursor
from dispatcher.views.viewing import Viewer

_ORDER = "notice"
_KINDS = (kind_of(Notify), kind_of(AlertLine))
_CITIZEN = kind_of(TellCitizen)
_TOOK = ("taken", "arrived", "confirmed")
_decoder = msgspec.json.Decoder(Notify | AlertLine | TellCitizen)


class KeptNotice(msgspec.Struct, frozen=True, kw_only=True):
    """One notice. ``role`` is whom it means there, ``citizen`` for a message that somebody must pass on; ``template``, ``clock``, ``milestone`` and ``level`` say what."""

    key: UUID
    case: UUID
    number: str
    role: str
    template: str
    clock: str
    milestone: str
    level: int
    sent: datetime


class NoticePage(msgspec.Struct, frozen=True, kw_only=True):
    """One page. ``next`` is the cursor of the page after it, None at the end."""

    notices: tuple[KeptNotice, ...]
    next: str | None


async def list_notices(viewer: Viewer, to: str, *, limit: int = 50, cursor: str = "") -> NoticePage:
    """Notices to a unit (GB 32100 code) or a platform (id) about the viewer's cases.

    Raises:
        BadCursor: the cursor is none of this question.
    """
    limit = max(1, min(limit, MOST))
    created, key, receiver = col(Outbox.created), col(Outbox.key), col(Outbox.receiver)
    carried = exists().where(
        col(Receipts.key) == key, col(Receipts.channel) != "desk", col(Receipts.state).in_(_TOOK)
    )
    # A channel that is still asked does not keep a notice from the desk behind it.
    shown_here = exists().where(
        col(Receipts.key) == key, col(Receipts.channel) == "desk", col(Receipts.state).in_(_TOOK)
    )
    ours = and_(
        col(Outbox.kind).in_(_KINDS), or_(receiver == to, receiver.startswith(f"{to}/", autoescape=True))
    )
    citizens = and_(col(Outbox.kind) == _CITIZEN, col(Streams.platform) == to, ~carried)
    statement = (
        select(key, created, col(Outbox.sent_at), col(Outbox.body), col(Streams.state))
        .join(Streams, col(Streams.id) == col(Outbox.stream_id))
        .where(
            or_(col(Outbox.state) == "sent", shown_here),
            or_(ours, citizens),
            viewer.streams(),
        )
        .order_by(created.desc(), key.desc())
        .limit(limit + 1)
    )
    if cursor:
        mark = read_cursor(cursor, _ORDER)
        statement = statement.where(or_(created < mark.at, and_(created == mark.at, key < mark.id)))
    async with viewer.database.reading(viewer.scope) as connection:
        rows = (await connection.execute(statement)).all()
    shown = rows[:limit]
    last = shown[-1] if shown else None
    return NoticePage(
        notices=tuple(
            _kept(row.key, row.sent_at or row.created, _decoder.decode(row.body))
            for row in shown
            if viewer.sees(state_of(row.state))
        ),
        next=cursor_of(_ORDER, last.created, last.key) if last is not None and len(rows) > limit else None,
    )


def _kept(key: UUID, sent: datetime, effect: Notify | AlertLine | TellCitizen) -> KeptNotice:
    notify = effect if isinstance(effect, Notify) else None
    citizen = effect if isinstance(effect, TellCitizen) else None
    return KeptNotice(
        key=key,
        case=effect.case,
        number=effect.number,
        role=notify.to.role if notify else ("citizen" if citizen else "duty-desk"),
        template="alert" if isinstance(effect, AlertLine) else effect.template,
        clock=notify.clock if notify else "",
        milestone=notify.milestone if notify else "",
        level=notify.level if notify else 0,
        sent=sent,
    )
