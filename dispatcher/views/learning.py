"""What a recommender may learn from: closed cases, and rulings that people corrected, with their reasons."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlmodel import col

from dispatcher.domain.case import Case
from dispatcher.domain.events import CaseRuled, RulingChanged
from dispatcher.domain.values import Stage
from dispatcher.store.codec import decode_versions, kind_of
from dispatcher.store.errors import Unreadable
from dispatcher.store.tables import Events, Streams, Texts
from dispatcher.views.cases import state_of
from dispatcher.views.viewing import Viewer

PIECE: Final = 500
_decoder: msgspec.json.Decoder[CaseRuled | RulingChanged] = msgspec.json.Decoder(CaseRuled | RulingChanged)
_DONE: Final = frozenset({Stage.CLOSED, Stage.CALLED_BACK, Stage.ARCHIVED})


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """One closed case: what was said and how it was dealt with. ``units`` is the kind of the lead unit."""

    case: UUID
    title: str
    text: str
    category: str
    units: str


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """One ruling that a person changed: from what to what, by whom and why."""

    case: UUID
    at: datetime
    by: str
    title: str
    text: str
    before_platform: str
    before_category: str
    before_owners: tuple[str, ...]
    platform: str
    category: str
    owners: tuple[str, ...]
    item: str
    lists: str
    reason: str


async def closed_cases(viewer: Viewer, *, since: datetime | None = None) -> AsyncIterator[list[Lesson]]:
    """Closed 12345 cases that were not danger and whose words are still there, piece by piece by id.

    Reports (举报) and cases that asked for secrecy are left out: nobody learns from a whistle-blower's words.
    """
    after: UUID | None = None
    while True:
        statement = (
            select(col(Streams.id), col(Streams.state), col(Streams.title), col(Texts.words))
            .join(Texts, col(Texts.stream_id) == col(Streams.id))
            .where(
                viewer.streams(),
                col(Texts.no) == 0,
                col(Streams.stage).in_([stage.value for stage in _DONE]),
                col(Streams.erased).is_(None),
            )
            .order_by(col(Streams.id))
            .limit(PIECE)
        )
        if after is not None:
            statement = statement.where(col(Streams.id) > after)
        if since is not None:
            statement = statement.where(col(Streams.received) >= since)
        async with viewer.database.reading(viewer.scope) as connection:
            rows = (await connection.execute(statement)).all()
        if not rows:
            return
        after = rows[-1].id
        found: list[Lesson] = []
        for row in rows:
            case = state_of(row.state)
            if not (viewer.sees(case) and _teaches(case)):
                continue
            found.append(
                Lesson(
                    case=row.id,
                    title=row.title or "",
                    text=row.words,
                    category=case.matter.category,
                    units=unit.kind
                    if (unit := viewer.library().unit(case.lead)) is not None
                    else next(iter(case.matter.owners), ""),
                )
            )
        yield found


async def corrections(viewer: Viewer, *, after: int = 0) -> AsyncIterator[list[Correction]]:
    """Rulings changed by a person, in commit order, piece by piece, as far as their words are still there.

    Raises:
        Unreadable: a stored event was changed from outside.
    """
    while True:
        statement = (
            select(
                col(Events.position),
                col(Events.stream_id),
                col(Events.version),
                col(Events.at),
                col(Events.by),
                col(Events.versions),
                col(Streams.title),
                col(Streams.state),
            )
            .join(Streams, col(Streams.id) == col(Events.stream_id))
            .where(
                col(Events.position) > after,
                col(Events.kind) == kind_of(RulingChanged),
                viewer.within(Events),
                viewer.streams(),
                col(Streams.erased).is_(None),
            )
            .order_by(col(Events.position))
            .limit(PIECE)
        )
        async with viewer.database.reading(viewer.scope) as connection:
            rows = (await connection.execute(statement)).all()
            if not rows:
                return
            ids = {row.stream_id for row in rows}
            texts = {
                (row.stream_id, row.no): row.words
                for row in await connection.execute(
                    select(col(Texts.stream_id), col(Texts.no), col(Texts.words)).where(
                        col(Texts.stream_id).in_(ids)
                    )
                )
            }
            rulings: dict[UUID, list[tuple[int, CaseRuled | RulingChanged]]] = {}
            for ruled in await connection.execute(
                select(col(Events.stream_id), col(Events.version), col(Events.body))
                .where(
                    col(Events.stream_id).in_(ids),
                    col(Events.kind).in_([kind_of(CaseRuled), kind_of(RulingChanged)]),
                )
                .order_by(col(Events.stream_id), col(Events.version))
            ):
                rulings.setdefault(ruled.stream_id, []).append((ruled.version, _ruled(ruled.body)))
        after = rows[-1].position
        found: list[Correction] = []
        for row in rows:
            told = rulings[row.stream_id]
            at = next(n for n, (version, _) in enumerate(told) if version == row.version)
            event = told[at][1]
            case = state_of(row.state)
            if (
                at == 0
                or not isinstance(event, RulingChanged)
                or not event.by_person
                or not viewer.sees(case)
            ):
                continue
            before = told[at - 1][1].matter
            found.append(
                Correction(
                    case=row.stream_id,
                    at=row.at,
                    by=row.by,
                    title=row.title or "",
                    text=texts.get((row.stream_id, 0), ""),
                    before_platform=before.platform,
                    before_category=before.category,
                    before_owners=before.owners,
                    platform=event.matter.platform,
                    category=event.matter.category,
                    owners=event.matter.owners,
                    item=event.matter.item,
                    lists=decode_versions(row.versions).lists,
                    reason=texts.get((row.stream_id, event.reason.no), "") if event.reason else "",
                )
            )
        yield found


def _ruled(body: bytes) -> CaseRuled | RulingChanged:
    try:
        return _decoder.decode(body)
    except msgspec.MsgspecError as err:
        raise Unreadable("a ruling in the log cannot be read") from err


def _teaches(case: Case) -> bool:
    return (
        not case.matter.danger
        and bool(case.matter.category)
        and case.matter.kind != "举报"
        and not case.confidential
    )
