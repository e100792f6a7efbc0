"""How notices go out: which channels for whom, how many an hour, quiet hours, how long a channel may keep us waiting.

Data in `routing_rules/data/notices` (TOML), in force for every notice from the moment it is loaded; only the channels
that a rung of a ladder names are part of a case's frozen policy. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, time, timedelta, timezone
from typing import Final

import msgspec

from routing_rules.strict import DataFault, read_row, refuse, tables_of

SCHEMA: Final = "notices-1"
CHANNELS: Final = ("phone", "sms", "email", "webhook", "desk")
"""desk: it waits on the receiver's screen. The others are outside and may not be connected in a deployment."""

_LEGAL = timezone(timedelta(hours=8), "Asia/Shanghai")
_DURATION: Final = re.compile(r"(\d+)(s|min|h)")
_UNIT: Final = {"s": "seconds", "min": "minutes", "h": "hours"}


def channels_fault(channels: tuple[str, ...]) -> str:
    """What is wrong with a list of channels, or nothing."""
    unknown = [one for one in channels if one not in CHANNELS]
    if unknown:
        return f"no such channel: {', '.join(unknown)}; channels are {', '.join(CHANNELS)}"
    if len(set(channels)) < len(channels):
        return "a channel is named twice; each is tried once in turn"
    if "desk" in channels[:-1]:
        return "the desk never fails, so nothing after it is ever tried; put it last"
    return ""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel bears, once for urgent notices and danger, once for the others.

    ``most`` notices to one receiver ``within`` a time (0: no bound). ``tries`` before the next channel. ``outcome``:
    how long to wait for word that it arrived before the next channel is tried; None where the channel is believed at
    once.
    """

    most: int = 0
    within: timedelta = timedelta(hours=1)
    tries: int = 3
    outcome: timedelta | None = None


class ChannelRules(msgspec.Struct, frozen=True, kw_only=True):
    """One channel. ``quiet`` hours (legal time) hold back what is not urgent; they never hold what is."""

    id: str
    urgent: Pace
    general: Pace
    quiet: tuple[time, time] | None = None

    def pace(self, *, urgent: bool) -> Pace:
        """The one that holds for a notice."""
        return self.urgent if urgent else self.general

    def quiet_until(self, at: datetime) -> datetime | None:
        """The end of the quiet hours that the aware instant lies in, None outside them."""
        if self.quiet is None:
            return None
        begins, ends = self.quiet
        local = at.astimezone(_LEGAL)
        clock = local.time()
        inside = begins <= clock < ends if begins < ends else clock >= begins or clock < ends
        if not inside:
            return None
        until = local.replace(hour=ends.hour, minute=ends.minute, second=0, microsecond=0)
        return (until if until > local else until + timedelta(days=1)).astimezone(at.tzinfo)


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The channels of some recipients, in order; ``urgent``: only for urgent notices, only for others, or for all."""

    to: tuple[str, ...]
    channels: tuple[str, ...]
    urgent: bool | None = None


_UNBOUND = Pace()


class NoticeRules(msgspec.Struct, frozen=True, kw_only=True):
    """A release of these rules. Without any, everything waits on the desks."""

    routes: tuple[Route, ...] = ()
    channels: tuple[ChannelRules, ...] = ()

    def route(self, role: str, *, urgent: bool) -> tuple[str, ...]:
        """The channels for a recipient, the first to be tried first."""
        for route in self.routes:
            if (role in route.to or "*" in route.to) and route.urgent in (None, urgent):
                return route.channels
        return ("desk",)

    def channel(self, id_: str) -> ChannelRules:
        """The rules of a channel; one that has none is unbound and knows no quiet hours."""
        for channel in self.channels:
            if channel.id == id_:
                return channel
        return ChannelRules(id=id_, urgent=_UNBOUND, general=_UNBOUND)


class _PaceRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    most: int = 0
    within: str = "1h"
    tries: int = 3
    outcome: str = ""


class _ChannelRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    urgent: _PaceRow = _PaceRow()
    general: _PaceRow = _PaceRow()
    quiet: str = ""


