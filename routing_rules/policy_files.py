"""Deadline policy files (TOML) → a `Policy`; every fault of every file at once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import time, timedelta
from typing import Final

import msgspec

from routing_rules.notices import channels_fault
from routing_rules.policy import (
    COUNTS,
    HOURS,
    QUIET,
    RECIPIENTS,
    TEXT_PLACES,
    AtLimit,
    Basis,
    Clock,
    Ladder,
    Limit,
    Policy,
    Rung,
    When,
)
from routing_rules.policy_lint import join_ladders, never_fires
from routing_rules.recurrence import Meeting, fault_of
from routing_rules.strict import DataFault, read_row, refuse, tables_of

_DURATION: Final = re.compile(r"(\d+)(s|min|h|d)")
_UNIT: Final = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}


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
    meeting: str = ""


class _MeetingRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    name: str
    source: str
    rule: str
    at: str


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
    level: int = 0
    after: str = ""
    after_days: int | None = None
    before: str = ""
    before_days: int | None = None
    left: str = ""
    at: str = ""
    channels: tuple[str, ...] = ()
    text: str = ""
    quiet: bool = False


class _LadderRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    name: str
    anchor: str
    source: str
    rung: list[_RungRow]
    repeat_last: str = ""
    then: str = ""


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
            (reading.clocks, reading.ladders, reading.counts, reading.hours, reading.meetings),
            order="deterministic",
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
        meetings=tuple(reading.meetings),
    )


class _Reading:
    """The faults and rows met so far."""

    def __init__(self, faults: list[DataFault], events: frozenset[str] | None) -> None:
        self.faults = faults
        self.events = events
        self.id = self.name = ""
        self.clocks: list[Clock] = []
        self.ladders: list[Ladder] = []
        self.meetings: list[Meeting] = []
        self.counts: dict[str, int] = {}
        self.hours: dict[str, time] = {}
        self._then: dict[str, str] = {}

    def file(self, name: str, content: bytes) -> None:
        shape = {
            "id": str,
            "name": str,
            "source": str,
            "count": dict,
            "hour": dict,
            "clock": list,
            "ladder": list,
            "meeting": list,
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
                if key not in HOURS + QUIET:
                    self._fault(where, key, value, f"unknown; hours are {', '.join(HOURS + QUIET)}")
                elif (at := self._time(where, key, str(value))) is not None:
                    self.hours[key] = at
        for where, row in rows["meeting"]:
            if (meeting := read_row(_MeetingRow, row, where, self.faults)) is not None:
                self._meeting(where, meeting)
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
                if limit.meeting and all(one.id != limit.meeting for one in self.meetings):
                    self._fault(f"clock {clock.id}", "meeting", limit.meeting, "no such meeting")
        self.ladders = join_ladders(self.ladders, self._then, self.faults)
        self.faults.extend(never_fires(self.clocks, self.ladders, frozenset(self._then.values())))
        if len(self.hours.keys() & set(QUIET)) == 1:
            self._fault("policy", "quiet_from", None, "quiet hours need quiet_from and quiet_until, both")
        for ladder in self.ladders:
            for rung in (*ladder.early, *ladder.rungs):
                if rung.quiet and not set(QUIET) <= self.hours.keys():
                    remedy = "give quiet_from and quiet_until under [hour]"
                    self._fault(f"ladder {ladder.id}", "quiet", rung.id, remedy)
        for kind, ids in (
            ("clock", [c.id for c in self.clocks]),
            ("ladder", [x.id for x in self.ladders]),
            ("meeting", [x.id for x in self.meetings]),
        ):
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
            lengths = (limit.working_days, limit.natural or None, limit.natural_days, limit.meeting or None)
            if all(one is None for one in lengths):
                self._fault(spot, "working_days", None, "give working_days, natural, natural_days or meeting")
            if limit.meeting and any(one is not None for one in lengths[:3]):
                self._fault(
                    spot, "meeting", limit.meeting, "a meeting is the whole limit; give no length beside it"
                )
            for field in ("working_days", "target_days", "natural_days"):
                value = getattr(limit, field)
                if value is not None and not 0 <= value <= 400:
                    self._fault(spot, field, value, "must lie between 0 and 400")
            if limit.target_days is not None and (
                limit.working_days is None or limit.target_days > limit.working_days
            ):
                self._fault(spot, "target_days", limit.target_days, "must not lie after working_days")
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
                    meeting=limit.meeting,
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

    def _meeting(self, where: str, row: _MeetingRow) -> None:
        if fault := fault_of(row.rule):
            self._fault(f"{where} ({row.id})", "rule", row.rule, fault)
        at = self._time(f"{where} ({row.id})", "at", row.at)
        self.meetings.append(
            Meeting(id=row.id, name=row.name, source=row.source, rule=row.rule, at=at or time(9))
        )

    def _ladder(self, where: str, row: _LadderRow) -> None:
        where = f"{where} ({row.id})"
        if row.anchor not in ("limit", "start"):
            self._fault(where, "anchor", row.anchor, 'must be "limit" or "start"')
        if not row.rung:
            self._fault(where, "rung", [], "a ladder needs at least one rung")
        rungs = [self._rung(f"{where} rung {n}", rung) for n, rung in enumerate(row.rung, start=1)]
        for number, rung in enumerate(rungs):
            if any(other.id == rung.id for other in rungs[:number]):
                self._fault(f"{where} rung {number + 1}", "id", rung.id, "is used twice in this ladder")
        early = tuple(rung for rung in rungs if rung.after is None and rung.after_days is None)
        if row.then:
            self._then[row.id] = row.then
        self.ladders.append(
            Ladder(
                id=row.id,
                name=row.name,
                anchor=row.anchor,
                source=row.source,
                rungs=tuple(rung for rung in rungs if rung not in early),
                repeat_last=self._duration(where, "repeat_last", row.repeat_last),
                early=early,
            )
        )

    def _rung(self, spot: str, row: _RungRow) -> Rung:
        given = [
            field
            for field in ("after", "after_days", "before", "before_days", "left")
            if getattr(row, field) not in ("", None)
        ]
        if len(given) != 1:
            remedy = (
                "give one of after (natural), after_days (working), before (natural), before_days (working) or "
                "left (office hours)"
            )
            self._fault(spot, "after", given, remedy)
        for field in ("after_days", "before_days"):
            value = getattr(row, field)
            if value is not None and not 0 <= value <= 400:
                self._fault(spot, field, value, "must lie between 0 and 400")
        if not row.to:
            self._fault(spot, "to", [], f"name a recipient: {', '.join(RECIPIENTS)}")
        for name in row.to:
            if name not in RECIPIENTS:
                self._fault(spot, "to", name, f"unknown; recipients are {', '.join(RECIPIENTS)}")
        if fault := channels_fault(row.channels):
            self._fault(spot, "channels", list(row.channels), fault)
        for place in re.findall(r"\{[^{}]*\}?|\}", row.text):
            if place not in TEXT_PLACES:
                self._fault(spot, "text", place, f"unknown place; texts may hold {', '.join(TEXT_PLACES)}")
        return Rung(
            id=row.id,
            name=row.name,
            to=row.to,
            level=row.level,
            after=timedelta(0) if row.after == "0" else self._duration(spot, "after", row.after),
            after_days=row.after_days,
            at=(self._time(spot, "at", row.at) if row.at else None) or time(9, 0),
            before=self._duration(spot, "before", row.before),
            before_days=row.before_days,
            left=self._duration(spot, "left", row.left),
            channels=row.channels,
            text=row.text,
            quiet=row.quiet,
        )
