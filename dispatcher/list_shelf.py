"""The lists in force: the configured folder's until two persons have released others; a bad release never replaces good lists."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from dispatcher.lists import load_rulebook, rulebook_files
from dispatcher.ports import Clock
from dispatcher.settings import Data
from dispatcher.store.database import Database
from dispatcher.store.list_releases import RELEASE, Kept, ListReleases, ReleaseRefused, check_signed
from dispatcher.store.releases import Releases
from routing_rules.loader import Rulebook

_log = logging.getLogger("liandong.lists")


class ListShelf:
    """Finds the rulebook in force.

    Args:
        signer: this deployment's public key; what others signed is not ruled by.
        taken: told whether the newest release is the one that rules (a gauge shows it).
    """

    def __init__(
        self,
        database: Database,
        data: Data,
        clock: Clock,
        *,
        signer: Callable[[], str],
        taken: Callable[[bool], None],
    ) -> None:
        self._releases = Releases(database)
        self._reads = ListReleases(database)
        self._data = data
        self._clock = clock
        self._signer = signer
        self._taken = taken
        self._seen = ""

    async def is_news(self) -> bool:
        """Whether another release has come into force since the last look. Cheap: contents are not read."""
        return await self._releases.current(RELEASE, self._clock.now()) != self._seen

    async def book(self, folder: Rulebook) -> Rulebook:
        """The rulebook in force now; ``folder`` is the configured one, which rules where nothing was released.

        Raises:
            ReleaseRefused, ExceptionGroup, OSError: the newest release is not signed as it must be, or cannot be read.
        """
        newest = await self._reads.in_force(self._clock.now())
        self._seen = newest.digest if newest is not None else ""
        return folder if newest is None else await self._read(newest, folder)

    async def best(self, folder: Rulebook) -> Rulebook:
        """As `book`, but a faulty release is named and the one before it taken: emergency lines never stand without lists."""
        down = await self._reads.in_force_down(self._clock.now())
        self._seen = down[0].digest if down else ""
        for kept in down:
            try:
                found = await self._read(kept, folder)
            except (ReleaseRefused, ExceptionGroup, OSError) as fault:
                self._refuse(kept.digest, fault)
                continue
            self._taken(kept is down[0])
            return found
        return folder

    async def next(self, present: Rulebook) -> Rulebook:
        """The lists of a release that has come into force since; ``present`` on any fault, and the gauge turns red."""
        try:
            found = await self.book(present)
        except (ReleaseRefused, ExceptionGroup, OSError) as fault:
            self._refuse(self._seen, fault)
            return present
        self._taken(True)
        if found is not present:
            _log.info("lists %s are in force", found.digest[:12])
        return found

    async def _read(self, kept: Kept, present: Rulebook) -> Rulebook:
        check_signed(kept, self._signer())
        if kept.release.lists == present.digest:
            return present
        files = kept.release.files or rulebook_files(self._data)
        return await asyncio.to_thread(load_rulebook, files, self._data.cache)

    def _refuse(self, digest: str, fault: Exception) -> None:
        self._taken(False)
        _log.error("release %s was not taken; the old lists stay in force: %s", digest[:12], fault)