class _RouteRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    to: tuple[str, ...]
    channels: tuple[str, ...]
    urgent: bool | None = None


def compile_notices(files: Mapping[str, bytes]) -> NoticeRules:
    """Read notice files (name → TOML bytes). Raises an ExceptionGroup of DataFault naming every fault of every file."""
    faults: list[DataFault] = []
    routes: list[Route] = []
    channels: dict[str, ChannelRules] = {}
    for name, content in sorted(files.items()):
        rows = tables_of(name, content, {"schema": str, "route": list, "channel": list}, faults)
        if [value for _, value in rows["schema"]] != [SCHEMA]:
            faults.append(
                DataFault(name, "schema", [v for _, v in rows["schema"]], f'write schema = "{SCHEMA}"')
            )
        for where, row in rows["route"]:
            if (route := read_row(_RouteRow, row, where, faults)) is not None:
                faults.extend(_route_faults(where, route, routes))
                routes.append(Route(to=route.to, channels=route.channels, urgent=route.urgent))
        for where, row in rows["channel"]:
            if (channel := read_row(_ChannelRow, row, where, faults)) is not None:
                if channel.id not in CHANNELS:
                    faults.append(DataFault(where, "id", channel.id, f"channels are {', '.join(CHANNELS)}"))
                if channel.id in channels:
                    faults.append(DataFault(where, "id", channel.id, "is described twice"))
                channels[channel.id] = ChannelRules(
                    id=channel.id,
                    urgent=_pace(f"{where} urgent", channel.urgent, faults),
                    general=_pace(f"{where} general", channel.general, faults),
                    quiet=_quiet(where, channel.quiet, faults),
                )
    refuse("notice rules", faults)
    return NoticeRules(routes=tuple(routes), channels=tuple(channels.values()))


def _route_faults(where: str, row: _RouteRow, earlier: list[Route]) -> list[DataFault]:
    faults = []
    if not row.to:
        faults.append(DataFault(where, "to", [], 'name recipients, or "*" for all others'))
    if not row.channels:
        faults.append(DataFault(where, "channels", [], f"name one at least: {', '.join(CHANNELS)}"))
    if fault := channels_fault(row.channels):
        faults.append(DataFault(where, "channels", list(row.channels), fault))
    faults.extend(
        DataFault(where, "to", role, "an earlier route takes it; this one is never reached")
        for role in row.to
        if any((role in one.to or "*" in one.to) and one.urgent in (None, row.urgent) for one in earlier)
    )
    if "citizen" in row.to and not {"phone", "email"}.isdisjoint(row.channels):
        faults.append(
            DataFault(
                where, "channels", list(row.channels), "citizens are rung by people; use sms or webhook"
            )
        )
    return faults


def _pace(where: str, row: _PaceRow, faults: list[DataFault]) -> Pace:
    if row.most < 0:
        faults.append(DataFault(where, "most", row.most, "0 (no bound) or more"))
    if not 1 <= row.tries <= 100:
        faults.append(DataFault(where, "tries", row.tries, "1 to 100"))
    within = _duration(where, "within", row.within, faults)
    outcome = _duration(where, "outcome", row.outcome, faults) if row.outcome else None
    return Pace(most=row.most, within=within, tries=row.tries, outcome=outcome)


def _duration(where: str, field: str, words: str, faults: list[DataFault]) -> timedelta:
    found = _DURATION.fullmatch(words)
    if found is None or int(found[1]) == 0:
        faults.append(DataFault(where, field, words, 'write a duration such as "60s", "10min" or "1h"'))
        return timedelta(hours=1)
    return timedelta(**{_UNIT[found[2]]: int(found[1])})


def _quiet(where: str, words: str, faults: list[DataFault]) -> tuple[time, time] | None:
    if not words:
        return None
    try:
        begins, ends = (time.fromisoformat(part) for part in words.split("-"))
        if begins == ends or begins.tzinfo or ends.tzinfo:
            raise ValueError(words)
    except ValueError:
        faults.append(DataFault(where, "quiet", words, 'write "22:00-07:00", legal time'))
        return None
    return begins, ends
