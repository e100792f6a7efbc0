"""Cases that may belong together: the same number again, others about one event. Suggested with reasons, never merged.

`look` compares over everything there is, for Liandong itself; `suggest` shows a viewer what it may know. Of another
platform's cases of the same number a desk learns that they exist, their kind, time and stage, and that it is the same
matter, nothing else (DOMAIN.md, safety of people).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from dispatcher.domain.authority import DESK
from dispatcher.domain.case import Case
from dispatcher.domain.library import Library
from dispatcher.store import neighbours
from dispatcher.store.database import Database
from dispatcher.store.neighbours import Neighbour
from dispatcher.views import words
from dispatcher.views.cases import state_of
from dispatcher.views.masking import mask_text
from dispatcher.views.viewing import Viewer
from routing_rules.duplicates import (
    DuplicateRules,
    Earlier,
    EventRule,
    Features,
    Likely,
    Reason,
    Told,
    how_repeated,
    shared_kind,
)

MOST = 20
"""Suggestions at most, of each sort."""
EVENT = "same-event"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for: a text that came in at an instant, seen from a line. ``case`` is left out of the answer."""

    text: str
    line: str
    place: str
    category: str
    received: datetime
    item: str = ""
    danger: bool = False
    caller_mac: bytes = b""
    case: UUID | None = None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One case that may belong together. ``how``: "supplement", "repeat", "nth" or "same-event"."""

    case: Neighbour
    state: Case
    how: str
    likely: Likely


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """Everything found. ``again`` are cases of the same number about the same matter, newest first, on this line;
    ``elsewhere`` those of the other line; ``others`` reports of one event by other numbers, the likeliest first.

    ``event`` names the kind of event, ``people`` counts the different people of ``others`` within its window of a surge,
    ``crowd`` are their cases, oldest first.
    """

    again: tuple[Found, ...] = ()
    elsewhere: tuple[Found, ...] = ()
    others: tuple[Found, ...] = ()
    event: str = ""
    people: int = 1
    crowd: tuple[Found, ...] = ()

    @property
    def nth(self) -> int:
        """The how-manieth time it is."""
        return len(self.again) + 1


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """One suggestion as a viewer may know it. ``score`` (0 to 1) orders them; it is no probability.

    ``limited``: a case of another platform, of which only kind, time and stage are told; ``case`` is then None.
    ``parent`` is the case it follows already; ``surge`` the size of the event whose suggested parent it is.
    """

    how: str
    score: float
    reasons: tuple[str, ...]
    reasons_en: tuple[str, ...]
    received: datetime
    kind: str
    stage: str
    stage_words: str
    open: bool
    limited: bool = False
    case: UUID | None = None
    number: str = ""
    platform: str = ""
    category: str = ""
    title: str = ""
    parent: UUID | None = None
    surge: int = 0


class Related(msgspec.Struct, frozen=True, kw_only=True):
    """What may belong together with a case. ``nth``: the how-manieth time this number calls about this matter.

    ``event`` is the kind of event, ``people`` how many different people report it within the window of a surge,
    ``parent`` the case that they would follow; None where there are too few.
    """

    nth: int
    event: str
    event_words: str
    people: int
    parent: UUID | None
    suggestions: tuple[Suggestion, ...]


async def look(database: Database, library: Library, asked: Asked) -> Looked:
    """Everything that may belong together with what is asked. Bounded in time, whatever the size of the store.

    Raises:
        Unreadable: a stored state was changed from outside.
    """
    rules = library.duplicates
    if not rules.events:
        return Looked()
    mine = rules.features(_told_of(asked))
    since = asked.received - mine.longest
    async with database.looking() as connection:
        of_number = (
            await neighbours.of_number(connection, asked.caller_mac, asked.received)
            if asked.caller_mac
            else []
        )
        near = await neighbours.of_place(connection, _divisions(library, asked.place), since, asked.received)
        calls = _compared(rules, mine, asked, of_number)
        likely = _events(rules, mine, asked, near)
        wanted = [case.id for case, _, _ in calls] + [case.id for case, _, _ in likely]
        states = {id_: state_of(raw) for id_, raw in (await neighbours.states(connection, wanted)).items()}
    again, elsewhere = _again(rules, mine, asked, calls, states)
    others: list[Found] = []
    crowds: dict[str, list[Found]] = {rule.id: [] for rule in mine.kinds}
    for case, one, rule in likely:
        if case.id not in states or states[case.id].imported:
            continue
        others.append(Found(case=case, state=states[case.id], how=EVENT, likely=one))
        if rule is not None and asked.received - case.received <= rule.surge_within:
            crowds[rule.id].append(others[-1])
    event, gathered = max(crowds.items(), key=lambda each: people_of(each[1]))
    crowd = tuple(sorted(gathered, key=lambda one: (one.case.received, one.case.id)))
    return Looked(
        again=again,
        elsewhere=elsewhere,
        others=tuple(others[:MOST]),
        event=event,
        people=people_of(crowd) + 1,
        crowd=crowd,
    )


def people_of(crowd: Sequence[Found]) -> int:
    """How many different people these cases came from; one without a number counts for itself."""
    return len({one.case.caller_mac or one.case.id.bytes for one in crowd})


async def asked_of(database: Database, ids: Sequence[UUID]) -> list[tuple[Asked, Case]]:
    """The question about cases that are registered, as far as their words are not erased, and how they stand.

    Raises:
        Unreadable: a stored state was changed from outside.
    """
    async with database.looking() as connection:
        found = {one.id: one for one in await neighbours.ones(connection, ids)}
        states = await neighbours.states(connection, ids)
    return [
        (_asked(found[id_]), state_of(states[id_]))
        for id_ in ids
        if id_ in found and id_ in states and found[id_].words is not None
    ]


async def related(viewer: Viewer, id_: UUID) -> Related | None:
    """What may belong together with a case, as the viewer may know it; None where it may not know of the case.

    Raises:
        Unreadable: a stored state was changed from outside.
    """
    async with viewer.database.looking() as connection:
        case = next(iter(await neighbours.ones(connection, [id_])), None)
        raw = (await neighbours.states(connection, [id_])).get(id_)
    if case is None or raw is None or not viewer.sees(state := state_of(raw)):
        return None
    looked = await look(viewer.database, viewer.library(), _asked(case))
    return _shown(viewer, looked, own=state)


async def suggest(viewer: Viewer, asked: Asked) -> Related:
    """What may belong together with a call that is not registered yet.

    Raises:
        Unreadable: a stored state was changed from outside.
    """
    return _shown(viewer, await look(viewer.database, viewer.library(), asked), own=None)


def _asked(case: Neighbour) -> Asked:
    return Asked(
        text=case.text,
        line=case.line,
        place=case.division,
        category=case.category,
        item=case.item,
        danger=case.danger,
        received=case.received,
        caller_mac=case.caller_mac or b"",
        case=case.id,
    )


def _told_of(asked: Asked) -> Told:
    return Told(
        line=asked.line,
        text=asked.text,
        place=asked.place,
        category=asked.category,
        item=asked.item,
        danger=asked.danger,
        received=asked.received,
    )


def _told(case: Neighbour) -> Told:
    return _told_of(_asked(case))


def _divisions(library: Library, place: str) -> list[str]:
    """Where a report of the same event may have been put: the place as written, its county, its prefecture, nowhere."""
    chain = library.places.chain(place) if library.places.knows(place) else ()
    steps = (place, *(code for code in chain if not code.endswith("0000")), "")
    return list(dict.fromkeys(steps))


def _compared(
    rules: DuplicateRules, mine: Features, asked: Asked, cases: Sequence[Neighbour]
) -> list[tuple[Neighbour, Features, Likely]]:
    compared = []
    for case in cases:
        if case.id == asked.case or case.words is None:
            continue
        theirs = rules.features(_told(case))
        compared.append((case, theirs, rules.same_matter(mine, theirs)))
    return compared


def _events(
    rules: DuplicateRules, mine: Features, asked: Asked, cases: Sequence[Neighbour]
) -> list[tuple[Neighbour, Likely, EventRule | None]]:
    found = []
    for case in cases:
        if case.id == asked.case or case.words is None or case.line != asked.line:
            continue
        if asked.caller_mac and case.caller_mac == asked.caller_mac:
            continue
        theirs = rules.beside(mine, _told(case))
        if theirs is None:
            continue
        one = rules.compare(mine, theirs)
        if one.score >= rules.suggest:
            found.append((case, one, shared_kind(mine, theirs)))
    found.sort(key=lambda each: (-each[1].score, each[0].received, each[0].id))
    return found[: MOST * 5]


def _again(
    rules: DuplicateRules,
    mine: Features,
    asked: Asked,
    calls: Sequence[tuple[Neighbour, Features, Likely]],
    states: dict[UUID, Case],
) -> tuple[tuple[Found, ...], tuple[Found, ...]]:
    """Cases of the same number within their line's window, this line's and the other's."""
    again: list[Found] = []
    elsewhere: list[Found] = []
    for case, _, likely in calls:
        state = states.get(case.id)
        rule = rules.repeat(case.line, case.category)
        if (
            state is None
            or rule is None
            or any(link.case == asked.case for link in state.peers if asked.case)
        ):
            continue  # the other side of a case that was passed on is that case, not another one
        running = state.closed is None and state.is_open
        ended = state.closed or state.hops[-1].since  # what was passed on ended here when it left
        earlier = Earlier(received=case.received, closed=None if running else ended, open=running)
        how = how_repeated(rule, earlier, asked.received)
        # A call within minutes is more about the first, whatever words it finds; later ones must be about the same.
        if not how or (how != "supplement" and likely.score < rules.suggest):
            continue
        one = Found(case=case, state=state, how=how, likely=likely)
        (again if case.line == asked.line else elsewhere).append(one)
    return tuple(again), tuple(elsewhere)


