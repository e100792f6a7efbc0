"""Streams: what the store keeps and what a decision returns, whatever the aggregate.

A stream is one aggregate with a history: a case, later a seat, a roster, an incident. The store knows nothing
about cases; it knows streams, events, deadlines, effects, texts and sealed personal fields. The domain knows
nothing about databases. This module is the contract between the two.

All instants are aware; the store keeps UTC, people see Asia/Shanghai.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec


class StreamRef(msgspec.Struct, frozen=True, order=True, cache_hash=True):
    """Names one stream. ``kind`` is a short word chosen once ("case")."""

    kind: str
    id: UUID


class Role(StrEnum):
    """What a person or system may be (角色). One account may hold several."""

    AGENT_12345 = "agent-12345"  # 12345 坐席
    AGENT_110 = "agent-110"  # 110 坐席
    SQUAD_LEADER = "squad-leader"  # 班长
    QUALITY = "quality-inspector"  # 质检
    CLERK = "department-clerk"  # 承办单位经办
    LEAD = "department-lead"  # 承办单位负责人
    LIAISON = "police-liaison"  # 公安联络员
    SUPERVISOR = "supervisor"  # 督办
    LINKAGE_ADMIN = "linkage-administrator"  # 联动管理员
    SYSTEM_ADMIN = "system-administrator"  # 系统管理员
    SECURITY_ADMIN = "security-administrator"  # 安全管理员
    AUDIT_ADMIN = "audit-administrator"  # 审计管理员
    PEER = "peer-system"  # 对方平台、既有 CAD
    SYSTEM = "system"  # Liandong itself: due deadlines, outcomes of effects


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends a command: a person at a desk, a peer system, or Liandong itself.

    ``platform`` is a platform id such as "12345-630100" (empty for units); ``unit`` a GB 32100 code (empty for
    platform staff); ``division`` the GB/T 2260 code whose tree the actor may act in ("630000" is the province).
    """

    id: str
    roles: tuple[Role, ...]
    platform: str = ""
    unit: str = ""
    division: str = ""


SYSTEM = Actor(id="system", roles=(Role.SYSTEM,), division="")


class Versions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which releases a decision was made under, by short digest; empty where none was looked into."""

    lists: str = ""
    policy: str = ""
    calendar: str = ""


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="command"):
    """Something somebody wants done. Ids come in with the command, so a repeat gives the same id."""

    def streams(self) -> tuple[StreamRef, ...]:
        """The one to four streams this command looks at or changes, the main one first."""
        raise AssertionError(f"{type(self).__name__} names no stream")


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=True):
    """Something that happened. The tag ("case-registered.1") is chosen once and never used again."""


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One command on its way to the writer. ``message_id`` makes a repeat harmless (Idempotency-Key)."""

    message_id: UUID
    command: Command
    actor: Actor


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it goes into the log: where, what, who and under which releases.

    ``why`` is the reason the actor gave (no personal data: free text goes to `Text`).
    """

    ref: StreamRef
    event: Event
    by: str
    unit: str = ""
    versions: Versions = Versions()


class DeadlineState(StrEnum):
    """Life of a deadline row. Only those in `LIVE` are looked at by the sweep."""

    ARMED = "armed"
    FIRED = "fired"
    SKIPPED = "skipped"  # already past when the clock started late
    REPAIRED = "repaired"  # armed again: put back by the auditor
    CANCELLED = "cancelled"  # its clock stopped in time
    SUPERSEDED = "superseded"  # moved: extension, pause, new calendar
    QUARANTINED = "quarantined"  # its settlement failed; a person must look


LIVE = (DeadlineState.ARMED.value, DeadlineState.REPAIRED.value)
"""States in which a row still waits for its instant."""


class DeadlineChange(msgspec.Struct, frozen=True, kw_only=True):
    """Set the row (stream, clock, milestone) to this state and instant. One row for each such key.

    ``due`` is the instant it falls; exactly at the due instant is still in time for the work it limits.
    ``provisional``: the instant lies in a year whose holidays are not yet published.
    """

    ref: StreamRef
    clock: str
    milestone: str
    due: datetime
    state: DeadlineState
    provisional: bool = False


class Effect(msgspec.Struct, frozen=True, kw_only=True, tag_field="effect", omit_defaults=True):
    """Something to be done outside, after the commit. Holds ids and codes, never personal data."""

    def receiver(self) -> str:
        """Who receives it: with the stream it makes the lane in which order is kept."""
        raise AssertionError(f"{type(self).__name__} names no receiver")


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """An effect of one stream, as it goes into the outbox. ``not_before`` None: at once."""

    ref: StreamRef
    effect: Effect
    not_before: datetime | None = None


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """Words people wrote about a case. Erasable: the log holds only a salted digest of it.

    ``no`` numbers the texts of a stream from 0; ``field`` says what it is ("narrative", "reply", …).
    """

    ref: StreamRef
    no: int
    field: str
    words: str


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """Personal fields of a stream to be encrypted under the stream's own key (plain here, in memory only)."""

    ref: StreamRef
    plain: bytes


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """Destroy the stream's key, sealed fields, texts, title and search digest."""

    ref: StreamRef


