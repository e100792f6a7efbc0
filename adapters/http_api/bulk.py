"""Bulk export over HTTP (可批量应用): NDJSON or CSV, streamed piece by piece, each export on record in the log."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Final, Literal
from uuid import UUID, uuid5

import msgspec
from aiohttp import web
from pydantic import Field

from adapters.http_api.bodies import Code, Instant
from adapters.http_api.view import ApiView, Told
from dispatcher.domain.exports import BeginExport, EndExport, ExportCommand
from dispatcher.domain.stream import Role, Submission
from dispatcher.views import export
from dispatcher.views.cases import Filters

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
        return await _stream(self, "events", format, pieces, head, row)


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
        return await _stream(self, "cases", format, pieces, head, row)


async def _stream(
    view: ApiView,
    what: str,
    format: Format,
    pieces: AsyncIterator[Sequence[Any]],
    head: str,
    row: Callable[[Any], str],
) -> web.StreamResponse:
    first: Sequence[Any] = ()
    with suppress(StopAsyncIteration):
        first = await anext(pieces)  # what can be refused is refused before the first byte
    taken = _Taken(view, what, format)
    await taken.begin()
    response = web.StreamResponse(
        headers={
            "Content-Type": _TYPES[format],
            "Content-Disposition": f'attachment; filename="liandong-{what}.{format}"',
            "Cache-Control": "no-store",
        }
    )
    try:
        await response.prepare(view.request)
        if format == "csv":
            await taken.give(response, head.encode(), 0)
        await taken.give(response, _packed(format, first, row), len(first))
        async for piece in pieces:
            await taken.give(response, _packed(format, piece, row), len(piece))
        taken.whole = True
    finally:
        # Also where the client has gone and this task is being cancelled: what was given by then is on record.
        await asyncio.shield(taken.end())
    await response.write_eof()  # the reader sees the end when it is on record
    return response


class _Taken:
    """One export on its way out, and its record in the log."""

    def __init__(self, view: ApiView, what: str, format: Format) -> None:
        self._view = view
        self._what = what
        self._format = format
        self._export = view.services.new_id()
        self._digest = hashlib.sha256()
        self._rows = 0
        self.whole = False

    async def begin(self) -> None:
        """On record before the first byte leaves. Raises what the inbox raises; then nothing is given."""
        scope = self._view.viewer.scope
        await self._record(
            BeginExport(
                export=self._export,
                what=self._what,
                format=self._format,
                platforms=scope.platforms,
                divisions=scope.divisions,
                filters={name: value[:200] for name, value in self._view.request.query.items()},
            ),
            "begin",
        )

    async def give(self, response: web.StreamResponse, raw: bytes, rows: int) -> None:
        """Write some bytes that hold so many rows."""
        if raw:
            self._digest.update(raw)
            self._rows += rows
            await response.write(raw)

    async def end(self) -> None:
        """How much was given, and its digest."""
        command = EndExport(
            export=self._export, rows=self._rows, digest=self._digest.hexdigest(), whole=self.whole
        )
        await self._record(command, "end")

    async def _record(self, command: ExportCommand, step: str) -> None:
        await self._view.services.inbox.submit(
            Submission(message_id=uuid5(self._export, step), command=command, actor=self._view.actor)
        )


def _packed(format: Format, piece: Sequence[Any], row: Callable[[Any], str]) -> bytes:
    if format == "csv":
        return "".join(map(row, piece)).encode()
    return b"".join(_encode(one) + b"\n" for one in piece)
