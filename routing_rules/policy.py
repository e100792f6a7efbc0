"""Deadline policy (TOML) → frozen clocks, limits and ladders; every fault of every file at once.

A clock says from which event until which event, in which time and by whose calendar it runs; a limit says how
long, for which cases; a ladder says who is told when after (or from) an instant. The numbers live in
`routing_rules/data/policy`, never in code. Natural durations are written "15min", "2h", "24h"; working days are
whole numbers; times of day are wall-clock "HH:MM" in Asia/Shanghai.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import time, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from routing_rules.notices import channels_fault
from routing_rules.ruling import Urgency
from routing_rules.strict import DataFault, read_row, refuse, tables_of

_DURATION: Final = re.compile(r"(\d+)(s|min|h|d)")
_UNIT: Final = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}


class Basis(StrEnum):
    """By whose calendar a clock runs: the unit's division, or the platform's province."""

    UNIT = "unit"
    PLATFORM = "platform"


class AtLimit(StrEnum):
    """What Liandong itself does when a limit falls. Everything else is told to people by the ladder."""

    NOTHING = "nothing"
    DEEM_SIGNED = "deem-signed"  # 视同签收
    RESUME = "resume"  # the citizen's time for material is over
    ARCHIVE = "archive"
    CLOSE_WINDOW = "close-window"  # what was possible until then is so no longer; nobody is late


class When(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which cases a limit is for; what is left out does not matter. The first limit that fits holds."""

    urgency: tuple[Urgency, ...] = ()
    danger: bool | None = None
    utility: bool | None = None  # water, power, gas, heating
    line: str = ""  # "12345" or "110"
    handed_in: bool | None = None  # came from the other platform
    redo: bool | None = None


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """How long. With both ``working_days`` and ``natural`` the earlier binds.

    ``target_days``: amber from there. ``allowance_days``: working days added for hand-over and assignment as far
    as they are really used. ``close_at``: the working-day limit ends at this wall-clock time instead of close of
    business.
    """

    when: When
    working_days: int | None
    target_days: int | None
    allowance_days: int
    natural: timedelta | None
    natural_days: int | None
    close_at: time | None
    amber_days_left: int
    at_limit: AtLimit
    ladder: str


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """One clock. ``starts`` and ``stops`` are event words ("case-assigned", without the version)."""

    id: str
    name: str
    source: str
    basis: Basis
    starts: tuple[str, ...]
    stops: tuple[str, ...]
    limits: tuple[Limit, ...]


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a ladder: ``after`` natural time, or ``after_days`` working days at ``at`` wall-clock.

    ``channels``: how its notices go out, each way only when those before it failed; empty for the recipient's own
    (`routing_rules.notices`).
    """

    id: str
    name: str
    to: tuple[str, ...]
    level: int
    after: timedelta | None
    after_days: int | None
    at: time
    channels: tuple[str, ...] = ()


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """Rungs in order. ``anchor`` is the limit or the start of the clock."""

    id: str
    name: str
    anchor: str
    source: str
    rungs: tuple[Rung, ...]
    repeat_last: timedelta | None


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A release of clocks, ladders and counts. Its digest is the version a case freezes."""

    id: str
    name: str
    clocks: tuple[Clock, ...]
    ladders: tuple[Ladder, ...]
    counts: dict[str, int]
    hours: dict[str, time]
    digest: str

    def clock(self, clock_id: str) -> Clock:
        """The clock of this name; KeyError when the policy has none."""
        for clock in self.clocks:
            if clock.id == clock_id:
                return clock
        raise KeyError(clock_id)

    def ladder(self, ladder_id: str) -> Ladder | None:
        """The ladder of this name, None for the empty name."""
        for ladder in self.ladders:
            if ladder.id == ladder_id:
                return ladder
        return None


RECIPIENTS: Final = (
    "unit-duty-phone",
    "unit-duty-leader",
    "unit-deputy",
    "unit-lead",
    "unit-deputy-head",
    "unit-head",
    "platform-agent",
    "platform-squad-leader",
    "platform-supervisor",
    "bulletin",
    "inspection",
    "approver",
    "citizen",
)
"""Who a rung can reach. Persons and phones behind them come from the organisation and its duty rosters."""

COUNTS: Final = (
    "extension_days_most",
    "extensions_most",
    "returns_before_adjudication",
    "holders_before_adjudication",
    "pause_days_most",
    "pauses_most",
    "callback_attempts",
    "redos_most",
    "danger_watch_minutes",
)
HOURS: Final = ("extension_cutoff", "callback_from", "callback_until", "rung_at")