def _shown(viewer: Viewer, looked: Looked, *, own: Case | None) -> Related:
    rules = viewer.library().duplicates
    rule = rules.event_of(looked.event)
    desk = bool(DESK.intersection(viewer.actor.roles)) and not viewer.actor.unit
    suggestions: list[Suggestion] = []
    for one in (*looked.again, *looked.elsewhere, *looked.others):
        if own is not None and any(link.case == one.case.id for link in own.peers):
            continue
        if viewer.sees(one.state):
            suggestions.append(_open(one))
        elif desk and one.how != EVENT and not (one.state.confidential or one.state.matter.about):
            suggestions.append(_limited(one))
    seen = [one for one in looked.crowd if viewer.sees(one.state)]
    people = people_of(seen) + 1
    gathered = rule is not None and rule.step(people) > 0
    return Related(
        nth=looked.nth,
        event=looked.event,
        event_words=rule.name if rule is not None else "",
        people=people,
        parent=parent_of(seen) if gathered else None,
        suggestions=tuple(suggestions),
    )


def parent_of(crowd: Sequence[Found]) -> UUID | None:
    """The case that others would follow: their suggested parent, else the one that some follow, else the first open."""
    free = [one for one in crowd if may_lead(one.state)]
    suggested = next((one.case.id for one in free if one.state.surge), None)
    followed = next((one.state.parent for one in crowd if one.state.parent is not None), None)
    return suggested or followed or next((one.case.id for one in free), None)


