"""The acting citizens: messages come in, and become cases through the same door as any call."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

import msgspec

from adapters.rehearsal.moves import agent
from dispatcher.domain import commands as c
from dispatcher.domain.deciding.intake import MOST_TITLE
from dispatcher.domain.library import Library
from dispatcher.domain.stream import Submission
from dispatcher.domain.values import Personal
from dispatcher.ports import Inbox, Outcome
from routing_rules.ruling import Hints

_LEGAL = ZoneInfo("Asia/Shanghai")
_NAMES = uuid5(NAMESPACE_URL, "urn:liandong:rehearsal")


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One message on its way in. ``at`` is aware; ``division`` "" leaves the place to the text."""

    at: datetime
    id: str
    title: str
    text: str
    line: str = "12345"
    division: str = ""
    channel: str = "web"


class NumberSource(Protocol):
    """Draws case numbers; never the same twice for a platform and year."""

    async def take(self, platform: str, year: int) -> int: ...


class Callers:
    """Everybody who calls or writes.

    Args:
        origin: names the source of the messages: the same source and id give the same case.
        home: the division whose platform takes what names no place.
    """

    def __init__(
        self, inbox: Inbox, numbers: NumberSource, library: Library, *, origin: str, home: str, seed: int
    ) -> None:
        self._inbox = inbox
        self._numbers = numbers
        self._library = library
        self._origin = origin
        self._home = home
        self._seed = seed

    def case_of(self, arrival: Arrival) -> UUID:
        """The id of the case that an arrival becomes."""
        return uuid5(_NAMES, f"{self._origin}/{arrival.id}")

    async def register(self, arrival: Arrival) -> Outcome:
        """Registers it.

        Raises:
            Refused: it is no case (control characters, too long).
        """
        case = self.case_of(arrival)
        division = arrival.division or self._library.places.best(
            f"{arrival.title}。{arrival.text}", self._home
        )
        platform = self._library.directory.receiver(arrival.line, division, arrival.at).platform_id
        if self._library.directory.platform(platform) is None:  # the text speaks of another province
            platform = self._library.directory.receiver(arrival.line, self._home, arrival.at).platform_id
            division = self._home
        year = arrival.at.astimezone(_LEGAL).year
        number = await self._numbers.take(platform, year)
        fits = len(arrival.title) <= MOST_TITLE
        command = c.RegisterCase(
            case=case,
            platform=platform,
            number=f"{platform}-{year}-{number:07d}",
            title=arrival.title if fits else "",
            words=arrival.text if fits else f"{arrival.title}。{arrival.text}",
            channel=arrival.channel,
            division=division,
            received=arrival.at,
            personal=Personal(),
            hints=Hints(channel=arrival.channel),
        )
        sent = Submission(message_id=uuid5(case, "register"), command=command, actor=agent(platform))
        return await self._inbox.submit(sent)
