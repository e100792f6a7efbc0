"""Case numbers: blocks of them for each platform and year, so that drawing one needs no transaction."""

from __future__ import annotations

import asyncio

from sqlalchemy import text, update

from dispatcher.store.checksums import with_checksum
from dispatcher.store.database import Database
from dispatcher.store.tables import Table

BLOCK = 100

_block = Table.metadata.tables["number_block"]
_DRAW = text(
    "INSERT INTO number_block AS b (platform, year, next) VALUES (:platform, :year, 1 + :block)"
    " ON CONFLICT (platform, year) DO UPDATE SET next = b.next + :block RETURNING next"
)


class Numbers:
    """Draws numbers. What is left of a block when a process ends is never used: gaps are allowed, repeats not."""

    def __init__(self, database: Database, *, block: int = BLOCK) -> None:
        self._database = database
        self._block = block
        self._left: dict[tuple[str, int], range] = {}
        self._lock = asyncio.Lock()

    async def take(self, platform: str, year: int) -> int:
        """The next number of a platform in a (Shanghai) year, from 1 on."""
        key = (platform, year)
        async with self._lock:
            left = self._left.get(key)
            if not left:
                async with self._database.writing() as connection:
                    asked = {"platform": platform, "year": year, "block": self._block}
                    end = int((await connection.execute(_DRAW, asked)).scalar_one())
                    row = with_checksum("number_block", {"platform": platform, "year": year, "next": end})
                    mine = (_block.c.platform == platform, _block.c.year == year)
                    await connection.execute(update(_block).where(*mine).values(checksum=row["checksum"]))
                left = range(end - self._block, end)
            self._left[key] = left[1:]
            return left[0]
