"""The releases a decision may look into: lists, policies, calendars, organisation, directory, places. Immutable."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from dispatcher.domain.worktime import Calendar, Calendars
from routing_rules.directory import Directory
from routing_rules.duplicates import DuplicateRules
from routing_rules.loader import Rulebook
from routing_rules.match import rule
from routing_rules.notices import NoticeRules
from routing_rules.organisation import Organisation, Unit
from routing_rules.places import Places
from routing_rules.policy import Clock, Policy
from routing_rules.recommend import Recommended, by_model, recommend
from routing_rules.ruling import Hints, Line, Ruling
from routing_rules.schema import Item

if TYPE_CHECKING:
    from routing_rules.model.scorer import Recommender


SHORT = 16
"""Characters of a digest by which cases and events name a release."""


class UnknownRelease(LookupError):
    """A case names a release that this library does not hold: load it before deciding."""


class ClockIndex:
    """A policy's clocks by the event words that start and stop them."""

    __slots__ = ("clocks", "ladders", "policy", "starts", "stops", "words")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.clocks = {clock.id: clock for clock in policy.clocks}
        self.ladders = {ladder.id: ladder for ladder in policy.ladders}
        self.starts: dict[str, tuple[Clock, ...]] = {}
        self.stops: dict[str, frozenset[str]] = {}
        for clock in policy.clocks:
            for word in clock.starts:
                self.starts[word] = (*self.starts.get(word, ()), clock)
            for word in clock.stops:
                self.stops[word] = self.stops.get(word, frozenset()) | {clock.id}
        self.words = frozenset(self.starts) | frozenset(self.stops)


class Library:
    """What `decide` reads. ``policies`` holds every policy an open case may still name, the current one last;
    ``earlier`` are lists that were in force before and that running cases were ruled under."""

    __slots__ = (
        "_indexes",
        "_unattended",
        "book",
        "books",
        "calendars",
        "directory",
        "duplicates",
        "home",
        "notices",
        "organisation",
        "places",
        "policy",
        "recommender",
    )

    def __init__(
        self,
        *,
        book: Rulebook,
        policies: Iterable[Policy],
        calendars: Calendars,
        organisation: Organisation,
        directory: Directory,
        places: Places,
        home: str = "630000",
        notices: NoticeRules | None = None,
        duplicates: DuplicateRules | None = None,
        recommender: Recommender | None = None,
        earlier: Iterable[Rulebook] = (),
    ) -> None:
        self.book = book
        self.books = {each.digest[:SHORT]: each for each in (*earlier, book)}
        self._unattended = {item.id: item for item in book.sheet.items if item.self_dispatch}
        self.calendars = calendars
        self.organisation = organisation
        self.directory = directory
        self.places = places
        self.home = home
        self.notices = notices or NoticeRules()
        self.duplicates = duplicates or DuplicateRules()
        self.recommender = recommender
        self._indexes: dict[str, ClockIndex] = {}
        for policy in policies:
            self._indexes[policy.digest] = ClockIndex(policy)
            self.policy = policy
        if not self._indexes:
            raise ValueError("a library needs a deadline policy")

    @property
    def policies(self) -> frozenset[str]:
        """The digests of every policy it knows."""
        return frozenset(self._indexes)

    def all_policies(self) -> tuple[Policy, ...]:
        """Every policy it knows, today's last."""
        known = [
            index.policy for index in self._indexes.values() if index.policy.digest != self.policy.digest
        ]
        return (*known, self.policy)

    def clocks(self, digest: str) -> ClockIndex:
        """The clocks of the policy a case runs under."""
        try:
            return self._indexes[digest]
        except KeyError:
            raise UnknownRelease(f"deadline policy {digest} is not loaded") from None

    def rule(
        self, text: str, *, line: str, division: str, at: datetime, hints: Hints, lists: str = ""
    ) -> Ruling:
        """The lists' ruling on a text, as seen from a line and a division.

        Args:
            lists: short digest of the lists that a running case was ruled under; the present ones where they are not
                held any more.
        """
        book = self.books.get(lists, self.book)
        return rule(text, book=book, line=Line(line), division=division, at=at, hints=hints)

    def recommend(
        self, text: str, ruling: Ruling, *, division: str, at: datetime, hints: Hints
    ) -> Recommended:
        """The likeliest categories and units for a ruled text, by the model in force or by the lists' own words."""
        return recommend(
            text, ruling, book=self.book, model=self.recommender, division=division, at=at, hints=hints
        )

    def model_says(self, text: str, ruling: Ruling) -> Recommended | None:
        """What the model in force says of a text that is being registered; None without one, and for danger."""
        return by_model(text, ruling, self.recommender, reasons=False)

    def unattended(self, item: str) -> Item | None:
        """The item, when its owner chose that its cases may be assigned without a person."""
        return self._unattended.get(item)

    def home_calendar(self) -> Calendar:
        """The province's calendar: total and platform clocks run by it."""
        return self.calendars.of(self.home)

    def unit(self, code: str) -> Unit | None:
        """The unit of a GB 32100 code, None when the organisation has none."""
        try:
            return self.organisation.unit(code)
        except LookupError:
            return None

    def is_below(self, code: str, upper: str) -> bool:
        """Whether a unit stands below another in its tree; no for codes that the organisation does not have."""
        return self.unit(code) is not None and self.organisation.is_below(code, upper)

    def complained_of(self, about: str, division: str) -> str:
        """The code of the unit that ``about`` (a unit kind, "police" or a code) means in this division, or ""."""
        if not about:
            return ""
        if self.unit(about) is not None:
            return about
        kind = "public-security" if about == "police" else about
        unit = self.organisation.resolve(kind, division or self.home)
        return unit.code if unit else ""
