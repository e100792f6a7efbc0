"""From commands to rows, in memory: what a batch reads, what each command changes, what is to be written.

No I/O here. A command is staged completely or not at all, so that one bad command leaves no trace in a batch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid5

import msgspec

from dispatcher.domain.errors import KeyReused, Refused
from dispatcher.domain.library import UnknownRelease
from dispatcher.domain.stream import (
    LIVE,
    Change,
    DeadlineState,
    Planned,
    Product,
    Recorded,
    StreamRef,
    StreamRow,
    Submission,
    Versions,
)
from dispatcher.store import codec
from dispatcher.store.checksums import answer_checksum, utc_text
from dispatcher.store.engine import Again
from dispatcher.store.errors import Failed, Unreadable
from dispatcher.store.rows import NO_EVENT, DueRow, Loaded, Rows, StoredStream
from dispatcher.store.vault import Vault, effect_digest, new_salt, row_digest, sealed_digest, text_digest

log = logging.getLogger(__name__)

EFFECTS_PER_VERSION = 1000
"""A lane number is version × this + the effect's place in the command: it grows without a counter."""


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


class _Touched:
    """A stream while one change is being encoded; `apply` makes it so."""

    __slots__ = ("head", "last", "proofs", "raw", "row", "state", "version", "work")

    def __init__(self, work: _Working, state: msgspec.Struct, row: StreamRow) -> None:
        self.work = work
        self.state = state
        self.row = row
        self.version = work.version
        self.last = work.version  # the version after all events of the change
        self.head = work.head
        self.raw = b""
        self.proofs: list[codec.Proof] = []

    def apply(self, at: datetime) -> None:
        work = self.work
        work.version, work.head = self.version, self.head
        work.state, work.raw = self.state, self.raw
        work.last_at = at
        work.row = self.row
        work.scope = (self.row.platform, self.row.division)
        work.dirty = True


class Staged(msgspec.Struct, frozen=True):
    """A command that was taken. ``ordinal`` counts the batch's events up to and including its own."""

    answer: bytes
    ordinal: int


class Repeated(msgspec.Struct, frozen=True):
    """A message that was taken before, or earlier in this batch (then ``ordinal`` says where)."""

    answer: bytes
    position: int = 0
    ordinal: int = -1


