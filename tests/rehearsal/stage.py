"""A stage without a store: decisions of the real product kept in memory, so that actors can be watched in milliseconds."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from dispatcher.domain.case import Case
from dispatcher.domain.library import Library
from dispatcher.domain.product import LiandongProduct
from dispatcher.domain.stream import StreamRef, Submission
from dispatcher.ports import Outcome


class Memory:
    """An inbox that decides and forgets everything but the cases; it is also what the actors see."""

    def __init__(self, library: Library, now: datetime) -> None:
        self._product = LiandongProduct(library)
        self.now = now
        self.cases: dict[UUID, Case] = {}
        self.taken: list[Submission] = []
        self._fresh: set[UUID] = set()

    async def submit(self, sent: Submission) -> Outcome:
        """Decide it at the present instant."""
        states = {ref: self.cases.get(ref.id) for ref in sent.command.streams()}
        change = self._product.handle(states, sent, now=self.now)
        for ref, state in change.states.items():
            self._keep(ref, state)
        self.taken.append(sent)
        return Outcome(answer=change.answer, position=len(self.taken))

    async def changed(self) -> list[Case]:
        """The cases decided since the last look."""
        fresh, self._fresh = sorted(self._fresh), set()
        return [self.cases[id_] for id_ in fresh]

    def _keep(self, ref: StreamRef, state: object) -> None:
        assert isinstance(state, Case)
        self.cases[ref.id] = state
        self._fresh.add(ref.id)


class Counter:
    """Case numbers from one on."""

    def __init__(self) -> None:
        self._last = 0

    async def take(self, platform: str, year: int) -> int:
        """The next one."""
        self._last += 1
        return self._last
