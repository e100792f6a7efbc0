"""From commands to rows, in memory: what a batch reads, what each command changes, what is to be written.

No I/O here. A command is staged completely or not at all, so that one bad command leaves no trace in a batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid5

import msgspec

from dispatcher.domain.errors import KeyReused, Refused
from dispatcher.domain.stream import (
    Change,
    DeadlineState,
    Product,
    StreamRef,
    StreamRow,
    Submission,
    Versions,
)
from dispatcher.store import codec
from dispatcher.store.errors import Failed, Unreadable
from dispatcher.store.vault import Vault, new_salt, sealed_digest, text_digest

log = logging.getLogger(__name__)

EFFECTS_PER_VERSION = 1000
"""A lane number is version × this + the effect's place in the command: it grows without a counter."""


class StoredStream(msgspec.Struct, frozen=True, gc=False):
    """A stream row as the writer loads it."""

    id: UUID
    kind: str
    version: int
    head: bytes
    last_at: datetime
    state: bytes
    platform: str
    division: str


class StoredAnswer(msgspec.Struct, frozen=True, gc=False):
    """A message that was taken before."""

    message_id: UUID
    digest: bytes
    answer: bytes
    position: int


class Loaded(msgspec.Struct, frozen=True):
    """What a transaction read under its locks."""

    streams: dict[UUID, StoredStream]
    answers: dict[UUID, StoredAnswer]


class DueRow(msgspec.Struct, frozen=True, gc=False):
    """An armed deadline whose instant has passed."""

    stream_id: UUID
    clock: str
    milestone: str
    due: datetime


class Rows:
    """Everything one transaction writes, as plain tuples in the order of the columns named beside them."""

    __slots__ = (
        "answers",
        "clears",
        "deadlines",
        "erased",
        "events",
        "inserts",
        "moved",
        "outbox",
        "sealed",
        "texts",
        "updates",
    )

    def __init__(self) -> None:
        self.inserts: list[tuple[object, ...]] = []  # STREAM_COLUMNS
        self.updates: list[tuple[object, ...]] = []  # STREAM_COLUMNS
        self.clears: list[tuple[UUID, datetime]] = []  # id, erased
        self.moved: list[tuple[UUID, str, str]] = []  # id, platform, division
        self.erased: list[UUID] = []
        self.events: list[tuple[object, ...]] = []  # EVENT_COLUMNS without position
        self.deadlines: list[tuple[object, ...]] = []  # DEADLINE_COLUMNS
        self.outbox: list[tuple[object, ...]] = []  # OUTBOX_COLUMNS
        self.answers: list[tuple[object, ...]] = []  # INBOX_COLUMNS, position relative to the batch
        self.texts: list[tuple[object, ...]] = []  # stream_id, no, field, words, salt
        self.sealed: list[tuple[UUID, bytes, bytes]] = []  # stream_id, sealed, wrapped

    @property
    def empty(self) -> bool:
        """Nothing to write."""
        return not (self.events or self.answers or self.deadlines or self.updates or self.inserts)


