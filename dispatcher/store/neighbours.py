"""Cases near a new one, straight from the indexes: of the same number, and received of late in the same place.

Texts are read where they are kept; nothing is derived from them and stored, so nothing more has to be erased or proved.
Each question is bounded in rows, whatever the size of the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import LargeBinary, String, TextClause, Uuid, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.store.database import Database
from dispatcher.store.tables import Instant, Table

_stream = Table.metadata.tables["stream"]
OF_A_NUMBER = 20
"""Cases of one number that are looked at, the newest."""
OF_A_PLACE = 160
"""Cases of one division that are looked at, the newest of the window; half as many of wider ones and of none."""
_COLUMNS = (
    "s.id, s.platform, s.division, s.stage, s.open, s.category, s.item, s.danger, s.received, s.title,"
    " s.caller_mac, t.words"
)
_ARM = (
    "SELECT * FROM (SELECT id, platform, division, stage, open, category, item, danger, received, title, caller_mac"
    " FROM stream WHERE division = :{division} AND received >= :since AND received <= :until"
    " ORDER BY received DESC, id DESC LIMIT {most})"
)
_JOIN = " LEFT JOIN text t ON t.stream_id = s.id AND t.no = 0"


class Neighbour(msgspec.Struct, frozen=True, gc=False):
    """A case as it is compared. ``words`` are those of its first text; None where they were erased."""

    id: UUID
    platform: str
    division: str
    stage: str
    open: bool
    category: str
    item: str
    danger: bool
    received: datetime
    title: str | None
    caller_mac: bytes | None
    words: str | None

    @property
    def line(self) -> str:
        """The line of its platform."""
        return self.platform.partition("-")[0]

    @property
    def text(self) -> str:
        """Title and words, as rulings read them."""
        if self.words is None:
            return self.title or ""
        return f"{self.title}。{self.words}" if self.title and self.title not in self.words else self.words


def _typed(sql: str, *binds: Any) -> TextClause:
    return text(sql).bindparams(*binds)


_TYPES = {
    "id": Uuid,
    "received": Instant,
    "caller_mac": LargeBinary,
}
_NUMBER = _typed(
    f"SELECT {_COLUMNS} FROM (SELECT * FROM stream WHERE caller_mac = :mac AND stream_kind = 'case'"
    f" AND received <= :until ORDER BY received DESC LIMIT {OF_A_NUMBER}) s{_JOIN}",
    bindparam("mac", type_=LargeBinary),
    bindparam("until", type_=Instant),
).columns(**_TYPES)
_PLACE = _typed(
    f"SELECT {_COLUMNS} FROM ("
    + " UNION ALL ".join(
        _ARM.format(division=f"d{n}", most=OF_A_PLACE if n < 2 else OF_A_PLACE // 2) + f" a{n}"
        for n in range(4)
    )
    + f") s{_JOIN}",
    *(bindparam(f"d{n}", type_=String) for n in range(4)),
    bindparam("since", type_=Instant),
    bindparam("until", type_=Instant),
).columns(**_TYPES)
_ONES = _typed(
    f"SELECT {_COLUMNS} FROM stream s{_JOIN} WHERE s.id IN :ids AND s.stream_kind = 'case'",
    bindparam("ids", type_=Uuid, expanding=True),
).columns(**_TYPES)


async def of_number(connection: AsyncConnection, mac: bytes, until: datetime) -> list[Neighbour]:
    """The newest cases of a number, received up to an instant."""
    return _read(await connection.execute(_NUMBER, {"mac": mac, "until": until}))


async def of_place(
    connection: AsyncConnection, divisions: Sequence[str], since: datetime, until: datetime
) -> list[Neighbour]:
    """The newest cases in up to four divisions, each exactly as it is written, the nearest first."""
    padded = [*divisions[:4], *["-"] * (4 - len(divisions))]
    asked: dict[str, Any] = {f"d{n}": division for n, division in enumerate(padded)}
    return _read(await connection.execute(_PLACE, {**asked, "since": since, "until": until}))


async def ones(connection: AsyncConnection, ids: Sequence[UUID]) -> list[Neighbour]:
    """The cases of these ids, as far as they are there."""
    return _read(await connection.execute(_ONES, {"ids": list(ids)})) if ids else []


async def states(connection: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """The stored states of these cases."""
    if not ids:
        return {}
    found = await connection.execute(select(_stream.c.id, _stream.c.state).where(_stream.c.id.in_(list(ids))))
    return {row.id: row.state for row in found.all()}


async def registered(database: Database, after: int, limit: int) -> tuple[list[UUID], int]:
    """Cases registered after a position of the log, oldest first, and the position up to which was read."""
    async with database.looking() as connection:
        newest = (await connection.execute(text("SELECT value FROM position"))).scalar_one()
        end = min(int(newest), after + limit)
        rows = await connection.execute(_REGISTERED, {"after": after, "until": end})
        return list(rows.scalars().all()), end


_REGISTERED = _typed(
    "SELECT stream_id FROM event WHERE position > :after AND position <= :until AND version = 1"
    " AND stream_kind = 'case' ORDER BY position"
).columns(stream_id=Uuid)


def _read(found: Any) -> list[Neighbour]:
    return [
        Neighbour(row[0], row[1], row[2], row[3], bool(row[4]), row[5], row[6], bool(row[7]), *row[8:12])
        for row in found.all()
        if row[8] is not None
    ]
