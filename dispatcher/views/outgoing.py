"""What carriers read when an effect leaves: the case as it stands, its words, and the citizen's own data.

Effects hold ids and codes only. What goes to the other side is put together at the moment it goes, so that an erased
case tells nothing any more and a changed safe contact is heeded.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from uuid import UUID

import msgspec
from sqlalchemy import Uuid, bindparam, select
from sqlmodel import col

from dispatcher.domain.case import Case
from dispatcher.domain.commands import CASE
from dispatcher.domain.values import Personal
from dispatcher.store.codec import decode_state
from dispatcher.store.database import Database
from dispatcher.store.tables import Streams, Texts, VaultKeys, VaultRows
from dispatcher.store.vault import CannotUnseal, Vault

_log = logging.getLogger("liandong.outgoing")
_READ = (
    select(
        col(Streams.state),
        col(Streams.title),
        col(VaultRows.sealed),
        col(VaultKeys.wrapped),
        col(Texts.no),
        col(Texts.field),
        col(Texts.words),
    )
    .outerjoin(VaultRows, col(VaultRows.stream_id) == col(Streams.id))
    .outerjoin(VaultKeys, col(VaultKeys.stream_id) == col(Streams.id))
    .outerjoin(Texts, col(Texts.stream_id) == col(Streams.id))
    .where(col(Streams.id) == bindparam("id", type_=Uuid), col(Streams.stream_kind) == CASE)
)
"""Everything of one case in one question, a row for each text; drawn up once, for every effect asks it."""


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A case for a carrier. ``texts`` and what each is (``fields``) by number; ``personal`` is empty where there is
    none or it was erased."""

    case: Case
    title: str
    texts: Mapping[int, str]
    fields: Mapping[int, str]
    personal: Personal


class OutgoingCases:
    """Reads cases for carriers: Liandong's own question, bound to no viewer. Nothing of it reaches a screen."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def get(self, id_: UUID) -> Outgoing | None:
        """The case as it stands, None where there is none.

        Raises:
            Unreadable: its stored state was changed from outside.
        """
        async with self._database.looking() as connection:
            rows = (await connection.execute(_READ, {"id": id_})).all()
        if not rows:
            return None
        row = rows[0]
        said = [text for text in rows if text.no is not None]
        case = decode_state(row.state, Case)
        assert isinstance(case, Case)
        personal = Personal()
        if row.sealed is not None and row.wrapped is not None:
            personal = self._opened(id_, row.sealed, row.wrapped)
        return Outgoing(
            case=case,
            title=row.title or "",
            texts={text.no: text.words for text in said},
            fields={text.no: text.field for text in said},
            personal=personal,
        )

    def _opened(self, id_: UUID, sealed: bytes, wrapped: bytes) -> Personal:
        try:
            return msgspec.json.decode(self._vault.unseal(id_, sealed, wrapped), type=Personal)
        except (CannotUnseal, msgspec.MsgspecError) as error:
            # Danger does not wait for a name: the case goes out without, and somebody looks at the vault.
            _log.error("personal fields do not open", extra={"case": id_, "error": type(error).__name__})
            return Personal()