STREAM_COLUMNS = (
    ("id", "uuid"),
    ("stream_kind", "text"),
    ("version", "bigint"),
    ("head", "bytea"),
    ("last_at", "timestamptz"),
    ("state", "bytea"),
    ("platform", "text"),
    ("division", "text"),
    ("stage", "text"),
    ("open", "boolean"),
    ("number", "text"),
    ("holder", "text"),
    ("unit", "text"),
    ("urgency", "text"),
    ("kind", "text"),
    ("category", "text"),
    ("item", "text"),
    ("lamp", "text"),
    ("danger", "boolean"),
    ("received", "timestamptz"),
    ("due", "timestamptz"),
    ("title", "text"),
    ("caller_mac", "bytea"),
)
EVENT_COLUMNS = (
    ("at", "timestamptz"),
    ("stream_kind", "text"),
    ("stream_id", "uuid"),
    ("version", "bigint"),
    ("kind", "text"),
    ("body", "bytea"),
    ("hash", "bytea"),
    ("by", "text"),
    ("unit", "text"),
    ("message_id", "uuid"),
    ("versions", "text"),
    ("digests", "bytea"),
    ("platform", "text"),
    ("division", "text"),
)
DEADLINE_COLUMNS = (
    ("stream_id", "uuid"),
    ("clock", "text"),
    ("milestone", "text"),
    ("due", "timestamptz"),
    ("state", "text"),
    ("provisional", "boolean"),
    ("platform", "text"),
    ("division", "text"),
)
OUTBOX_COLUMNS = (
    ("key", "uuid"),
    ("created", "timestamptz"),
    ("lane", "text"),
    ("no", "bigint"),
    ("stream_kind", "text"),
    ("stream_id", "uuid"),
    ("receiver", "text"),
    ("kind", "text"),
    ("body", "bytea"),
    ("state", "text"),
    ("attempts", "integer"),
    ("next_try", "timestamptz"),
    ("last_error", "text"),
)
INBOX_COLUMNS = (
    ("message_id", "uuid"),
    ("at", "timestamptz"),
    ("digest", "bytea"),
    ("answer", "bytea"),
    ("position", "bigint"),
)


class _Working:
    """A stream while a batch changes it."""

    __slots__ = (
        "caller_mac",
        "cleared",
        "dirty",
        "head",
        "last_at",
        "new",
        "raw",
        "ref",
        "row",
        "scope",
        "state",
        "title",
        "version",
    )

    def __init__(self, ref: StreamRef, stored: StoredStream | None, state: msgspec.Struct | None) -> None:
        self.ref = ref
        self.state = state
        self.new = stored is None
        self.version = stored.version if stored else 0
        self.head = stored.head if stored else codec.GENESIS
        self.last_at: datetime | None = stored.last_at if stored else None
        self.scope = (stored.platform, stored.division) if stored else ("", "")
        self.raw = b""
        self.row: StreamRow | None = None
        self.title: str | None = None
        self.caller_mac: bytes | None = None
        self.cleared: datetime | None = None
        self.dirty = False


class Staged(msgspec.Struct, frozen=True):
    """A command that was taken. ``ordinal`` counts the batch's events up to and including its own."""

    answer: bytes
    ordinal: int
    change: Change


class Repeated(msgspec.Struct, frozen=True):
    """A message that was taken before, or earlier in this batch (then ``ordinal`` says where)."""

    answer: bytes
    position: int = 0
    ordinal: int = -1


