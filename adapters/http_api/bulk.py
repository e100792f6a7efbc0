"""Bulk export over HTTP (可批量应用): NDJSON or CSV, streamed piece by piece, each export on record in the log."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Final, Literal
from uuid import UUID

import msgspec
from aiohttp import web
from pydantic import Field

from adapters.http_api.bodies import Code, Instant
from adapters.http_api.view import ApiView, Told
from dispatcher.domain.stream import Role
from dispatcher.views import export
from dispatcher.views.cases import Filters

log = logging.getLogger("liandong.export")

MAY: Final = frozenset({Role.SUPERVISOR, Role.LINKAGE_ADMIN, Role.QUALITY, Role.PEER, Role.AUDIT_ADMIN})
_TAG: Final = "批量导出 bulk export"
_CONTENT: Final[Mapping[str, Any]] = {"application/x-ndjson": {}, "text/csv": {}}
_TYPES: Final = {"ndjson": "application/x-ndjson; charset=utf-8", "csv": "text/csv; charset=utf-8"}
_encode = msgspec.json.Encoder().encode

Format = Literal["ndjson", "csv"]


class ExportEvents(ApiView):
    """Events."""

    roles = MAY
    told: ClassVar[Mapping[str, Told]] = {
        "GET": Told(
            tag=_TAG,
            name="export-events",
            summary="导出事件 / export events",
            content=_CONTENT,
            problems=(401, 403, 422),
        )
    }

    async def get(
        self,
        after: Annotated[int, Field(ge=0, le=2**62)] = 0,
        limit: Annotated[int, Field(ge=1, le=1_000_000)] = 100_000,
        format: Format = "ndjson",
    ) -> web.StreamResponse:
        """Events of your cases in commit order, after a position. Ask again after the last `position` you read.

        NDJSON is one object a line; CSV begins with a byte-order mark and a line of Chinese heads. No personal data.
        """
        head, row = export.event_table()
        pieces = export.events(self.viewer, after=after, most=limit)
        return await _stream(self, "events", format, pieces, head, row, after=str(after))


class ExportCases(ApiView):
    """Cases."""

    roles = MAY
    told: ClassVar[Mapping[str, Told]] = {
        "GET": Told(
            tag=_TAG,
            name="export-cases",
            summary="导出诉求 / export cases",
            content=_CONTENT,
            problems=(401, 403, 422),
        )
    }

    async def get(
        self,
        after: UUID | None = None,
        received_from: Instant | None = None,
        received_until: Instant | None = None,
        open: bool | None = None,
        unit: Code | None = None,
        format: Format = "ndjson",
    ) -> web.StreamResponse:
        """All your cases by id, as they stand. After a broken download go on `after` the last id you read."""
        filters = Filters(
            received_from=received_from, received_until=received_until, open=open, unit=unit or ""
        )
        head, row = export.case_table()
        pieces = export.cases(self.viewer, filters, after=after)
        return await _stream(self, "cases", format, pieces, head, row, after=str(after or ""))


async def _stream(
    view: ApiView,
    what: str,
    format: Format,
    pieces: AsyncIterator[Sequence[Any]],
    head: str,
    row: Callable[[Any], str],
    *,
    after: str,
) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            "Content-Type": _TYPES[format],
            "Content-Disposition": f'attachment; filename="liandong-{what}.{format}"',
            "Cache-Control": "no-store",
        }
    )
    first: Sequence[Any] = ()
    with suppress(StopAsyncIteration):
        first = await anext(pieces)  # what can be refused is refused before the first byte
    await response.prepare(view.request)
    if format == "csv":
        await response.write(head.encode())
    given = await _write(response, format, first, row)
    async for piece in pieces:
        given += await _write(response, format, piece, row)
    await response.write_eof()
    log.info(
        "exported",
        extra={"what": what, "format": format, "by": view.actor.id, "after": after, "rows": given},
    )
    return response


async def _write(
    response: web.StreamResponse, format: Format, piece: Sequence[Any], row: Callable[[Any], str]
) -> int:
    if piece:
        if format == "csv":
            await response.write("".join(map(row, piece)).encode())
        else:
            await response.write(b"".join(_encode(one) + b"\n" for one in piece))
    return len(piece)
