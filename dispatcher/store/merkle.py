"""A Merkle root over the heads of all streams, built in one pass and bounded memory, and what is anchored of it.

An anchor leaves the database every day. Whoever later changes, drops or adds an event from before it, even with
all hashes computed anew, cannot make the old root come out again.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec
from sqlalchemy import text

from dispatcher.store.database import Database
from dispatcher.store.errors import Unreadable
from dispatcher.store.private import append_private
from dispatcher.store.vault import Vault, signed_by

CHUNK = 5000
EMPTY = hashlib.sha256(b"liandong/empty").digest()


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """The heads of all streams at a position, as one hash, signed.

    ``signer`` is an Ed25519 public key (hex): whoever has it can check the signature without any secret of ours.
    """

    made: datetime
    position: int
    streams: int
    root: str
    signer: str = ""
    signature: str = ""

    def words(self) -> bytes:
        """What is signed."""
        return f"liandong/anchor {self.made.isoformat()} {self.position} {self.streams} {self.root}".encode()


class Merkle:
    """Takes leaves in order; keeps one hash for each level."""

    def __init__(self) -> None:
        self._levels: list[bytes | None] = []
        self.leaves = 0

    def add(self, stream_id: UUID, version: int, head: bytes) -> None:
        """Add a stream's head. Streams come in the order of their ids."""
        self.leaves += 1
        # Leaves and inner nodes are told apart by their first byte, so that none can pass for the other.
        carried = hashlib.sha256(b"\x00" + stream_id.bytes + version.to_bytes(8, "big") + head).digest()
        for level, waiting in enumerate(self._levels):
            if waiting is None:
                self._levels[level] = carried
                return
            carried = hashlib.sha256(b"\x01" + waiting + carried).digest()
            self._levels[level] = None
        self._levels.append(carried)

    def root(self) -> str:
        """The root over all leaves so far, hex."""
        carried: bytes | None = None
        for waiting in self._levels:
            if waiting is not None:
                carried = waiting if carried is None else hashlib.sha256(b"\x01" + waiting + carried).digest()
        return (carried or EMPTY).hex()


async def anchor(database: Database, made: datetime, vault: Vault) -> Anchor:
    """The root over all heads as they are now, signed."""
    tree = Merkle()
    last = ""
    async with database.snapshot() as connection:
        position = int(
            (await connection.execute(text("SELECT value FROM position WHERE id = 1"))).scalar_one()
        )
        while True:
            after = " WHERE id > :last" if last else ""
            statement = text(f"SELECT id, version, head FROM stream{after} ORDER BY id LIMIT {CHUNK}")
            asked = {"last": UUID(last) if database.is_postgres else last} if last else {}
            rows = (await connection.execute(statement, asked)).all()
            for id_, version, head in rows:
                tree.add(id_ if isinstance(id_, UUID) else UUID(id_), version, head)
            if len(rows) < CHUNK:
                break
            last = rows[-1][0].hex if isinstance(rows[-1][0], UUID) else rows[-1][0]
    plain = Anchor(made=made, position=position, streams=tree.leaves, root=tree.root())
    signer, signature = vault.sign(plain.words())
    return msgspec.structs.replace(plain, signer=signer, signature=signature)


def write_anchor(path: Path, made: Anchor) -> None:
    """Append an anchor to a file of JSON lines that only its owner may read."""
    append_private(path, msgspec.json.encode(made) + b"\n")


def read_anchors(path: Path, signer: str = "") -> tuple[Anchor, ...]:
    """The anchors of a file, oldest first, each with a good signature (by ``signer``, where one is given).

    Raises:
        Unreadable: a line is no anchor, was signed by another key, or was changed after it was signed.
    """
    anchors: list[Anchor] = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            made = msgspec.json.decode(line, type=Anchor)
        except (msgspec.DecodeError, msgspec.ValidationError) as err:
            raise Unreadable(f"{path}, line {number}: {err}") from err
        if signer and made.signer != signer:
            raise Unreadable(f"{path}, line {number}: signed by another key than {signer[:16]}…")
        if not signed_by(made.signer, made.signature, made.words()):
            raise Unreadable(f"{path}, line {number}: its signature does not fit it")
        anchors.append(made)
    return tuple(anchors)
