"""Bytes of events, effects and states: encoding, the hash chain, and old kinds read as today's classes.

An event is JSON in deterministic order, with its kind as the tag. A state is msgpack. The hash of an event is
SHA-256 over the hash before it, the canonical envelope (everything about the event that is not in its body) and
the body. The position is not in the envelope: it is given by the database in commit order; `verify` proves it
against the versions and the counter instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache, reduce
from operator import or_
from typing import Any
from uuid import UUID

import msgspec

from dispatcher.domain.stream import Command, Effect, Event, Versions
from dispatcher.store.errors import Unreadable

GENESIS = bytes(32)
"""The hash before the first event of a stream."""

Upcast = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTS: Mapping[str, Upcast] = {}
"""Old event kind → how its body becomes a newer one's (including the new ``kind``). Applied until none fits."""

_json = msgspec.json.Encoder(order="deterministic")
_msgpack = msgspec.msgpack.Encoder(order="deterministic")
_versions = msgspec.json.Decoder(Versions)


class Proof(msgspec.Struct, frozen=True, array_like=True):
    """What the chain says beside the event's body; ``digest`` is hex.

    ``what`` is "text" (number ``no``), "vault", "row" (title and search digest, salted by text ``no`` or by the
    sealed fields where ``no`` is -1), "effect" (an outbox body, ``no`` in its lane) or "erased".
    """

    what: str
    no: int = 0
    digest: str = ""


_proofs = msgspec.json.Decoder(tuple[Proof, ...])


class Codec:
    """Reads events and effects by kind. The classes are passed in: the store knows no business."""

    def __init__(
        self,
        *,
        events: Sequence[type[Event]],
        effects: Sequence[type[Effect]] = (),
        upcasts: Mapping[str, Upcast] = UPCASTS,
    ) -> None:
        """Build the decoders.

        Raises:
            ValueError: two classes share a kind, or an upcast is written for a kind that is still current.
        """
        kinds = [kind_of(event) for event in events]
        if twice := sorted({kind for kind in kinds if kinds.count(kind) > 1}):
            raise ValueError(f"event kinds used twice: {twice}")
        if current := sorted(set(kinds) & set(upcasts)):
            raise ValueError(f"kinds are current and upcast at once: {current}")
        self._upcasts = dict(upcasts)
        self._event_type: Any = reduce(or_, events) if events else Event
        self._events: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self._event_type)
        effect_type: Any = reduce(or_, effects) if effects else Effect
        self._effects: msgspec.json.Decoder[Any] = msgspec.json.Decoder(effect_type)

    def event(self, kind: str, body: bytes) -> Event:
        """Decode an event, upcasting old kinds.

        Raises:
            Unreadable: the body is no event of a known kind, or its tag is not ``kind``.
        """
        try:
            if kind in self._upcasts:
                raw = msgspec.json.decode(body, type=dict[str, Any])
                if raw.get("kind") != kind:
                    raise Unreadable(f"body says {raw.get('kind')!r}, the log says {kind!r}")
                while (old := str(raw.get("kind", ""))) in self._upcasts:
                    raw = self._upcasts[old](raw)
                upcast: Event = msgspec.convert(raw, self._event_type)
                return upcast
            event: Event = self._events.decode(body)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as err:
            raise Unreadable(f"event {kind!r}: {err}") from err
        if kind_of(type(event)) != kind:
            raise Unreadable(f"body says {kind_of(type(event))!r}, the log says {kind!r}")
        return event

    def effect(self, body: bytes) -> Effect:
        """Decode an effect from the outbox.

        Raises:
            Unreadable: no effect of a known kind.
        """
        try:
            effect: Effect = self._effects.decode(body)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as err:
            raise Unreadable(f"effect: {err}") from err
        return effect


@cache
def kind_of(cls: type[msgspec.Struct]) -> str:
    """The tag under which a class is stored."""
    return str(cls.__struct_config__.tag)


def encode(message: msgspec.Struct) -> bytes:
    """An event or effect as canonical JSON."""
    return _json.encode(message)


def encode_state(state: msgspec.Struct) -> bytes:
    """A state as it is kept in the stream row."""
    return _msgpack.encode(state)


def decode_state(raw: bytes, cls: type[msgspec.Struct]) -> msgspec.Struct:
    """A stream row's state.

    Raises:
        Unreadable: the bytes are no state of this class.
    """
    try:
        state = msgspec.msgpack.decode(raw, type=cls)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as err:
        raise Unreadable(f"state of {cls.__name__}: {err}") from err
    return state


def encode_versions(versions: Versions) -> str:
    """The releases of an event as canonical text."""
    return _json.encode(versions).decode()


def decode_versions(raw: str) -> Versions:
    """The releases of an event.

    Raises:
        Unreadable: the text was changed from outside.
    """
    try:
        return _versions.decode(raw)
    except (msgspec.DecodeError, msgspec.ValidationError) as err:
        raise Unreadable(f"versions: {err}") from err


def encode_proofs(proofs: Sequence[Proof]) -> bytes:
    """What the chain says beside the body, or nothing."""
    return _json.encode(proofs) if proofs else b""


def decode_proofs(raw: bytes) -> tuple[Proof, ...]:
    """What the chain says beside the body.

    Raises:
        Unreadable: the bytes were changed from outside.
    """
    if not raw:
        return ()
    try:
        return _proofs.decode(raw)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as err:
        raise Unreadable(f"digests: {err}") from err


def chain(
    previous: bytes,
    *,
    stream_kind: str,
    stream_id: UUID,
    version: int,
    at: datetime,
    kind: str,
    body: bytes,
    by: str,
    unit: str,
    message_id: UUID,
    versions: str,
    digests: bytes,
    platform: str,
    division: str,
) -> bytes:
    """The hash of an event. ``at`` is UTC."""
    envelope = _json.encode(
        (
            stream_kind,
            stream_id,
            version,
            at,
            kind,
            by,
            unit,
            message_id,
            versions,
            digests,
            platform,
            division,
        )
    )
    return hashlib.sha256(previous + envelope + body).digest()


def command_digest(command: Command, actor: str, key: bytes) -> bytes:
    """A keyed digest of what was asked and by whom, to tell a repeat from a reused message id."""
    return hashlib.blake2b(_msgpack.encode((actor, command)), digest_size=32, key=key).digest()
