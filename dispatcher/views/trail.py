"""A case's trail (可追溯): everything that happened to it, by whom, why, and under which lists, policy and calendar."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlmodel import col

from dispatcher.domain.stream import Versions
from dispatcher.store.codec import Codec, decode_versions
from dispatcher.store.tables import Events, Streams, Texts
from dispatcher.views import words
from dispatcher.views.cases import WORDS_FOR, rating_is_locked, state_of
from dispatcher.views.masking import mask_text
from dispatcher.views.viewing import Viewer, scope_of_one

_RATINGS = frozenset({"case-rated", "rating-contested", "case-called-back", "callback-tried"})
"""What a unit does not see before the rating is locked."""
_SAID = ("narrative", "words", "reason")


class TrailEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One event. ``what`` are its Chinese words, ``detail`` its fields, ``said`` the words that came with it (masked).

    ``version`` counts the events of the case from 1, ``position`` all events of the store. ``message_id`` names the
    message that caused it, so that the sender's own record can be found.
    """

    position: int
    version: int
    at: datetime
    kind: str
    what: str
    what_en: str
    by: str
    unit: str
    message_id: UUID
    lists: str
    policy: str
    calendar: str
    detail: dict[str, Any]
    said: str | None
    hash: str


class Trail(msgspec.Struct, frozen=True, kw_only=True):
    """All entries of one case, oldest first."""

    case: UUID
    number: str
    entries: tuple[TrailEntry, ...]


_COLUMNS = (
    col(Events.position),
    col(Events.version),
    col(Events.at),
    col(Events.kind),
    col(Events.body),
    col(Events.by),
    col(Events.unit),
    col(Events.message_id),
    col(Events.versions),
    col(Events.hash),
)


async def trail(viewer: Viewer, id_: UUID, codec: Codec) -> Trail | None:
    """The trail of a case, or None where there is none that the viewer may know of.

    Raises:
        Unreadable: a stored event was changed from outside.
    """
    scope = scope_of_one(viewer.actor, viewer.library())
    head = select(col(Streams.state), col(Streams.number)).where(
        col(Streams.id) == id_, col(Streams.stream_kind) == "case"
    )
    log = select(*_COLUMNS).where(col(Events.stream_id) == id_).order_by(col(Events.version))
    texts = select(col(Texts.no), col(Texts.words)).where(col(Texts.stream_id) == id_)
    async with viewer.database.reading(scope) as connection:
        row = (await connection.execute(head)).one_or_none()
        if row is None or not viewer.sees(state := state_of(row.state)):
            return None
        events = (await connection.execute(log)).all()
        said = {row.no: row.words for row in (await connection.execute(texts)).all()}
    reads = bool(WORDS_FOR.intersection(viewer.actor.roles))
    if viewer.actor.unit and not rating_is_locked(state):
        events = [event for event in events if event.kind.rpartition(".")[0] not in _RATINGS]
    return Trail(
        case=id_,
        number=row.number,
        entries=tuple(_entry(event, codec, said if reads else {}) for event in events),
    )


def _entry(row: Any, codec: Codec, said: dict[int, str]) -> TrailEntry:
    event = codec.event(row.kind, row.body)
    detail: dict[str, Any] = msgspec.to_builtins(event)
    detail.pop("kind", None)
    spoken = [
        detail[name]["no"] for name in _SAID if isinstance(detail.get(name), dict) and "no" in detail[name]
    ]
    versions: Versions = decode_versions(row.versions)
    what = words.of(words.EVENTS, row.kind.rpartition(".")[0])
    return TrailEntry(
        position=row.position,
        version=row.version,
        at=row.at,
        kind=row.kind,
        what=what.zh,
        what_en=what.en,
        by=row.by,
        unit=row.unit,
        message_id=row.message_id,
        lists=versions.lists,
        policy=versions.policy,
        calendar=versions.calendar,
        detail=detail,
        said=mask_text(said[spoken[0]]) if spoken and spoken[0] in said else None,
        hash=row.hash.hex(),
    )
