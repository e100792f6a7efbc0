"""Verify: replay the log and prove that nothing in the database says anything else. Finds one flipped byte.

Reads one snapshot in bounded memory, stream after stream, while writers go on. What it proves of every stream:
the chain of hashes, versions and positions; state, columns and parties, which are the fold of the events; the
deadlines, which are too; title, texts and sealed fields that are not erased, and every effect in the outbox, by
their digests in the chain; the wrapped keys, by opening what they seal. And of the whole: positions without gaps up
to the counter, no row without its stream, the rows that belong to no stream (`loose_rows`), and the anchors.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.domain.stream import Product, StreamRef
from dispatcher.store.codec import Codec
from dispatcher.store.database import Database
from dispatcher.store.findings import MOST_FAULTS, Fault, Findings, name_of, uuid_of
from dispatcher.store.loose_rows import prove_loose_rows
from dispatcher.store.merkle import Anchor, Merkle
from dispatcher.store.replaying import replay
from dispatcher.store.stream_rows import OF_A_STREAM, StreamProof
from dispatcher.store.vault import Vault

CHUNK = 400
PROOFS_AFTER = "proofs-after"
"""The flag that an upgrade leaves: events up to this position prove neither titles nor effects."""


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a run proved, and what it found. ``quarantined`` deadlines wait for a person; that is no fault.

    ``unproved`` counts rows written by a Liandong before schema 0004, whose log holds no proof of them.
    """

    streams: int
    events: int
    deadlines: int
    texts: int
    effects: int
    erased: int
    quarantined: int
    unproved: int
    position: int
    root: str
    faults: tuple[Fault, ...]

    @property
    def good(self) -> bool:
        """Nothing was found."""
        return not self.faults


Progress = Callable[[int, int], None]


def _unseen(_done: int, _all: int) -> None:
    """Nobody watches."""


async def verify(
    database: Database,
    product: Product,
    reads: Codec,
    *,
    vault: Vault | None = None,
    anchors: Sequence[Anchor] = (),
    progress: Progress = _unseen,
) -> Verified:
    """Prove the whole database. Stops collecting after `MOST_FAULTS` faults, not after the first.

    ``vault`` opens sealed fields to prove their keys; without it keys are only counted. ``progress`` is called with
    streams done and streams in all.
    """
    async with database.snapshot() as connection:
        return await _Run(connection, product, reads, vault, anchors, progress).run()


