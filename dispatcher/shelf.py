"""Releases between files and database: what is in force is kept, what others have put there is taken into force.

A calendar in force is the configured folder and every notice that `liandong calendar load` has put into the database;
policies in force are the configured one, and those that open cases still go by. The recommender in force is the one
that `liandong model` promoted last. Lists in force are the configured folder's until two persons have released others
(`list_shelf`).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from dispatcher.data_files import files_of
from dispatcher.domain.library import Library
from dispatcher.domain.worktime import Calendars
from dispatcher.list_shelf import ListShelf
from dispatcher.lists import keep_recommender
from dispatcher.ports import Clock
from dispatcher.settings import Data
from dispatcher.store.database import Database
from dispatcher.store.errors import Unreadable
from dispatcher.store.models import Models
from dispatcher.store.releases import Release, Releases
from routing_rules.calendar_files import load_calendars, read_layer
from routing_rules.loader import Rulebook, dump
from routing_rules.policy import Policy
from routing_rules.strict import DataFault

if TYPE_CHECKING:
    from routing_rules.model.scorer import Recommender

NOTICE = "calendar-notice"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar file that was loaded: ``layer`` is the id of what it says, ``reason`` why, ``by`` who."""

    file: str
    layer: str
    text: str
    reason: str
    by: str

    def content(self) -> bytes:
        """The bytes of its release."""
        return msgspec.json.encode(self, order="deterministic")

    def digest(self) -> str:
        """The name of its release: the text alone counts, whoever loaded it."""
        return hashlib.sha256(f"{NOTICE}\n{self.text}".encode()).hexdigest()


def in_force(folder: Mapping[str, bytes], notices: Iterable[Notice]) -> dict[str, bytes]:
    """The calendar files in force: the folder's and the loaded ones, of which a later one of the same id replaces an
    earlier one. What stands in the folder as well counts once.

    Raises:
        ExceptionGroup: of DataFault, when a file of the folder cannot be read.
    """
    said = {read_layer(name, content).digest() for name, content in folder.items()}
    latest = {notice.layer: notice for notice in notices}
    files = dict(folder)
    for notice in latest.values():
        content = notice.text.encode()
        if read_layer(notice.file, content).digest() not in said:
            files[name_of(notice)] = content
    return files


def name_of(notice: Notice) -> str:
    """How faults name a loaded file."""
    return f"{notice.file} ({notice.digest()[:8]})"


EARLIER_LISTS = 3
"""Rulebooks kept in memory for the cases that were ruled under them."""


def renewed(
    library: Library,
    *,
    policies: Iterable[Policy],
    calendars: Calendars,
    recommender: Recommender | None = None,
    book: Rulebook | None = None,
    earlier: Iterable[Rulebook] = (),
) -> Library:
    """The same library under other calendars, lists and model, knowing earlier policies and lists too; today's stay the
    last."""
    today = library.policy
    present = book or library.book
    others = [each for each in earlier if each.digest != present.digest]
    return Library(
        book=present,
        earlier=others[-EARLIER_LISTS:],
        policies=(*(policy for policy in policies if policy.digest != today.digest), today),
        calendars=calendars,
        organisation=library.organisation,
        directory=library.directory,
        places=library.places,
        home=library.home,
        notices=library.notices,
        duplicates=library.duplicates,
        recommender=recommender,
    )


