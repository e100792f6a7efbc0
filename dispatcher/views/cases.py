"""Cases by filters, page after page, and one case with everything that its viewer may know."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Row, and_, asc, desc, or_, select
from sqlmodel import col

from dispatcher.domain.case import Case
from dispatcher.domain.commands import CASE
from dispatcher.domain.lifecycle import allowed_names
from dispatcher.domain.stream import Actor, Role
from dispatcher.domain.values import Personal, Stage
from dispatcher.store.codec import decode_state
from dispatcher.store.database import Database, tree_prefix
from dispatcher.store.tables import Deadlines, Streams, Texts, VaultKeys, VaultRows
from dispatcher.store.vault import CannotUnseal, Vault
from dispatcher.views import words
from dispatcher.views.cursor import Mark, cursor_of, read_cursor
from dispatcher.views.masking import mask_name, mask_number, mask_text
from dispatcher.views.viewing import Viewer, scope_of_one

Order = Literal["received", "-received", "due"]

MOST = 200
"""Rows of a page at most."""

WORDS_FOR = frozenset(
    {
        Role.AGENT_12345,
        Role.AGENT_110,
        Role.SQUAD_LEADER,
        Role.QUALITY,
        Role.CLERK,
        Role.LEAD,
        Role.LIAISON,
        Role.SUPERVISOR,
        Role.LINKAGE_ADMIN,
        Role.PEER,
        Role.SYSTEM,
    }
)
"""Roles that read what people wrote; the three administrators see only that there are words."""

PERSON_FOR = frozenset({Role.AGENT_12345, Role.AGENT_110, Role.SQUAD_LEADER, Role.QUALITY, Role.SUPERVISOR})
"""Roles at a platform that see the (masked) citizen."""


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for; None and empty narrow nothing. Ranges include their beginning and exclude their end.

    ``division`` is a GB/T 2260 code and means its whole tree; ``category`` a path and all below it.
    """

    platform: str = ""
    division: str = ""
    unit: str = ""
    holder: str = ""
    stage: tuple[str, ...] = ()
    urgency: str = ""
    lamp: str | None = None
    open: bool | None = None
    danger: bool | None = None
    kind: str = ""
    category: str = ""
    item: str = ""
    number: str = ""
    received_from: datetime | None = None
    received_until: datetime | None = None
    due_from: datetime | None = None
    due_until: datetime | None = None
    caller_mac: bytes | None = None


class CaseLine(msgspec.Struct, frozen=True, kw_only=True):
    """One case in a list. Instants are aware; ``due`` is the earliest running limit, ``title`` masked.

    ``nth``: the how-manieth time its number calls about this matter (0: the first, as far as is known). ``surge``: how
    many report the event whose suggested parent it is (0: none).
    """

    id: UUID
    number: str
    platform: str
    division: str
    division_name: str
    stage: str
    stage_words: str
    open: bool
    lamp: str
    urgency: str
    danger: bool
    kind: str
    category: str
    item: str
    holder: str
    unit: str
    unit_name: str
    title: str
    received: datetime | None
    due: datetime | None
    version: int
    nth: int = 0
    surge: int = 0


class CasePage(msgspec.Struct, frozen=True, kw_only=True):
    """One page. ``next`` is the cursor of the page after it, None at the end."""

    cases: tuple[CaseLine, ...]
    next: str | None


class DeadlineLine(msgspec.Struct, frozen=True, kw_only=True):
    """One milestone of a clock of a case and what became of it."""

    clock: str
    milestone: str
    due: datetime
    state: str
    provisional: bool


class TextLine(msgspec.Struct, frozen=True, kw_only=True):
    """Words somebody wrote about the case, with numbers and names masked; None when the viewer may not read them."""

    no: int
    field: str
    words: str | None