class _LimitRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    when: When = When()
    working_days: int | None = None
    target_days: int | None = None
    allowance_days: int = 0
    natural: str = ""
    natural_days: int | None = None
    close_at: str = ""
    amber_days_left: int = 0
    at_limit: AtLimit = AtLimit.NOTHING
    ladder: str = ""


class _ClockRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    name: str
    source: str
    calendar: Basis
    starts: tuple[str, ...]
    stops: tuple[str, ...]
    limit: list[_LimitRow]


class _RungRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    name: str
    to: tuple[str, ...]
    level: int
    after: str = ""
    after_days: int | None = None
    at: str = ""
    channels: tuple[str, ...] = ()


class _LadderRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    name: str
    anchor: str
    source: str
    rung: list[_RungRow]
    repeat_last: str = ""


def compile_policy(files: Mapping[str, bytes], *, events: frozenset[str] | None = None) -> Policy:
    """Read policy files (name → TOML bytes) into one policy.

    ``events`` are the event words that exist; with it, a clock that could never start or stop is refused.

    Raises an ExceptionGroup of DataFault naming every fault of every file.
    """
    faults: list[DataFault] = []
    reading = _Reading(faults, events)
    for name, content in sorted(files.items()):
        reading.file(name, content)
    reading.across()
    refuse("deadline policy", faults)
    digest = hashlib.sha256(
        msgspec.json.encode(
            (reading.clocks, reading.ladders, reading.counts, reading.hours), order="deterministic"
        )
    ).hexdigest()
    return Policy(
        id=reading.id,
        name=reading.name,
        clocks=tuple(reading.clocks),
        ladders=tuple(reading.ladders),
        counts=reading.counts,
        hours=reading.hours,
        digest=digest[:16],
    )


