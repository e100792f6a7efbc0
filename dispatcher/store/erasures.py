"""The journal of erasures: a file beside the anchors, outside the database and its backups.

A restored backup brings back what was erased after it was made. The journal says which streams those are, so that
the restore erases them again, by the same command and with an event of its own. It holds ids and instants only; each
line is signed like an anchor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec
from sqlalchemy import select

from dispatcher.domain.errors import Refused
from dispatcher.domain.stream import StreamRef, Submission
from dispatcher.ports import Inbox
from dispatcher.store.database import Database
from dispatcher.store.errors import Failed, Unreadable
from dispatcher.store.private import append_private
from dispatcher.store.tables import Table
from dispatcher.store.vault import Vault, signed_by

_stream = Table.metadata.tables["stream"]
_CHUNK = 500


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """One stream whose personal data were destroyed. ``signer`` is the deployment's public key (hex)."""

    stream: UUID
    kind: str
    at: datetime
    signer: str = ""
    signature: str = ""

    def words(self) -> bytes:
        """What is signed."""
        return f"liandong/erased {self.kind} {self.stream} {self.at.isoformat()}".encode()


class Repeated(msgspec.Struct, frozen=True, kw_only=True):
    """What repeating a journal did: streams erased again, and those that refused, with the refusal's code."""

    erased: tuple[UUID, ...]
    refused: Mapping[UUID, str]


def journal_of(anchor_file: Path) -> Path:
    """Where the journal lies: beside the anchors."""
    return anchor_file.with_name("erasures.jsonl")


async def keep_journal(database: Database, path: Path, vault: Vault) -> int:
    """Write down every erasure that the journal lacks. Returns how many.

    Raises:
        Unreadable: a line of the journal was changed.
    """
    known = {one.stream for one in read_journal(path, vault.signer)}
    c = _stream.c
    async with database.looking() as connection:
        found = (
            await connection.execute(
                select(c.id, c.stream_kind, c.erased).where(c.erased.is_not(None)).order_by(c.erased, c.id)
            )
        ).all()
    lines = [
        _signed(Erased(stream=row.id, kind=row.stream_kind, at=row.erased), vault)
        for row in found
        if row.id not in known
    ]
    if lines:
        append_private(path, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    return len(lines)


def read_journal(path: Path, signer: str) -> tuple[Erased, ...]:
    """The journal, oldest first; empty where there is none yet.

    Raises:
        Unreadable: a line is none of ours, or was changed.
    """
    if not path.exists():
        return ()
    lines: list[Erased] = []
    for number, raw in enumerate(path.read_bytes().splitlines(), 1):
        try:
            line = msgspec.json.decode(raw, type=Erased)
        except (msgspec.DecodeError, msgspec.ValidationError) as err:
            raise Unreadable(f"{path}, line {number}: {err}") from err
        if line.signer != signer:
            raise Unreadable(f"{path}, line {number}: signed by another key than {signer[:16]}…")
        if not signed_by(line.signer, line.signature, line.words()):
            raise Unreadable(f"{path}, line {number}: its signature does not fit it")
        lines.append(line)
    return tuple(lines)


async def repeat_erasures(
    database: Database,
    inbox: Inbox,
    journal: Sequence[Erased],
    erase: Callable[[StreamRef], Submission],
) -> Repeated:
    """Erase again what the journal names and the database still has. Streams it has never heard of are passed over.

    Raises:
        Unavailable: the database cannot take commands; call again.
    """
    erased: list[UUID] = []
    refused: dict[UUID, str] = {}
    c = _stream.c
    for start in range(0, len(journal), _CHUNK):
        part = [line.stream for line in journal[start : start + _CHUNK]]
        async with database.looking() as connection:
            found = await connection.execute(
                select(c.id, c.stream_kind).where(c.id.in_(part), c.erased.is_(None)).order_by(c.id)
            )
            left = [StreamRef(row.stream_kind, row.id) for row in found]
        for ref in left:
            try:
                await inbox.submit(erase(ref))
            except (Refused, Failed) as err:
                refused[ref.id] = err.code if isinstance(err, Refused) else str(err)
            else:
                erased.append(ref.id)
    return Repeated(erased=tuple(erased), refused=refused)


def _signed(line: Erased, vault: Vault) -> Erased:
    signer, signature = vault.sign(line.words())
    return msgspec.structs.replace(line, signer=signer, signature=signature)
