"""Verify, one stream: its rows in every table held against its replayed log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid5

import msgspec

from dispatcher.domain.stream import DeadlineState, Product, StreamRef
from dispatcher.store import codec
from dispatcher.store.codec import Codec
from dispatcher.store.errors import Unreadable
from dispatcher.store.findings import Findings, is_instant, name_of, uuid_of
from dispatcher.store.outbox import DEAD, READY, SENT, SKIPPED
from dispatcher.store.replaying import Replay
from dispatcher.store.rows import STREAM_COLUMNS
from dispatcher.store.staging import EFFECTS_PER_VERSION
from dispatcher.store.vault import CannotUnseal, Vault, effect_digest, row_digest, sealed_digest, text_digest

OF_A_STREAM = ("deadline", "text", "vault", "vault_key", "party", "outbox")
"""Tables whose rows belong to a stream, beside its own row and its events."""

Row = Mapping[str, Any]
_FOLDED = tuple(name for name, _ in STREAM_COLUMNS[6:] if name not in ("title", "caller_mac"))
_STATES = frozenset({READY, SENT, DEAD, SKIPPED})
_effect = msgspec.json.Decoder(dict[str, Any])


class StreamProof:
    """Holds rows against a replay."""

    def __init__(
        self, product: Product, reads: Codec, vault: Vault | None, findings: Findings, proofs_after: int
    ) -> None:
        self._product = product
        self._reads = reads
        self._vault = vault
        self._findings = findings
        self._proofs_after = proofs_after

    def rows(
        self,
        ref: StreamRef,
        name: str,
        row: Row,
        done: Replay,
        version: int,
        others: Mapping[str, Sequence[Row]],
    ) -> None:
        """Prove everything that is kept of a stream."""
        for column, fits in (
            ("version", row["version"] == version),
            ("head", row["head"] == done.head),
            ("last_at", is_instant(row["last_at"], done.last_at)),
            ("erased", is_instant(row["erased"], done.erased)),
        ):
            if not fits:
                self._say("stream", f"{column} is not that of the log", "stream", name, column, name)
        self._findings.erased += done.erased is not None
        salts = self._texts(ref, name, done, others["text"])
        sealed = self._sealed(ref, name, done, others["vault"], others["vault_key"])
        if sealed is not None:
            salts[-1] = sealed
        self._personal(ref, name, row, done, salts)
        self._effects(ref, name, done, others["outbox"])
        if done.state is None:
            return  # the log itself cannot be folded, which was said already
        self._state(name, row, done.state)
        self._parties(name, done.state, others["party"])
        self._deadlines(name, row, done.deadlines, others["deadline"])

    def _say(
        self, what: str, detail: str, table: str, row: str, column: str, stream: str, version: int = 0
    ) -> None:
        self._findings.add(what, detail, table=table, row=row, column=column, stream=stream, version=version)

    def _state(self, name: str, row: Row, state: msgspec.Struct) -> None:
        should = codec.encode_state(state)
        version = row["version"]
        if row["state"] != should and not _grown(row["state"], should, type(state), state):
            self._say("state", "is not the fold of the events", "stream", name, "state", name, version)
        columns = self._product.row(state)
        for field in _FOLDED:
            found, wanted = row[field], getattr(columns, field)
            if isinstance(wanted, datetime) or field in ("received", "due"):
                fits = is_instant(found, wanted)
            elif isinstance(wanted, bool):
                fits = found in (0, 1) and bool(found) == wanted
            else:
                fits = found == wanted
            if not fits:
                detail = f"column {field} is not that of the state"
                self._say("row", detail, "stream", name, field, name, version)

    def _personal(
        self, ref: StreamRef, name: str, row: Row, done: Replay, salts: Mapping[int, bytes]
    ) -> None:
        """Title and search digest: erased, never set, or as the first event says."""
        if done.row is None:
            there = [column for column in ("title", "caller_mac") if row[column] is not None]
            if there and done.erased is None and done.events and done.events[0][1] <= self._proofs_after:
                self._findings.unproved += 1
                return
            for column in there:
                why = "was erased" if done.erased is not None else "is not in the log"
                self._say("row", f"column {column} {why}", "stream", name, column, name)
            return
        salt = salts.get(done.row.no)
        if salt is None:
            return  # the text or sealed field that salts it is damaged, which was said already
        digest = done.row.digest

        def good(one: Row) -> bool:
            return row_digest(ref.id, one["title"], one["caller_mac"], salt) == digest

        try:
            if good(row):
                return
        except ValueError:
            pass
        column = self._findings.search(row, ("title", "caller_mac"), good)
        self._say(
            "row", f"column {column or 'title or caller_mac'} was changed", "stream", name, column, name
        )

    def _parties(self, name: str, state: msgspec.Struct, parties: Sequence[Row]) -> None:
        should = set(self._product.parties(state))
        found = {one["unit"] for one in parties}
        for unit in should - found:
            self._say("party", f"unit {unit} is missing", "party", f"{name}/{unit}", "unit", name)
        for unit in found - should:
            self._say("party", f"unit {unit!a} has no part in it", "party", f"{name}/{unit}", "unit", name)

    def _deadlines(
        self,
        name: str,
        row: Row,
        should: Mapping[tuple[str, str], tuple[datetime, str, bool]],
        deadlines: Sequence[Row],
    ) -> None:
        found = {(one["clock"], one["milestone"]): one for one in deadlines}
        self._findings.deadlines += len(found)
        missing, extra = should.keys() - found.keys(), found.keys() - should.keys()
        for key in missing | extra:
            # One byte of a key changed shows as one row missing and another there in its place.
            twin = next(
                (k for k in (extra if key in missing else missing) if (k[0] == key[0]) != (k[1] == key[1])),
                None,
            )
            column = "" if twin is None else "milestone" if twin[0] == key[0] else "clock"
            where = f"{key[0]}/{key[1]}"
            detail = f"{where} is missing" if key in missing else f"{where!a} is not in the log"
            self._say("deadline", detail, "deadline", f"{name} {where}", column, name)
        for key in should.keys() & found.keys():
            where = f"{key[0]}/{key[1]}"
            one = found[key]
            due, state, provisional = should[key]
            if one["state"] == DeadlineState.QUARANTINED.value:
                self._findings.quarantined += 1
                state, provisional = one["state"], False
            for column, fits in (
                ("due", is_instant(one["due"], due)),
                ("state", one["state"] == state),
                ("provisional", one["provisional"] in (0, 1) and bool(one["provisional"]) == provisional),
                ("platform", one["platform"] == row["platform"]),
                ("division", one["division"] == row["division"]),
            ):
                if not fits:
                    detail = f"{where}: {column} is not that of the log"
                    self._say("deadline", detail, "deadline", f"{name} {where}", column, name)

    def _texts(self, ref: StreamRef, name: str, done: Replay, texts: Sequence[Row]) -> dict[int, bytes]:
        """Prove the texts; returns the salts of those that are as they were written."""
        left = dict(done.texts)
        salts: dict[int, bytes] = {}

        def digest(one: Row) -> str:
            return text_digest(ref.id, one["no"], one["field"], one["words"], one["salt"])

        for one in texts:
            self._findings.texts += 1
            try:
                fits = left.get(one["no"]) == digest(one)
            except ValueError:
                fits = False
            if fits:
                del left[one["no"]]
                salts[one["no"]] = one["salt"]
                continue
            column = self._findings.search(
                one,
                ("no", "field", "words", "salt"),
                lambda other: done.texts.get(other["no"]) == digest(other),
            )
            if column != "no":
                left.pop(one["no"], None)
            detail = f"number {one['no']} is not the one written" + (
                f": {column} was changed" if column else ""
            )
            self._say("text", detail, "text", f"{name}/{one['no']}", column, name)
        for no in left:
            self._say("text", f"number {no} is missing", "text", f"{name}/{no}", "", name)
        return salts

    def _sealed(
        self, ref: StreamRef, name: str, done: Replay, vaults: Sequence[Row], keys: Sequence[Row]
    ) -> bytes | None:
        """Prove the sealed fields and their key; returns the sealed fields where they are as written."""
        sealed = [one["sealed"] for one in vaults]
        fits = [sealed_digest(one) for one in sealed] == ([done.vault] if done.vault else [])
        if not fits:
            self._say("vault", "the sealed fields are not the ones written", "vault", name, "sealed", name)
        if len(keys) != bool(done.vault):
            detail = "the key is missing" if done.vault else "a key is left"
            self._say("vault", detail, "vault_key", name, "", name)
        if not fits or not sealed:
            return None
        for key in keys if self._vault is not None else ():
            self._key(ref, name, sealed[0], key)
        return bytes(sealed[0])

    def _key(self, ref: StreamRef, name: str, sealed: bytes, key: Row) -> None:
        assert self._vault is not None
        if key["master"] != self._vault.master:
            detail = f"the key is said to be wrapped by master key {key['master']!a}, not by this one"
            self._say("vault", detail, "vault_key", name, "master", name)
        try:
            self._vault.unseal(ref.id, sealed, key["wrapped"])
        except CannotUnseal:
            detail = "the key does not open the sealed fields"
            self._say("vault", detail, "vault_key", name, "wrapped", name)

    def _effects(self, ref: StreamRef, name: str, done: Replay, letters: Sequence[Row]) -> None:
        left = dict(done.effects)
        strange: list[Row] = []
        for letter in letters:
            self._findings.effects += 1
            if letter["no"] in left:
                self._letter(ref, name, done, letter, left.pop(letter["no"]))
            else:
                strange.append(letter)
        for letter in strange:
            version = letter["no"] // EFFECTS_PER_VERSION
            if 0 < version <= len(done.events) and done.events[version - 1][1] <= self._proofs_after:
                self._findings.unproved += 1
                continue
            digest = effect_digest(letter["body"])
            moved = next((no for no, one in left.items() if one == digest), None)
            if moved is not None:
                del left[moved]
            detail = f"effect {letter['no']} is not in the log"
            self._say("outbox", detail, "outbox", name_of(letter["key"]), "no", name)
        for no in left:
            self._say("outbox", f"effect {no} is missing", "outbox", name, "", name)

    def _letter(self, ref: StreamRef, name: str, done: Replay, letter: Row, digest: str) -> None:
        no = letter["no"]
        version = no // EFFECTS_PER_VERSION
        at = done.events[version - 1][0] if 0 < version <= len(done.events) else None
        try:
            receiver = self._reads.effect(letter["body"]).receiver()
        except Unreadable:  # damaged, which its digest tells, or of a kind that is no more
            receiver = letter["receiver"]
        for column, fits in (
            ("key", _same_id(letter["key"], uuid5(ref.id, f"effect/{no}"))),
            ("created", is_instant(letter["created"], at)),
            ("receiver", letter["receiver"] == receiver),
            ("lane", letter["lane"] == f"{receiver}|{ref.id}"),
            ("stream_kind", letter["stream_kind"] == ref.kind),
            ("kind", letter["kind"] == _tag(letter["body"])),
            ("body", effect_digest(letter["body"]) == digest),
            ("state", letter["state"] in _STATES),
        ):
            if not fits:
                detail = f"effect {no}: {column} is not as planned"
                self._say("outbox", detail, "outbox", name_of(letter["key"]), column, name)


def _same_id(value: Any, wanted: Any) -> bool:
    try:
        return bool(uuid_of(value) == wanted)
    except ValueError:
        return False


def _tag(body: bytes) -> str:
    try:
        return str(_effect.decode(body).get("effect", ""))
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return ""


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
