"""The write path as the process watches it: what was asked, what became of it, what the lists said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from dispatcher.domain.errors import Refused
from dispatcher.domain.events import CaseRuled
from dispatcher.domain.stream import Change, DeadlineChange, Event, Product, StreamRef, StreamRow, Submission
from dispatcher.ports import Inbox, Outcome
from dispatcher.runtime.telemetry import Telemetry


class CountedInbox:
    """An inbox that counts commands by kind and outcome."""

    def __init__(self, inbox: Inbox, telemetry: Telemetry) -> None:
        self._inbox = inbox
        self._telemetry = telemetry

    async def submit(self, sent: Submission) -> Outcome:
        """Submits; raises what the inbox raises."""
        kind = str(type(sent.command).__struct_config__.tag)
        try:
            outcome = await self._inbox.submit(sent)
        except Refused as refused:
            self._telemetry.command(kind, refused.code)
            raise
        except Exception:
            self._telemetry.command(kind, "failed")
            raise
        self._telemetry.command(kind, "repeated" if outcome.repeated else "accepted")
        return outcome


class Reloadable:
    """The product that decides now. A reload puts another in its place between two decisions.

    Rulings are counted here, where they are made; a batch that is rolled back and decided again counts twice.
    """

    def __init__(self, product: Product, telemetry: Telemetry) -> None:
        self.current = product
        self._telemetry = telemetry

    def handle(
        self, states: Mapping[StreamRef, msgspec.Struct | None], sent: Submission, *, now: datetime
    ) -> Change:
        """As `Product.handle`."""
        change = self.current.handle(states, sent, now=now)
        for recorded in change.events:
            if isinstance(recorded.event, CaseRuled):
                matter = recorded.event.matter
                self._telemetry.ruling(matter.item, matter.platform)
        return change

    def expire(self, ref: StreamRef, clock: str, milestone: str, due: datetime) -> Submission:
        """As `Product.expire`."""
        return self.current.expire(ref, clock, milestone, due)

    def fold(
        self, state: msgspec.Struct | None, event: Event, ref: StreamRef, at: datetime
    ) -> msgspec.Struct:
        """As `Product.fold`."""
        return self.current.fold(state, event, ref, at)

    def row(self, state: msgspec.Struct) -> StreamRow:
        """As `Product.row`."""
        return self.current.row(state)

    def parties(self, state: msgspec.Struct) -> tuple[str, ...]:
        """As `Product.parties`."""
        return self.current.parties(state)

    def deadlines(
        self, before: msgspec.Struct | None, event: Event, after: msgspec.Struct, ref: StreamRef, at: datetime
    ) -> Sequence[DeadlineChange]:
        """As `Product.deadlines`."""
        return self.current.deadlines(before, event, after, ref, at)

    def state_type(self, kind: str) -> type[msgspec.Struct]:
        """As `Product.state_type`."""
        return self.current.state_type(kind)
