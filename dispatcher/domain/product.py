"""The product as the store sees it: decide → evolve → plan over streams, all of it pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from msgspec.structs import replace

from dispatcher.domain import commands as c
from dispatcher.domain import events as e
from dispatcher.domain import exports as x
from dispatcher.domain.authority import of_units
from dispatcher.domain.case import Case, evolve, row_of
from dispatcher.domain.decide import decide
from dispatcher.domain.draft import Draft, Ledger, case_of
from dispatcher.domain.library import Library
from dispatcher.domain.lifecycle import allowed_names
from dispatcher.domain.plan import deadline_changes
from dispatcher.domain.stream import (
    SYSTEM,
    Change,
    DeadlineChange,
    Event,
    StreamRef,
    StreamRow,
    Submission,
)

_NOBODY_ASKS = b"{}"
"""The answer to a due deadline: no sender waits for it."""
_DUE = uuid5(NAMESPACE_URL, "urn:liandong:deadline")


class Promise(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A date told to somebody. ``due`` is the limit of the clock."""

    clock: str
    due: datetime
    provisional: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the sender of a command is told once it is durable."""

    case: UUID
    number: str
    platform: str
    version: int
    stage: str
    decision: str = ""
    owner: str = ""
    item: str = ""
    urgency: str = ""
    danger: bool = False
    also: tuple[str, ...] = ()
    holder: str = ""
    promises: tuple[Promise, ...] = ()
    allowed: tuple[str, ...] = ()


class LiandongProduct:
    """Implements `dispatcher.domain.stream.Product` for cases. Hand a new one to the writer to change releases."""

    def __init__(self, library: Library) -> None:
        self.library = library

    def handle(
        self, states: Mapping[StreamRef, msgspec.Struct | None], sent: Submission, *, now: datetime
    ) -> Change:
        """Decide one command on the folded states of the streams it names.

        Raises:
            Refused: nothing changes.
        """
        if isinstance(sent.command, x.ExportCommand):
            return x.handle(states, sent, now=now)
        ledger = Ledger(library=self.library, actor=sent.actor, now=now)
        refs = sent.command.streams()
        draft = Draft(ledger, refs[0], case_of(states[refs[0]]))
        other = None
        if len(refs) > 1:
            other = draft if refs[1] == refs[0] else Draft(ledger, refs[1], case_of(states[refs[1]]))
        command = cast("c.AnyCommand", sent.command)
        decide(draft, command, other)
        touched = [
            d
            for d in (draft, other)
            if d is not None and d.found is not None and d.found is not states[d.ref]
        ]
        rows = {d.ref: row_of(d.case) for d in touched}
        if isinstance(command, c.RegisterCase):
            rows[draft.ref] = replace(
                rows[draft.ref],
                title=command.title or command.words[:40],
                caller_mac=command.caller_mac or None,
            )
        return Change(
            events=tuple(ledger.events),
            states={d.ref: d.case for d in touched},
            rows=rows,
            deadlines=tuple(ledger.deadlines.values()),
            effects=tuple(ledger.effects),
            texts=tuple(ledger.texts),
            sealed=tuple(ledger.sealed),
            erased=tuple(ledger.erased),
            parties={d.ref: of_units(d.case) for d in touched if of_units(d.case) != _units(states[d.ref])},
            answer=_NOBODY_ASKS
            if command.__class__ is c.ExpireDeadline
            else msgspec.json.encode(answer_of(draft.case)),
        )

    def expire(self, ref: StreamRef, clock: str, milestone: str, due: datetime) -> Submission:
        """The command that settles a due milestone; the same row and instant give the same message id."""
        key = f"{ref.kind}/{ref.id}/{clock}/{milestone}/{due.timestamp():.6f}"
        command = c.ExpireDeadline(case=ref.id, clock=clock, milestone=milestone, due=due)
        return Submission(message_id=uuid5(_DUE, key), command=command, actor=SYSTEM)

    def fold(
        self, state: msgspec.Struct | None, event: Event, ref: StreamRef, at: datetime
    ) -> msgspec.Struct:
        """Evolve one state by one stored event."""
        if ref.kind == x.EXPORT:
            return x.fold(state, event, at)
        return evolve(case_of(state), cast("e.AnyEvent", event), at, ref.id)

    def row(self, state: msgspec.Struct) -> StreamRow:
        """The indexed columns of a case, or of an export."""
        if isinstance(state, x.Export):
            return x.row_of(state)
        return row_of(cast("Case", state))

    def parties(self, state: msgspec.Struct) -> tuple[str, ...]:
        """The units that have a part in a case."""
        return () if isinstance(state, x.Export) else of_units(cast("Case", state))

    def deadlines(
        self, before: msgspec.Struct | None, event: Event, after: msgspec.Struct, ref: StreamRef, at: datetime
    ) -> Sequence[DeadlineChange]:
        """What one event did to the deadline rows."""
        if ref.kind == x.EXPORT:
            return ()
        return tuple(deadline_changes(case_of(before), cast("e.AnyEvent", event), cast("Case", after), ref))

    def state_type(self, kind: str) -> type[msgspec.Struct]:
        """Cases and exports are the streams there are."""
        if kind == x.EXPORT:
            return x.Export
        if kind != c.CASE:
            raise LookupError(f"no aggregate {kind!r}")
        return Case


def _units(state: msgspec.Struct | None) -> tuple[str, ...]:
    return () if state is None else of_units(cast("Case", state))


def answer_of(case: Case) -> Answer:
    """What may be told about a case without personal data."""
    matter = case.matter
    return Answer(
        case=case.id,
        number=case.number,
        platform=case.platform,
        version=case.version,
        stage=case.stage.value,
        decision=matter.decision,
        owner=matter.platform,
        item=matter.item,
        urgency=matter.urgency,
        danger=matter.danger,
        also=matter.also,
        holder=case.holder,
        promises=tuple(
            Promise(clock=run.clock, due=run.due, provisional=run.provisional) for run in case.running
        ),
        allowed=allowed_names(case),
    )
