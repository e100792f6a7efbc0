"""Monthly partitions and row-level security: what PostgreSQL needs beyond the tables. SQLite needs none of it.

Every partitioned table has a DEFAULT partition, so a row is never lost for want of a month; `ensure_months` makes
months ahead and moves what already lies in the default.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from sqlalchemy import text

from dispatcher.store.database import Database
from dispatcher.store.tables import MONTHLY

MONTHS_AHEAD = 3

_ALL = "(SELECT current_setting('liandong.scope', true)) = '*'"
_PLATFORMS = "(SELECT current_setting('liandong.platforms', true))"
_DIVISIONS = "(SELECT current_setting('liandong.divisions', true))"
_UNIT = "coalesce((SELECT current_setting('liandong.unit', true)), '')"


def _own(id_: str) -> str:
    """Rows of the reader's platforms and divisions; a unit's are only those of cases that it has a part in."""
    return f"""{_ALL} OR (
    ({_PLATFORMS} = '*' OR platform = ANY ((SELECT string_to_array({_PLATFORMS}, ','))::text[]))
    AND division LIKE ANY ((SELECT string_to_array({_DIVISIONS}, ','))::text[])
    AND ({_UNIT} = '' OR liandong_has_part({id_}))
)"""


# A function, because a subquery in the policy puts the price of reading all parties before every single row, in the
# planner's eyes, and makes it walk whole tables where a key would do: settling took thirty times as long.
_HAS_PART = f"""
CREATE OR REPLACE FUNCTION liandong_has_part(stream uuid) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE COST 5 AS
$$ SELECT EXISTS (SELECT 1 FROM party WHERE party.unit = {_UNIT} AND party.stream_id = stream) $$
"""


POLICIES = {
    "stream": _own("id"),
    "event": _own("event.stream_id"),
    "deadline": _own("deadline.stream_id"),
    "outbox": f"{_ALL} OR EXISTS (SELECT 1 FROM stream WHERE stream.id = stream_id)",
    "text": f"{_ALL} OR EXISTS (SELECT 1 FROM stream WHERE stream.id = stream_id)",
    "vault": f"{_ALL} OR EXISTS (SELECT 1 FROM stream WHERE stream.id = stream_id)",
    "party": f"{_ALL} OR unit = {_UNIT}",
    "vault_key": _ALL,
    "receipt": f"{_ALL} OR EXISTS (SELECT 1 FROM stream WHERE stream.id = stream_id)",
    "inbox": _ALL,
    "account": _ALL,
    "token": _ALL,
    "expectation": _ALL,
    "audit": _ALL,
}
"""Who may read a row. A session that names no scope sees nothing; only the writer's sessions may write.

The settings are read in sub-selects, which PostgreSQL evaluates once for a statement and not once for a row.
"""


def beyond_tables() -> Iterator[str]:
    """The statements of the migrations that are not tables and indexes (PostgreSQL)."""
    for table in MONTHLY:
        yield f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT"
        yield from _closed(f"{table}_default")
    yield _HAS_PART
    for table, readers in POLICIES.items():
        yield from _closed(table)
        yield f"CREATE POLICY scope ON {table} USING ({readers}) WITH CHECK ({_ALL})"
    # Room on each page: most events leave the indexed columns as they are, and then no index is touched (HOT).
    yield "ALTER TABLE stream SET (fillfactor = 80)"


def _closed(table: str) -> Sequence[str]:
    # A partition has no policy of its own: it is reached through its parent or not at all.
    return (f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY", f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def months_from(first: datetime, count: int) -> Iterator[tuple[str, datetime, datetime]]:
    """``count`` months from that of ``first`` on (UTC): suffix, begin, end."""
    year, month = first.astimezone(UTC).year, first.astimezone(UTC).month
    for _ in range(count):
        begin = datetime(year, month, 1, tzinfo=UTC)
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
        yield f"{begin:%Y%m}", begin, datetime(year, month, 1, tzinfo=UTC)


async def ensure_months(database: Database, now: datetime, ahead: int = MONTHS_AHEAD) -> list[str]:
    """Make the partitions of this month and ``ahead`` more. Returns the names of those that were missing.

    Rows that already lie in the default partition move to the new month in the same transaction.
    """
    made: list[str] = []
    if not database.is_postgres:
        return made
    for table, column in MONTHLY.items():
        for suffix, begin, end in months_from(now, ahead + 1):
            name = f"{table}_{suffix}"
            async with database.writing() as connection:
                there = text("SELECT to_regclass(:name)")
                if (await connection.execute(there, {"name": name})).scalar():
                    continue
                span = {"begin": begin, "end": end}
                await connection.execute(text("SET LOCAL statement_timeout = 0"))
                await connection.execute(text(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"))
                if (await connection.execute(there, {"name": name})).scalar():
                    continue  # another node made it while we waited for the lock
                await connection.execute(
                    text(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
                )
                # The default partition answers only to its parent's policy; as its owner we lift that for a moment.
                await connection.execute(text(f"ALTER TABLE {table}_default NO FORCE ROW LEVEL SECURITY"))
                await connection.execute(
                    text(
                        f"WITH moved AS (DELETE FROM {table}_default"
                        f" WHERE {column} >= :begin AND {column} < :end RETURNING *)"
                        f" INSERT INTO {name} SELECT * FROM moved"
                    ),
                    span,
                )
                await connection.execute(text(f"ALTER TABLE {table}_default FORCE ROW LEVEL SECURITY"))
                await connection.execute(
                    text(
                        f"ALTER TABLE {table} ATTACH PARTITION {name}"
                        f" FOR VALUES FROM ('{begin.isoformat()}') TO ('{end.isoformat()}')"
                    )
                )
                for statement in _closed(name):
                    await connection.execute(text(statement))
            made.append(name)
    return made


async def forget_messages(database: Database, before: datetime) -> int:
    """Forget message ids taken before an instant (30 days ago or more). Returns how many rows went.

    On PostgreSQL whole months are dropped as partitions, and the rest row by row.
    """
    async with database.writing() as connection:
        if database.is_postgres:
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
        gone = await connection.execute(
            text("DELETE FROM inbox WHERE at < :before"),
            {"before": before if database.is_postgres else before.astimezone(UTC).replace(tzinfo=None)},
        )
    return gone.rowcount
