"""Bulk export (可批量应用): events by position and cases by id, read in pieces so that any amount fits in memory."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import select
from sqlmodel import col

from dispatcher.domain.commands import CASE
from dispatcher.store.codec import decode_versions
from dispatcher.store.tables import Events, Streams
from dispatcher.views import words
from dispatcher.views.cases import LIST_COLUMNS, CaseLine, Filters, line_of, narrowed, state_of
from dispatcher.views.viewing import Viewer

PIECE: Final = 500
"""Rows read at once; between two pieces the loop and the database do other work."""

BOM: Final = "\ufeff"
"""Without it Chinese spreadsheets take UTF-8 for GB 18030."""

_LEGAL = ZoneInfo("Asia/Shanghai")


class ExportedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event. ``position`` is the cursor: ask for what comes after the last one read, and nothing is missed.

    ``body`` is the event as JSON; it holds ids, codes and digests, never what people wrote or who they are.
    """

    position: int
    at: datetime
    case: UUID
    version: int
    kind: str
    what: str
    by: str
    unit: str
    platform: str
    division: str
    lists: str
    policy: str
    calendar: str
    hash: str
    body: msgspec.Raw


async def events(
    viewer: Viewer, *, after: int = 0, most: int | None = None, piece: int = PIECE
) -> AsyncIterator[list[ExportedEvent]]:
    """The events after a position in commit order, piece by piece, up to ``most`` of them.

    A piece may be empty where the viewer may see none of its rows; the next one goes on behind it.

    Raises:
        Unreadable: a stored row was changed from outside.
    """
    given = 0
    while most is None or given < most:
        statement = (
            select(
                col(Events.position),
                col(Events.at),
                col(Events.stream_id),
                col(Events.version),
                col(Events.kind),
                col(Events.body),
                col(Events.by),
                col(Events.unit),
                col(Events.platform),
                col(Events.division),
                col(Events.versions),
                col(Events.hash),
                col(Streams.state),
            )
            .join(Streams, col(Streams.id) == col(Events.stream_id))
            .where(
                col(Events.position) > after,
                col(Events.stream_kind) == CASE,
                viewer.within(Events),
                viewer.streams(),
            )
            .order_by(col(Events.position))
            .limit(piece)
        )
        async with viewer.database.reading(viewer.scope) as connection:
            rows = (await connection.execute(statement)).all()
        if not rows:
            return
        after = rows[-1].position
        shown = [_event(row) for row in rows if viewer.sees(state_of(row.state))]
        if most is not None:
            shown = shown[: most - given]
        given += len(shown)
        yield shown


async def cases(
    viewer: Viewer, filters: Filters, *, after: UUID | None = None, piece: int = PIECE
) -> AsyncIterator[list[CaseLine]]:
    """All cases of the viewer by id, piece by piece; ``after`` goes on behind an id already read.

    Raises:
        Unreadable: a stored state was changed from outside.
    """
    while True:
        statement = select(*LIST_COLUMNS).where(viewer.streams(), *narrowed(filters))
        if after is not None:
            statement = statement.where(col(Streams.id) > after)
        statement = statement.order_by(col(Streams.id)).limit(piece)
        async with viewer.database.reading(viewer.scope) as connection:
            rows = (await connection.execute(statement)).all()
        if not rows:
            return
        after = rows[-1].id
        found = ((row, state_of(row.state)) for row in rows)
        yield [line_of(viewer, row, state) for row, state in found if viewer.sees(state)]


_EVENT_HEADS: Final = {
    "position": "序号",
    "at": "时间",
    "case": "诉求编号",
    "version": "版本",
    "kind": "事件",
    "what": "事件名称",
    "by": "操作人",
    "unit": "操作单位",
    "platform": "平台",
    "division": "行政区划",
    "lists": "清单版本",
    "policy": "时限版本",
    "calendar": "日历版本",
    "hash": "校验值",
    "body": "内容",
}
_CASE_HEADS: Final = {
    "id": "诉求编号",
    "number": "工单号",
    "platform": "平台",
    "division": "行政区划",
    "division_name": "区划名称",
    "stage": "阶段",
    "stage_words": "阶段名称",
    "open": "在办",
    "lamp": "灯色",
    "urgency": "紧急程度",
    "danger": "危险",
    "kind": "诉求类型",
    "category": "诉求分类",
    "item": "清单事项",
    "holder": "当前持有",
    "unit": "主办单位",
    "unit_name": "主办单位名称",
    "title": "标题",
    "received": "首接时间",
    "due": "到期时间",
    "version": "版本",
}


def event_table() -> tuple[str, Callable[[ExportedEvent], str]]:
    """CSV of events: the head (with the byte-order mark) and what makes a row of one."""
    return _table(_EVENT_HEADS)


def case_table() -> tuple[str, Callable[[CaseLine], str]]:
    """CSV of cases: the head (with the byte-order mark) and what makes a row of one."""
    return _table(_CASE_HEADS)


def _table(heads: dict[str, str]) -> tuple[str, Callable[[Any], str]]:
    def row(thing: Any) -> str:
        return _row([_cell(getattr(thing, name)) for name in heads])

    return BOM + _row(list(heads.values())), row


def _row(cells: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()


def _cell(value: object) -> str:
    """One cell. Times are legal time; words that a spreadsheet would run as a formula are made plain."""
    match value:
        case None:
            return ""
        case bool():
            return "是" if value else "否"
        case datetime():
            return value.astimezone(_LEGAL).strftime("%Y-%m-%d %H:%M:%S")
        case msgspec.Raw():
            return bytes(value).decode()
        case str():
            return "'" + value if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
        case _:
            return str(value)


def _event(row: Any) -> ExportedEvent:
    versions = decode_versions(row.versions)
    return ExportedEvent(
        position=row.position,
        at=row.at,
        case=row.stream_id,
        version=row.version,
        kind=row.kind,
        what=words.of(words.EVENTS, row.kind.rpartition(".")[0]).zh,
        by=row.by,
        unit=row.unit,
        platform=row.platform,
        division=row.division,
        lists=versions.lists,
        policy=versions.policy,
        calendar=versions.calendar,
        hash=row.hash.hex(),
        body=msgspec.Raw(row.body),
    )
