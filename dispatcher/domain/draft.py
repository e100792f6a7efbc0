"""A decision in the making: events recorded one after another, each folded at once, with its clocks and effects.

The draft is built inside one call of `handle` and never leaves it: from outside, deciding stays a pure function.
"""

from __future__ import annotations

from datetime import datetime
from typing import cast

from dispatcher.domain import events as e
from dispatcher.domain.case import Case, evolve
from dispatcher.domain.clocks import follow
from dispatcher.domain.library import Library
from dispatcher.domain.plan import deadline_changes, plan
from dispatcher.domain.stream import (
    Actor,
    DeadlineChange,
    Erasure,
    Planned,
    Recorded,
    Sealed,
    StreamRef,
    Text,
    Versions,
)
from dispatcher.domain.values import Said


class Ledger:
    """What all drafts of one decision share, in the order in which it was recorded."""

    __slots__ = (
        "actor",
        "deadlines",
        "effects",
        "erased",
        "events",
        "library",
        "now",
        "sealed",
        "texts",
    )

    def __init__(self, *, library: Library, actor: Actor, now: datetime) -> None:
        self.library = library
        self.actor = actor
        self.now = now
        self.events: list[Recorded] = []
        self.deadlines: dict[tuple[int, str, str], DeadlineChange] = {}  # by the stream's id as a number
        self.effects: list[Planned] = []
        self.texts: list[Text] = []
        self.sealed: list[Sealed] = []
        self.erased: list[Erasure] = []


class Draft:
    """One stream of the decision. ``found`` is None until the case is registered."""

    __slots__ = ("_ledger", "found", "ref")

    def __init__(self, ledger: Ledger, ref: StreamRef, found: Case | None) -> None:
        self._ledger = ledger
        self.ref = ref
        self.found = found

    @property
    def case(self) -> Case:
        """The case as decided so far."""
        assert self.found is not None, "registered before anything else is decided"
        return self.found

    @property
    def now(self) -> datetime:
        """The one instant of this decision."""
        return self._ledger.now

    @property
    def actor(self) -> Actor:
        """Who decides."""
        return self._ledger.actor

    @property
    def library(self) -> Library:
        """The releases."""
        return self._ledger.library

    def record(self, event: e.AnyEvent) -> None:
        """Append an event, fold it, and record what it does to the clocks and to the world outside."""
        before = self.found
        self._one(event)
        moved = follow(before, self.case, event, self.now, self.library)
        if moved is not None:
            self._one(moved)

    def said(self, field: str, words: str) -> Said:
        """Keep a text beside the log and give the event its number."""
        # every registered case has text 0; a text said before the event that carries it takes the next free number
        taken = self.found.texts if self.found is not None else 0
        mine = [text.no for text in self._ledger.texts if text.ref == self.ref]
        no = max([taken - 1, *mine]) + 1
        self._ledger.texts.append(Text(ref=self.ref, no=no, field=field, words=words))
        return Said(no=no)

    def maybe(self, field: str, words: str) -> Said | None:
        """`said`, or None for no words."""
        return self.said(field, words) if words else None

    def seal(self, plain: bytes) -> None:
        """Personal fields to be encrypted under the case's own key."""
        self._ledger.sealed.append(Sealed(ref=self.ref, plain=plain))

    def erase(self) -> None:
        """Destroy key, texts, title and search digest."""
        self._ledger.erased.append(Erasure(ref=self.ref))

    def _one(self, event: e.AnyEvent) -> None:
        ledger = self._ledger
        before = self.found
        after = evolve(before, event, ledger.now, self.ref.id)
        self.found = after
        ledger.events.append(
            Recorded(
                ref=self.ref,
                event=event,
                by=ledger.actor.id,
                unit=ledger.actor.unit or ledger.actor.platform,
                versions=self._versions(event, after),
            )
        )
        # The shortest way past what moves no clock; a repair moves none and still sets a row.
        if before is not None and (
            before.clocks is not after.clocks or event.__class__ is e.DeadlineRepaired
        ):
            number = self.ref.id.int
            for change in deadline_changes(before, event, after, self.ref):
                ledger.deadlines[number, change.clock, change.milestone] = change
        for effect in plan(before, event, after, ledger.library, ledger.now):
            ledger.effects.append(Planned(ref=self.ref, effect=effect))

    def _versions(self, event: e.AnyEvent, case: Case) -> Versions:
        if isinstance(event, _BY_LISTS):
            return Versions(lists=event.matter.lists)
        if isinstance(event, _BY_POLICY):
            return Versions(policy=case.policy, calendar=self.library.calendars.version[:16])
        return _NO_VERSIONS


_NO_VERSIONS = Versions()
_BY_LISTS = (e.CaseRuled, e.RulingChanged)
_BY_POLICY = (e.ClocksSet, e.MilestoneReached, e.DeadlinesMoved)


def case_of(state: object) -> Case | None:
    """A stream state handed in by the store, known to be a case."""
    return cast("Case | None", state)
