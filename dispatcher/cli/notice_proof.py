"""Which notices a history asks for, worked out a second time, and compared with those that were planned.

Independent of `decide` and `plan`: milestones are kept by the auditor's ledger, from the log alone; whom a ladder tells
is read from the policy; who hears of what else happens stands here as a table of its own. Where the two differ, one of
them is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

import msgspec

from dispatcher.domain import events as e
from dispatcher.domain.case import Case, evolve
from dispatcher.domain.effects import Notify, TellCitizen
from dispatcher.domain.library import Library
from dispatcher.domain.stream import Change
from dispatcher.domain.worktime import LEGAL_ZONE
from dispatcher.store.expectations import KINDS, Stretch
from routing_rules.policy import Ladder, Policy, Rung

_PROMPT = timedelta(seconds=1)
"""On a manual clock a milestone falls just after its instant."""
_SHOWN = 20
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

Letter = tuple[str, str, str, str, str, int]
"""A notice: to whom (role, unit or platform), template, clock, milestone, level."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One difference. ``what``: missing, extra, unarmed, early, late, wrong-instant."""

    what: str
    case: UUID
    at: datetime
    detail: str


class Proved(msgspec.Struct, frozen=True, kw_only=True):
    """What the comparison found. ``expected`` and ``sent`` count notices, ``milestones`` those that fell."""

    expected: int
    sent: int
    missing: int
    extra: int
    milestones: int
    never_fell: int
    not_armed: int
    early: int
    late: int
    wrong_instant: int
    instants_checked: int
    faults: list[Fault]

    @property
    def holds(self) -> bool:
        """Every expected notice went out, and no other."""
        return not (
            self.missing
            or self.extra
            or self.never_fell
            or self.not_armed
            or self.early
            or self.late
            or self.wrong_instant
        )


_PLATFORM: dict[str, tuple[str, str, int]] = {
    "transfer-failed": ("platform-squad-leader", "transfer-failed", 1),
    "hand-over-failed": ("platform-squad-leader", "hand-over-failed", 1),
    "danger-raised": ("platform-squad-leader", "danger-raised", 3),
    "reflow-seen": ("platform-supervisor", "reflow-seen", 2),
    "return-asked": ("platform-squad-leader", "return-asked", 0),
    "extension-asked": ("platform-squad-leader", "extension-asked", 0),
    "pause-asked": ("platform-squad-leader", "pause-asked", 0),
    "adjudication-due": ("platform-squad-leader", "adjudication-due", 0),
    "reply-submitted": ("platform-agent", "reply-submitted", 0),
    "rating-contested": ("platform-agent", "rating-contested", 0),
}
"""Events that the platform is told of: role, template, level."""
_HOLDER = frozenset(
    {"return-refused", "reply-sent-back", "extension-decided", "pause-refused", "case-resumed"}
)
"""Events that the desk of the unit in the lead is told of, under their own name."""
_CITIZEN = {"reply-approved": "reply-ready", "case-closed": "closed"}
_DUTY = {"unit-duty-phone": "phone", "unit-duty-leader": "leader_phone", "unit-deputy": "deputy_phone"}
_OF_THE_LEAD = frozenset({"unit-lead", "unit-deputy-head", "unit-head"})


