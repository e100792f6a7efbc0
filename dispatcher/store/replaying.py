"""Verify, one stream: its log replayed, and what its rows have to be then."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from dispatcher.domain.stream import Product, StreamRef
from dispatcher.store import codec
from dispatcher.store.codec import Codec, Proof
from dispatcher.store.errors import Unreadable
from dispatcher.store.findings import Findings, instant_of, uuid_of

ENVELOPE = (
    "stream_kind",
    "stream_id",
    "version",
    "at",
    "kind",
    "body",
    "hash",
    "by",
    "unit",
    "message_id",
    "versions",
    "digests",
    "platform",
    "division",
)
"""The columns that an event's hash covers, and the hash."""


class Replay:
    """What a stream's log says its rows are."""

    def __init__(self) -> None:
        self.head = codec.GENESIS
        self.last_at: datetime | None = None
        self.state: msgspec.Struct | None = None
        self.events: list[tuple[datetime, int]] = []  # of each version: instant, position
        self.deadlines: dict[tuple[str, str], tuple[datetime, str, bool]] = {}
        self.texts: dict[int, str] = {}
        self.effects: dict[int, str] = {}
        self.vault = ""
        self.row: Proof | None = None
        self.erased: datetime | None = None

    def prove(self, proofs: Iterable[Proof], at: datetime) -> None:
        """Take in what an event says beside its body."""
        for proof in proofs:
            match proof.what:
                case "erased":
                    self.texts.clear()
                    self.vault = ""
                    self.row = None
                    self.erased = at
                case "text":
                    self.texts[proof.no] = proof.digest
                case "vault":
                    self.vault = proof.digest
                case "row":
                    self.row = proof
                case "effect":
                    self.effects[proof.no] = proof.digest
                case _:
                    raise Unreadable(f"digests: {proof.what!r} is unknown")


def replay(
    ref: StreamRef,
    name: str,
    events: Sequence[Mapping[str, Any]],
    product: Product,
    reads: Codec,
    findings: Findings,
    anchored: Callable[[int, int, bytes], None],
) -> Replay:
    """Fold a stream's events. Every one that is not as it was written is a fault; a log that cannot be folded leaves
    the state None. ``anchored`` is told position, version and hash of each."""
    done = Replay()
    head = codec.GENESIS
    second: bytes | None = (
        None  # where the stored hash of the event before was damaged: the one it should have
    )
    position = 0
    foldable = True
    for number, row in enumerate(events, 1):
        findings.events += 1
        version = int(row["version"])

        def say(detail: str, column: str = "", *, version: int = version) -> None:
            findings.add(
                "event",
                detail,
                table="event",
                row=f"{name} v{version}",
                column=column,
                stream=name,
                version=version,
            )

        if version != number:
            say(f"version {number} expected", "version")
            foldable = False
        if row["position"] <= position:
            say("its position is not after the one before", "position")
        position = row["position"]
        before = head
        try:
            at = instant_of(row["at"])
            proofs = codec.decode_proofs(row["digests"])
            computed = _chained(before, row)
            fits = computed == row["hash"] or (second is not None and _chained(second, row) == row["hash"])
        except (ValueError, TypeError, Unreadable) as err:
            say(f"cannot be read: {type(err).__name__}", _changed(findings, before, row))
            head, second, foldable = row["hash"], None, False
            continue
        second = None if fits else computed
        if not fits:
            column = "" if version != number else _changed(findings, before, row)
            where = f"; one byte of {column} put back mends it" if column else ""
            say(f"content or hash was changed: the chain breaks here{where}", column)
        if done.last_at is not None and at < done.last_at:
            say("is older than the one before", "at")
        head = done.head = row["hash"]
        done.last_at = at
        done.events.append((at, row["position"]))
        try:
            done.prove(proofs, at)
        except Unreadable as err:
            say(str(err), "digests")
        anchored(row["position"], version, row["hash"])
        if foldable:
            foldable = _fold(done, ref, row, at, product, reads, say)
    if not foldable:
        done.state = None
    return done


def _chained(before: bytes, row: Mapping[str, Any]) -> bytes:
    return codec.chain(
        before,
        stream_kind=row["stream_kind"],
        stream_id=uuid_of(row["stream_id"]),
        version=int(row["version"]),
        at=instant_of(row["at"]),
        kind=row["kind"],
        body=row["body"],
        by=row["by"],
        unit=row["unit"],
        message_id=uuid_of(row["message_id"]),
        versions=row["versions"],
        digests=row["digests"],
        platform=row["platform"],
        division=row["division"],
    )


def _changed(findings: Findings, before: bytes, row: Mapping[str, Any]) -> str:
    return findings.search(row, ENVELOPE, lambda one: _chained(before, one) == one["hash"])


def _fold(
    done: Replay,
    ref: StreamRef,
    row: Mapping[str, Any],
    at: datetime,
    product: Product,
    reads: Codec,
    say: Callable[[str, str], None],
) -> bool:
    try:
        event = reads.event(row["kind"], row["body"])
    except Unreadable as err:
        say(str(err), "")
        return False
    try:
        after = product.fold(done.state, event, ref, at)
        changes = product.deadlines(done.state, event, after, ref, at)
    except Exception as err:  # noqa: BLE001 - a fold that fails is a finding, not the end of the run
        say(f"cannot be folded: {type(err).__name__}: {err}", "")
        return False
    done.state = after
    for change in changes:
        if change.ref == ref:
            done.deadlines[(change.clock, change.milestone)] = (
                change.due,
                change.state.value,
                change.provisional,
            )
    return True
