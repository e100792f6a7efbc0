"""Which earlier cases a new one may belong to: the same number again, or others about the same event. Pure.

Rules are data (`routing_rules/data/duplicates`, read by `duplicate_files`): windows by category, what makes one event,
sizes of a surge and who is told. Nothing here merges anything: it says how likely, and why, in both languages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

import ahocorasick
import msgspec

from routing_rules.similar import Pairs, grams, nearness

HEAD: Final = 400
"""Signs of a text that are compared: what the matter is and where stands at its beginning, and time stays bounded."""
_FULL: Final = 0.32
"""Likeness from which two texts count as wholly alike: other words for one event share no more of their pairs."""
_TEXT, _MATTER, _PLACE, _TIME = 0.40, 0.22, 0.28, 0.10
_ELSEWHERE, _OTHER_MATTER = 0.6, 0.6
"""What is left of a likelihood when both name places and none in common, or matters of two kinds."""
_SILENT: Final = dict.fromkeys(map(ord, " \t\r\n,.，。、；;：:！!？?（）()“”\"'…—-·"))
_MOST_CATEGORIES: Final = 4096
_UNNAMED: Final = 0.35
"""How much an unnamed place speaks for one event, where the kind of event needs a named one."""


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One reason, in Chinese and in English."""

    zh: str
    en: str


class RepeatRule(msgspec.Struct, frozen=True, kw_only=True):
    """When the same number calls again about the same matter, on one line; ``categories`` are paths, () for all.

    Either ``within`` a time of the first receipt, or while the first is open and ``after_closing`` it. Below
    ``supplement`` it is taken for more words about the first. ``urgent_from`` is the nth time, 0 for never.
    """

    line: str
    categories: tuple[str, ...] = ()
    supplement: timedelta = timedelta()
    within: timedelta | None = None
    after_closing: timedelta | None = None
    urgent_from: int = 0


