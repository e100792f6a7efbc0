"""The schema: migrations equal a fresh one, a newer one is refused, partitions hold every row, scopes are closed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from dispatcher.store import partitions, schema
from dispatcher.store.database import ALL, Database, Scope, tree_prefix
from dispatcher.store.errors import AlreadyServing, BadUrl, SchemaTooNew, SchemaTooOld
from dispatcher.store.tables import Table
from dispatcher.store.vault import Vault
from dispatcher.store.verify import verify
from dispatcher.store.writer import Writer
from tests.support.aggregate import CODEC, START, Jars, ManualClock, OpenJar, ShareJar, jar, sent
from tests.support.databases import MADE_FOR, Cluster

CATALOGUE = """
SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text,
  coalesce(pg_get_expr(d.adbin, d.adrelid), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p') AND c.relname <> 'alembic_version'
UNION ALL SELECT 'index', tablename, indexname, indexdef, '', '' FROM pg_indexes
WHERE schemaname = 'public' AND tablename <> 'alembic_version'
UNION ALL SELECT 'policy', tablename, policyname, qual, with_check, cmd FROM pg_policies
UNION ALL SELECT 'table', relname, relrowsecurity::text, relforcerowsecurity::text,
  coalesce(pg_get_partkeydef(c.oid), ''), coalesce(pg_get_expr(relpartbound, c.oid), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
WHERE relkind IN ('r', 'p') AND relname <> 'alembic_version'
ORDER BY 1, 2, 3, 4
"""


async def described(database: Database) -> list[tuple[Any, ...]]:
    async with database.looking() as connection:
        if database.is_postgres:
            return [tuple(row) for row in await connection.execute(text(CATALOGUE))]
        found: list[tuple[Any, ...]] = []
        tables = await connection.execute(
            text("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        )
        for (name,) in tables.all():
            if name != "alembic_version":
                found += [
                    (name, *row[1:]) for row in await connection.execute(text(f"PRAGMA table_info('{name}')"))
                ]
        indexes = await connection.execute(
            text("SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name")
        )
        return found + [tuple(row) for row in indexes.all() if row[0] != "alembic_version"]


async def empty(engine_name: str, request: pytest.FixtureRequest, place: Path) -> Database:
    if engine_name == "postgres":
        running: Cluster = request.getfixturevalue("postgres")
        return Database(await running.empty())
    return Database(f"sqlite:///{place}/empty.db")


def _fresh(connection: Connection) -> None:
    Table.metadata.create_all(connection)
    connection.execute(text("INSERT INTO position (id, value) VALUES (1, 0)"))
    if connection.dialect.name == "postgresql":
        for statement in partitions.beyond_tables():
            connection.execute(text(statement))


async def test_the_migrations_make_what_the_tables_say(
    database: Database, engine_name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    fresh = await empty(engine_name, request, tmp_path)
    async with fresh.writing() as connection:
        await connection.run_sync(_fresh)
    await partitions.ensure_months(fresh, MADE_FOR)

    made, migrated = await described(fresh), await described(database)

    await fresh.close()
    assert len(migrated) > 100
    assert made == migrated


async def test_the_known_revisions_are_those_of_the_migrations() -> None:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(schema.config())

    assert tuple(revision.revision for revision in script.walk_revisions())[::-1] == schema.KNOWN


async def test_upgrading_twice_is_harmless(database: Database) -> None:
    before = await described(database)

    assert await schema.upgrade(database, MADE_FOR) == schema.EXPECTED
    assert await described(database) == before


async def test_two_nodes_may_upgrade_at_once(
    engine_name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    one = await empty(engine_name, request, tmp_path)
    two = Database(one.url.render_as_string(hide_password=False))

    found = await asyncio.gather(schema.upgrade(one, MADE_FOR), schema.upgrade(two, MADE_FOR))

    assert sorted(found) == ["", schema.EXPECTED]
    for database in (one, two):
        assert await schema.current(database) == schema.EXPECTED
        await database.close()


async def test_a_newer_schema_is_refused(database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(SchemaTooNew) as refused:
        await schema.check(database, START)
    with pytest.raises(SchemaTooNew):
        await schema.upgrade(database, START)
    assert (refused.value.found, refused.value.expected) == ("9999", schema.EXPECTED)


async def test_the_embedded_database_upgrades_itself_and_postgresql_asks(
    engine_name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    database = await empty(engine_name, request, tmp_path)

    if database.is_postgres:
        with pytest.raises(SchemaTooOld):
            await schema.check(database, START)
        await schema.upgrade(database, START)
    await schema.check(database, START)

    assert await schema.current(database) == schema.EXPECTED
    await database.close()


@pytest.mark.postgres
async def test_rows_of_any_month_are_kept_and_move_when_their_month_is_made(
    postgres_database: Database, clock: ManualClock, vault: Vault
) -> None:
    clock = ManualClock(datetime(2031, 5, 31, 23, 59, tzinfo=UTC))
    async with Writer(postgres_database, Jars(), clock, vault) as writer:
        await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))

        made = await partitions.ensure_months(postgres_database, clock.now(), 1)

        assert made == [
            f"{table}_{month}" for table in ("event", "outbox", "inbox") for month in ("203105", "203106")
        ]
        assert await partitions.ensure_months(postgres_database, clock.now(), 1) == []
        again = await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))
    async with postgres_database.looking() as connection:
        where = (await connection.execute(text("SELECT tableoid::regclass::text FROM event"))).scalar_one()
    assert again.repeated
    assert where == "event_203105"
    assert (await verify(postgres_database, Jars(), CODEC)).faults == ()


async def test_message_ids_are_forgotten_after_their_time(
    database: Database, clock: ManualClock, vault: Vault
) -> None:
    async with Writer(database, Jars(), clock, vault) as writer:
        await writer.submit(sent(OpenJar(ref=jar("a")), "m1"))

    assert await partitions.forget_messages(database, START) == 0
    assert await partitions.forget_messages(database, datetime(2027, 1, 1, tzinfo=UTC)) == 1


# Row-level security


@pytest.fixture
async def filled(postgres_database: Database, clock: ManualClock, vault: Vault) -> Database:
    async with Writer(postgres_database, Jars(), clock, vault) as writer:
        for n, (platform, division) in enumerate(
            [
                ("12345-630100", "630102"),
                ("12345-630100", "630103"),
                ("12345-630200", "630203"),
                ("110-630100", "630102"),
            ]
        ):
            command = OpenJar(ref=jar(f"j{n}"), platform=platform, division=division, words="w", secret=b"s")
            await writer.submit(sent(command, f"m{n}"))
    return postgres_database


SEEN = ("stream", "event", "deadline", "text", "vault", "outbox")


async def counts(database: Database, scope: Scope) -> list[int]:
    async with database.reading(scope) as connection:
        return [
            (
                await connection.execute(
                    text(f"SELECT count(DISTINCT {'id' if t == 'stream' else 'stream_id'}) FROM {t}")
                )
            ).scalar_one()
            for t in SEEN
        ]


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("scope", "streams"),
    [
        (Scope(), 0),
        (Scope(platforms=("*",)), 0),
        (Scope(divisions=("*",)), 0),
        (ALL, 4),
        (Scope(platforms=("12345-630100",), divisions=("630000",)), 2),
        (Scope(platforms=("12345-630100", "110-630100"), divisions=("630100",)), 3),
        (Scope(platforms=("*",), divisions=("630102",)), 2),
        (Scope(platforms=("12345-630200",), divisions=("630100",)), 0),
    ],
)
async def test_a_reader_sees_its_scope_and_nothing_else(filled: Database, scope: Scope, streams: int) -> None:
    assert await counts(filled, scope) == [streams] * len(SEEN)


@pytest.mark.postgres
async def test_a_unit_sees_the_streams_it_has_a_part_in_and_no_other_units_part(
    filled: Database, clock: ManualClock, vault: Vault
) -> None:
    async with Writer(filled, Jars(), clock, vault) as writer:
        await writer.submit(sent(ShareJar(ref=jar("j0"), units=("unit-a", "unit-b")), "s0"))
        await writer.submit(sent(ShareJar(ref=jar("j3"), units=("unit-a",)), "s3"))
        await writer.submit(sent(ShareJar(ref=jar("j3"), units=("unit-b",)), "s4"))

    def unit(code: str) -> Scope:
        return Scope(platforms=("*",), divisions=("*",), unit=code)

    assert await counts(filled, unit("unit-a")) == [1] * len(SEEN)
    assert await counts(filled, unit("unit-b")) == [2] * len(SEEN)
    assert await counts(filled, unit("unit-c")) == [0] * len(SEEN)
    async with filled.reading(unit("unit-a")) as connection:
        parts = (await connection.execute(text("SELECT unit FROM party"))).scalars().all()
    assert parts == ["unit-a"]


@pytest.mark.postgres
async def test_a_scope_ends_with_its_transaction(filled: Database) -> None:
    assert (await counts(filled, ALL))[0] == 4

    assert (await counts(filled, Scope()))[0] == 0


@pytest.mark.postgres
async def test_a_reader_can_neither_write_nor_read_keys_tokens_or_partitions(filled: Database) -> None:
    async with filled.reading(ALL) as connection:
        for table in ("vault_key", "token", "account", "inbox", "event_202611", "event_default"):
            assert (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() == 0
    with pytest.raises(DBAPIError):
        async with filled.reading(ALL) as connection:
            await connection.execute(text("DELETE FROM stream"))


@pytest.mark.postgres
async def test_a_stranger_with_the_owners_password_sees_nothing_by_default(filled: Database) -> None:
    import asyncpg

    connection = await asyncpg.connect(filled.dsn)
    try:
        assert [await connection.fetchval(f"SELECT count(*) FROM {table}") for table in SEEN] == [0] * len(
            SEEN
        )
        assert await connection.execute("UPDATE stream SET stage = 'closed'") == "UPDATE 0"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(
                "INSERT INTO deadline VALUES (gen_random_uuid(), 'c', 'm', now(), 'armed', false, '', '')"
            )
    finally:
        await connection.close()


@pytest.mark.parametrize("code", ["63%", "63,64", "六三", "6", "6301021234567"])
def test_a_division_that_is_no_code_makes_no_scope(code: str) -> None:
    with pytest.raises(ValueError, match="GB/T 2260"):
        Scope(divisions=(code,))


@pytest.mark.parametrize("platform", ["a,b", "", "a b", "x" * 65])
def test_a_platform_that_is_no_id_makes_no_scope(platform: str) -> None:
    with pytest.raises(ValueError, match="platform"):
        Scope(platforms=(platform,))


@pytest.mark.parametrize(
    ("division", "prefix"),
    [("630000", "63"), ("630100", "6301"), ("630102", "630102"), ("630102001000", "6301020010"), ("", "")],
)
def test_a_divisions_tree_is_a_prefix(division: str, prefix: str) -> None:
    assert tree_prefix(division) == prefix


# URLs and serving


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u@h/d",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite+aiosqlite:///x.db",
        "postgresql+asyncpg://u@h/d",
        "postgresql://u@h",
        "not a url",
    ],
)
def test_a_url_that_cannot_be_used_says_what_to_write(url: str) -> None:
    with pytest.raises(BadUrl) as refused:
        Database(url)

    assert refused.value.remedy


def test_a_password_is_never_shown() -> None:
    assert "secret" not in str(Database("postgresql://u:secret@h/d"))
    with pytest.raises(BadUrl) as refused:
        Database("postgresql://u:secret@h")
    assert "secret" not in str(refused.value)


def test_a_sqlite_file_is_served_by_one_process_only(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/one.db"
    with Database(url).serving(), pytest.raises(AlreadyServing), Database(url).serving():
        pass

    with Database(url).serving():
        pass


async def test_database_time_is_aware_and_utc(database: Database) -> None:
    now = await database.now()

    assert now.tzinfo is UTC