class Staging:
    """Takes commands one after another on the streams a transaction has loaded."""

    def __init__(self, product: Product, vault: Vault, loaded: Loaded, now: datetime) -> None:
        self._product = product
        self._vault = vault
        self._loaded = loaded
        self._now = now.astimezone(UTC)
        self._streams: dict[StreamRef, _Working] = {}
        self._deadlines: dict[tuple[UUID, str, str], tuple[object, ...]] = {}
        self._texts: dict[tuple[UUID, int], tuple[object, ...]] = {}
        self._sealed: dict[UUID, tuple[UUID, bytes, bytes]] = {}
        self._erased: dict[UUID, None] = {}
        self._events: list[tuple[object, ...]] = []
        self._outbox: list[tuple[object, ...]] = []
        self._answers: list[tuple[object, ...]] = []
        self._here: dict[UUID, tuple[bytes, bytes, int]] = {}
        self._versions: dict[Versions, str] = {}

    def submit(self, sent: Submission, digest: bytes) -> Staged | Repeated:
        """Stage a command of the inbox.

        Raises:
            Refused: the domain says no, or the message id came before with other content.
            Failed: a fault of ours or of its data.
        """
        before = self._loaded.answers.get(sent.message_id)
        if before is not None:
            if before.digest != digest:
                raise _reused(sent)
            return Repeated(answer=before.answer, position=before.position)
        here = self._here.get(sent.message_id)
        if here is not None:
            if here[0] != digest:
                raise _reused(sent)
            return Repeated(answer=here[1], ordinal=here[2])
        staged = self._guarded(sent)
        self._here[sent.message_id] = (digest, staged.answer, staged.ordinal)
        self._answers.append((sent.message_id, self._now, digest, staged.answer, staged.ordinal))
        return staged

    def expiry(self, due: DueRow) -> Submission | None:
        """The command that settles a due deadline, or None where it cannot be made."""
        ref = StreamRef(self._loaded.streams[due.stream_id].kind, due.stream_id)
        try:
            return self._product.expire(ref, due.clock, due.milestone, due.due)
        except Exception as err:  # one bad row must not stop the sweep
            log.error(
                "expire of %s/%s failed: %s", due.clock, due.milestone, type(err).__name__, exc_info=err
            )
            return None

    def settle(self, due: DueRow, sent: Submission | None) -> bool:
        """Stage the command that settles a due deadline; the row leaves the state ``armed`` or moves ahead.

        Returns False where that failed, or where the decision left the row as it was: then the row goes into
        quarantine, for the sweep must not spin on it, and a person must look.
        """
        why = "its command could not be made"
        if sent is not None:
            try:
                self._guarded(sent)
                after = self._deadlines.get((due.stream_id, due.clock, due.milestone))
                if after is not None and (
                    after[4] != DeadlineState.ARMED.value or _instant(after[3]) > due.due
                ):
                    return True
                why = "the decision left it armed"
            except Refused as err:
                why = f"refused: {err.code}"
            except Failed as err:
                why = err.why
        log.error(
            "deadline put into quarantine: stream=%s clock=%s milestone=%s why=%s",
            due.stream_id,
            due.clock,
            due.milestone,
            why,
        )
        self.quarantine(due)
        return False

    def quarantine(self, due: DueRow) -> None:
        """Take a deadline out of the sweep until a person has looked."""
        stored = self._loaded.streams[due.stream_id]
        working = self._streams.get(StreamRef(stored.kind, due.stream_id))
        scope = working.scope if working else (stored.platform, stored.division)
        self._deadlines[(due.stream_id, due.clock, due.milestone)] = (
            due.stream_id,
            due.clock,
            due.milestone,
            due.due,
            DeadlineState.QUARANTINED.value,
            False,
            *scope,
        )

    def rows(self) -> Rows:
        """What the transaction has to write."""
        rows = Rows()
        rows.events = self._events
        rows.outbox = self._outbox
        rows.answers = self._answers
        rows.deadlines = list(self._deadlines.values())
        rows.texts = list(self._texts.values())
        rows.sealed = list(self._sealed.values())
        rows.erased = list(self._erased)
        # In id order, like the locks: two nodes that insert the same streams must not wait crosswise.
        for ref, work in sorted(self._streams.items(), key=lambda item: item[0].id):
            row = work.row
            if not work.dirty or row is None:
                continue
            (rows.inserts if work.new else rows.updates).append(
                (
                    ref.id,
                    ref.kind,
                    work.version,
                    work.head,
                    work.last_at,
                    work.raw,
                    row.platform,
                    row.division,
                    row.stage,
                    row.open,
                    row.number,
                    row.holder,
                    row.unit,
                    row.urgency,
                    row.kind,
                    row.category,
                    row.item,
                    row.lamp,
                    row.danger,
                    row.received,
                    row.due,
                    work.title,
                    work.caller_mac,
                )
            )
            if work.cleared is not None:
                rows.clears.append((ref.id, work.cleared))
            if not work.new:
                stored = self._loaded.streams[ref.id]
                if (stored.platform, stored.division) != work.scope:
                    rows.moved.append((ref.id, *work.scope))
        return rows

    def _guarded(self, sent: Submission) -> Staged:
        try:
            return self._stage(sent)
        except (Refused, Failed):
            raise
        except Exception as err:  # a fault in decide, plan or encode refuses this command only
            raise self._failed("handle", sent.command, err) from err

    def _failed(self, where: str, what: object, err: Exception) -> Failed:
        name = type(what).__name__
        log.error("%s of %s failed: %s", where, name, type(err).__name__, exc_info=err)
        return Failed(f"{name} could not be carried out ({type(err).__name__})")

    def _stream(self, ref: StreamRef) -> _Working:
        work = self._streams.get(ref)
        if work is not None:
            return work
        stored = self._loaded.streams.get(ref.id)
        if stored is not None and stored.kind != ref.kind:
            raise Failed(f"stream {ref.id} is a {stored.kind}, not a {ref.kind}")
        try:
            state = (
                codec.decode_state(stored.state, self._product.state_type(ref.kind))
                if stored is not None
                else None
            )
        except Unreadable as err:
            log.error("stored state of %s %s is unreadable; run: liandong verify", ref.kind, ref.id)
            raise Failed(f"the stored state of {ref.kind} {ref.id} is unreadable") from err
        work = self._streams[ref] = _Working(ref, stored, state)
        return work

    def _stage(self, sent: Submission) -> Staged:
        refs = sent.command.streams()
        states = {ref: self._stream(ref).state for ref in refs}
        at = self._now
        for ref in refs:
            last = self._streams[ref].last_at
            if last is not None and last > at:
                at = last
        change = self._product.handle(states, sent, now=at)
        self._take(change, sent, at, frozenset(refs))
        return Staged(answer=change.answer, ordinal=len(self._events), change=change)

    def _take(self, change: Change, sent: Submission, at: datetime, named: frozenset[StreamRef]) -> None:
        """Encode all of a change, then put it in: nothing is kept unless everything was encoded."""
        touched = {recorded.ref for recorded in change.events}
        _check(change, named, touched)
        texts: list[tuple[tuple[UUID, int], tuple[object, ...]]] = []
        sealed: dict[UUID, tuple[UUID, bytes, bytes]] = {}
        proofs: dict[StreamRef, list[codec.Proof]] = {}
        for gone in change.erased:
            proofs.setdefault(gone.ref, []).append(codec.Proof("erased"))
        for one in change.texts:
            if "\x00" in one.words:
                raise Failed(f"text {one.field} contains U+0000")
            salt = one.salt or new_salt()
            digest = text_digest(one.ref.id, one.no, one.field, one.words, salt)
            if (one.ref.id, one.no) in self._texts:
                raise Failed(f"text number {one.no} of {one.ref.kind} {one.ref.id} is taken")
            texts.append(((one.ref.id, one.no), (one.ref.id, one.no, one.field, one.words, salt)))
            proofs.setdefault(one.ref, []).append(codec.Proof("text", one.no, digest))
        for secret in change.sealed:
            sealing = self._vault.seal(secret.ref.id, secret.plain)
            sealed[secret.ref.id] = (secret.ref.id, sealing.sealed, sealing.wrapped)
            proofs.setdefault(secret.ref, []).append(codec.Proof("vault", 0, sealed_digest(sealing.sealed)))
        heads = {
            ref: (work.version, work.head) for ref, work in ((ref, self._streams[ref]) for ref in touched)
        }
        events: list[tuple[object, ...]] = []
        for recorded in change.events:
            ref = recorded.ref
            row = change.rows[ref]
            version, head = heads[ref]
            if "\x00" in "".join(
                (row.number, row.holder, row.unit, row.kind, row.category, row.item, row.title or "")
            ):
                # PostgreSQL cannot store it; what one engine refuses, the other refuses too.
                raise Failed(f"the row of {ref.kind} {ref.id} contains U+0000")
            version += 1
            body = codec.encode(recorded.event)
            kind = codec.kind_of(type(recorded.event))
            versions = self._versions.get(recorded.versions)
            if versions is None:
                versions = self._versions[recorded.versions] = codec.encode_versions(recorded.versions)
            digests = codec.encode_proofs(proofs.pop(ref, ()))
            head = codec.chain(
                head,
                stream_kind=ref.kind,
                stream_id=ref.id,
                version=version,
                at=at,
                kind=kind,
                body=body,
                by=recorded.by,
                unit=recorded.unit,
                message_id=sent.message_id,
                versions=versions,
                digests=digests,
                platform=row.platform,
                division=row.division,
            )
            heads[ref] = (version, head)
            events.append(
                (
                    at,
                    ref.kind,
                    ref.id,
                    version,
                    kind,
                    body,
                    head,
                    recorded.by,
                    recorded.unit,
                    sent.message_id,
                    versions,
                    digests,
                    row.platform,
                    row.division,
                )
            )
        states = {ref: codec.encode_state(change.states[ref]) for ref in touched}
        outbox: list[tuple[object, ...]] = []
        for place, planned in enumerate(change.effects):
            ref = planned.ref
            no = heads[ref][0] * EFFECTS_PER_VERSION + place
            receiver = planned.effect.receiver()
            not_before = planned.not_before
            outbox.append(
                (
                    uuid5(ref.id, f"effect/{no}"),
                    at,
                    f"{receiver}|{ref.id}",
                    no,
                    ref.kind,
                    ref.id,
                    receiver,
                    codec.kind_of(type(planned.effect)),
                    codec.encode(planned.effect),
                    "ready",
                    0,
                    at if not_before is None or not_before < at else not_before,
                    "",
                )
            )
        deadlines = {
            (one.ref.id, one.clock, one.milestone): (
                one.ref.id,
                one.clock,
                one.milestone,
                one.due,
                one.state.value,
                one.provisional,
                change.rows[one.ref].platform,
                change.rows[one.ref].division,
            )
            for one in change.deadlines
        }
        # From here on nothing can fail.
        for ref in touched:
            work = self._streams[ref]
            row = change.rows[ref]
            work.version, work.head = heads[ref]
            work.state, work.raw = change.states[ref], states[ref]
            work.last_at = at
            work.row = row
            work.dirty = True
            work.scope = (row.platform, row.division)
        for gone in change.erased:
            self._erase(self._streams[gone.ref], at)
        for ref in touched:
            work, row = self._streams[ref], change.rows[ref]
            if row.title is not None:
                work.title = row.title
            if row.caller_mac is not None:
                work.caller_mac = row.caller_mac
        self._texts.update(texts)
        self._sealed.update(sealed)
        self._events += events
        self._outbox += outbox
        self._deadlines.update(deadlines)

    def _erase(self, work: _Working, at: datetime) -> None:
        id_ = work.ref.id
        self._erased[id_] = None
        for key in [key for key in self._texts if key[0] == id_]:
            del self._texts[key]
        self._sealed.pop(id_, None)
        work.title = work.caller_mac = None
        work.cleared = at


