"""The ground of a time machine: cases, due deadlines and the link between platforms in memory, over the real product.

Nothing is stored: `LiandongProduct.handle` decides, folds and plans as it does for the writer, its deadline rows wait in
a heap, and a case is dropped when nothing about it can happen any more. The carrier of orders is the real one.
"""

from __future__ import annotations

import contextlib
import heapq
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID, uuid5

import msgspec

from adapters.linkage.inbound import LocalLink, served_by
from adapters.linkage.outbound import LinkageCarrier
from dispatcher.cli.simulation import Ground
from dispatcher.domain.case import Case
from dispatcher.domain.commands import CASE, CaseCommand, RegisterCase
from dispatcher.domain.effects import PassOrder, ReturnResult
from dispatcher.domain.errors import Refused
from dispatcher.domain.failures import failure_of
from dispatcher.domain.library import Library
from dispatcher.domain.product import LiandongProduct
from dispatcher.domain.stream import LIVE, Change, Effect, Product, StreamRef, Submission
from dispatcher.domain.values import FINISHED, Personal, Stage
from dispatcher.domain.worktime import LEGAL_ZONE
from dispatcher.ports import Delivery, GiveUp, Outcome
from dispatcher.runtime.clock import ManualClock
from dispatcher.views.outgoing import Outgoing
from routing_rules.ruling import Hints, Ruling

_TICK = timedelta(microseconds=1)
"""Exactly at the due instant is in time: what is due falls just after it."""

Watched = Callable[[UUID, Case | None, Change, datetime], None]
"""Is shown every change of a case: its id, the case before, the change, and when."""


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """What one call settled; nothing fails here: a fault ends the run."""

    fired: int
    failed: int = 0


class Remembering(Library):
    """A library that rules a text once for a place, a line, an hour of the day and the items that stand on that day,
    which is all that a ruling depends on. A bank of texts repeats; the rulings are the real ones."""

    __slots__ = ("_ruled",)

    _ruled: dict[tuple[object, ...], Ruling]

    @classmethod
    def of(cls, library: Library) -> Remembering:
        """The same releases."""
        made = cls.__new__(cls)
        for field in Library.__slots__:
            setattr(made, field, getattr(library, field))
        made._ruled = {}
        return made

    def rule(
        self, text: str, *, line: str, division: str, at: datetime, hints: Hints, lists: str = ""
    ) -> Ruling:
        """As `Library.rule`."""
        local = at.astimezone(LEGAL_ZONE)
        idle = self.books.get(lists, self.book).terms.idle(division, local.date(), hints.channel)
        key = (text, line, division, local.hour, idle, hints, lists)
        found = self._ruled.get(key)
        if found is None:
            if len(self._ruled) >= _REMEMBERED:
                self._ruled.clear()
            found = super().rule(text, line=line, division=division, at=at, hints=hints, lists=lists)
            self._ruled[key] = found
        return found


_REMEMBERED = 100_000


class _Kept:
    """A case that something may still happen to."""

    __slots__ = ("case", "fields", "texts", "title")

    def __init__(self, title: str) -> None:
        self.case: Case | None = None
        self.title = title
        self.texts: dict[int, str] = {}
        self.fields: dict[int, str] = {}


class _Product:
    """Holds the product that decides."""

    def __init__(self, product: Product) -> None:
        self.current = product


