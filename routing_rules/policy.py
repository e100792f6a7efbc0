"""Deadline policy: clocks, limits and ladders, frozen. `policy_files` reads them from TOML.

A clock says from which event until which event, in which time and by whose calendar it runs; a limit says how
long, for which cases; a ladder says who is told when after (or from) an instant. The numbers live in
`routing_rules/data/policy`, never in code. Natural durations are written "15min", "2h", "24h"; working days are
whole numbers; times of day are wall-clock "HH:MM" in Asia/Shanghai.
"""

from __future__ import annotations

from datetime import time, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from routing_rules.recurrence import Meeting
from routing_rules.ruling import Urgency


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
    TABLE = "table"  # 提交会商: a date that a matter waits for; nobody is late, nothing else depends on it
    CLOSE_WINDOW = "close-window"  # what was possible until then is so no longer; nobody is late


class When(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which cases a limit is for; what is left out does not matter. The first limit that fits holds."""

    urgency: tuple[Urgency, ...] = ()
    danger: bool | None = None
    utility: bool | None = None  # water, power, gas, heating
    line: str = ""  # "12345" or "110"
    handed_in: bool | None = None  # came from the other platform
    redo: bool | None = None
    consult: bool | None = None  # nobody agreed who takes it: an item for consultation (会商)


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """How long. With both ``working_days`` and ``natural`` the earlier binds.

    ``meeting``: until the next date of that meeting, instead of a length. ``target_days``: amber from there. ``allowance_days``: working days added for hand-over and assignment as far
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
    meeting: str = ""


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
    """One step of a ladder, in its own time; exactly one of five says when.

    From the ladder's anchor: ``after`` natural time, or ``after_days`` working days at ``at`` wall-clock. Before the
    limit: ``before`` natural time, ``before_days`` working days at ``at``, or with ``left`` of office hours left.

    ``channels``: how its notices go out, each way only when those before it failed; empty for the recipient's own
    (`routing_rules.notices`). ``text`` is its own wording. ``quiet``: it waits for the end of the quiet hours, except
    for urgent cases, which never wait.
    """

    id: str
    name: str
    to: tuple[str, ...]
    level: int
    after: timedelta | None
    after_days: int | None
    at: time
    before: timedelta | None = None
    before_days: int | None = None
    left: timedelta | None = None
    channels: tuple[str, ...] = ()
    text: str = ""
    quiet: bool = False


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """Rungs in order. ``anchor`` is the limit or the start of the clock. ``early`` are the rungs before the limit;
    those of a ladder that this one goes on with (``then`` in the file) stand at the end of ``rungs``."""

    id: str
    name: str
    anchor: str
    source: str
    rungs: tuple[Rung, ...]
    repeat_last: timedelta | None
    early: tuple[Rung, ...] = ()


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A release of clocks, ladders and counts. Its digest is the version a case freezes."""

    id: str
    name: str
    clocks: tuple[Clock, ...]
    ladders: tuple[Ladder, ...]
    counts: dict[str, int]
    hours: dict[str, time]
    digest: str
    meetings: tuple[Meeting, ...] = ()

    def clock(self, clock_id: str) -> Clock:
        """The clock of this name; KeyError when the policy has none."""
        for clock in self.clocks:
            if clock.id == clock_id:
                return clock
        raise KeyError(clock_id)

    def meeting(self, meeting_id: str) -> Meeting:
        """The meeting of this name; KeyError when the policy has none."""
        for meeting in self.meetings:
            if meeting.id == meeting_id:
                return meeting
        raise KeyError(meeting_id)

    def ladder(self, ladder_id: str) -> Ladder | None:
        """The ladder of this name, None for the empty name."""
        for ladder in self.ladders:
            if ladder.id == ladder_id:
                return ladder
        return None


TEXT_PLACES: Final = ("{number}", "{clock}", "{rung}", "{level}")
"""What a rung's own wording may name."""
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
QUIET: Final = ("quiet_from", "quiet_until")
"""Hours that a policy may leave out as long as no rung is quiet."""