class Citizen(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls, masked. Who needs the number itself asks for it with a reason (not by this question)."""

    caller: str
    contact: str
    name: str
    sex: str
    address: str


class OneCase(msgspec.Struct, frozen=True, kw_only=True):
    """A case as its viewer may know it. ``state`` is the folded case; ``allowed`` what may be done with it now."""

    line: CaseLine
    state: Case
    allowed: tuple[str, ...]
    deadlines: tuple[DeadlineLine, ...]
    texts: tuple[TextLine, ...]
    citizen: Citizen | None
    erased: datetime | None


LIST_COLUMNS = (
    col(Streams.id),
    col(Streams.number),
    col(Streams.platform),
    col(Streams.division),
    col(Streams.stage),
    col(Streams.open),
    col(Streams.lamp),
    col(Streams.urgency),
    col(Streams.danger),
    col(Streams.kind),
    col(Streams.category),
    col(Streams.item),
    col(Streams.holder),
    col(Streams.unit),
    col(Streams.title),
    col(Streams.received),
    col(Streams.due),
    col(Streams.version),
    col(Streams.state),
    col(Streams.erased),
)


async def list_cases(
    viewer: Viewer, filters: Filters, *, order: Order = "-received", limit: int = 50, cursor: str = ""
) -> CasePage:
    """One page of the viewer's cases. A page may hold fewer rows than asked for and still have a next one.

    Raises:
        BadCursor: the cursor is none of this order.
        Unreadable: a stored state was changed from outside.
    """
    limit = max(1, min(limit, MOST))
    key = col(Streams.due) if order == "due" else col(Streams.received)
    statement = select(*LIST_COLUMNS).where(viewer.streams(), *narrowed(filters), key.is_not(None))
    if cursor:
        statement = statement.where(_after(read_cursor(cursor, order), key, descending=order == "-received"))
    direction = desc if order == "-received" else asc
    statement = statement.order_by(direction(key), direction(col(Streams.id))).limit(limit + 1)
    async with viewer.database.reading(viewer.scope) as connection:
        rows = (await connection.execute(statement)).all()
    shown = rows[:limit]
    last = shown[-1] if shown else None
    more = (
        cursor_of(order, last.due if order == "due" else last.received, last.id)
        if last is not None and len(rows) > limit
        else None
    )
    found = ((row, state_of(row.state)) for row in shown)
    lines = tuple(line_of(viewer, row, state) for row, state in found if viewer.sees(state))
    return CasePage(cases=lines, next=more)


async def one_case(viewer: Viewer, id_: UUID, vault: Vault | None = None) -> OneCase | None:
    """The case with this id, or None where there is none that the viewer may know of.

    ``vault`` opens the citizen's data; without it (or without the key, or after erasure) ``citizen`` is None.

    Raises:
        Unreadable: the stored state was changed from outside.
    """
    scope = scope_of_one(viewer.actor, viewer.library())
    found = select(*LIST_COLUMNS).where(col(Streams.id) == id_, col(Streams.stream_kind) == CASE)
    deadlines = (
        select(
            col(Deadlines.clock),
            col(Deadlines.milestone),
            col(Deadlines.due),
            col(Deadlines.state),
            col(Deadlines.provisional),
        )
        .where(col(Deadlines.stream_id) == id_)
        .order_by(col(Deadlines.due), col(Deadlines.clock), col(Deadlines.milestone))
    )
    texts = (
        select(col(Texts.no), col(Texts.field), col(Texts.words))
        .where(col(Texts.stream_id) == id_)
        .order_by(col(Texts.no))
    )
    sealed = select(col(VaultRows.sealed)).where(col(VaultRows.stream_id) == id_)
    async with viewer.database.reading(scope) as connection:
        row = (await connection.execute(found)).one_or_none()
        if row is None:
            return None
        state = state_of(row.state)
        if not viewer.sees(state):
            return None
        due = (await connection.execute(deadlines)).all()
        said = (await connection.execute(texts)).all()
        closed = (await connection.execute(sealed)).scalar_one_or_none()
    roles = viewer.actor.roles
    reads = bool(WORDS_FOR.intersection(roles))
    return OneCase(
        line=line_of(viewer, row, state),
        state=shown_to(viewer.actor, state),
        allowed=allowed_names(state),
        deadlines=tuple(
            DeadlineLine(
                clock=d.clock, milestone=d.milestone, due=d.due, state=d.state, provisional=d.provisional
            )
            for d in due
        ),
        texts=tuple(
            TextLine(no=t.no, field=t.field, words=mask_text(t.words) if reads else None) for t in said
        ),
        citizen=await _citizen(viewer, state, closed, vault),
        erased=row.erased,
    )


async def id_of_number(viewer: Viewer, number: str) -> UUID | None:
    """The id of the viewer's case with this number, or None."""
    statement = select(col(Streams.id), col(Streams.state)).where(
        viewer.streams(), col(Streams.number) == number
    )
    async with viewer.database.reading(viewer.scope) as connection:
        rows = (await connection.execute(statement.limit(2))).all()
    return next((row.id for row in rows if viewer.sees(state_of(row.state))), None)


async def number_of(database: Database, id_: UUID) -> str | None:
    """The number a case was registered under, or None. For the edge that registered it, not for viewers."""
    statement = select(col(Streams.number)).where(col(Streams.id) == id_)
    async with database.looking() as connection:
        return (await connection.execute(statement)).scalar_one_or_none()


def narrowed(filters: Filters) -> list[ColumnElement[bool]]:
    """The filters as conditions on stream rows."""
    f = filters
    conditions: list[ColumnElement[bool]] = []
    for column, word in (
        (col(Streams.platform), f.platform),
        (col(Streams.unit), f.unit),
        (col(Streams.holder), f.holder),
        (col(Streams.urgency), f.urgency),
        (col(Streams.kind), f.kind),
        (col(Streams.item), f.item),
        (col(Streams.number), f.number),
    ):
        if word:
            conditions.append(column == word)
    if f.division:
        conditions.append(col(Streams.division).like(tree_prefix(f.division) + "%"))
    if f.category:
        path = col(Streams.category)
        conditions.append(or_(path == f.category, path.startswith(f.category + "/", autoescape=True)))
    if f.stage:
        conditions.append(col(Streams.stage).in_(f.stage))
    if f.lamp is not None:
        conditions.append(col(Streams.lamp) == f.lamp)
    if f.open is not None:
        conditions.append(col(Streams.open).is_(f.open))
    if f.danger is not None:
        conditions.append(col(Streams.danger).is_(f.danger))
    if f.caller_mac is not None:
        conditions.append(col(Streams.caller_mac) == f.caller_mac)
    for column_, first, end in (
        (col(Streams.received), f.received_from, f.received_until),
        (col(Streams.due), f.due_from, f.due_until),
    ):
        if first is not None:
            conditions.append(column_ >= first)
        if end is not None:
            conditions.append(column_ < end)
    return conditions


def state_of(raw: bytes) -> Case:
    """The folded case of a stream row. Raises Unreadable."""
    state = decode_state(raw, Case)
    assert isinstance(state, Case)
    return state


def shown_to(actor: Actor, case: Case) -> Case:
    """The state as an actor may know it: a unit learns a rating once it is locked (verified, or the case archived)."""
    if actor.unit and not rating_is_locked(case):
        return replace(case, rating=None, contested_rating=False)
    return case


def rating_is_locked(case: Case) -> bool:
    """Whether nobody can be made to change the rating any more."""
    return case.stage is Stage.ARCHIVED or (case.rating is not None and case.rating.verified is not None)


def line_of(viewer: Viewer, row: Row[*tuple[Any, ...]], state: Case) -> CaseLine:
    """A stream row as a line of a list."""
    library = viewer.library()
    unit = library.unit(row.unit) if row.unit else None
    return CaseLine(
        id=row.id,
        number=row.number,
        platform=row.platform,
        division=row.division,
        division_name=library.places.full_name(row.division) if library.places.knows(row.division) else "",
        stage=row.stage,
        stage_words=words.of(words.STAGES, row.stage).zh,
        open=row.open,
        lamp=row.lamp,
        urgency=row.urgency,
        danger=row.danger,
        kind=row.kind,
        category=row.category,
        item=row.item,
        holder=row.holder,
        unit=row.unit,
        unit_name=unit.name if unit else "",
        title=mask_text(row.title or ""),
        received=row.received,
        due=row.due,
        version=row.version,
        nth=state.nth,
        surge=state.surge,
    )


def _after(mark: Mark, key: Any, *, descending: bool) -> ColumnElement[bool]:
    id_ = col(Streams.id)
    if descending:
        return or_(key < mark.at, and_(key == mark.at, id_ < mark.id))
    return or_(key > mark.at, and_(key == mark.at, id_ > mark.id))


async def _citizen(viewer: Viewer, case: Case, sealed: bytes | None, vault: Vault | None) -> Citizen | None:
    """The masked citizen. A unit never learns who reported confidentially."""
    if vault is None or sealed is None or case.erased:
        return None
    if viewer.actor.unit:
        if case.confidential or case.anonymous:
            return None
    elif not PERSON_FOR.intersection(viewer.actor.roles):
        return None
    key = select(col(VaultKeys.wrapped)).where(col(VaultKeys.stream_id) == case.id)
    async with viewer.database.looking() as connection:
        wrapped = (await connection.execute(key)).scalar_one_or_none()
    if wrapped is None:
        return None
    try:
        personal = msgspec.json.decode(vault.unseal(case.id, sealed, wrapped), type=Personal)
    except (CannotUnseal, msgspec.MsgspecError):
        return None
    return Citizen(
        caller=mask_number(personal.caller),
        contact=mask_number(personal.contact),
        name=mask_name(personal.name),
        sex=personal.sex,
        address=mask_text(personal.address),
    )
