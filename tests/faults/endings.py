"""How a run ended: every row that is kept of its cases, and every effect that was delivered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.store.tables import Table
from dispatcher.store.verify import verify
from dispatcher.wiring import CODEC
from tests.faults.deeds import ATTEMPT, VAULT, Cast, Desk, Receiver

DRAWN = {
    "stream": {"head"},
    "event": {"hash", "digests", "message_id"},
    "deadline": set[str](),
    "outbox": {"key", "attempts", "next_try", "sent_at"},
    "text": {"salt"},
}
"""What may differ between two good runs: texts are salted and sealed fields encrypted afresh, so the proofs over them
differ (`verify` looks at those), keys come from the stream's id, and an effect may have needed another attempt."""

Ending = dict[str, list[str]]


async def endings(desk: Desk, receiver: Receiver, casts: Sequence[Cast]) -> list[Ending]:
    """Let claims of the dead run out, send what is left, prove the whole, and take down what there is of each cast."""
    desk.wait(ATTEMPT * 2 + timedelta(seconds=1))
    await desk.relay.flush()
    verified = await verify(desk.database, desk.product, CODEC)
    assert verified.faults == ()
    assert verified.quarantined == 0
    assert verified.streams == sum(len(cast.cases) for cast in casts)
    async with desk.database.looking() as connection:
        return [
            await _Looking(connection, cast, is_postgres=desk.database.is_postgres).ending(receiver)
            for cast in casts
        ]


class _Looking:
    """Reads all rows of one cast."""

    def __init__(self, connection: AsyncConnection, cast: Cast, *, is_postgres: bool) -> None:
        self._connection = connection
        self._cast = cast
        self._is_postgres = is_postgres
        self._versions: dict[int, tuple[str, int]] = {}

    async def ending(self, receiver: Receiver) -> Ending:
        """Everything of the cast."""
        told = sorted(
            self._cast.plain(effect) for effect in receiver.taken.values() if effect.case in self._cast.cases
        )
        assert sorted(set(told)) == told, "one effect went out under two keys"
        ending = {table: await self._rows(table, drawn) for table, drawn in DRAWN.items()}
        return ending | {"delivered": told, "inbox": await self._answers(), "sealed": await self._sealed()}

    async def _rows(self, table: str, drawn: set[str]) -> list[str]:
        """The rows of the cases, without what is drawn; a log's positions are told as case and version."""
        key = "id" if table == "stream" else "stream_id"
        columns = [c.name for c in Table.metadata.tables[table].columns if c.name not in drawn]
        found = await self._ask(columns, table, key, self._cast.cases)
        if table == "event":
            place, id_, version = (columns.index(name) for name in ("position", "stream_id", "version"))
            for row in found:
                self._versions[row[place]] = (self._cast.plain(row[id_]), row[version])
            found = [(*row[:place], *row[place + 1 :]) for row in found]
        return sorted(self._cast.plain(row) for row in found)

    async def _answers(self) -> list[str]:
        """What the senders were told."""
        found = await self._ask(
            ["message_id", "at", "answer", "position"], "inbox", "message_id", self._cast.messages
        )
        return sorted(self._cast.plain((*row[:3], self._versions[row[3]])) for row in found)

    async def _sealed(self) -> list[str]:
        """The personal fields, opened."""
        found = await self._ask(["stream_id", "sealed"], "vault", "stream_id", self._cast.cases)
        keys = await self._ask(["stream_id", "wrapped"], "vault_key", "stream_id", self._cast.cases)
        wrapped = {str(id_): bytes(key) for id_, key in keys}
        assert len(wrapped) == len(found)
        return sorted(
            self._cast.plain((id_, VAULT.unseal(_uuid(id_), sealed, wrapped[str(id_)])))
            for id_, sealed in found
        )

    async def _ask(
        self, columns: list[str], table: str, key: str, ids: dict[UUID, str]
    ) -> list[tuple[Any, ...]]:
        listed = ", ".join(f'"{column}"' for column in columns)
        wanted = ", ".join(f"'{id_ if self._is_postgres else id_.hex}'" for id_ in ids)
        found = await self._connection.exec_driver_sql(
            f"SELECT {listed} FROM {table} WHERE {key} IN ({wanted})"
        )
        return [tuple(row) for row in found.all()]


def _uuid(stored: object) -> UUID:
    return stored if isinstance(stored, UUID) else UUID(str(stored))