class StreamRow(msgspec.Struct, frozen=True, kw_only=True):
    """The indexed columns of a stream row, for lists and filters. Empty text where nothing applies.

    ``due`` is the instant shown first on a screen (the earliest running limit); ``open`` is False once nothing
    is owed. ``title`` and ``caller_mac`` are the erasable ones: set with a stream's first event, None afterwards.
    """

    platform: str
    division: str
    stage: str
    open: bool
    number: str = ""
    holder: str = ""
    unit: str = ""
    urgency: str = ""
    kind: str = ""
    category: str = ""
    item: str = ""
    lamp: str = ""
    danger: bool = False
    received: datetime | None = None
    due: datetime | None = None
    title: str | None = None
    caller_mac: bytes | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """All that one accepted command changes, in order. The writer stores it in one transaction or not at all.

    ``parties`` names the units that have a part (`Product.parties`), for the streams where they changed.
    """

    events: tuple[Recorded, ...]
    states: Mapping[StreamRef, msgspec.Struct]
    rows: Mapping[StreamRef, StreamRow]
    deadlines: tuple[DeadlineChange, ...] = ()
    effects: tuple[Planned, ...] = ()
    texts: tuple[Text, ...] = ()
    sealed: tuple[Sealed, ...] = ()
    erased: tuple[Erasure, ...] = ()
    parties: Mapping[StreamRef, tuple[str, ...]] = {}
    answer: bytes = b"{}"


NOTHING = Change(events=(), states={}, rows={})


class Product(Protocol):
    """What the domain hands to the store: pure functions over streams. `dispatcher.domain.product` is ours."""

    def handle(
        self, states: Mapping[StreamRef, msgspec.Struct | None], sent: Submission, *, now: datetime
    ) -> Change:
        """Decide, evolve and plan. A stream that does not exist yet is None.

        Raises:
            dispatcher.domain.errors.Refused: the command is refused and changes nothing.
        """
        ...

    def expire(self, ref: StreamRef, clock: str, milestone: str, due: datetime) -> Submission:
        """The command that settles a due deadline, with a message id derived from its key and instant."""
        ...

    def fold(
        self, state: msgspec.Struct | None, event: Event, ref: StreamRef, at: datetime
    ) -> msgspec.Struct:
        """Evolve one state by one event (replay, verify)."""
        ...

    def row(self, state: msgspec.Struct) -> StreamRow:
        """The indexed columns of a state; title and caller_mac are None here (they are not in the log)."""
        ...

    def parties(self, state: msgspec.Struct) -> tuple[str, ...]:
        """The units that have a part in a stream, each once; part of the state like the row."""
        ...

    def deadlines(
        self, before: msgspec.Struct | None, event: Event, after: msgspec.Struct, ref: StreamRef, at: datetime
    ) -> Sequence[DeadlineChange]:
        """What one event does to the stream's deadline rows (used by the writer's plan and by verify alike)."""
        ...

    def state_type(self, kind: str) -> type[msgspec.Struct]:
        """The class a stream's stored state decodes into."""
        ...
