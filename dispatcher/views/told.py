"""Who was told what about a case, by which way, and why a notice was not sent: every notice with its receipts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlmodel import col

from dispatcher.domain.effects import AlertLine, Notify, TellCitizen
from dispatcher.store.codec import kind_of
from dispatcher.store.tables import Outbox, Receipts, Streams
from dispatcher.views.cases import state_of
from dispatcher.views.viewing import Viewer, scope_of_one
from dispatcher.views.words import Words

_KINDS: Final = (kind_of(Notify), kind_of(TellCitizen), kind_of(AlertLine))
_decoder = msgspec.json.Decoder(Notify | TellCitizen | AlertLine)

STATES: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "ready": Words("待送", "waits"),
        "sent": Words("已送", "sent"),
        "dead": Words("未送达", "given up"),
        "skipped": Words("人工跳过", "skipped by a person"),
        "held": Words("暂缓", "held"),
        "trying": Words("正在送", "being sent"),
        "retry": Words("将重试", "to be tried again"),
        "taken": Words("通道已收", "taken by the channel"),
        "arrived": Words("已到达", "arrived"),
        "confirmed": Words("本人已确认", "confirmed by a person"),
        "failed": Words("未成功", "failed"),
        "throttled": Words("已限流", "throttled"),
        "overtaken": Words("已不需要", "no longer needed"),
    }
)
"""States of notices and of their ways, as people read them. A way is ``skipped`` where it is not connected or reaches
nobody; a notice, where a person let it go."""


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One channel. ``why`` says why it did not carry the notice; ``person`` who was on duty; ``parts`` how many text
    messages it took; ``until`` how long word of its arrival is waited for."""

    channel: str
    state: str
    state_zh: str
    why: str
    person: str
    tries: int
    parts: int
    at: datetime
    until: datetime | None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One notice. ``role`` at ``receiver`` is whom it means; ``template``, ``clock``, ``milestone`` and ``level`` say
    what; ``next_try`` when it is looked at again, for one that waits."""

    key: UUID
    receiver: str
    role: str
    template: str
    clock: str
    milestone: str
    level: int
    created: datetime
    state: str
    state_zh: str
    why: str
    next_try: datetime | None
    ways: tuple[Way, ...]


class CaseNotices(msgspec.Struct, frozen=True, kw_only=True):
    """All notices of one case, oldest first."""

    case: UUID
    number: str
    notices: tuple[Told, ...]


async def case_notices(viewer: Viewer, id_: UUID) -> CaseNotices | None:
    """The notices of a case, or None where there is none that the viewer may know of."""
    head = select(col(Streams.state), col(Streams.number)).where(
        col(Streams.id) == id_, col(Streams.stream_kind) == "case"
    )
    sent = (
        select(
            col(Outbox.key), col(Outbox.receiver), col(Outbox.body), col(Outbox.state), col(Outbox.created),
            col(Outbox.next_try), col(Outbox.last_error), col(Outbox.sent_at),
        )
        .where(col(Outbox.stream_id) == id_, col(Outbox.kind).in_(_KINDS))
        .order_by(col(Outbox.no))
    )  # fmt: skip
    ways = select(Receipts.__table__).where(col(Receipts.stream_id) == id_).order_by(col(Receipts.at))  # type: ignore[attr-defined]
    async with viewer.database.reading(scope_of_one(viewer.actor, viewer.library())) as connection:
        row = (await connection.execute(head)).one_or_none()
        if row is None or not viewer.sees(state_of(row.state)):
            return None
        rows = (await connection.execute(sent)).all()
        kept: dict[UUID, list[Way]] = {}
        for way in (await connection.execute(ways)).all():
            kept.setdefault(way.key, []).append(_way(way))
    return CaseNotices(
        case=id_, number=row.number, notices=tuple(_told(each, kept.get(each.key, [])) for each in rows)
    )


def _way(row: Any) -> Way:
    state_zh = "未走此通道" if row.state == "skipped" else _zh(row.state)
    return Way(
        channel=row.channel,
        state=row.state,
        state_zh=state_zh,
        why=row.why,
        person=row.name,
        tries=row.tries,
        parts=row.parts,
        at=row.at,
        until=row.until if row.state == "taken" else None,
    )


def _told(row: Any, ways: list[Way]) -> Told:
    effect = _decoder.decode(row.body)
    notify = effect if isinstance(effect, Notify) else None
    if not ways and row.state == "sent":
        # Nothing but the desk was ever asked, so there was nothing to keep.
        ways = [
            Way(
                channel="desk",
                state="taken",
                state_zh=_zh("taken"),
                why="",
                person="",
                tries=0,
                parts=0,
                at=row.sent_at or row.created,
                until=None,
            )
        ]
    return Told(
        key=row.key,
        receiver=row.receiver,
        role=notify.to.role if notify else ("citizen" if isinstance(effect, TellCitizen) else "duty-desk"),
        template="alert" if isinstance(effect, AlertLine) else effect.template,
        clock=notify.clock if notify else "",
        milestone=notify.milestone if notify else "",
        level=notify.level if notify else 0,
        created=row.created,
        state=row.state,
        state_zh=_zh(row.state),
        why=row.last_error if row.state != "sent" else "",
        next_try=row.next_try if row.state == "ready" else None,
        ways=tuple(ways),
    )


def _zh(state: str) -> str:
    return STATES[state].zh