class _Run:
    """One run over one snapshot."""

    def __init__(
        self,
        connection: AsyncConnection,
        product: Product,
        reads: Codec,
        vault: Vault | None,
        anchors: Sequence[Anchor],
        progress: Progress,
    ) -> None:
        self._connection = connection
        self._product = product
        self._reads = reads
        self._vault = vault
        self._anchors = [(anchor, Merkle()) for anchor in anchors]
        self._progress = progress
        self._tree = Merkle()
        self._findings = Findings()
        self._proof: StreamProof

    async def run(self) -> Verified:
        position = await self._position()
        proofs_after = await self._flag()
        self._proof = StreamProof(self._product, self._reads, self._vault, self._findings, proofs_after)
        await self._whole(position)
        await prove_loose_rows(self._connection, self._findings, proofs_after=proofs_after)
        count = int((await self._ask("SELECT count(*) FROM stream"))[0][0])
        done = 0
        last: Any = None
        while not self._findings.full:
            if last is None:
                rows = await self._ask(f"SELECT * FROM stream ORDER BY id LIMIT {CHUNK}")
            else:
                rows = await self._ask(
                    f"SELECT * FROM stream WHERE id > :last ORDER BY id LIMIT {CHUNK}", last=last
                )
            if not rows:
                break
            last = rows[-1]["id"]
            await self._some(rows)
            done += len(rows)
            self._progress(done, count)
        for anchor, tree in self._anchors:
            if (tree.leaves, tree.root()) != (anchor.streams, anchor.root):
                self._findings.add(
                    "anchor", f"the root at position {anchor.position} is not the one anchored"
                )
        found = self._findings
        return Verified(
            streams=done,
            events=found.events,
            deadlines=found.deadlines,
            texts=found.texts,
            effects=found.effects,
            erased=found.erased,
            quarantined=found.quarantined,
            unproved=found.unproved,
            position=position,
            root=self._tree.root(),
            faults=tuple(found.faults[:MOST_FAULTS]),
        )

    async def _position(self) -> int:
        rows = await self._ask("SELECT id, value FROM position")
        if len(rows) == 1 and rows[0][0] == 1:
            return int(rows[0][1])
        ids = ", ".join(str(row[0]) for row in rows)
        self._findings.add(
            "position", f"one row with id 1 expected, found: {ids}", table="position", row=ids, column="id"
        )
        return int(rows[0][1]) if rows else 0

    async def _flag(self) -> int:
        found = await self._ask("SELECT value FROM flag WHERE name = :name", name=PROOFS_AFTER)
        return int(found[0][0]) if found and str(found[0][0]).isdecimal() else 0

    async def _whole(self, position: int) -> None:
        gaps = await self._ask(
            "SELECT before, position FROM (SELECT position, lag(position, 1, 0) OVER (ORDER BY position) AS before"
            " FROM event) AS e WHERE position <> before + 1 LIMIT 20"
        )
        for before, found in gaps:
            self._findings.add(
                "position",
                f"{before} is followed by {found}",
                table="event",
                row=str(found),
                column="position",
            )
        (newest,) = (await self._ask("SELECT coalesce(max(position), 0) FROM event"))[0]
        if newest != position:
            self._findings.add(
                "position",
                f"the last event has {newest}, the counter says {position}",
                table="position",
                row="1",
                column="value",
            )
        for table in ("event", "receipt", *OF_A_STREAM):
            lost = await self._ask(
                f"SELECT stream_id, count(*) FROM {table} AS t WHERE NOT EXISTS"
                " (SELECT 1 FROM stream WHERE stream.id = t.stream_id) GROUP BY stream_id LIMIT 20"
            )
            for stream_id, count in lost:
                self._findings.add(
                    table,
                    f"{count} rows of a stream that does not exist",
                    stream=name_of(stream_id),
                    table=table,
                    row=name_of(stream_id),
                    column="stream_id",
                )

    async def _some(self, rows: Sequence[Mapping[str, Any]]) -> None:
        ids = [row["id"] for row in rows]
        events = await self._of(
            "SELECT stream_id, position, at, stream_kind, version, kind, body, hash, by, unit, message_id,"
            " versions, digests, platform, division FROM event WHERE stream_id IN ({ids})"
            " ORDER BY stream_id, version, position",
            ids,
        )
        others = {
            table: await self._of(f"SELECT * FROM {table} WHERE stream_id IN ({{ids}})", ids)
            for table in OF_A_STREAM
        }
        for row in rows:
            id_ = row["id"]
            try:
                self._stream(row, events[id_], {table: found[id_] for table, found in others.items()})
            except (ValueError, TypeError, AttributeError) as err:
                # Only reached where a damaged column cannot even be read as its type.
                self._findings.add(
                    "stream",
                    f"cannot be read: {type(err).__name__}: {err}",
                    stream=name_of(id_),
                    table="stream",
                    row=name_of(id_),
                )

    def _stream(
        self,
        row: Mapping[str, Any],
        events: Sequence[Mapping[str, Any]],
        others: Mapping[str, Sequence[Mapping[str, Any]]],
    ) -> None:
        name = name_of(row["id"])
        if not events:
            self._findings.add(
                "stream", "it has no events", stream=name, table="stream", row=name, column="id"
            )
            return
        kinds = {event["stream_kind"] for event in events}
        kind = kinds.copy().pop() if len(kinds) == 1 else row["stream_kind"]
        ref = StreamRef(kind, uuid_of(row["id"]))
        leaves = list[tuple[int, bytes] | None]([None] * len(self._anchors))

        def anchored(position: int, version: int, hash_: bytes) -> None:
            for n, (anchor, _) in enumerate(self._anchors):
                if position <= anchor.position:
                    leaves[n] = (version, hash_)

        done = replay(ref, name, events, self._product, self._reads, self._findings, anchored)
        self._tree.add(ref.id, row["version"], row["head"])
        for (_, tree), leaf in zip(self._anchors, leaves, strict=True):
            if leaf is not None:
                tree.add(ref.id, *leaf)
        if kinds != {row["stream_kind"]}:
            self._findings.add(
                "stream",
                f"it is a {row['stream_kind']!a}, its log is of {', '.join(sorted(map(ascii, kinds)))}",
                stream=name,
                table="stream",
                row=name,
                column="stream_kind",
            )
        self._proof.rows(ref, name, row, done, len(events), others)

    async def _ask(self, statement: str, **values: Any) -> Sequence[Any]:
        result = await self._connection.execute(text(statement), values)
        if statement.startswith("SELECT *"):
            return result.mappings().all()
        return result.all()

    async def _of(self, statement: str, ids: Sequence[Any]) -> dict[Any, list[Mapping[str, Any]]]:
        names = {f"i{n}": id_ for n, id_ in enumerate(ids)}
        filled = statement.format(ids=", ".join(f":{name}" for name in names))
        found: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
        for row in (await self._connection.execute(text(filled), names)).mappings():
            found[row["stream_id"]].append(dict(row))
        return found
