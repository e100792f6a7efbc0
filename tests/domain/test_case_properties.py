"""Any order of commands by anybody, with deadlines falling in between: the case keeps its word.

`CaseBook` checks after every command that the log folds to the state, the rows are the state's rows, the deadline
rows are the armed milestones of running clocks, and a finished case owes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random  # noqa: TID251  the class only; Hypothesis seeds it
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from dispatcher.domain import commands as c
from dispatcher.domain import events as e
from dispatcher.domain.case import Case
from dispatcher.domain.errors import Refused
from dispatcher.domain.lifecycle import LEADS_TO
from dispatcher.domain.stream import SYSTEM
from dispatcher.domain.values import SafeContact
from tests.support.cases import CaseBook
from tests.support.library import HOTLINE, POLICE, POLICE_AGENT, clerk, with_notice
from tests.support.strategies import (
    BUREAU,
    HUANGZHONG,
    SAFE_CONTACTS,
    SECTION,
    STATION,
    WAITS,
    WATERWORKS,
    WORDS,
    Choose,
    action,
)

_DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
MOST_CASES = 3
STARTS = ("2026-02-12 16:00", "2026-03-02 10:00", "2026-12-21 17:20")
"""Before the spring festival, in ordinary weeks, and where limits reach into a year not yet published."""


def _tiered(book: CaseBook, words: str, lead: str) -> UUID:
    case = _signed(book, words, BUREAU)
    book.do(c.SubAssign(case=case, unit=SECTION, words="第3项"), clerk(BUREAU))
    book.do(c.SubAssign(case=case, unit=STATION, days=2, words="第3项"), clerk(SECTION))
    return case


def _signed(book: CaseBook, words: str, lead: str) -> UUID:
    case = book.assigned(words, lead, division=HUANGZHONG)
    book.do(c.SignFor(case=case), clerk(lead))
    return case


def _replied(book: CaseBook, words: str, lead: str) -> UUID:
    case = _signed(book, words, lead)
    book.reply(case, lead)
    return case


def _closed(book: CaseBook, words: str, lead: str) -> UUID:
    case = _replied(book, words, lead)
    book.finish(case)
    return case


def _police(book: CaseBook, words: str, lead: str) -> UUID:
    return book.register(words, platform=POLICE, division=HUANGZHONG)


def _fed_back(book: CaseBook, words: str, lead: str) -> UUID:
    case = _police(book, words, lead)
    book.do(c.ReportFeedback(case=case, remainder=True), POLICE_AGENT)
    return case


def _handed_over(book: CaseBook, words: str, lead: str) -> UUID:
    case = _police(book, words, lead)
    book.do(c.HandOverCase(case=case, to=HOTLINE, reason="非警务"), POLICE_AGENT)
    return case


def _offered(book: CaseBook, words: str, lead: str) -> UUID:
    case = book.register(words, division=HUANGZHONG)
    book.do(c.OfferClaim(case=case, units=(BUREAU, WATERWORKS)))
    return case


_PATHS: dict[str, Callable[[CaseBook, str, str], UUID]] = {
    "tiered": _tiered,
    "signed": _signed,
    "replied": _replied,
    "closed": _closed,
    "police": _police,
    "fed-back": _fed_back,
    "handed-over": _handed_over,
    "offered": _offered,
}
PATHS = tuple(_PATHS)


class AnyOrder(RuleBasedStateMachine):
    """Up to three cases, everybody at once."""

    def __init__(self) -> None:
        super().__init__()
        self.book = CaseBook()
        self.ids: list[UUID] = []
        self.totals: dict[UUID, datetime] = {}
        self.dangers: set[UUID] = set()

    @initialize(start=st.sampled_from(STARTS))
    def begin(self, start: str) -> None:
        self.book = CaseBook(start)

    @precondition(lambda self: len(self.ids) < MOST_CASES)
    @rule(
        words=st.sampled_from(WORDS),
        platform=st.sampled_from((HOTLINE, HOTLINE, POLICE)),
        handed=st.booleans(),
        imported=st.booleans(),
        confidential=st.booleans(),
        safe=st.sampled_from(SAFE_CONTACTS),
        ago=st.sampled_from(WAITS),
    )
    def call_comes_in(
        self,
        words: str,
        platform: str,
        handed: bool,
        imported: bool,
        confidential: bool,
        safe: SafeContact | None,
        ago: timedelta,
    ) -> None:
        try:
            case = self.book.register(
                words,
                platform=platform,
                division=HUANGZHONG,
                peer_platform=(POLICE if platform == HOTLINE else HOTLINE) if handed else "",
                received=self.book.now - ago if imported else None,
                imported=imported,
                confidential=confidential,
                safe_contact=safe,
            )
        except Refused:
            return
        self.ids.append(case)
        self._look()

    @precondition(lambda self: bool(self.ids))
    @rule(data=st.data(), times=st.integers(1, 4))
    def people_act(self, data: st.DataObject, times: int) -> None:
        for _ in range(times):
            self.act(lambda among: data.draw(st.sampled_from(among)))

    def act(self, choose: Choose) -> None:
        case = self.book.case(choose(self.ids))
        others = [self.book.case(other) for other in self.ids]
        command, actor = action(choose, case, others)
        try:
            events = self.book.do(command, actor)
        except Refused as refused:
            assert str(refused)
            assert refused.field
            assert refused.remedy
            return
        self._declared()
        self._look()
        if isinstance(command, c.ExpireDeadline):
            self._unhurried(command, events)

    @precondition(lambda self: len(self.ids) < MOST_CASES)
    @rule(deep=st.sampled_from(PATHS), lead=st.sampled_from((BUREAU, BUREAU, WATERWORKS)))
    def case_well_on_its_way(self, deep: str, lead: str) -> None:
        words = WORDS[1] if lead == WATERWORKS else WORDS[0]
        self.ids.append(_PATHS[deep](self.book, words, lead))
        self._declared()
        self._look()

    @precondition(lambda self: bool(self.ids))
    @rule(length=st.sampled_from(WAITS))
    def time_passes(self, length: timedelta) -> None:
        # nobody was there all that time when it is long: what fell due meanwhile is settled late
        pass_on = self.book.until if length < timedelta(days=2) else self.book.outage
        pass_on(self.book.now + length)
        self._declared()
        self._look()

    @precondition(lambda self: bool(self.ids))
    @rule()
    def the_same_calendar_moves_nothing(self) -> None:
        for case in self.ids:
            assert self.book.all_of(c.MoveDeadlines(case=case, batch="same"), SYSTEM) == ()

    @precondition(lambda self: bool(self.ids))
    @rule()
    def a_notice_is_loaded(self) -> None:
        """Whatever stage they are in: moved once, told to nobody, and what had fallen stays fallen."""
        self.book.product.library = with_notice()
        told = len(self.book.sent)
        for id_ in self.ids:
            before = self.book.case(id_)
            self.book.all_of(c.MoveDeadlines(case=id_, batch="notice"), SYSTEM)
            assert self.book.all_of(c.MoveDeadlines(case=id_, batch="notice"), SYSTEM) == ()
            for run in before.running:
                after = self.book.run(id_, run.clock)
                assert (after.level, after.amber, after.started) == (run.level, run.amber, run.started)
                assert after.due > self.book.now or after.due == run.due, "nobody is made late"
        assert len(self.book.sent) == told
        self._look()

    def _unhurried(self, command: c.ExpireDeadline, events: tuple[e.AnyEvent, ...]) -> None:
        assert not events or self.book.now > command.due

    def _declared(self) -> None:
        for command, left, right in self.book.moves:
            targets = LEADS_TO.get(command, {})
            assert right in targets.get(left, targets.get(None, ())), f"{command.__name__}: {left} → {right}"
        self.book.moves.clear()

    def _look(self) -> None:
        for id_ in self.ids:
            case = self.book.case(id_)
            total = case.clock("total")
            assert total is not None
            assert self.totals.setdefault(id_, total.started) == total.started == case.first_received
            if case.matter.danger:
                self.dangers.add(id_)
            assert case.matter.danger == (id_ in self.dangers), "danger is never taken back"
            assert not case.matter.danger or case.matter.urgency == "urgent"
            _charged(case)


def _charged(case: Case) -> None:
    """Every instant since receipt is charged to exactly one holder."""
    assert case.hops[0].since == case.received
    for left, right in zip(case.hops, case.hops[1:], strict=False):
        assert left.until == right.since >= left.since
        assert left.holder != right.holder
    assert case.hops[-1].until is None


@given(random=st.randoms(use_true_random=True))
@settings(max_examples=2_000 if _DEEP else 12, deadline=None, derandomize=not _DEEP)
def test_long_walks_keep_every_promise_too(random: Random) -> None:
    walk = AnyOrder()
    walk.begin(random.choice(STARTS))
    while len(walk.ids) < MOST_CASES:
        walk.case_well_on_its_way(random.choice(PATHS), random.choice((BUREAU, WATERWORKS)))
        if random.random() < 0.3 and len(walk.ids) < MOST_CASES:
            walk.call_comes_in(
                random.choice(WORDS),
                random.choice((HOTLINE, POLICE)),
                handed=random.random() < 0.4,
                imported=random.random() < 0.3,
                confidential=random.random() < 0.2,
                safe=random.choice(SAFE_CONTACTS),
                ago=random.choice(WAITS),
            )
    for _ in range(120):
        walk.act(random.choice)
        if random.random() < 0.15:
            walk.time_passes(random.choice(WAITS))
            walk.the_same_calendar_moves_nothing()
            if random.random() < 0.2:
                walk.a_notice_is_loaded()


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=1_000 if _DEEP else 15,
    stateful_step_count=60 if _DEEP else 25,
    deadline=None,
    derandomize=not _DEEP,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
