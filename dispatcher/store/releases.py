"""Releases: lists, policies, ladders and calendars, immutable, found by their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from dispatcher.store.checksums import with_checksum
from dispatcher.store.database import Database
from dispatcher.store.errors import Unreadable
from dispatcher.store.tables import Table

_release = Table.metadata.tables["release"]


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One release. ``digest`` is given by the maker (short ones are shown to people); ``signers`` who agreed."""

    digest: str
    kind: str
    content: bytes
    signers: tuple[str, ...]
    effective_from: datetime
    created: datetime


class Releases:
    """Keeps releases. What is there never changes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, release: Release) -> bool:
        """Keep a release. False: it is there already.

        Raises:
            Unreadable: another content is kept under this digest.
        """
        insert = postgresql.insert if self._database.is_postgres else sqlite.insert
        keep = insert(_release).values(**release_values(release))
        async with self._database.writing() as connection:
            # Nodes that start together keep the same release at the same instant.
            if (await connection.execute(keep.on_conflict_do_nothing())).rowcount:
                return True
            there = (
                await connection.execute(
                    select(_release.c.content).where(_release.c.digest == release.digest)
                )
            ).scalar()
            if there != release.content:
                raise Unreadable(f"release {release.digest} is kept with other content")
        return False

    async def get(self, digests: Iterable[str]) -> list[Release]:
        """The releases with these digests, as far as they are kept."""
        return await self._find(select(_release).where(_release.c.digest.in_(list(digests))))

    async def of_kind(self, kind: str) -> list[Release]:
        """All releases of a kind, in the order in which they take effect."""
        return await self._find(
            select(_release)
            .where(_release.c.kind == kind)
            .order_by(_release.c.effective_from, _release.c.created)
        )

    async def current(self, kind: str, at: datetime) -> str:
        """The digest of the release of a kind that took effect last; "" where none has."""
        statement = (
            select(_release.c.digest)
            .where(_release.c.kind == kind, _release.c.effective_from <= at)
            .order_by(_release.c.effective_from.desc(), _release.c.created.desc())
            .limit(1)
        )
        async with self._database.looking() as connection:
            return str((await connection.execute(statement)).scalar() or "")

    async def known(self) -> frozenset[str]:
        """The digests of all releases: cheap to ask, to see whether anything was added."""
        async with self._database.looking() as connection:
            return frozenset((await connection.execute(select(_release.c.digest))).scalars().all())

    async def _find(self, statement: object) -> list[Release]:
        async with self._database.looking() as connection:
            found = (await connection.execute(statement)).all()  # type: ignore[call-overload]
        return [
            Release(
                digest=row.digest,
                kind=row.kind,
                content=row.content,
                signers=tuple(row.signers.split("\n")) if row.signers else (),
                effective_from=row.effective_from,
                created=row.created,
            )
            for row in found
        ]


def release_values(release: Release) -> dict[str, object]:
    """The columns of a release, with their checksum."""
    return with_checksum(
        "release",
        {
            "digest": release.digest,
            "kind": release.kind,
            "content": release.content,
            "signers": "\n".join(release.signers),
            "effective_from": release.effective_from,
            "created": release.created,
        },
    )


def content_digest(content: bytes) -> str:
    """SHA-256 over a release's bytes, hex."""
    return hashlib.sha256(content).hexdigest()