class Shelf:
    """The releases of one deployment.

    Args:
        library: tells the library in force.
        enforce: puts another in its place.
    """

    def __init__(
        self,
        database: Database,
        data: Data,
        clock: Clock,
        lists: ListShelf,
        *,
        library: Callable[[], Library],
        enforce: Callable[[Library], None],
    ) -> None:
        self._releases = Releases(database)
        self._data = data
        self._clock = clock
        self._lists = lists
        self._library = library
        self._enforce = enforce
        self._known: frozenset[str] = frozenset()

    async def notices(self) -> list[Notice]:
        """Every calendar file that was loaded, in the order of loading."""
        return [
            msgspec.json.decode(kept.content, type=Notice) for kept in await self._releases.of_kind(NOTICE)
        ]

    async def folder(self) -> dict[str, bytes]:
        """The files of the configured folder. Raises OSError."""
        return await asyncio.to_thread(files_of, "calendars", self._data.calendars)

    async def calendar_files(self) -> dict[str, bytes]:
        """The calendar files in force. Raises ExceptionGroup of DataFault, OSError."""
        return in_force(await self.folder(), await self.notices())

    async def complete(self, library: Library, book: Rulebook) -> Library:
        """A library fresh from the files, with what the database adds to it.

        Args:
            book: the lists in force.

        Raises:
            ExceptionGroup: of DataFault: a loaded notice and the folder contradict each other.
        """
        earlier = [
            msgspec.json.decode(kept.content, type=Policy) for kept in await self._releases.of_kind("policy")
        ]
        files = await self.calendar_files()
        calendars = await asyncio.to_thread(lambda: Calendars(load_calendars(files)))
        if calendars.version == library.calendars.version:
            calendars = library.calendars
        return renewed(
            library,
            policies=earlier,
            calendars=calendars,
            recommender=await self._recommender(),
            book=book,
            earlier=self._library().books.values(),
        )

    async def _recommender(self) -> Recommender | None:
        """The model in force; a copy is laid where `classify` looks for it.

        Raises:
            Unreadable: the stored model was changed from outside.
        """
        kept = await Models(self._releases).champion()
        now = self._library().recommender
        if kept is None:
            if now is not None:  # taken back: no copy may go on recommending
                await asyncio.to_thread(keep_recommender, self._data.model, None)
            return None
        if now is not None and now.digest == kept.digest:
            return now
        from routing_rules.model.scorer import BadModel, Recommender  # no model, no NumPy

        try:
            made = await asyncio.to_thread(Recommender, kept.content)
        except BadModel as err:
            raise Unreadable(f"model {kept.digest}: {err}") from err
        await asyncio.to_thread(keep_recommender, self._data.model, kept.content)
        return made

    async def keep(self, fresh: Library | None = None) -> None:
        """Put into force what files and database say together, and keep it under its digests.

        Args:
            fresh: read from the files just now; without it the present one, at the start of the process.

        Raises:
            ExceptionGroup, ReleaseRefused: what was read fresh has faults, or the release of lists has; nothing changed.
        """
        if fresh is None:
            found = self._library()
            library = await self.complete(found, await self._lists.best(found.book))
        else:
            library = await self.complete(fresh, await self._lists.book(fresh.book))
        self._enforce(library)
        now = self._clock.now()
        for kind, digest, content in (
            ("policy", library.policy.digest, msgspec.json.encode(library.policy, order="deterministic")),
            ("lists", library.book.digest, dump(library.book)),
            ("calendar", library.calendars.version, calendar_content(await self.calendar_files())),
        ):
            if not await self._releases.get([digest]):
                await self._releases.put(
                    Release(
                        digest=digest,
                        kind=kind,
                        content=content,
                        signers=(),
                        effective_from=now,
                        created=now,
                    )
                )
        self._known = await self._releases.known()

    async def take(self) -> bool:
        """Take into force what others have put on the shelf since.

        Returns:
            Whether there was anything new.
        """
        known = await self._releases.known()
        news = await self._lists.is_news()  # a release may be older than its instant
        if known == self._known and not news:
            return False
        library = self._library()
        book = await self._lists.next(library.book) if news else library.book
        complete = await self.complete(library, book)
        changed = (
            complete.calendars is not library.calendars
            or complete.policies != library.policies
            or complete.recommender is not library.recommender
        )
        if changed or book is not library.book:
            self._enforce(complete)
        self._known = known
        return changed


def calendar_content(files: Mapping[str, bytes]) -> bytes:
    """The bytes of a calendar's release: all files in force."""
    return msgspec.json.encode({name: text.decode() for name, text in files.items()}, order="deterministic")


def new_notice(file: str, content: bytes, *, reason: str, by: str) -> Notice:
    """A file about to be loaded.

    Raises:
        ExceptionGroup: of DataFault, every fault of the file.
    """
    layer = read_layer(file, content)
    if not layer.years and not layer.frames:
        raise ExceptionGroup(
            "calendar file",
            [DataFault(file, "year", None, "the file says nothing: give [[year]] rows or [[frame]] rows")],
        )
    return Notice(file=file, layer=layer.id, text=content.decode(), reason=reason or layer.source, by=by)
