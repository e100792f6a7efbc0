"""What the API stands on, handed in by wiring: the inbox, the store's questions, the clock, the releases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from aiohttp import web

from adapters.http_api.words import Library as Languages
from dispatcher.domain.library import Library
from dispatcher.domain.stream import Actor
from dispatcher.ports import Clock, Inbox
from dispatcher.store.codec import Codec
from dispatcher.store.database import Database
from dispatcher.store.vault import Vault
from dispatcher.views.viewing import Viewer


class Who(Protocol):
    """Knows whose token this is."""

    async def actor_of(self, token: str, now: datetime) -> Actor | None: ...


class NumberSource(Protocol):
    """Draws case numbers; never the same twice for a platform and year."""

    async def take(self, platform: str, year: int) -> int: ...


class DeadLetterBox(Protocol):
    """Sends dead letters again, or lets their lane move on."""

    async def resend(self, key: UUID, now: datetime) -> bool: ...

    async def skip(self, key: UUID, reason: str, by: str, now: datetime) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything an endpoint may use. ``new_id`` is the edge's own chance.

    ``body_limit`` is in bytes; ``library`` gives the releases in force at the moment.
    """

    inbox: Inbox
    database: Database
    codec: Codec
    vault: Vault
    clock: Clock
    library: Callable[[], Library]
    accounts: Who
    numbers: NumberSource
    letters: DeadLetterBox
    new_id: Callable[[], UUID]
    body_limit: int

    def viewer(self, actor: Actor) -> Viewer:
        """The store through this actor's eyes."""
        return Viewer(self.database, actor, self.library)


SERVICES: Final = web.AppKey("http_api_services", Services)
LANGUAGES: Final = web.AppKey("http_api_languages", Languages)
ACTOR: Final = web.RequestKey("http_api_actor", Actor)
