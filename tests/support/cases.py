"""Cases in memory, on a clock that stands until it is moved: given what was done, when a command, then its events.

After every command the book holds the domain to its word: the log folds to the state (through JSON, as the store
keeps it), the row is the row of the state, and the deadline rows are the armed milestones of the running clocks.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeVar, cast
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from dispatcher.domain import commands as c
from dispatcher.domain import effects as f
from dispatcher.domain import events as e
from dispatcher.domain.case import Case
from dispatcher.domain.library import Library
from dispatcher.domain.product import LiandongProduct
from dispatcher.domain.stream import LIVE, Actor, Change, Effect, Role, StreamRef, StreamRow, Submission
from dispatcher.domain.values import FINISHED, Result, SafeContact, Stage
from routing_rules.ruling import Urgency
from tests.support.library import (
    AGENT,
    HOTLINE,
    LEADER,
    POLICE,
    POLICE_AGENT,
    SUPERVISOR,
    at,
    clerk,
    library,
    staff,
    unit,
)

TICK = timedelta(microseconds=1)
_Key = tuple[UUID, str, str]
_E = TypeVar("_E", bound=Effect)

LAMP = "小区路灯坏了很久没人修"
HEATING = "小区停水两天了"
KNIFE = "楼下有个男的拿着菜刀追人"
UNCLEAR = "你好"
LIGHTING = unit("urban-management")
MARKET = unit("market")
HOUSING = unit("housing")
WATER = unit("water-supply")


class CaseBook:
    """The cases of one test."""

    def __init__(self, now: str = "2026-03-02 10:00", releases: Library | None = None) -> None:
        self.now = at(now)
        self.product = LiandongProduct(releases or library())
        self.states: dict[StreamRef, Case] = {}
        self.rows: dict[StreamRef, StreamRow] = {}
        self.log: list[tuple[StreamRef, bytes, datetime]] = []
        self.deadlines: dict[_Key, datetime] = {}
        self.sent: list[tuple[datetime, f.AnyEffect]] = []
        self.moves: set[tuple[type[c.AnyCommand], Stage, Stage]] = set()
        self._count = 0

    # doing

    def do(self, command: c.AnyCommand, by: Actor = AGENT) -> tuple[e.AnyEvent, ...]:
        """What the command makes happen, clock movements left out. Raises `Refused`."""
        return tuple(x for x in self.all_of(command, by) if not isinstance(x, e.ClocksSet))

    def all_of(self, command: c.AnyCommand, by: Actor = AGENT) -> tuple[e.AnyEvent, ...]:
        """What the command makes happen."""
        self._count += 1
        sent = Submission(message_id=uuid5(NAMESPACE_URL, str(self._count)), command=command, actor=by)
        return self._take(sent, self.now)

    def register(
        self,
        words: str = LAMP,
        *,
        platform: str = HOTLINE,
        by: Actor | None = None,
        division: str = "630102",
        title: str = "",
        received: datetime | None = None,
        first_received: datetime | None = None,
        first_platform: str = "",
        peer_platform: str = "",
        imported: bool = False,
        confidential: bool = False,
        safe_contact: SafeContact | None = None,
    ) -> UUID:
        """A new case; its id."""
        self._count += 1
        case = uuid5(NAMESPACE_URL, f"case {self._count}")
        self.do(
            c.RegisterCase(
                case=case,
                platform=platform,
                number=f"{platform}-2026-{self._count}",
                title=title,
                words=words,
                division=division,
                received=received,
                first_received=first_received,
                first_platform=first_platform,
                peer_platform=peer_platform,
                peer_number="P1" if peer_platform else "",
                peer_case=uuid5(NAMESPACE_URL, "peer") if peer_platform else None,
                imported=imported,
                confidential=confidential,
                safe_contact=safe_contact,
            ),
            by or _sender(platform, passed_on=bool(peer_platform and first_received)),
        )
        return case

    def assigned(
        self, words: str = LAMP, lead: str = LIGHTING, *, urgency: str = "", division: str = "630102"
    ) -> UUID:
        """A case assigned at once."""
        case = self.register(words, division=division)
        if urgency:
            self.do(c.OverrideRuling(case=case, reason="按类别改判", urgency=Urgency(urgency)), SUPERVISOR)
        self.do(c.AssignCase(case=case, lead=lead), AGENT)
        return case

    def signed(self, words: str = LAMP, lead: str = LIGHTING, *, urgency: str = "") -> UUID:
        """A case assigned and signed for at once."""
        case = self.assigned(words, lead, urgency=urgency)
        self.do(c.SignFor(case=case), clerk(lead))
        return case

    def replied(self, words: str = LAMP, lead: str = LIGHTING) -> UUID:
        """A case whose unit has replied."""
        case = self.signed(words, lead)
        self.reply(case, lead)
        return case

    def reply(self, case: UUID, by: str = LIGHTING) -> tuple[e.AnyEvent, ...]:
        """The unit's reply."""
        return self.do(c.ReplyCase(case=case, words="已经修好", result=Result.SOLVED), clerk(by))

    def closed(self, words: str = LAMP, lead: str = LIGHTING) -> UUID:
        """A case carried through to its closing."""
        case = self.replied(words, lead)
        self.finish(case)
        return case

    def finish(self, case: UUID) -> None:
        """From the reply to the closing."""
        self.do(c.ApproveReply(case=case), LEADER)
        self.do(c.DeliverReply(case=case), AGENT)
        self.do(c.CloseCase(case=case), AGENT)

    # time

    def until(self, instant: str | datetime) -> None:
        """Let time pass: everything due before the instant is settled in order, exactly at it nothing yet."""
        end = at(instant) if isinstance(instant, str) else instant
        while self.deadlines:
            key = min(self.deadlines, key=lambda one: (self.deadlines[one], str(one)))
            due = self.deadlines[key]
            if due >= end:
                break
            self.now = max(self.now, due + TICK)
            self.expire(key)
        self.now = max(self.now, end)

    def outage(self, instant: str | datetime) -> None:
        """Nobody settles anything until the instant; then everything that fell due meanwhile."""
        self.now = max(self.now, at(instant) if isinstance(instant, str) else instant)
        self.until(self.now)

    def wait(self, length: timedelta) -> None:
        """Let so much time pass."""
        self.until(self.now + length)

    def expire(self, key: _Key) -> tuple[e.AnyEvent, ...]:
        """Settle one deadline row now, as the sweep does."""
        case, clock, milestone = key
        sent = self.product.expire(_ref(case), clock, milestone, self.deadlines[key])
        return self._take(sent, self.now)

    # looking

    def case(self, case: UUID) -> Case:
        """The case as it stands."""
        return self.states[_ref(case)]

    def run(self, case: UUID, clock: str) -> e.ClockRun:
        """The run of a clock; fails when there is none."""
        found = self.case(case).clock(clock)
        assert found is not None, f"no {clock} clock"
        return found

    def due(self, case: UUID, clock: str) -> datetime:
        """The limit of a running clock."""
        run = self.run(case, clock)
        assert run.stopped is None, f"the {clock} clock has stopped"
        return run.due

    def runs(self, case: UUID) -> set[str]:
        """The clocks that run."""
        return {run.clock for run in self.case(case).running}

    def told(self, case: UUID, clock: str = "") -> list[tuple[str, str]]:
        """Who was told of milestones of a clock: (milestone, role), in order."""
        return [
            (sent.milestone, sent.to.role)
            for _, sent in self.sent
            if isinstance(sent, f.Notify)
            and sent.case == case
            and sent.milestone
            and clock in ("", sent.clock)
        ]

    def rows_lamp(self, case: UUID) -> str:
        """The lamp on its row."""
        return self.rows[_ref(case)].lamp

    def library_says_working_day(self, day: str, days: int) -> datetime:
        """The close of business so many working days after a day, by the province's calendar."""
        return self.product.library.home_calendar().add_workdays(at(f"{day} 10:00"), days).at

    def effects(self, kind: type[_E]) -> list[_E]:
        """All effects of a kind so far."""
        return [sent for _, sent in self.sent if isinstance(sent, kind)]

    def events(self, case: UUID) -> list[e.AnyEvent]:
        """The case's log, as the store gives it back."""
        return [
            msgspec.json.decode(content, type=e.AnyEvent) for ref, content, _ in self.log if ref == _ref(case)
        ]

    # keeping

    def _take(self, sent: Submission, now: datetime) -> tuple[e.AnyEvent, ...]:
        refs = sent.command.streams()
        before = {ref: self.states.get(ref) for ref in refs}
        change = self.product.handle(before, sent, now=now)
        kept = []
        for recorded in change.events:
            content = msgspec.json.encode(recorded.event, order="deterministic")
            self.log.append((recorded.ref, content, now))
            kept.append(cast("e.AnyEvent", recorded.event))
        self._hold(change, now)
        for ref in change.states:
            was, is_ = before[ref], self.states[ref]
            if was is not None and was.stage is not is_.stage and ref == refs[0]:
                self.moves.add((type(cast("c.AnyCommand", sent.command)), was.stage, is_.stage))
        self.sent.extend((now, cast("f.AnyEffect", planned.effect)) for planned in change.effects)
        return tuple(kept)

    def _hold(self, change: Change, now: datetime) -> None:
        for ref, state in change.states.items():
            new = cast("Case", state)
            folded = self._folded(ref, change, now)
            assert folded == new, "the log does not fold to the state"
            stored = msgspec.json.decode(msgspec.json.encode(new), type=Case)
            assert stored == new, "the state does not survive its own encoding"
            self.states[ref] = new
            row = change.rows[ref]
            told = self.product.row(new)
            assert (row.stage, row.lamp, row.due, row.open, row.holder) == (
                told.stage,
                told.lamp,
                told.due,
                told.open,
                told.holder,
            )
            self.rows[ref] = row
        for one in change.deadlines:
            key = (one.ref.id, one.clock, one.milestone)
            if one.state in LIVE:
                self.deadlines[key] = one.due
            else:
                self.deadlines.pop(key, None)
        for ref in change.states:
            case = self.states[ref]
            armed = {
                (case.id, run.clock, armed.milestone): armed.due
                for run in case.running
                for armed in run.armed
            }
            rows = {key: due for key, due in self.deadlines.items() if key[0] == ref.id}
            assert rows == armed, "the deadline rows are not the armed milestones of the running clocks"
            assert not any(run.armed for run in case.clocks if run.stopped is not None)
            if case.stage in FINISHED:
                assert not case.running, f"{case.stage} still owes {[run.clock for run in case.running]}"

    def _folded(self, ref: StreamRef, change: Change, now: datetime) -> Case:
        state: msgspec.Struct | None = self.states.get(ref)
        for recorded in change.events:
            if recorded.ref == ref:
                stored = msgspec.json.encode(recorded.event, order="deterministic")
                state = self.product.fold(state, msgspec.json.decode(stored, type=e.AnyEvent), ref, now)
        assert isinstance(state, Case)
        return state


def _ref(case: UUID) -> StreamRef:
    return StreamRef(kind=c.CASE, id=case)


def _sender(platform: str, *, passed_on: bool) -> Actor:
    """Who registers: an agent, or the linkage for what another platform passed on with its own first receipt."""
    if passed_on:
        return staff(platform, Role.PEER)
    return POLICE_AGENT if platform == POLICE else AGENT