class Staging:
    """Takes commands one after another on the streams a transaction has loaded."""

    def __init__(
        self, product: Product, vault: Vault, loaded: Loaded, now: datetime, *, patient: bool = False
    ) -> None:
        """``patient``: a case that names a release not loaded here yet makes the whole batch try again."""
        self._patient = patient
        self._product = product
        self._vault = vault
        self._loaded = loaded
        self._now = now.astimezone(UTC)
        # Keyed by the ids' integers: hashing a UUID runs Python code, and it happens dozens of times a command.
        self._streams: dict[int, _Working] = {}
        self._deadlines: dict[tuple[int, str, str], tuple[object, ...]] = {}
        self._texts: dict[tuple[int, int], tuple[object, ...]] = {}
        self._sealed: dict[int, tuple[UUID, bytes, bytes]] = {}
        self._erased: dict[UUID, None] = {}
        self._events: list[tuple[object, ...]] = []
        self._outbox: list[tuple[object, ...]] = []
        self._answers: list[tuple[object, ...]] = []
        self._now_text = utc_text(now)
        self._parties: dict[UUID, tuple[str, ...]] = {}
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
        before_it = len(self._events)
        staged = self._guarded(sent)
        self._here[sent.message_id] = (digest, staged.answer, staged.ordinal)
        self._answers.append(
            (
                sent.message_id,
                self._now,
                digest,
                staged.answer,
                staged.ordinal if staged.ordinal > before_it else NO_EVENT,
                answer_checksum(sent.message_id, self._now_text, digest, staged.answer),
            )
        )
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
                after = self._deadlines.get((due.stream_id.int, due.clock, due.milestone))
                if after is not None and (after[4] not in LIVE or _instant(after[3]) > due.due):
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
        working = self._streams.get(due.stream_id.int)
        scope = working.scope if working else (stored.platform, stored.division)
        self._deadlines[(due.stream_id.int, due.clock, due.milestone)] = (
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
        rows.parties = self._parties
        # In id order, like the locks: two nodes that insert the same streams must not wait crosswise.
        for _, work in sorted(self._streams.items()):
            ref, row = work.ref, work.row
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
        except UnknownRelease as err:
            if (
                self._patient
            ):  # another node has put it on the shelf; it is taken from there within two seconds
                raise Again(str(err)) from err
            raise self._failed("handle", sent.command, err) from err
        except Exception as err:  # a fault in decide, plan or encode refuses this command only
            raise self._failed("handle", sent.command, err) from err

    def _failed(self, where: str, what: object, err: Exception) -> Failed:
        name = type(what).__name__
        log.error("%s of %s failed: %s", where, name, type(err).__name__, exc_info=err)
        return Failed(f"{name} could not be carried out ({type(err).__name__})")

    def _stream(self, ref: StreamRef) -> _Working:
        work = self._streams.get(ref.id.int)
        if work is not None and work.ref.kind == ref.kind:
            return work
        if work is not None:
            raise Failed(f"stream {ref.id} is a {work.ref.kind}, not a {ref.kind}")
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
        work = self._streams[ref.id.int] = _Working(ref, stored, state)
        return work

    def _stage(self, sent: Submission) -> Staged:
        refs = sent.command.streams()
        works = [self._stream(ref) for ref in refs]
        at = self._now
        for work in works:
            if work.last_at is not None and work.last_at > at:
                at = work.last_at
        change = self._product.handle({work.ref: work.state for work in works}, sent, now=at)
        self._take(change, sent, at, refs)
        return Staged(answer=change.answer, ordinal=len(self._events))

    def _take(self, change: Change, sent: Submission, at: datetime, named: Sequence[StreamRef]) -> None:
        """Encode all of a change, then put it in: nothing is kept unless everything was encoded."""
        if not change.events:
            _check_nothing(change)
            return
        touched = self._touched(change, named)
        texts: dict[tuple[int, int], tuple[object, ...]] = {}
        sealed: dict[int, tuple[UUID, bytes, bytes]] = {}
        for gone in change.erased:
            _of(touched, gone.ref, "erasure").proofs.append(codec.Proof("erased"))
        for one in change.texts:
            proofs = _of(touched, one.ref, "text").proofs
            if "\x00" in one.words:
                raise Failed(f"text {one.field} contains U+0000")
            if (one.ref.id.int, one.no) in self._texts or (one.ref.id.int, one.no) in texts:
                raise Failed(f"text number {one.no} of {one.ref.kind} {one.ref.id} is taken")
            salt = new_salt()
            texts[(one.ref.id.int, one.no)] = (one.ref.id, one.no, one.field, one.words, salt)
            digest = text_digest(one.ref.id, one.no, one.field, one.words, salt)
            proofs.append(codec.Proof("text", one.no, digest))
        for secret in change.sealed:
            proofs = _of(touched, secret.ref, "sealed field").proofs
            sealing = self._vault.seal(secret.ref.id, secret.plain)
            sealed[secret.ref.id.int] = (secret.ref.id, sealing.sealed, sealing.wrapped)
            proofs.append(codec.Proof("vault", 0, sealed_digest(sealing.sealed)))
        if len(change.effects) >= EFFECTS_PER_VERSION:
            raise Failed(f"{len(change.effects)} effects in one command; {EFFECTS_PER_VERSION - 1} at most")
        outbox = [_letter(planned, place, touched, at) for place, planned in enumerate(change.effects)]
        for touch in touched.values():
            if touch.row.title is not None or touch.row.caller_mac is not None:
                touch.proofs.append(_row_proof(touch, texts.values(), sealed.get(touch.work.ref.id.int)))
        events = [self._event(recorded, touched, sent, at) for recorded in change.events]
        for touch in touched.values():
            touch.raw = codec.encode_state(touch.state)
        deadlines: dict[tuple[int, str, str], tuple[object, ...]] = {}
        for change_ in change.deadlines:
            touch = _of(touched, change_.ref, "deadline")
            deadlines[(change_.ref.id.int, change_.clock, change_.milestone)] = (
                change_.ref.id,
                change_.clock,
                change_.milestone,
                change_.due,
                change_.state.value,
                change_.provisional,
                touch.row.platform,
                touch.row.division,
            )
        # From here on nothing can fail.
        for touch in touched.values():
            touch.apply(at)
        for gone in change.erased:
            self._erase(touched[gone.ref.id.int].work, at)
        for touch in touched.values():
            if touch.row.title is not None:
                touch.work.title = touch.row.title
            if touch.row.caller_mac is not None:
                touch.work.caller_mac = touch.row.caller_mac
        self._texts.update(texts)
        self._sealed.update(sealed)
        self._events += events
        self._outbox += outbox
        self._deadlines.update(deadlines)
        for ref, units in change.parties.items():
            self._parties[ref.id] = units

    def _touched(self, change: Change, named: Sequence[StreamRef]) -> dict[int, _Touched]:
        """The streams a change touches. A product that breaks its promises is a fault of ours; say which one."""
        touched: dict[int, _Touched] = {}
        for recorded in change.events:
            ref = recorded.ref
            if ref.id.int in touched:
                touched[ref.id.int].last += 1
                continue
            if ref not in named:
                raise Failed(f"the decision changed {ref.kind} {ref.id}, which its command does not name")
            state, row = change.states.get(ref), change.rows.get(ref)
            if state is None or row is None:
                raise Failed(f"the decision left out the state or row of {ref.kind} {ref.id}")
            if "\x00" in "".join(
                (row.number, row.holder, row.unit, row.kind, row.category, row.item, row.title or "")
            ):
                # PostgreSQL cannot store it; what one engine refuses, the other refuses too.
                raise Failed(f"the row of {ref.kind} {ref.id} contains U+0000")
            touch = touched[ref.id.int] = _Touched(self._streams[ref.id.int], state, row)
            touch.last += 1
        return touched

    def _event(
        self, recorded: Recorded, touched: dict[int, _Touched], sent: Submission, at: datetime
    ) -> tuple[object, ...]:
        ref = recorded.ref
        touch = touched[ref.id.int]
        touch.version += 1
        body = codec.encode(recorded.event)
        kind = codec.kind_of(type(recorded.event))
        versions = self._versions.get(recorded.versions)
        if versions is None:
            versions = self._versions[recorded.versions] = codec.encode_versions(recorded.versions)
        digests = codec.encode_proofs(touch.proofs)
        touch.proofs = []
        platform, division = touch.row.platform, touch.row.division
        touch.head = codec.chain(
            touch.head,
            stream_kind=ref.kind,
            stream_id=ref.id,
            version=touch.version,
            at=at,
            kind=kind,
            body=body,
            by=recorded.by,
            unit=recorded.unit,
            message_id=sent.message_id,
            versions=versions,
            digests=digests,
            platform=platform,
            division=division,
        )
        return (
            at,
            ref.kind,
            ref.id,
            touch.version,
            kind,
            body,
            touch.head,
            recorded.by,
            recorded.unit,
            sent.message_id,
            versions,
            digests,
            platform,
            division,
        )

    def _erase(self, work: _Working, at: datetime) -> None:
        number = work.ref.id.int
        self._erased[work.ref.id] = None
        for key in [key for key in self._texts if key[0] == number]:
            del self._texts[key]
        self._sealed.pop(number, None)
        work.title = work.caller_mac = None
        work.cleared = at


def _of(touched: dict[int, _Touched], ref: StreamRef, what: str) -> _Touched:
    touch = touched.get(ref.id.int)
    if touch is None or touch.work.ref.kind != ref.kind:
        raise Failed(f"{what} of {ref.kind} {ref.id} without an event of that stream")
    return touch


def _row_proof(
    touch: _Touched, texts: Iterable[tuple[object, ...]], sealed: tuple[UUID, bytes, bytes] | None
) -> codec.Proof:
    """The digest of title and search digest, salted by what is erased together with them."""
    ref, row = touch.work.ref, touch.row
    if touch.work.version:
        raise Failed(f"title and search digest of {ref.kind} {ref.id} are set with its first event only")
    for stream_id, no, _, _, salt in texts:
        if stream_id == ref.id:
            assert isinstance(no, int)
            assert isinstance(salt, bytes)
            return codec.Proof("row", no, row_digest(ref.id, row.title, row.caller_mac, salt))
    if sealed is None:
        raise Failed(f"title or search digest of {ref.kind} {ref.id} without a text or sealed field")
    return codec.Proof("row", -1, row_digest(ref.id, row.title, row.caller_mac, sealed[1]))


def _letter(planned: Planned, place: int, touched: dict[int, _Touched], at: datetime) -> tuple[object, ...]:
    """The outbox row of an effect; the chain gets its digest."""
    ref = planned.ref
    touch = _of(touched, ref, "effect")
    no = touch.last * EFFECTS_PER_VERSION + place
    receiver = planned.effect.receiver()
    not_before = planned.not_before
    body = codec.encode(planned.effect)
    touch.proofs.append(codec.Proof("effect", no, effect_digest(body)))
    return (
        uuid5(ref.id, f"effect/{no}"),
        at,
        f"{receiver}|{ref.id}",
        no,
        ref.kind,
        ref.id,
        receiver,
        codec.kind_of(type(planned.effect)),
        body,
        "ready",
        0,
        at if not_before is None or not_before < at else not_before,
        "",
    )


def _check_nothing(change: Change) -> None:
    """Without an event there is nothing to hang anything on."""
    if change.deadlines or change.effects or change.texts or change.sealed or change.erased or change.parties:
        raise Failed("the decision plans consequences without any event")


def _reused(sent: Submission) -> KeyReused:
    return KeyReused(
        "This message id (Idempotency-Key) was used for other content.",
        field="message_id",
        value=str(sent.message_id),
        remedy="repeat exactly what was sent, or send the new content under a new id",
    )


def _instant(value: object) -> datetime:
    assert isinstance(value, datetime)
    return value