class EventRule(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of event that many may report. ``area``: the county is place enough, no place need be named.

    ``tell`` are lines ("110", only for danger and crowds) and utilities ("utility:heating") that hear of a surge
    beside the supervisor.
    """

    id: str
    name: str
    within: timedelta
    surge: tuple[int, ...]
    surge_within: timedelta
    categories: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    danger: bool = False
    crowd: bool = False
    area: bool = False
    tell: tuple[str, ...] = ()

    @property
    def fits_all(self) -> bool:
        """Whether it asks for nothing."""
        return not (self.categories or self.words or self.danger)

    def step(self, size: int) -> int:
        """The largest step that a surge of this size has reached; 0 for none."""
        return max((step for step in self.surge if step <= size), default=0)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A case as it is compared. ``place`` is its division, ``received`` its first receipt (aware)."""

    line: str
    text: str
    place: str
    category: str
    received: datetime
    item: str = ""
    danger: bool = False


class Features(msgspec.Struct, frozen=True, kw_only=True):
    """What is compared of a case, worked out once. ``kinds`` are the events it may report, the narrowest first."""

    told: Told
    kinds: tuple[EventRule, ...]
    grams: Pairs
    landmarks: frozenset[str]

    @property
    def longest(self) -> timedelta:
        """The longest window of its kinds."""
        return max(rule.within for rule in self.kinds)


class Likely(msgspec.Struct, frozen=True, kw_only=True):
    """How likely two cases are about one matter (0 to 1, no probability), and why."""

    score: float
    reasons: tuple[Reason, ...]


NOT_LIKELY: Final = Likely(score=0.0, reasons=())


class DuplicateRules(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A release of these rules. Without any, nothing is suggested."""

    suggest: float = 1.1
    idle: tuple[str, ...] = ()
    vague: tuple[str, ...] = ()
    landmarks: tuple[str, ...] = ()
    repeats: tuple[RepeatRule, ...] = ()
    events: tuple[EventRule, ...] = ()

    @cached_property
    def _idle(self) -> Pairs:
        return Pairs().union(*map(grams, self.idle))

    @cached_property
    def _categories(self) -> dict[str, frozenset[int]]:
        return {}

    @cached_property
    def _words(self) -> Any:
        """Finds the words of all kinds of event and the ends of places in one pass: word → (kinds, length of an end)."""
        found: dict[str, tuple[list[int], int]] = {}
        for number, rule in enumerate(self.events):
            for word in rule.words:
                found.setdefault(word, ([], 0))[0].append(number)
        for end in self.landmarks:
            found[end] = (found.get(end, ([], 0))[0], len(end))
        automaton: Any = ahocorasick.Automaton()
        for word, meaning in found.items():
            automaton.add_word(word, meaning)
        automaton.make_automaton()
        return automaton

    def repeat(self, line: str, category: str) -> RepeatRule | None:
        """The rule for the same number, the first that fits."""
        return next(
            (
                rule
                for rule in self.repeats
                if rule.line == line and (not rule.categories or within(category, rule.categories))
            ),
            None,
        )

    def event_of(self, id_: str) -> EventRule | None:
        """The rule of this id."""
        return next((rule for rule in self.events if rule.id == id_), None)

    def features(self, told: Told) -> Features:
        """What is compared of a case. Without rules it is of no kind."""
        head = told.text[:HEAD]
        return self._features(told, head, *self._kinds(told, head))

    def beside(self, mine: Features, told: Told) -> Features | None:
        """What is compared of another case; None, and little time spent, where it reports another kind of event."""
        head = told.text[:HEAD]
        kinds, ends = self._kinds(told, head)
        if not any(rule in mine.kinds for rule in kinds):
            return None
        return self._features(told, head, kinds, ends)

    def _kinds(self, told: Told, head: str) -> tuple[tuple[EventRule, ...], dict[int, int]]:
        """The kinds of event a text may report, and where ends of place names stand in it: end → length."""
        found = set(self._of_category(told.category))
        ends: dict[int, int] = {}
        if self.events:
            for last, (named, length) in self._words.iter(head):
                found.update(named)
                if length:
                    ends[last] = max(length, ends.get(last, 0))
        rules = tuple(
            rule
            for number, rule in enumerate(self.events)
            if number in found or (rule.danger and told.danger)
        )
        return rules or self.events[-1:], ends

    def _features(
        self, told: Told, head: str, kinds: tuple[EventRule, ...], ends: Mapping[int, int]
    ) -> Features:
        return Features(
            told=told,
            kinds=kinds,
            grams=grams(head.translate(_SILENT)) - self._idle,
            landmarks=frozenset(self._named(head, ends)),
        )

    def _of_category(self, category: str) -> frozenset[int]:
        known = self._categories.get(category)
        if known is None:
            known = frozenset(n for n, rule in enumerate(self.events) if within(category, rule.categories))
            if len(self._categories) < _MOST_CATEGORIES:
                self._categories[category] = known
        return known

    def _named(self, text: str, ends: Mapping[int, int]) -> Iterator[str]:
        """Places by their last signs ("建设街", "阳光小区"): two signs of the name, and how such names end."""
        for last, length in ends.items():
            start = last + 1 - length
            name = text[max(0, start - 2) : start]
            if len(name) == 2 and not name.endswith(self.vague) and name.isalpha():
                yield text[start - 2 : last + 1]

    def compare(self, one: Features, other: Features) -> Likely:
        """How likely two calls of different people are about one event. Symmetric but for the wording."""
        apart = abs(one.told.received - other.told.received)
        shared = shared_kind(one, other)
        if shared is None or one.told.line != other.told.line or apart > shared.within:
            return NOT_LIKELY
        alike = nearness(one.grams, other.grams)
        matter, why = _matter(one.told, other.told, shared)
        place, where = _place(one, other, area=shared.area)
        score = (
            _TEXT * min(1.0, alike / _FULL)
            + _MATTER * matter
            + _PLACE * max(0.0, place)
            + _TIME * (1 - apart / shared.within)
        )
        if place < 0:
            score *= _ELSEWHERE
        reasons = (ago(apart), where, why, worded(alike))
        return Likely(score=round(min(1.0, score), 3), reasons=tuple(x for x in reasons if x is not None))

    def same_matter(self, one: Features, other: Features) -> Likely:
        """How likely two calls of one number are about the same matter; the window is the rule's affair."""
        apart = abs(one.told.received - other.told.received)
        alike = nearness(one.grams, other.grams)
        shared = shared_kind(one, other)
        matter, why = _matter(one.told, other.told, shared)
        if one.told.item and one.told.item == other.told.item:
            matter, why = max(matter, 0.9), Reason(zh="同一事项", en="the same item")
        place, where = _place(one, other, area=True)
        score = 0.2 + 0.35 * min(1.0, alike / _FULL) + 0.35 * matter + 0.2 * (place - 0.5)
        if shared is None and not matter:
            score *= _OTHER_MATTER
        gone = ago(apart)
        number = Reason(zh=f"同一号码,{gone.zh}", en=f"the same number, {gone.en}")
        reasons = (number, where, why, worded(alike))
        return Likely(
            score=round(max(0.0, min(1.0, score)), 3), reasons=tuple(x for x in reasons if x is not None)
        )


class Earlier(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier case of the same number, as far as its window asks: ``closed`` None while it is open."""

    received: datetime
    closed: datetime | None
    open: bool


def how_repeated(rule: RepeatRule, earlier: Earlier, at: datetime) -> str:
    """ "supplement", "repeat" or "nth" for a call at ``at``, "" outside of the window. At the limit is still inside."""
    apart = at - earlier.received
    if apart < timedelta():
        return ""
    if apart < rule.supplement:
        return "supplement"
    if rule.within is not None and apart <= rule.within:
        return "repeat"
    if rule.after_closing is not None and (
        earlier.open or (earlier.closed is not None and at - earlier.closed <= rule.after_closing)
    ):
        return "nth"
    return ""


def within(category: str, paths: Iterable[str]) -> bool:
    """Whether a category is one of these paths or lies below it."""
    return any(category == path or category.startswith(path + "/") for path in paths)


def ago(apart: timedelta) -> Reason:
    """A length of time, in words."""
    minutes = int(apart.total_seconds() // 60)
    if minutes < 120:
        return Reason(zh=f"相隔 {minutes} 分钟", en=f"{minutes} min apart")
    if minutes < 48 * 60:
        return Reason(zh=f"相隔 {minutes // 60} 小时", en=f"{minutes // 60} h apart")
    return Reason(zh=f"相隔 {minutes // 1440} 天", en=f"{minutes // 1440} days apart")


def shared_kind(one: Features, other: Features) -> EventRule | None:
    """The first kind of event that both may report. Two that fit nothing in particular share the last rule."""
    return next((rule for rule in one.kinds if rule in other.kinds), None)


def worded(alike: float) -> Reason:
    """How alike the words are."""
    return Reason(zh=f"文字相似 {alike:.2f}", en=f"wording alike {alike:.2f}")


def _matter(one: Told, other: Told, shared: EventRule | None) -> tuple[float, Reason | None]:
    common = 0
    for mine, theirs in zip(one.category.split("/"), other.category.split("/"), strict=False):
        if not mine or mine != theirs:
            break
        common += 1
    specific = shared is not None and not shared.fits_all
    why = None
    if common > 1:
        path = "/".join(one.category.split("/")[:common])
        why = Reason(zh=f"同类:{path}", en=f"same category: {path}")
    elif shared is not None and specific:
        why = Reason(zh=f"同类:{shared.name}", en=f"same kind: {shared.id}")
    if common >= 3:
        return 1.0, why
    return max({2: 0.7, 1: 0.3}.get(common, 0.0), 0.9 if specific else 0.0), why


def _place(one: Features, other: Features, *, area: bool) -> tuple[float, Reason | None]:
    """1 for a place both name, below 0 for two places apart, in between where one names none."""
    for name in sorted(one.landmarks, key=len, reverse=True):
        for theirs in other.landmarks:
            if name == theirs or name.endswith(theirs) or theirs.endswith(name):
                said = min(name, theirs, key=len)
                return 1.0, Reason(zh=f"同一地点:{said}", en=f"the same place: {said}")
    if one.landmarks and other.landmarks:
        return (0.3, None) if area else (-1.0, None)
    if area and one.told.place[:6] == other.told.place[:6]:
        return 0.7, Reason(zh="同一区县", en="the same county")
    return _UNNAMED, None
