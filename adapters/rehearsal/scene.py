"""One case at one moment as its actors see it: who may act, how long they take, and the dice for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from adapters.rehearsal.chance import Chances, Draw
from adapters.rehearsal.habits import Habits
from adapters.rehearsal.moves import Move, agent, cad, chief, clerk, inspector, region_of, situation
from dispatcher.domain import commands as c
from dispatcher.domain.case import Case
from dispatcher.domain.library import Library
from dispatcher.domain.stream import Command
from routing_rules.demo import Behaviour, Delay
from routing_rules.ruling import Urgency

FALLBACK_OWNERS = ("government", "supervision", "petition")
"""Who gets what nobody is named for (属地政府), and what is about that one (its superior side)."""

_LEAST = timedelta(minutes=1)


class Scene:
    """Everything a decision of an actor looks at.

    Args:
        served: whether a platform lives in this deployment.
        always_open: people work day and night (the demonstration, where somebody is watching).
        sent: names of the commands the actors have sent for this case.
        barred: names of those that a rule refused for it; another way is taken.
    """

    def __init__(
        self,
        case: Case,
        now: datetime,
        *,
        library: Library,
        habits: Habits,
        behaviours: Mapping[Urgency, Behaviour],
        chances: Chances,
        served: Callable[[str], bool],
        always_open: bool,
        sent: frozenset[str],
        barred: frozenset[str],
    ) -> None:
        self.case = case
        self.now = now
        self.library = library
        self.habits = habits
        self.behaviour = behaviours[Urgency(case.matter.urgency or Urgency.general)]
        self.draw = chances.of(case.id, *situation(case))
        self.sent = sent
        self._chances = chances
        self.serves = served
        self._always_open = always_open
        self._barred = barred

    # ---- when --------------------------------------------------------------------------------------------------

    @property
    def urgent(self) -> bool:
        """Whether people drop everything else for it."""
        return self.case.matter.urgency == "urgent" or self.case.matter.danger

    def after(self, delay: Delay, *, unit: str = "") -> datetime:
        """An instant after a delay, in the working time of the unit or the platform unless the delay is natural."""
        length = max(self.draw.delay(delay), _LEAST)
        if delay.natural or self._always_open:
            return self.now + length
        return self.library.calendars.of(self._division(unit)).add_worktime(self.now, length).at

    def before_limit(self, clock: str, left: timedelta) -> datetime:
        """An instant with so much working time left on a clock; soon, when the clock does not run."""
        run = self.case.clock(clock)
        soon = self.now + timedelta(minutes=10)
        if run is None or run.stopped is not None:
            return soon
        return max(self.library.calendars.of(self._division(run.unit)).subtract_worktime(run.due, left), soon)

    def in_time(self, clock: str, at: datetime, *, spare: timedelta = timedelta()) -> datetime:
        """The instant, or an earlier one where it would leave less than ``spare`` working time to a clock's limit."""
        run = self.case.clock(clock)
        if run is None or run.stopped is not None:
            return at
        last = run.due
        if spare and not self.urgent:
            last = self.library.calendars.of(self._division(run.unit)).subtract_worktime(run.due, spare)
        if at <= last:
            return at
        share = 0.6 + 0.38 * self.draw.fraction()
        return max(self.now + (last - self.now) * share, self.now + _LEAST)

    def past_limit(self, clock: str, delay: Delay) -> datetime:
        """An instant after the limit of a clock."""
        run = self.case.clock(clock)
        start = self.now if run is None else max(run.due, self.now)
        length = self.draw.delay(delay)
        if delay.natural or self._always_open:
            return start + length
        unit = run.unit if run is not None else ""
        return self.library.calendars.of(self._division(unit)).add_worktime(start, length).at

    def _division(self, unit: str) -> str:
        found = self.library.unit(unit) if unit else None
        return found.division if found else self.library.home

    # ---- dice --------------------------------------------------------------------------------------------------

    def once(self, *about: object) -> Draw:
        """Dice that fall the same way however often the case is looked at."""
        return self._chances.of(self.case.id, *about)

    def may(self, command: type[Command]) -> bool:
        """False when a rule refused this for the case before."""
        return c.name_of(command) not in self._barred

    def has_sent(self, command: type[Command]) -> bool:
        """Whether the actors did this before."""
        return c.name_of(command) in self.sent

    # ---- who ---------------------------------------------------------------------------------------------------

    def desk(self, command: Command, delay: Delay) -> Move:
        """An agent of the platform does it."""
        return Move(at=self.after(delay), command=command, actor=agent(self.case.platform))

    def chief(self, command: Command, delay: Delay | None = None) -> Move:
        """The platform's supervisor does it, at once when it is urgent."""
        usual = self.habits.decide_urgent if self.urgent else self.habits.decide
        return Move(at=self.after(delay or usual), command=command, actor=chief(self.case.platform))

    def inspector(self, command: Command, at: datetime) -> Move:
        """Quality inspection does it."""
        return Move(at=at, command=command, actor=inspector(self.case.platform))

    def unit(self, code: str, command: Command, at: datetime) -> Move:
        """A unit does it."""
        return Move(at=at, command=command, actor=clerk(code))

    def cad(self, command: Command, delay: Delay) -> Move:
        """The police command system reports it; patrols know no office hours."""
        return Move(at=self.after(delay), command=command, actor=cad(self.case.platform))

    # ---- where -------------------------------------------------------------------------------------------------

    @property
    def place(self) -> str:
        """The division of the case, else its platform's."""
        return self.case.division or region_of(self.case.platform) or self.library.home

    def receiver(self, line: str) -> str:
        """The platform that answers a line here and now."""
        return self.library.directory.receiver(line, self.place, self.now).platform_id

    def units(self) -> tuple[str, ...]:
        """Who could handle it, likeliest first: its owners' units here; never the one complained of or below it."""
        case, organisation = self.case, self.library.organisation
        blamed = self.library.complained_of(case.matter.about, case.division)
        found: dict[str, None] = {}
        for owner in (*case.matter.owners, *FALLBACK_OWNERS):
            unit = organisation.resolve(owner, self.place)
            if unit is not None and blamed and unit.code == blamed:
                unit = organisation.superior(unit.code)
            if unit is None or (blamed and (unit.code == blamed or organisation.is_below(unit.code, blamed))):
                continue
            found[unit.code] = None
        sent_back = {asked.unit for asked in case.returns if asked.accepted}
        willing = [code for code in found if code not in sent_back] or list(found)
        return tuple(willing[: max(1, len(case.matter.owners))])
