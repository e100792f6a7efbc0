"""Backup while running, and a restore that proves itself.

One file holds every table as of one snapshot, in a form that belongs to neither engine: a backup of SQLite
restores into PostgreSQL, which is also how a deployment grows from one to the other. The keys of the vault go
into a second file, to be kept elsewhere: with one file alone no personal field can be read. The master key is in
neither. Backups are why an erasure is complete only when the key backups from before it are gone.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Uuid, delete, func, insert, select, text
from sqlalchemy import Table as SqlTable
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.domain.stream import Product
from dispatcher.store import partitions, schema
from dispatcher.store.checksums import with_checksum
from dispatcher.store.codec import Codec
from dispatcher.store.database import Database
from dispatcher.store.errors import StoreError
from dispatcher.store.merkle import Merkle
from dispatcher.store.outbox import PAUSED
from dispatcher.store.tables import Table
from dispatcher.store.vault import Vault
from dispatcher.store.verify import Verified, verify

CHUNK = 1000
FORMAT = 1
MANIFEST = "manifest.json"
KEYS = "vault_key"
LEFT_OUT = frozenset({"lease", "expectation", "audit"})
"""Who led when the backup was made means nothing afterwards; the auditor reads the restored log for itself."""

_flag = Table.metadata.tables["flag"]
_encoder = msgspec.msgpack.Encoder(uuid_format="bytes")


class BadBackup(StoreError):
    """The file is no backup, is damaged, or was made by another schema."""


class NotEmpty(StoreError):
    """A restore goes into an empty database only."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One table in the file."""

    columns: tuple[str, ...]
    rows: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds. ``root`` is the Merkle root over the heads of its streams (see `merkle`)."""

    format: int
    made: datetime
    revision: str
    engine: str
    position: int
    root: str
    tables: dict[str, Member]


Progress = Callable[[str, int], None]


def _unseen(_table: str, _rows: int) -> None:
    """Nobody watches."""


async def backup(
    database: Database, into: Path, keys_into: Path, *, made: datetime, progress: Progress = _unseen
) -> Manifest:
    """Write a backup and, apart, the vault's keys; readable by their owner only. Writers go on meanwhile.

    Existing files are replaced once the new ones are complete. ``progress`` gets a table's name and rows so far.
    """
    revision = await schema.current(database)
    into.parent.mkdir(parents=True, exist_ok=True)
    keys_into.parent.mkdir(parents=True, exist_ok=True)
    part, keys_part = into.with_name(into.name + ".part"), keys_into.with_name(keys_into.name + ".part")
    async with database.snapshot() as connection:
        position = int(
            (await connection.execute(text("SELECT value FROM position WHERE id = 1"))).scalar_one()
        )
        tree = Merkle()
        with (
            _private(part) as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        ):
            members = {
                table.name: await _dump(connection, table, archive, progress, tree)
                for table in Table.metadata.sorted_tables
                if table.name != KEYS and table.name not in LEFT_OUT
            }
            manifest = Manifest(
                format=FORMAT,
                made=made,
                revision=revision,
                engine=database.url.get_backend_name(),
                position=position,
                root=tree.root(),
                tables=members,
            )
            archive.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        with _private(keys_part) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            member = await _dump(connection, Table.metadata.tables[KEYS], archive, progress, tree)
            of_keys = msgspec.structs.replace(manifest, tables={KEYS: member})
            archive.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(of_keys)))
    part.replace(into)
    keys_part.replace(keys_into)
    return manifest


async def restore(
    database: Database,
    source: Path,
    keys: Path,
    product: Product,
    reads: Codec,
    *,
    vault: Vault,
    now: datetime,
    progress: Progress = _unseen,
) -> Verified:
    """Fill an empty database from a backup and prove it. The relay starts paused: effects may have been sent since.

    A backup of an older schema is filled into that schema, then upgraded. All or nothing: a restore that fails
    leaves the database empty. ``vault`` has the master key under which the backup was made.

    Raises:
        BadBackup: damaged, not the keys of this backup, made by another schema, or not what it says it is.
        NotEmpty: there is something in the database.
        SchemaTooNew: the database is newer than this Liandong.
    """
    manifest, of_keys = await asyncio.to_thread(_checked, source), await asyncio.to_thread(_checked, keys)
    if set(of_keys.tables) != {KEYS} or (of_keys.made, of_keys.root) != (manifest.made, manifest.root):
        raise BadBackup(f"{keys} are not the keys of {source}")
    if manifest.revision not in schema.KNOWN:
        raise BadBackup(
            f"{source} has schema {manifest.revision!r}, which this Liandong ({schema.EXPECTED!r}) does not know;"
            " restore with the Liandong that made it, or a newer one"
        )
    async with database.writing() as connection:
        if database.is_postgres:
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.run_sync(_emptied, str(database), manifest.revision)
        for path, what in ((source, manifest), (keys, of_keys)):
            for name, member in what.tables.items():
                await _fill(connection, path, name, member, progress)
        await connection.run_sync(schema.raise_to, schema.EXPECTED)
        await connection.execute(delete(_flag).where(_flag.c.name == PAUSED))
        why = f"restored from a backup of {manifest.made.isoformat()}; check what was sent since, then resume"
        paused = with_checksum("flag", {"name": PAUSED, "value": why, "by": "restore", "at": now})
        await connection.execute(insert(_flag).values(paused))
    await partitions.ensure_months(database, now)
    proof = await verify(database, product, reads, vault=vault)
    if proof.good and (proof.root, proof.position) != (manifest.root, manifest.position):
        raise BadBackup(f"{source} does not hold the streams its manifest names")
    return proof


def _emptied(connection: Connection, database: str, revision: str) -> None:
    """Make sure that there is nothing in the database, and that it has the backup's schema.

    Raises:
        NotEmpty: there is something.
    """
    found = schema.current_of(connection)
    if found in schema.KNOWN:
        for table in ("stream", "event", "account", "release"):
            count = select(func.count()).select_from(Table.metadata.tables[table])
            if connection.execute(count).scalar_one():
                raise NotEmpty(f"{database} holds rows in {table!r}; restore into an empty database")
        if found != revision:
            cascade = " CASCADE" if connection.dialect.name == "postgresql" else ""  # policies hang on tables
            for name in (*Table.metadata.tables, "alembic_version"):
                connection.execute(text(f'DROP TABLE IF EXISTS "{name}"{cascade}'))
    schema.raise_to(connection, revision)


async def _dump(
    connection: AsyncConnection, table: SqlTable, archive: zipfile.ZipFile, progress: Progress, tree: Merkle
) -> Member:
    digest = hashlib.sha256()
    count = 0
    result = await connection.stream(select(table).order_by(*table.primary_key.columns))
    with archive.open(table.name, "w", force_zip64=True) as file:
        async for part in _parts(result):
            if table.name == "stream":
                for row in part:
                    tree.add(row.id, row.version, row.head)
            # Packing and compressing happen off the loop: a backup must not hold up the desks.
            await asyncio.to_thread(_pack, [tuple(row) for row in part], file, digest)
            count += len(part)
            progress(table.name, count)
    return Member(
        columns=tuple(column.name for column in table.columns), rows=count, sha256=digest.hexdigest()
    )


async def _parts(result: Any) -> AsyncIterator[Any]:
    async for part in result.partitions(CHUNK):
        yield part


def _pack(rows: list[tuple[Any, ...]], file: IO[bytes], digest: Any) -> None:
    raw = _encoder.encode(rows)
    framed = len(raw).to_bytes(4, "big") + raw
    digest.update(framed)
    file.write(framed)


async def _fill(
    connection: AsyncConnection, path: Path, name: str, member: Member, progress: Progress
) -> None:
    table = Table.metadata.tables[name]
    ids = {n for n, column in enumerate(member.columns) if isinstance(table.c[column].type, Uuid)}
    if name == "position":
        await connection.execute(delete(table))
    done = 0
    with zipfile.ZipFile(path) as archive, archive.open(name) as file:
        while raw := await asyncio.to_thread(_chunk, file):
            rows = [
                {
                    column: UUID(bytes=value) if n in ids else value
                    for n, (column, value) in enumerate(zip(member.columns, row, strict=True))
                }
                for row in msgspec.msgpack.decode(raw)
            ]
            if rows:
                await connection.execute(insert(table), rows)
            done += len(rows)
            progress(name, done)


def _chunk(file: IO[bytes]) -> bytes:
    size = file.read(4)
    return file.read(int.from_bytes(size, "big")) if size else b""


def _checked(path: Path) -> Manifest:
    """Read a backup's manifest after checking every table against it."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = msgspec.json.decode(archive.read(MANIFEST), type=Manifest)
            if manifest.format != FORMAT:
                raise BadBackup(f"{path} has format {manifest.format}; known is {FORMAT}")
            _check_members(path, archive, manifest.tables)
    except (OSError, KeyError, zipfile.BadZipFile, msgspec.DecodeError, msgspec.ValidationError) as err:
        raise BadBackup(f"{path} is no backup, or it is damaged: {err}") from err
    return manifest


def _check_members(path: Path, archive: zipfile.ZipFile, members: Mapping[str, Member]) -> None:
    for name, member in members.items():
        table = Table.metadata.tables.get(name)
        if table is None or any(column not in table.c for column in member.columns):
            raise BadBackup(f"{path} holds a table {name!r} that is unknown here")
        digest = hashlib.sha256()
        with archive.open(name) as file:
            for block in _blocks(file):
                digest.update(block)
        if digest.hexdigest() != member.sha256:
            raise BadBackup(f"{path}: table {name!r} is damaged")


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(1 << 20):
        yield block


def _private(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w+b")
