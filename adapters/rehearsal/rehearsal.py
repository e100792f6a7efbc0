"""The rehearsal: keeps what every actor means to do next, does it when its time comes, and counts what came of it."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID, uuid5

import msgspec

from adapters.rehearsal.cast import Cast
from adapters.rehearsal.moves import Move, situation
from dispatcher.domain.case import Case
from dispatcher.domain.commands import name_of
from dispatcher.domain.errors import Refused
from dispatcher.domain.stream import Submission
from dispatcher.domain.values import Stage
from dispatcher.ports import Inbox
from dispatcher.store.errors import Failed

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_SOON = timedelta(hours=1)
_NONE: frozenset[str] = frozenset()
_BETWEEN = frozenset({Stage.TRANSFERRED, Stage.HANDED_OVER})


class Watching(Protocol):
    """Says which cases changed since the last look."""

    async def changed(self) -> list[Case]: ...


class Refusal(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A command of an actor that was refused. ``explained``: a rule of the policy forbade it, which people run into."""

    command: str
    stage: str
    code: str
    detail: str
    explained: bool


class Rehearsal:
    """All actors of one run.

    ``between`` are the cases for which another platform has to answer now.

    Args:
        seed: goes into message ids, so that a run can be repeated.
        speed: actors are so many times faster than their habits (the demonstration).
        together: acts planned more than an hour ahead fall on whole multiples of this, so that many share a commit.
    """

    def __init__(
        self,
        cast: Cast,
        inbox: Inbox,
        watching: Watching,
        *,
        seed: int,
        speed: float = 1.0,
        together: timedelta = timedelta(minutes=10),
    ) -> None:
        self._cast = cast
        self._inbox = inbox
        self._watching = watching
        self._seed = seed
        self._speed = speed
        self._together = together
        self._planned: list[tuple[datetime, UUID, int]] = []
        self._minds: dict[UUID, _Mind] = {}
        self._turn = 0
        self.commands: Counter[str] = Counter()
        self.refusals: Counter[Refusal] = Counter()
        self.between: set[UUID] = set()

    @property
    def unexplained(self) -> int:
        """How many refusals have no rule for their reason: each is a fault of ours."""
        return sum(count for refusal, count in self.refusals.items() if not refusal.explained)

    async def look(self, now: datetime) -> int:
        """See what changed and make up minds anew where the situation is another. Returns how many cases changed."""
        changed = await self._watching.changed()
        for case in changed:
            self._think(case, now)
            if case.stage in _BETWEEN:
                self.between.add(case.id)
            else:
                self.between.discard(case.id)
        return len(changed)

    def next_at(self) -> datetime | None:
        """When somebody acts next, None when nobody means to."""
        while self._planned:
            at, case, turn = self._planned[0]
            mind = self._minds.get(case)
            if mind is not None and mind.turn == turn:
                return at
            heapq.heappop(self._planned)
        return None

    async def act(self, now: datetime) -> int:
        """Send everything whose time has come, all at once. Returns how many commands were sent."""
        due: list[tuple[_Mind, Move]] = []
        while (at := self.next_at()) is not None and at <= now:
            _, id_, _ = heapq.heappop(self._planned)
            mind = self._minds[id_]
            assert mind.move is not None, "a planned turn has its move"
            due.append((mind, mind.move))
        if due:
            await asyncio.gather(*(self._send(mind, move, now) for mind, move in due))
        return len(due)

    def _think(self, case: Case, now: datetime) -> None:
        mind = self._minds.get(case.id)
        seen = situation(case)
        if mind is not None and mind.seen == seen:
            mind.case = case
            return
        if mind is None:
            mind = self._minds[case.id] = _Mind(case)
        mind.case, mind.seen = case, seen
        self._plan(mind, now)
        if mind.move is None and not case.is_open:
            del self._minds[case.id]  # nothing more will happen, or it is seen afresh when it does

    def _plan(self, mind: _Mind, now: datetime) -> None:
        move = self._cast.next_move(mind.case, now, sent=mind.sent, barred=mind.barred)
        if move is not None and name_of(type(move.command)) in mind.barred:
            move = None  # refused, and no other way is known: it waits until the case looks different
        self._turn += 1
        mind.move, mind.turn = move, self._turn
        if move is not None:
            heapq.heappush(self._planned, (self._when(mind.case, move.at, now), mind.case.id, mind.turn))

    def _when(self, case: Case, at: datetime, now: datetime) -> datetime:
        if self._speed == 1.0:
            step = self._together if at - now > _SOON else _MINUTE
            return at + (_EPOCH - at) % step
        hurried = now + (at - now) / self._speed
        for run in case.running:
            # Who means to be late stays late by a limit that a watcher will live to see.
            if hurried <= run.due < at and run.due - now <= _SOON:
                hurried = run.due + (at - run.due) / self._speed
        return hurried

    async def _send(self, mind: _Mind, move: Move, now: datetime) -> None:
        name = name_of(type(move.command))
        message = uuid5(mind.case.id, f"rehearsal/{self._seed}/{mind.case.version}/{name}")
        sent = Submission(message_id=message, command=move.command, actor=move.actor)
        try:
            await self._inbox.submit(sent)
        except (Refused, Failed) as no:
            refusal = _refusal(name, mind.case, no)
            self.refusals[refusal] += 1
            mind.barred |= {name}
            self._plan(mind, now)
        else:
            self.commands[name] += 1
            mind.sent |= {name}
            mind.move, mind.seen = None, ()


def _refusal(name: str, case: Case, no: Refused | Failed) -> Refusal:
    stage = case.stage.value
    if isinstance(no, Failed):
        return Refusal(command=name, stage=stage, code="failed", detail=no.why, explained=False)
    rule = no.code == "against-rule"
    return Refusal(command=name, stage=stage, code=no.code, detail=no.template, explained=rule)


class _Mind:
    """What is known and meant about one case. ``turn`` tells the plan in force from those given up."""

    __slots__ = ("barred", "case", "move", "seen", "sent", "turn")

    def __init__(self, case: Case) -> None:
        self.case = case
        self.seen: tuple[object, ...] = ()
        self.move: Move | None = None
        self.turn = 0
        self.sent = _NONE
        self.barred = _NONE