class NoticeProof:
    """The second set of books of a run."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._ledgers: dict[UUID, Stretch] = {}
        self._count: Counter[str] = Counter()
        self._faults: list[Fault] = []

    def see(self, id_: UUID, before: Case | None, change: Change, now: datetime) -> None:
        """One change of one case: what should have gone out, and what did."""
        wanted: Counter[Letter] = Counter()
        case = before
        for recorded in change.events:
            if recorded.ref.id != id_:
                continue
            event = cast("e.AnyEvent", recorded.event)
            after = evolve(case, event, now, id_)
            self._milestones(id_, case, event, after, now)
            wanted.update(self._letters(case, event, after, now))
            case = after
        sent = Counter(
            letter
            for planned in change.effects
            if planned.ref.id == id_ and (letter := _letter(planned.effect)) is not None
        )
        self._count["expected"] += wanted.total()
        self._count["sent"] += sent.total()
        if wanted != sent:
            for letter in (wanted - sent).elements():
                self._fault("missing", id_, now, " ".join(map(str, letter)))
            for letter in (sent - wanted).elements():
                self._fault("extra", id_, now, " ".join(map(str, letter)))

    def drop(self, id_: UUID) -> None:
        """The case is over: nothing of it may still have to fall."""
        ledger = self._ledgers.pop(id_, None)
        for (_, clock, milestone), (due, _) in ledger.there.items() if ledger is not None else ():
            self._fault("never-fell", id_, due, f"{clock} {milestone}")

    def result(self, until: datetime) -> Proved:
        """What was found up to an instant; what should have fallen by then and has not is missing."""
        for id_, ledger in self._ledgers.items():
            for (_, clock, milestone), (due, _) in ledger.there.items():
                if due < until:
                    self._fault("never-fell", id_, due, f"{clock} {milestone}")
        seen = self._count
        return Proved(
            expected=seen["expected"],
            sent=seen["sent"],
            missing=seen["missing"],
            extra=seen["extra"],
            milestones=seen["milestones"],
            never_fell=seen["never-fell"],
            not_armed=seen["not-armed"],
            early=seen["early"],
            late=seen["late"],
            wrong_instant=seen["wrong-instant"],
            instants_checked=seen["instants"],
            faults=self._faults,
        )

    def _fault(self, what: str, id_: UUID, at: datetime, detail: str) -> None:
        self._count[what] += 1
        if len(self._faults) < _SHOWN:
            self._faults.append(Fault(what=what, case=id_, at=at, detail=detail))

    # ---- what falls --------------------------------------------------------------------------------------------

    def _milestones(
        self, id_: UUID, before: Case | None, event: e.AnyEvent, after: Case, now: datetime
    ) -> None:
        if not isinstance(event, e.ClocksSet | e.MilestoneReached | e.DeadlineRepaired):
            return
        ledger = self._ledgers.get(id_)
        if ledger is None:
            ledger = self._ledgers[id_] = Stretch(now)
        if isinstance(event, e.MilestoneReached):
            self._count["milestones"] += 1
            there = ledger.there.get((id_, event.clock, event.milestone))
            if there is None or there[0] != event.due:
                self._fault("not-armed", id_, now, f"{event.clock} {event.milestone}")
            if now <= event.due:
                self._fault("early", id_, now, f"{event.clock} {event.milestone}")
            elif there is not None and now - max(event.due, _instant_of(there[1])) > _PROMPT:
                self._fault("late", id_, now, f"{event.clock} {event.milestone} due {event.due.isoformat()}")
            run = after.clock(event.clock)
            if run is not None and not event.nobody:
                for armed in event.next:
                    self._instant(id_, after, run, armed)
        elif isinstance(event, e.ClocksSet):
            for run in event.runs:
                had = before.clock(run.clock) if before is not None else None
                for armed in run.armed:
                    if (
                        had is None or armed not in had.armed
                    ):  # counted where it was set, not where it is carried on
                        self._instant(id_, after, run, armed)
        ledger.take(_position_of(now), id_, now, _KIND[type(event)], msgspec.json.encode(event))

    def _instant(self, id_: UUID, case: Case, run: e.ClockRun, armed: e.Armed) -> None:
        """Limits and rungs counted again: natural time by subtraction, working days by walking from day to day."""
        kind, _, name = armed.milestone.partition("#")[0].partition(":")
        # an extension asked for in time holds the limit until that is decided by somebody, or by its own limit
        request = case.clock("extension") if run.held else None
        limit = max(run.due, request.due) if request is not None else run.due
        if kind == "limit":
            self._count["instants"] += 1
            natural = run.natural is None or run.due <= run.natural or run.added > 0
            if armed.due != limit or not natural:
                self._fault("wrong-instant", id_, armed.due, f"{run.clock} {armed.milestone}")
            return
        ladder = self._ladder(case, run)
        rung = _by_id(ladder.rungs, name) if ladder is not None and kind == "rung" else None
        if ladder is None or rung is None or rung.quiet or "#" in armed.milestone:
            return
        anchor = run.started if ladder.anchor == "start" else limit
        self._count["instants"] += 1
        if rung.after is not None:
            right = armed.due == anchor + rung.after
        else:
            right = rung.after_days == self._days(case, run, anchor, armed.due)
        if not right:
            self._fault("wrong-instant", id_, armed.due, f"{run.clock} {armed.milestone}")

    def _days(self, case: Case, run: e.ClockRun, since: datetime, until: datetime) -> int:
        unit = self._library.unit(run.unit) if run.unit else None
        calendar = self._library.calendars.of(unit.division if unit is not None else self._library.home)
        day, last = since.astimezone(LEGAL_ZONE).date(), until.astimezone(LEGAL_ZONE).date()
        count = 0
        while day < last:
            day += timedelta(days=1)
            count += calendar.is_workday(day)
        return count

    # ---- who is told -------------------------------------------------------------------------------------------

    def _policy(self, case: Case) -> Policy:
        return self._library.clocks(case.policy).policy

    def _ladder(self, case: Case, run: e.ClockRun) -> Ladder | None:
        return self._policy(case).ladder(run.ladder)

    def _letters(self, before: Case | None, event: e.AnyEvent, case: Case, now: datetime) -> Iterator[Letter]:
        word = e.word_of(event)
        if isinstance(event, e.MilestoneReached):
            yield from self._fallen(before, event, case, now)
            return
        if (told := _PLATFORM.get(word)) is not None:
            yield _plain(told[0], case.platform, told[1], told[2])
        elif word in _HOLDER:
            yield _plain("unit-desk", case.lead, word)
        if (template := _CITIZEN.get(word)) is not None:
            yield from _citizen(case, template)
        match event:
            case e.CaseAssigned():
                role = "unit-duty-phone" if case.matter.urgency == "urgent" else "unit-desk"
                yield _plain(role, event.lead, "assigned")
                for unit in event.co:
                    yield _plain("unit-desk", unit, "asked-to-help")
            case e.ClaimOffered():
                for unit in event.units:
                    yield _plain("unit-duty-phone", unit, "claim-offered")
                if event.guard:
                    yield _plain("unit-duty-phone", event.guard, "guard-hazard")
            case e.CaseSubAssigned():
                yield _plain("unit-desk", event.unit, "sub-assigned")
            case e.SubReplySubmitted():
                yield _plain("unit-desk", case.acting_unit, "sub-replied")
            case e.SubReplySentBack():
                yield _plain("unit-desk", event.unit, "sub-reply-sent-back")
            case e.CaseUrged() | e.CaseSupervised() if case.lead:
                yield _plain("unit-lead", case.lead, word, 1)
            case e.ExtensionDecided(granted=True):
                yield from _citizen(case, "extended")
            case e.CasePaused(why="material"):
                yield from _citizen(case, "material-needed")
            case e.PeerResultReported(passed=True):
                yield _plain("platform-agent", case.platform, "peer-result")
            case e.CaseReopened(why="redo"):
                yield _plain("platform-supervisor", case.platform, "redo", 1)
            case _:
                return

    def _fallen(
        self, before: Case | None, event: e.MilestoneReached, case: Case, now: datetime
    ) -> Iterator[Letter]:
        """A milestone's people, as the policy names them; those who cannot be reached are missed aloud."""
        run = before.clock(event.clock) if before is not None else None
        if run is None or before is None:
            return
        kind, _, name = event.milestone.partition("#")[0].partition(":")
        to: tuple[str, ...] = ()
        level = 0
        if kind == "amber":
            to = ("unit-lead",) if run.unit else ("platform-agent",)
            yield from self._reached(before, run, event, to, level)
            return
        ladder = self._ladder(before, run)
        if ladder is None:
            return
        if kind == "early":
            rung = _by_id(ladder.early, name)
            to = ("citizen",) if name == "old-date" else rung.to if rung is not None else ()
        elif kind == "rung":
            rung = _by_id(ladder.rungs, name)
            to, level = (rung.to, rung.level) if rung is not None else ((), 0)
        elif ladder.anchor == "limit":
            rung = next((one for one in ladder.rungs if one.level > run.level), None)
            if rung is not None and rung.after == timedelta() and not self._asleep(before, rung, event.due):
                to, level = rung.to, rung.level
        there = tuple(one for one in to if self._somebody(before, run, one, now))
        if to and not there:
            yield _plain("platform-squad-leader", case.platform, "rung-empty", level)
        yield from self._reached(before, run, event, there, level)

    def _reached(
        self, case: Case, run: e.ClockRun, event: e.MilestoneReached, to: tuple[str, ...], level: int
    ) -> Iterator[Letter]:
        template = f"{event.clock}.{event.milestone.partition('#')[0]}"
        for role in to:
            if role == "citizen":
                old = event.milestone == "early:old-date"
                yield from _citizen(case, "extension-pending" if old else "late-apology")
                continue
            whom = _whom(case, run, role)
            if whom:
                yield (role, whom, template, event.clock, event.milestone, level)

    def _somebody(self, case: Case, run: e.ClockRun, role: str, now: datetime) -> bool:
        if role == "citizen":
            return True
        whom = _whom(case, run, role)
        if not whom or role not in _DUTY:
            return bool(whom)
        if self._library.unit(whom) is None:
            return False
        return bool(getattr(self._library.organisation.on_duty(whom, now), _DUTY[role]))

    def _asleep(self, case: Case, rung: Rung, at: datetime) -> bool:
        if not rung.quiet or case.matter.urgency == "urgent" or case.matter.danger:
            return False
        hours = self._policy(case).hours
        begin, end, moment = hours["quiet_from"], hours["quiet_until"], at.astimezone(LEGAL_ZONE).time()
        return begin <= moment < end if begin <= end else not end <= moment < begin


