"""How far a reader of the log has come, kept between processes: a flag with a position, for readers that bear repeats."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.dialects import postgresql, sqlite

from dispatcher.store.checksums import with_checksum
from dispatcher.store.database import Database
from dispatcher.store.tables import Table

_flag = Table.metadata.tables["flag"]
_PREFIX = "read:"


class Mark:
    """One reader's place in the log. Whoever reads after it again must find that harmless."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = _PREFIX + name

    async def get(self, now: datetime) -> int:
        """The position kept; a reader that never read begins at the end of the log, and that is kept at once."""
        newest = text("SELECT value FROM position")
        async with self._database.looking() as connection:
            end = int((await connection.execute(newest)).scalar_one())
            kept = (
                await connection.execute(select(_flag.c.value).where(_flag.c.name == self._name))
            ).scalar()
        if kept is not None:
            return min(int(kept), end)  # a restored log may be shorter
        await self.put(end, now)
        return end

    async def put(self, position: int, now: datetime) -> None:
        """Keep a position."""
        insert = postgresql.insert if self._database.is_postgres else sqlite.insert
        row = with_checksum("flag", {"name": self._name, "value": str(position), "by": "liandong", "at": now})
        async with self._database.writing() as connection:
            await connection.execute(
                insert(_flag)
                .values(row)
                .on_conflict_do_update(
                    index_elements=["name"], set_={key: value for key, value in row.items() if key != "name"}
                )
            )