def _check(change: Change, named: frozenset[StreamRef], touched: Iterable[StreamRef]) -> None:
    """A product that breaks the contract is a fault of ours; say which promise."""
    for ref in touched:
        if ref not in named:
            raise Failed(f"the decision changed {ref.kind} {ref.id}, which its command does not name")
        if ref not in change.states or ref not in change.rows:
            raise Failed(f"the decision left out the state or row of {ref.kind} {ref.id}")
    kept: tuple[Sequence[object], ...] = (
        change.deadlines,
        change.effects,
        change.texts,
        change.sealed,
        change.erased,
    )
    for things in kept:
        for thing in things:
            ref = thing.ref  # type: ignore[attr-defined]
            if ref not in touched:
                raise Failed(f"{type(thing).__name__} of {ref.kind} {ref.id} without an event of that stream")
    if len(change.effects) >= EFFECTS_PER_VERSION:
        raise Failed(f"{len(change.effects)} effects in one command; {EFFECTS_PER_VERSION - 1} at most")


def _reused(sent: Submission) -> KeyReused:
    return KeyReused(
        "这个消息编号已用于另一条内容 (this message id was used for other content)",
        field="message_id",
        value=str(sent.message_id),
        remedy="repeat exactly what was sent, or send the new content under a new id",
    )


def _instant(value: object) -> datetime:
    assert isinstance(value, datetime)
    return value


Observe = Callable[["BatchSeen"], None]


class BatchSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What one transaction of the writer did, for telemetry. ``seconds`` spans load to commit.

    ``what`` is "batch" or "settle"; ``retries`` counts attempts that were rolled back and tried again;
    ``position`` is that of the last event (0 where nothing was written): a hint to wake relay, sweep and feed.
    """

    what: str
    commands: int
    refused: int
    failed: int
    events: int
    position: int
    seconds: float
    retries: int