_KIND: dict[type[e.AnyEvent], str] = dict(
    zip((e.ClocksSet, e.MilestoneReached, e.DeadlineRepaired), KINDS, strict=True)
)


def _position_of(at: datetime) -> int:
    """In memory the log is ordered by time: the microsecond stands for the position."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def _instant_of(position: int) -> datetime:
    return _EPOCH + timedelta(microseconds=position)


def _by_id(rungs: tuple[Rung, ...], name: str) -> Rung | None:
    return next((rung for rung in rungs if rung.id == name), None)


def _whom(case: Case, run: e.ClockRun, role: str) -> str:
    if not role.startswith("unit-"):
        return case.platform
    if role in _OF_THE_LEAD:
        return case.lead
    return run.unit if run.unit and role in _DUTY else case.acting_unit


def _plain(role: str, whom: str, template: str, level: int = 0) -> Letter:
    return role, whom, template, "", "", level


def _citizen(case: Case, template: str) -> Iterator[Letter]:
    """Nobody writes to who must not be written to."""
    unsafe = case.confidential or case.matter.kind == "举报" or "家庭暴力" in case.matter.category
    texts = case.safe_contact.texts if case.safe_contact is not None else not unsafe
    if case.wants_reply and case.line == "12345" and not case.anonymous and not case.erased and texts:
        yield _plain("citizen", "", template)


def _letter(effect: object) -> Letter | None:
    if isinstance(effect, Notify):
        whom = effect.to.unit or effect.to.platform
        return effect.to.role, whom, effect.template, effect.clock, effect.milestone, effect.level
    if isinstance(effect, TellCitizen):
        return _plain("citizen", "", effect.template)
    return None
