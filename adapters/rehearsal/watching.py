"""What the actors see: the cases that changed since they last looked, read from the log and the stream rows."""

from __future__ import annotations

from typing import cast

from sqlalchemy import select

from dispatcher.domain.case import Case
from dispatcher.domain.commands import CASE
from dispatcher.store.codec import decode_state
from dispatcher.store.database import Database
from dispatcher.store.tables import Table

_event = Table.metadata.tables["event"]
_stream = Table.metadata.tables["stream"]
_position = Table.metadata.tables["position"]


class Witness:
    """Follows the log by position. ``after`` is the last position seen; 0 sees everything there is."""

    def __init__(self, database: Database, *, after: int = 0) -> None:
        self._database = database
        self.position = after

    async def changed(self) -> list[Case]:
        """The cases with events since the last look, as they stand now, in the order of their ids."""
        touched = select(_event.c.stream_id).where(
            _event.c.position > self.position, _event.c.stream_kind == CASE
        )
        newest = select(_position.c.value).scalar_subquery()
        statement = select(newest, _stream.c.state).where(_stream.c.id.in_(touched)).order_by(_stream.c.id)
        async with self._database.looking() as connection:
            rows = (await connection.execute(statement)).all()
        if not rows:
            return []
        self.position = int(rows[0][0])
        return [cast("Case", decode_state(state, Case)) for _, state in rows]
