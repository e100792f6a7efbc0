"""Exports on record (批量导出留痕): who took what out, by which filter, how much of it, and the digest of what was given.

A stream of its own for each export: begun before the first byte leaves, ended after the last, so that an export cut
off half-way is on record too. Filters name codes, instants and units; they hold no personal data.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from dispatcher.domain.errors import AlreadyThere, NotFound
from dispatcher.domain.stream import (
    Change,
    Command,
    Event,
    Recorded,
    StreamRef,
    StreamRow,
    Submission,
)

EXPORT = "export"
"""The kind of stream."""


class ExportCommand(Command, frozen=True, kw_only=True):
    """Something about one export. ``export`` is drawn by the edge that gives the data."""

    export: UUID

    def streams(self) -> tuple[StreamRef, ...]:
        """The export's own."""
        return (StreamRef(EXPORT, self.export),)


class BeginExport(ExportCommand, frozen=True, kw_only=True, tag="begin-export"):
    """``what`` is taken out ("cases" or "events"), as ``format``; ``platforms`` and ``divisions`` are the scope of
    whoever asks ("*" is all), ``filters`` what was narrowed beyond it, as written."""

    what: str
    format: str
    platforms: tuple[str, ...]
    divisions: tuple[str, ...]
    filters: Mapping[str, str] = {}


class EndExport(ExportCommand, frozen=True, kw_only=True, tag="end-export"):
    """``rows`` were given; ``digest`` is the SHA-256 (hex) of the bytes; ``whole`` is False where it was cut off."""

    rows: int
    digest: str
    whole: bool


class ExportBegun(Event, frozen=True, kw_only=True, tag="export-begun.1"):
    """开始导出."""

    what: str
    format: str
    platform: str = ""
    division: str = ""
    platforms: tuple[str, ...] = ()
    divisions: tuple[str, ...] = ()
    filters: Mapping[str, str] = {}


class ExportEnded(Event, frozen=True, kw_only=True, tag="export-ended.1"):
    """导出完成或中断."""

    rows: int
    digest: str
    whole: bool


AnyExportEvent = ExportBegun | ExportEnded


class Export(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One export. ``rows`` is None until it ended."""

    what: str
    format: str
    platform: str = ""
    division: str = ""
    begun: datetime
    rows: int | None = None
    digest: str = ""
    whole: bool = False


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to both commands."""

    export: UUID
    rows: int | None


def handle(states: Mapping[StreamRef, msgspec.Struct | None], sent: Submission, *, now: datetime) -> Change:
    """Decide one command about an export; the edge has checked the role.

    Raises:
        AlreadyThere: this export was begun, or ended, before. NotFound: it never began.
    """
    command, actor = sent.command, sent.actor
    (ref,) = command.streams()
    known = states[ref]
    event: AnyExportEvent
    if isinstance(command, BeginExport):
        if known is not None:
            raise AlreadyThere(
                "There is an export with this id.",
                field="export",
                value=str(ref.id),
                remedy="draw a fresh id",
            )
        event = ExportBegun(
            what=command.what,
            format=command.format,
            platform=actor.platform,
            division=actor.division,
            platforms=command.platforms,
            divisions=command.divisions,
            filters=command.filters,
        )
    else:
        assert isinstance(command, EndExport)
        if not isinstance(known, Export):
            raise NotFound(
                "There is no such export.", field="export", value=str(ref.id), remedy="begin it first"
            )
        if known.rows is not None:
            raise AlreadyThere(
                "The export has ended.", field="export", value=str(ref.id), remedy="begin another"
            )
        event = ExportEnded(rows=command.rows, digest=command.digest, whole=command.whole)
    state = fold(known, event, now)
    return Change(
        events=(Recorded(ref=ref, event=event, by=actor.id, unit=actor.unit or actor.platform),),
        states={ref: state},
        rows={ref: row_of(state)},
        answer=msgspec.json.encode(Told(export=ref.id, rows=state.rows)),
    )


def fold(state: msgspec.Struct | None, event: Event, at: datetime) -> Export:
    """The export after one event."""
    if isinstance(event, ExportBegun):
        return Export(
            what=event.what,
            format=event.format,
            platform=event.platform,
            division=event.division,
            begun=at,
        )
    assert isinstance(event, ExportEnded) and isinstance(state, Export)
    return replace(state, rows=event.rows, digest=event.digest, whole=event.whole)


def row_of(export: Export) -> StreamRow:
    """The indexed columns. Nothing is owed: an export is never open."""
    return StreamRow(
        platform=export.platform,
        division=export.division,
        stage="begun" if export.rows is None else "ended",
        open=False,
        kind=export.what,
        received=export.begun,
    )
