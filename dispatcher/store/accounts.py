"""Accounts and their bearer tokens. A token is shown once, when it is made; the database keeps only its hash."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, or_, select, update
from sqlalchemy import Table as Table_
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.domain.stream import Actor, Role
from dispatcher.store.checksums import with_checksum
from dispatcher.store.database import Database
from dispatcher.store.errors import StoreError
from dispatcher.store.tables import Table

_account = Table.metadata.tables["account"]
_token = Table.metadata.tables["token"]


class NoAccount(StoreError):
    """There is no such account, or it is disabled."""

    def __init__(self, id_: str) -> None:
        super().__init__(f"account {id_!r} does not exist or is disabled; see: liandong user add")
        self.id = id_


class Accounts:
    """Who may send commands."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, actor: Actor, name: str, now: datetime, *, password: str = "") -> None:
        """Add or replace an account. ``password`` is a hash ready to store; empty keeps people from logging in."""
        async with self._database.writing() as connection:
            await connection.execute(delete(_account).where(_account.c.id == actor.id))
            await connection.execute(
                insert(_account).values(
                    with_checksum(
                        "account",
                        {
                            "id": actor.id,
                            "name": name,
                            "password": password,
                            "roles": " ".join(role.value for role in actor.roles),
                            "platform": actor.platform,
                            "unit": actor.unit,
                            "division": actor.division,
                            "created": now,
                        },
                    )
                )
            )

    async def disable(self, id_: str, now: datetime) -> bool:
        """Nobody is this account any more; its tokens stop at once. False: no such account."""
        async with self._database.writing() as connection:
            return bool(await _change(connection, _account, [_account.c.id == id_], {"disabled": now}))

    async def new_token(self, id_: str, label: str, now: datetime, *, expires: datetime | None = None) -> str:
        """Make a bearer token of 256 random bits; it is returned here and never again.

        Raises:
            NoAccount: nobody is called so.
        """
        token = "ld_" + secrets.token_urlsafe(32)
        async with self._database.writing() as connection:
            there = select(_account.c.id).where(_account.c.id == id_, _account.c.disabled.is_(None))
            if (await connection.execute(there)).first() is None:
                raise NoAccount(id_)
            await connection.execute(
                insert(_token).values(
                    with_checksum(
                        "token",
                        {
                            "hash": token_hash(token),
                            "account_id": id_,
                            "label": label,
                            "created": now,
                            "expires": expires,
                        },
                    )
                )
            )
        return token

    async def revoke(self, id_: str, label: str, now: datetime) -> int:
        """Stop an account's tokens of a label. Returns how many."""
        async with self._database.writing() as connection:
            which = [_token.c.account_id == id_, _token.c.label == label, _token.c.revoked.is_(None)]
            return await _change(connection, _token, which, {"revoked": now})

    async def actor_of(self, token: str, now: datetime) -> Actor | None:
        """Who sends with this token; None for an unknown, expired or revoked one."""
        c = _account.c
        statement = (
            select(c.id, c.roles, c.platform, c.unit, c.division)
            .join(_token, _token.c.account_id == c.id)
            .where(
                _token.c.hash == token_hash(token),
                _token.c.revoked.is_(None),
                or_(_token.c.expires.is_(None), _token.c.expires > now),
                c.disabled.is_(None),
            )
        )
        async with self._database.looking() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else _actor(row.id, row.roles, row.platform, row.unit, row.division)

    async def find(self, id_: str) -> tuple[Actor, str, str] | None:
        """An account that is not disabled: actor, name, password hash."""
        statement = select(_account).where(_account.c.id == id_, _account.c.disabled.is_(None))
        async with self._database.looking() as connection:
            row = (await connection.execute(statement)).one_or_none()
        if row is None:
            return None
        return _actor(row.id, row.roles, row.platform, row.unit, row.division), row.name, row.password


async def _change(
    connection: AsyncConnection, table: Table_, which: list[ColumnElement[bool]], values: dict[str, Any]
) -> int:
    """Change rows together with their checksums. Returns how many."""
    rows = (await connection.execute(select(table).where(*which).with_for_update())).mappings().all()
    (key,) = table.primary_key.columns
    for row in rows:
        changed = with_checksum(str(table.name), {**row, **values})
        await connection.execute(update(table).where(key == row[key.name]).values(changed))
    return len(rows)


def token_hash(token: str) -> bytes:
    """What is kept of a token. It has 256 random bits, so a plain SHA-256 cannot be searched."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _actor(id_: str, roles: str, platform: str, unit: str, division: str) -> Actor:
    return Actor(
        id=id_,
        roles=tuple(Role(word) for word in roles.split()),
        platform=platform,
        unit=unit,
        division=division,
    )