def may_lead(case: Case) -> bool:
    """Whether others may follow it."""
    return case.is_open and case.parent is None and not case.erased


def _open(one: Found) -> Suggestion:
    case, state = one.case, one.state
    return Suggestion(
        how=one.how,
        score=one.likely.score,
        reasons=tuple(reason.zh for reason in one.likely.reasons),
        reasons_en=tuple(reason.en for reason in one.likely.reasons),
        received=case.received,
        kind=state.matter.kind,
        stage=case.stage,
        stage_words=words.of(words.STAGES, case.stage).zh,
        open=case.open,
        case=case.id,
        number=state.number,
        platform=case.platform,
        category=case.category,
        title=mask_text(case.title or ""),
        parent=state.parent,
        surge=state.surge,
    )


_SAME_MATTER = Reason(zh="同一号码、同一事项", en="the same number, the same matter")


def _limited(one: Found) -> Suggestion:
    return Suggestion(
        how=one.how,
        score=one.likely.score,
        reasons=(_SAME_MATTER.zh,),
        reasons_en=(_SAME_MATTER.en,),
        received=one.case.received,
        kind=one.state.matter.kind,
        stage=one.case.stage,
        stage_words=words.of(words.STAGES, one.case.stage).zh,
        open=one.case.open,
        limited=True,
    )
