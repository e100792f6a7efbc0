"""Who looks: what a viewer may see, as conditions of a query and as the scope of its database session.

Isolation holds three times: every question adds its own conditions, on PostgreSQL row-level security adds
platforms, divisions and unit again from the session's scope, and each row found is held against `authority.sees`, which
also knows what no column says (whom a case complains of). SQLite has the first and the last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, select, true
from sqlmodel import col

from dispatcher.domain import authority
from dispatcher.domain.case import Case
from dispatcher.domain.library import Library
from dispatcher.domain.stream import Actor, Role
from dispatcher.store.database import EVERYTHING, Database, Scope, tree_prefix
from dispatcher.store.tables import Parties, Streams

REGIONAL = frozenset({Role.AUDIT_ADMIN, Role.SECURITY_ADMIN})
"""Roles that see every platform of their division."""


class Viewer:
    """One person or system that asks, over one database.

    ``scope`` is what the database session may see; ``library`` gives the releases in force now.
    """

    def __init__(self, database: Database, actor: Actor, library: Callable[[], Library]) -> None:
        self.database = database
        self.actor = actor
        self.library = library
        self.scope = scope_of(actor, library())

    def sees(self, case: Case) -> bool:
        """Whether this viewer may know of the case at all."""
        return authority.sees(self.actor, case, self.library())

    def streams(self) -> ColumnElement[bool]:
        """The condition on stream rows: cases in scope; a unit's are those it has a part in (leads, holds, helps
        with, was offered, or has replied to)."""
        conditions = [col(Streams.stream_kind) == "case", self.within(Streams)]
        if self.actor.unit:
            mine = select(col(Parties.stream_id)).where(col(Parties.unit) == self.actor.unit)
            conditions.append(col(Streams.id).in_(mine))
        return and_(*conditions)

    def within(self, table: Any) -> ColumnElement[bool]:
        """The condition on ``table`` (with columns platform and division). An empty scope means nothing."""
        narrowed = within(self.scope, table)
        actor = self.actor
        if actor.unit or EVERYTHING not in self.scope.divisions or not actor.division:
            return narrowed
        division, platform = col(table.division), col(table.platform)
        tree = division.like(tree_prefix(actor.division) + "%")
        if REGIONAL.intersection(actor.roles):
            return and_(narrowed, or_(tree, division == ""))  # an unknown place counts as the province
        if len(self.scope.platforms) > 1:
            # Cases of the platforms below count by where they lie, those of an unknown place by their platform's
            # region; one's own platform's count wherever they lie.
            near = [
                one for one in self.scope.platforms if authority.within(one.partition("-")[2], actor.division)
            ]
            unplaced = and_(division == "", platform.in_(near))
            return and_(narrowed, or_(platform == actor.platform, tree, unplaced))
        return narrowed


def within(scope: Scope, table: Any) -> ColumnElement[bool]:
    """A scope as a condition on the columns platform and division of ``table``. Empty means nothing."""
    if not scope.platforms or not scope.divisions:
        return false()
    conditions: list[ColumnElement[bool]] = [true()]
    if EVERYTHING not in scope.platforms:
        conditions.append(col(table.platform).in_(scope.platforms))
    if EVERYTHING not in scope.divisions:
        conditions.append(or_(*(col(table.division).like(pattern) for pattern in scope.patterns())))
    return and_(*conditions)


def scope_of(actor: Actor, library: Library) -> Scope:
    """The platforms and divisions an actor may look into (`authority.sees`, as far as columns can say it).

    Units: the cases they have a part in. Audit and security administrators: every
    platform of their division. Everybody else: their platform, and those of the same line below it. An account bound
    to nothing sees nothing.
    """
    if Role.SYSTEM in actor.roles:
        return Scope(platforms=(EVERYTHING,), divisions=(EVERYTHING,))
    if actor.unit:
        return Scope(platforms=(EVERYTHING,), divisions=(EVERYTHING,), unit=actor.unit)
    if REGIONAL.intersection(actor.roles):
        if authority.within(library.home, actor.division):
            return Scope(platforms=(EVERYTHING,), divisions=(EVERYTHING,))
        return Scope(platforms=(EVERYTHING,), divisions=(actor.division,) if actor.division else ())
    if not actor.platform:
        return Scope()
    if Role.PEER in actor.roles:
        return Scope(platforms=(actor.platform,), divisions=(EVERYTHING,))
    line, _, region = actor.platform.partition("-")
    below = tuple(
        platform.id
        for platform in library.directory.platforms(line)
        if platform.id != actor.platform and authority.within(platform.division, region)
    )
    return Scope(platforms=(actor.platform, *below), divisions=(EVERYTHING,))


def scope_of_one(actor: Actor, library: Library) -> Scope:
    """The scope to look for one case by its id: a peer system also reaches cases it passed on or took."""
    if Role.PEER in actor.roles and actor.platform:
        return Scope(platforms=(EVERYTHING,), divisions=(EVERYTHING,))
    return scope_of(actor, library)