class Memory:
    """Inbox, deadline rows, outbox and case numbers of one run.

    Args:
        watched: is shown every change (the proof, the tally).
        dropped: is told the id of every case that is let go.
    """

    def __init__(
        self,
        library: Library,
        clock: ManualClock,
        platforms: Sequence[str],
        *,
        watched: Watched,
        dropped: Callable[[UUID], None],
    ) -> None:
        self.library = library
        self.held = _Product(LiandongProduct(library))
        self._clock = clock
        self._platforms = platforms
        self._watched = watched
        self._dropped = dropped
        self._kept: dict[UUID, _Kept] = {}
        self._rows: dict[UUID, dict[tuple[str, str], datetime]] = {}
        self._due: list[tuple[datetime, UUID, str, str]] = []
        self._out: deque[tuple[UUID, Effect]] = deque()
        self._drawn: Counter[tuple[str, int]] = Counter()
        self.commands = 0
        self.events = 0
        self.most_kept = 0
        self._carrier = LinkageCarrier(
            LocalLink(
                self,
                self,
                draw=self._number,
                digest=lambda _number: b"",
                serves=served_by(platforms),
            ),
            self,
            self,
        )

    def ground(self) -> Ground:
        """What a `Simulation` stands on."""
        return Ground(
            library=self.library,
            platforms=self._platforms,
            product=self.held,
            inbox=self,
            numbers=self,
            writer=self,
            relay=self,
        )

    async def submit(self, sent: Submission) -> Outcome:
        """Decides now. Raises `Refused`."""
        now = self._clock.now()
        states: dict[StreamRef, msgspec.Struct | None] = {}
        for ref in sent.command.streams():
            kept = self._kept.get(ref.id)
            states[ref] = kept.case if kept is not None else None
        change = self.held.current.handle(states, sent, now=now)
        self._keep(states, sent, change, now)
        return Outcome(answer=change.answer, position=self.events)

    def _keep(
        self,
        states: Mapping[StreamRef, msgspec.Struct | None],
        sent: Submission,
        change: Change,
        now: datetime,
    ) -> None:
        self.commands += 1
        self.events += len(change.events)
        for ref, state in change.states.items():
            kept = self._kept.get(ref.id)
            if kept is None:
                command = cast("CaseCommand", sent.command)
                title = command.title if isinstance(command, RegisterCase) else ""
                kept = self._kept[ref.id] = _Kept(title)
                self.most_kept = max(self.most_kept, len(self._kept))
            kept.case = cast("Case", state)
        for text in change.texts:
            self._kept[text.ref.id].texts[text.no] = text.words
            self._kept[text.ref.id].fields[text.no] = text.field
        for row in change.deadlines:
            mine = self._rows.setdefault(row.ref.id, {})
            if row.state.value in LIVE:
                mine[row.clock, row.milestone] = row.due
                heapq.heappush(self._due, (row.due, row.ref.id, row.clock, row.milestone))
            else:
                mine.pop((row.clock, row.milestone), None)
        for planned in change.effects:
            if isinstance(planned.effect, PassOrder | ReturnResult):
                self._out.append((planned.ref.id, planned.effect))
        for ref in change.states:
            before = states.get(ref)
            self._watched(ref.id, cast("Case | None", before), change, now)
        for ref in change.states:
            self._let_go(ref.id)

    def _let_go(self, id_: UUID) -> None:
        case = self._kept[id_].case
        if case is None or case.stage not in FINISHED or case.running or self._rows.get(id_):
            return
        awaits = (
            case.stage is Stage.PASSED and case.result is None
        )  # the other platform reports what became of it
        if not awaits:
            if any(out[0] == id_ for out in self._out):
                return  # its result is still to be carried; `flush` comes back to it
            del self._kept[id_]
            self._rows.pop(id_, None)
            self._dropped(id_)

    async def next_due(self) -> datetime | None:
        """Just after the first instant that something is due."""
        while self._due:
            due, id_, clock, milestone = self._due[0]
            if self._rows.get(id_, {}).get((clock, milestone)) == due:
                return due + _TICK
            heapq.heappop(self._due)
        return None

    async def settle_due(self, now: datetime, limit: int) -> Count:
        """Settles what is due, at most so many."""
        fired = 0
        while fired < limit and (at := await self.next_due()) is not None and at <= now:
            due, id_, clock, milestone = heapq.heappop(self._due)
            del self._rows[id_][clock, milestone]
            sent = self.held.current.expire(StreamRef(kind=CASE, id=id_), clock, milestone, due)
            await self.submit(sent)
            fired += 1
        return Count(fired=fired)

    async def flush(self) -> int:
        """Carries orders and results to the other platform; a notice was looked at when it was planned."""
        sent = 0
        while self._out:
            id_, effect = self._out.popleft()
            key = uuid5(id_, f"effect/{self.events}/{sent}")
            delivery = Delivery(key=key, ref=StreamRef(kind=CASE, id=id_), effect=effect, attempt=1)
            try:
                await self._carrier.deliver(delivery)
            except GiveUp as never:
                await self._failed(key, effect, str(never))
            sent += 1
            if id_ in self._kept:
                self._let_go(id_)
        return sent

    async def _failed(self, key: UUID, effect: Effect, why: str) -> None:
        told = failure_of(key, effect, why)
        if told is not None:
            with contextlib.suppress(Refused):  # nobody waits for this outcome any more
                await self.submit(told)

    async def take(self, platform: str, year: int) -> int:
        """The next case number."""
        self._drawn[platform, year] += 1
        return self._drawn[platform, year]

    async def _number(self, platform: str) -> str:
        year = self._clock.now().astimezone(LEGAL_ZONE).year
        return f"{platform}-{year}-{await self.take(platform, year):07d}"

    async def get(self, id_: UUID) -> Outgoing | None:
        """A case as its carrier reads it."""
        kept = self._kept.get(id_)
        if kept is None or kept.case is None:
            return None
        return Outgoing(
            case=kept.case, title=kept.title, texts=kept.texts, fields=kept.fields, personal=Personal()
        )

    def left(self) -> dict[UUID, Case]:
        """The cases that are still kept."""
        return {id_: kept.case for id_, kept in self._kept.items() if kept.case is not None}