class _Reading:
    """The faults and rows met so far."""

    def __init__(self, faults: list[DataFault], events: frozenset[str] | None) -> None:
        self.faults = faults
        self.events = events
        self.id = self.name = ""
        self.clocks: list[Clock] = []
        self.ladders: list[Ladder] = []
        self.counts: dict[str, int] = {}
        self.hours: dict[str, time] = {}
        self._places: dict[str, str] = {}

    def file(self, name: str, content: bytes) -> None:
        shape = {
            "id": str,
            "name": str,
            "source": str,
            "count": dict,
            "hour": dict,
            "clock": list,
            "ladder": list,
        }
        rows = tables_of(name, content, shape, self.faults)
        for _, value in rows["id"]:
            self.id = f"{self.id}+{value}" if self.id else value
        for _, value in rows["name"]:
            self.name = value
        for where, table in rows["count"]:
            for key, value in table.items():
                if key not in COUNTS:
                    self._fault(where, key, value, f"unknown; counts are {', '.join(COUNTS)}")
                elif not isinstance(value, int) or isinstance(value, bool) or value < 0:
                    self._fault(where, key, value, "must be a whole number, 0 or more")
                else:
                    self.counts[key] = value
        for where, table in rows["hour"]:
            for key, value in table.items():
                if key not in HOURS:
                    self._fault(where, key, value, f"unknown; hours are {', '.join(HOURS)}")
                elif (at := self._time(where, key, str(value))) is not None:
                    self.hours[key] = at
        for where, row in rows["ladder"]:
            if (ladder := read_row(_LadderRow, row, where, self.faults)) is not None:
                self._ladder(where, ladder)
        for where, row in rows["clock"]:
            if (clock := read_row(_ClockRow, row, where, self.faults)) is not None:
                self._clock(where, clock)

    def across(self) -> None:
        """What can be seen only when all files are read."""
        for missing in sorted(set(COUNTS) - self.counts.keys()):
            self._fault("policy", missing, None, "is missing from [count]")
        for missing in sorted(set(HOURS) - self.hours.keys()):
            self._fault("policy", missing, None, "is missing from [hour]")
        if not self.clocks:
            self._fault("policy", "clock", None, "a policy needs at least one clock")
        known = {ladder.id for ladder in self.ladders}
        for clock in self.clocks:
            for limit in clock.limits:
                if limit.ladder and limit.ladder not in known:
                    self._fault(f"clock {clock.id}", "ladder", limit.ladder, "no such ladder")
        for kind, ids in (("clock", [c.id for c in self.clocks]), ("ladder", [x.id for x in self.ladders])):
            for twice in sorted({one for one in ids if ids.count(one) > 1}):
                self._fault(kind, "id", twice, "is used twice; ids are unique")

    def _fault(self, where: str, field: str, value: object, remedy: str) -> None:
        self.faults.append(DataFault(where, field, value, remedy))

    def _duration(self, where: str, field: str, words: str) -> timedelta | None:
        if not words:
            return None
        found = _DURATION.fullmatch(words)
        if found is None or int(found[1]) == 0:
            self._fault(where, field, words, 'write a duration such as "15min", "2h" or "24h"')
            return None
        return timedelta(**{_UNIT[found[2]]: int(found[1])})

    def _time(self, where: str, field: str, words: str) -> time | None:
        try:
            return time.fromisoformat(words)
        except ValueError:
            self._fault(where, field, words, 'write a time of day as "HH:MM"')
            return None

    def _clock(self, where: str, row: _ClockRow) -> None:
        where = f"{where} ({row.id})"
        if not row.limit:
            self._fault(where, "limit", [], "a clock needs at least one limit")
        for field, words in (("starts", row.starts), ("stops", row.stops)):
            if not words:
                self._fault(where, field, [], "a clock needs one at least")
            for word in words:
                if self.events is not None and word not in self.events:
                    self._fault(where, field, word, "no such event; see docs/events.md")
        limits = []
        for number, limit in enumerate(row.limit, start=1):
            spot = f"{where} limit {number}"
            if limit.working_days is None and not limit.natural and limit.natural_days is None:
                self._fault(spot, "working_days", None, "give working_days, natural or natural_days")
            for field in ("working_days", "target_days", "natural_days"):
                value = getattr(limit, field)
                if value is not None and not 0 <= value <= 400:
                    self._fault(spot, field, value, "must lie between 0 and 400")
            if limit.target_days is not None and (
                limit.working_days is None or limit.target_days > limit.working_days
            ):
                self._fault(spot, "target_days", limit.target_days, "must not lie after working_days")
            if limit.when == When() and number < len(row.limit):
                self._fault(spot, "when", "(everything)", "limits below it can never hold; put it last")
            limits.append(
                Limit(
                    when=limit.when,
                    working_days=limit.working_days,
                    target_days=limit.target_days,
                    allowance_days=limit.allowance_days,
                    natural=self._duration(spot, "natural", limit.natural),
                    natural_days=limit.natural_days,
                    close_at=self._time(spot, "close_at", limit.close_at) if limit.close_at else None,
                    amber_days_left=limit.amber_days_left,
                    at_limit=limit.at_limit,
                    ladder=limit.ladder,
                )
            )
        self.clocks.append(
            Clock(
                id=row.id,
                name=row.name,
                source=row.source,
                basis=row.calendar,
                starts=row.starts,
                stops=row.stops,
                limits=tuple(limits),
            )
        )

    def _ladder(self, where: str, row: _LadderRow) -> None:
        where = f"{where} ({row.id})"
        if row.anchor not in ("limit", "start"):
            self._fault(where, "anchor", row.anchor, 'must be "limit" or "start"')
        if not row.rung:
            self._fault(where, "rung", [], "a ladder needs at least one rung")
        rungs: list[Rung] = []
        for number, rung in enumerate(row.rung, start=1):
            spot = f"{where} rung {number}"
            if (rung.after != "") == (rung.after_days is not None):
                self._fault(
                    spot, "after", rung.after, "give after (natural) or after_days (working), one of them"
                )
            if not rung.to:
                self._fault(spot, "to", [], f"name a recipient: {', '.join(RECIPIENTS)}")
            for recipient in rung.to:
                if recipient not in RECIPIENTS:
                    self._fault(spot, "to", recipient, f"unknown; recipients are {', '.join(RECIPIENTS)}")
            if fault := channels_fault(rung.channels):
                self._fault(spot, "channels", list(rung.channels), fault)
            if any(other.id == rung.id for other in rungs):
                self._fault(spot, "id", rung.id, "is used twice in this ladder")
            rungs.append(
                Rung(
                    id=rung.id,
                    name=rung.name,
                    to=rung.to,
                    level=rung.level,
                    after=timedelta(0) if rung.after == "0" else self._duration(spot, "after", rung.after),
                    after_days=rung.after_days,
                    at=(self._time(spot, "at", rung.at) if rung.at else None) or time(9, 0),
                    channels=rung.channels,
                )
            )
        for kind in ("after", "after_days"):
            steps = [getattr(rung, kind) for rung in rungs if getattr(rung, kind) is not None]
            if steps != sorted(steps):
                self._fault(where, kind, [str(step) for step in steps], "rungs must not go back in time")
        levels = [rung.level for rung in rungs]
        if levels != sorted(set(levels)):
            self._fault(
                where, "level", levels, "levels must grow from rung to rung; they say how far it has climbed"
            )
        self.ladders.append(
            Ladder(
                id=row.id,
                name=row.name,
                anchor=row.anchor,
                source=row.source,
                rungs=tuple(rungs),
                repeat_last=self._duration(where, "repeat_last", row.repeat_last),
            )
        )
