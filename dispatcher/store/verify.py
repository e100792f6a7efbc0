"""Verify: replay the log and prove that nothing in the database says anything else. Finds one flipped byte.

Reads one snapshot in bounded memory, stream after stream, while writers go on. What it proves of every stream:
the chain of hashes, versions and positions; the state and columns, which are the fold of the events; the
deadlines, which are too; the texts and sealed fields that are not erased, by their digests. And of the whole:
positions without gaps up to the counter, no row without its stream, and the anchors.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.domain.stream import DeadlineState, Product, StreamRef
from dispatcher.store import codec
from dispatcher.store.codec import Codec, Proof
from dispatcher.store.database import Database
from dispatcher.store.errors import Unreadable
from dispatcher.store.merkle import Anchor, Merkle
from dispatcher.store.rows import STREAM_COLUMNS
from dispatcher.store.vault import sealed_digest, text_digest

CHUNK = 400
MOST_FAULTS = 200

_ROW_FIELDS = tuple(name for name, _ in STREAM_COLUMNS[6:] if name not in ("title", "caller_mac"))


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as the log says. ``version`` 0: the stream as a whole. No personal data."""

    what: str
    detail: str
    stream: str = ""
    version: int = 0


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a run proved, and what it found. ``quarantined`` deadlines wait for a person; that is no fault."""

    streams: int
    events: int
    deadlines: int
    texts: int
    erased: int
    quarantined: int
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
    anchors: Sequence[Anchor] = (),
    progress: Progress = _unseen,
) -> Verified:
    """Prove the whole database. Stops collecting after `MOST_FAULTS` faults, not after the first.

    ``progress`` is called with streams done and streams in all.
    """
    async with database.snapshot() as connection:
        return await _Run(connection, product, reads, anchors, progress, database.is_postgres).run()


class _Run:
    """One run over one snapshot."""

    def __init__(
        self,
        connection: AsyncConnection,
        product: Product,
        reads: Codec,
        anchors: Sequence[Anchor],
        progress: Progress,
        is_postgres: bool,
    ) -> None:
        self._connection = connection
        self._product = product
        self._reads = reads
        self._anchors = [(anchor, Merkle()) for anchor in anchors]
        self._progress = progress
        self._is_postgres = is_postgres
        self._tree = Merkle()
        self._faults: list[Fault] = []
        self._events = self._deadlines = self._texts = self._erased = self._quarantined = 0

    async def run(self) -> Verified:
        position = int((await self._ask("SELECT value FROM position WHERE id = 1"))[0][0])
        await self._whole(position)
        count = int((await self._ask("SELECT count(*) FROM stream"))[0][0])
        done = 0
        last: Any = None
        while len(self._faults) < MOST_FAULTS:
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
                self._fault("anchor", f"the root at position {anchor.position} is not the one anchored")
        return Verified(
            streams=done,
            events=self._events,
            deadlines=self._deadlines,
            texts=self._texts,
            erased=self._erased,
            quarantined=self._quarantined,
            position=position,
            root=self._tree.root(),
            faults=tuple(self._faults[:MOST_FAULTS]),
        )

    async def _whole(self, position: int) -> None:
        gaps = await self._ask(
            "SELECT before, position FROM (SELECT position, lag(position, 1, 0) OVER (ORDER BY position) AS before"
            " FROM event) AS e WHERE position <> before + 1 LIMIT 20"
        )
        for before, found in gaps:
            self._fault("position", f"{before} is followed by {found}")
        (newest,) = (await self._ask("SELECT coalesce(max(position), 0) FROM event"))[0]
        if newest != position:
            self._fault("position", f"the last event has {newest}, the counter says {position}")
        for table in ("event", "deadline", "text", "vault", "vault_key"):
            lost = await self._ask(
                f"SELECT stream_id, count(*) FROM {table} AS t WHERE NOT EXISTS"
                " (SELECT 1 FROM stream WHERE stream.id = t.stream_id) GROUP BY stream_id LIMIT 20"
            )
            for stream_id, count in lost:
                self._fault(table, f"{count} rows of a stream that does not exist", stream=_name(stream_id))

    async def _some(self, rows: Sequence[Mapping[str, Any]]) -> None:
        ids = [row["id"] for row in rows]
        events = await self._of(
            "SELECT stream_id, position, at, stream_kind, version, kind, body, hash, by, unit, message_id,"
            " versions, digests, platform, division FROM event WHERE stream_id IN ({ids})"
            " ORDER BY stream_id, version, position",
            ids,
        )
        deadlines = await self._of("SELECT * FROM deadline WHERE stream_id IN ({ids})", ids)
        texts = await self._of("SELECT * FROM text WHERE stream_id IN ({ids})", ids)
        vaults = await self._of("SELECT * FROM vault WHERE stream_id IN ({ids})", ids)
        keys = await self._of("SELECT stream_id FROM vault_key WHERE stream_id IN ({ids})", ids)
        for row in rows:
            id_ = row["id"]
            try:
                self._stream(
                    row,
                    events[id_],
                    deadlines[id_],
                    texts[id_],
                    [v["sealed"] for v in vaults[id_]],
                    len(keys[id_]),
                )
            except (ValueError, TypeError, AttributeError) as err:
                # Only reached where a damaged column cannot even be read as its type.
                self._fault("stream", f"cannot be read: {type(err).__name__}: {err}", stream=_name(id_))

    def _stream(
        self,
        row: Mapping[str, Any],
        events: Sequence[Mapping[str, Any]],
        deadlines: Sequence[Mapping[str, Any]],
        texts: Sequence[Mapping[str, Any]],
        sealed: Sequence[bytes],
        keys: int,
    ) -> None:
        name = _name(row["id"])
        ref = StreamRef(row["stream_kind"], _uuid(row["id"]))
        replay = self._replay(ref, name, events)
        self._tree.add(ref.id, row["version"], row["head"])
        for what, found, should in (
            ("version", row["version"], len(events)),
            ("head", row["head"], replay.head),
            ("last_at", _at(row["last_at"]), replay.last_at),
            ("erased", row["erased"] is not None, replay.is_erased),
        ):
            if found != should:
                self._fault("stream", f"{what} is not that of the log", stream=name)
        self._erased += replay.is_erased
        self._erasable(name, ref, replay, texts, sealed, keys)
        if replay.state is None:
            return  # the log itself cannot be folded, which was said already
        self._state(name, row, replay.state)
        self._deadline_rows(name, row, replay.deadlines, deadlines)

    def _replay(self, ref: StreamRef, name: str, events: Sequence[Mapping[str, Any]]) -> _Replay:
        replay = _Replay()
        head = codec.GENESIS
        position = 0
        foldable = True
        anchored = list[tuple[int, bytes] | None]([None] * len(self._anchors))
        for number, row in enumerate(events, 1):
            self._events += 1
            version = int(row["version"])
            say = self._at_event(name, version)
            if version != number:
                say(f"version {number} expected")
                foldable = False
            if row["position"] <= position:
                say("its position is not after the one before")
            position = row["position"]
            try:
                at = _at(row["at"])
                proofs = codec.decode_proofs(row["digests"])
                computed = codec.chain(
                    head,
                    stream_kind=row["stream_kind"],
                    stream_id=_uuid(row["stream_id"]),
                    version=version,
                    at=at,
                    kind=row["kind"],
                    body=row["body"],
                    by=row["by"],
                    unit=row["unit"],
                    message_id=_uuid(row["message_id"]),
                    versions=row["versions"],
                    digests=row["digests"],
                    platform=row["platform"],
                    division=row["division"],
                )
            except (ValueError, TypeError, Unreadable) as err:
                say(f"cannot be read: {type(err).__name__}")
                head, foldable = row["hash"], False
                continue
            if row["stream_kind"] != ref.kind:
                say(f"is of a {row['stream_kind']!r}")
            if computed != row["hash"]:
                say("content or hash was changed: the chain breaks here")
            if replay.last_at is not None and at < replay.last_at:
                say("is older than the one before")
            head = replay.head = row["hash"]
            replay.last_at = at
            replay.prove(proofs)
            for n, (anchor, _) in enumerate(self._anchors):
                if row["position"] <= anchor.position:
                    anchored[n] = (version, row["hash"])
            if foldable:
                foldable = self._fold(replay, ref, row, at, say)
        for (_, tree), leaf in zip(self._anchors, anchored, strict=True):
            if leaf is not None:
                tree.add(ref.id, *leaf)
        if not foldable:
            replay.state = None
        return replay

    def _at_event(self, name: str, version: int) -> Callable[[str], None]:
        def say(detail: str) -> None:
            self._fault("event", detail, stream=name, version=version)

        return say

    def _fold(
        self,
        replay: _Replay,
        ref: StreamRef,
        row: Mapping[str, Any],
        at: datetime,
        say: Callable[[str], None],
    ) -> bool:
        try:
            event = self._reads.event(row["kind"], row["body"])
        except Unreadable as err:
            say(str(err))
            return False
        try:
            after = self._product.fold(replay.state, event, ref, at)
            changes = self._product.deadlines(replay.state, event, after, ref, at)
        except Exception as err:  # noqa: BLE001 - a fold that fails is a finding, not the end of the run
            say(f"cannot be folded: {type(err).__name__}: {err}")
            return False
        replay.state = after
        for change in changes:
            if change.ref == ref:
                replay.deadlines[(change.clock, change.milestone)] = (
                    change.due,
                    change.state.value,
                    change.provisional,
                )
        return True

    def _state(self, name: str, row: Mapping[str, Any], state: msgspec.Struct) -> None:
        should = codec.encode_state(state)
        if row["state"] != should and not _grown(row["state"], should, type(state), state):
            self._fault("state", "is not the fold of the events", stream=name, version=row["version"])
        columns = self._product.row(state)
        for field in _ROW_FIELDS:
            found, wanted = row[field], getattr(columns, field)
            if isinstance(wanted, datetime) and found is not None:
                found = _at(found)
            elif isinstance(wanted, bool):
                found = bool(found) if found in (0, 1) else found
            if found != wanted:
                self._fault(
                    "row", f"column {field} is not that of the state", stream=name, version=row["version"]
                )

    def _deadline_rows(
        self,
        name: str,
        row: Mapping[str, Any],
        should: Mapping[tuple[str, str], tuple[datetime, str, bool]],
        deadlines: Sequence[Mapping[str, Any]],
    ) -> None:
        found = {(one["clock"], one["milestone"]): one for one in deadlines}
        self._deadlines += len(found)
        for key in should.keys() | found.keys():
            where = f"{key[0]}/{key[1]}"
            one = found.get(key)
            if one is None:
                self._fault("deadline", f"{where} is missing", stream=name)
                continue
            if key not in should:
                self._fault("deadline", f"{where} is not in the log", stream=name)
                continue
            due, state, provisional = should[key]
            if one["state"] == DeadlineState.QUARANTINED.value:
                self._quarantined += 1
                state, provisional = one["state"], bool(one["provisional"])
            scope = (row["platform"], row["division"])
            for what, is_, wanted in (
                ("due", _at(one["due"]), due),
                ("state", one["state"], state),
                ("provisional", one["provisional"], provisional),
                ("platform and division", (one["platform"], one["division"]), scope),
            ):
                if is_ != wanted:
                    self._fault("deadline", f"{where}: {what} is not that of the log", stream=name)

    def _erasable(
        self,
        name: str,
        ref: StreamRef,
        replay: _Replay,
        texts: Sequence[Mapping[str, Any]],
        sealed: Sequence[bytes],
        keys: int,
    ) -> None:
        left = dict(replay.texts)
        for one in texts:
            self._texts += 1
            digest = text_digest(ref.id, one["no"], one["field"], one["words"], one["salt"])
            if left.pop(one["no"], None) != digest:
                self._fault("text", f"number {one['no']} is not the one written", stream=name)
        for no in left:
            self._fault("text", f"number {no} is missing", stream=name)
        if [sealed_digest(one) for one in sealed] != ([replay.vault] if replay.vault else []):
            self._fault("vault", "the sealed fields are not the ones written", stream=name)
        if keys != bool(replay.vault):
            self._fault("vault", "the key is missing" if replay.vault else "a key is left", stream=name)

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

    def _fault(self, what: str, detail: str, *, stream: str = "", version: int = 0) -> None:
        self._faults.append(Fault(what=what, detail=detail, stream=stream, version=version))


class _Replay:
    """What a stream's log says."""

    def __init__(self) -> None:
        self.head = codec.GENESIS
        self.last_at: datetime | None = None
        self.state: msgspec.Struct | None = None
        self.deadlines: dict[tuple[str, str], tuple[datetime, str, bool]] = {}
        self.texts: dict[int, str] = {}
        self.vault = ""
        self.is_erased = False

    def prove(self, proofs: Iterable[Proof]) -> None:
        for proof in proofs:
            if proof.what == "erased":
                self.texts.clear()
                self.vault = ""
                self.is_erased = True
            elif proof.what == "text":
                self.texts[proof.no] = proof.digest
            else:
                self.vault = proof.digest


def _grown(stored: bytes, should: bytes, cls: type[msgspec.Struct], state: msgspec.Struct) -> bool:
    """Whether a stored state only lacks fields that its class has been given since, at their defaults."""
    try:
        lacks = _lacks(msgspec.msgpack.decode(stored), msgspec.msgpack.decode(should))
        return lacks and codec.decode_state(stored, cls) == state
    except (msgspec.DecodeError, Unreadable, ValueError):
        return False


def _lacks(stored: Any, should: Any) -> bool:
    if isinstance(stored, dict) and isinstance(should, dict):
        return all(key in should and _lacks(value, should[key]) for key, value in stored.items())
    if isinstance(stored, list) and isinstance(should, list):
        return len(stored) == len(should) and all(map(_lacks, stored, should))
    return bool(stored == should)


def _uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(str(value))


def _at(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return datetime.strptime(str(value), "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)


def _name(value: Any) -> str:
    try:
        return str(_uuid(value))
    except ValueError:
        return ascii(value)
