"""The schema's version: what is there, what is expected, and the upgrade between them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, inspect, text

from dispatcher.store import partitions
from dispatcher.store.database import Database
from dispatcher.store.errors import SchemaTooNew, SchemaTooOld

if TYPE_CHECKING:
    from alembic.config import Config

KNOWN = ("0001", "0002", "0003", "0004")
"""All revisions, oldest first. Kept here so that a start need not load Alembic; a test compares."""

EXPECTED = KNOWN[-1]
_LOCK = 0x6C69616E


async def current(database: Database) -> str:
    """The revision found in the database; empty where there is none yet."""
    async with database.looking() as connection:
        return await connection.run_sync(current_of)


async def check(database: Database, now: datetime) -> None:
    """Refuse a database that this Liandong does not fit. The embedded one upgrades itself.

    Raises:
        SchemaTooNew: upgraded by a newer Liandong.
        SchemaTooOld: PostgreSQL that waits for ``liandong db upgrade``.
    """
    found = await current(database)
    if found and found not in KNOWN:
        raise SchemaTooNew(found, EXPECTED)
    if found != EXPECTED:
        if database.is_postgres:
            raise SchemaTooOld(found, EXPECTED)
        await upgrade(database, now)


async def upgrade(database: Database, now: datetime) -> str:
    """Bring the database to the expected revision; returns the revision it had before. Repeating it is harmless.

    Raises:
        SchemaTooNew: upgraded by a newer Liandong.
    """
    async with database.writing() as connection:
        before = await connection.run_sync(raise_to, EXPECTED)
    await partitions.ensure_months(database, now)
    return before


def current_of(connection: Connection) -> str:
    """The revision found, on a connection of one's own."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")


def raise_to(connection: Connection, revision: str) -> str:
    """Bring the database to a known revision within the connection's transaction; returns the one it had before.

    Raises:
        SchemaTooNew: upgraded by a newer Liandong.
    """
    from alembic import command

    if connection.dialect.name == "postgresql":
        # Two nodes told to upgrade at once: one does, the other finds it done.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    found = current_of(connection)
    if found and found not in KNOWN:
        raise SchemaTooNew(found, EXPECTED)
    command.upgrade(config(connection), revision)
    return found


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without an ini file."""
    from alembic.config import Config

    made: Any = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    result: Config = made
    return result
