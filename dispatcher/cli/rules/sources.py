"""Which lists an action is about: a folder, the configured ones, those in force, or a release by its digest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec

from dispatcher.lists import load_rulebook, rulebook_files, rulebook_files_at

if TYPE_CHECKING:
    from dispatcher.settings import Settings
    from routing_rules.loader import Rulebook

SOURCES = "文件夹、configured(配置的)、in-force(在用的)或发布摘要 / a folder, configured, in-force, or a release's digest"


class NoSuchLists(Exception):
    """A source that names no lists; the words say what may be written."""


class Lists(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one set of lists, and how people call it."""

    name: str
    files: Mapping[str, bytes]


def files_from(word: str, settings: Settings) -> Lists:
    """The files that a word on the command line means.

    Raises:
        NoSuchLists: it means none. OSError: a folder cannot be read.
    """
    folder = Path(word)
    if folder.is_dir():
        return Lists(name=word, files=rulebook_files_at(folder, settings.data))
    configured = Lists(name="configured", files=rulebook_files(settings.data))
    if word == "configured":
        return configured
    found = _released(word, settings)
    if found is None and word == "in-force":
        return configured
    if found is None:
        raise NoSuchLists(f"{word!r}: 没有这一版清单 / no such lists; 可写 / write {SOURCES}")
    return found


def book_from(word: str, settings: Settings) -> tuple[str, Rulebook]:
    """The compiled lists that a word means, with their name.

    Raises:
        NoSuchLists, OSError: as `files_from`. ExceptionGroup: they have faults.
    """
    lists = files_from(word, settings)
    return lists.name, load_rulebook(lists.files, settings.data.cache)


def _released(word: str, settings: Settings) -> Lists | None:
    """A release of the database by digest (or its beginning), or the one in force; None where there is none."""
    import asyncio

    from dispatcher.runtime.hands import Hands
    from dispatcher.store.database import Database
    from dispatcher.store.list_releases import ListReleases

    async def look() -> Lists | None:
        database = Database(settings.database.url)
        if database.path is not None and not database.path.exists():
            return None
        try:
            shelf = ListReleases(database)
            kept = await (shelf.in_force(Hands().wall()) if word == "in-force" else shelf.find(word))
        finally:
            await database.close()
        if kept is None or not kept.release.files:
            return None
        return Lists(name=kept.digest[:12], files=kept.release.files)

    return asyncio.run(look())


def today() -> date:
    """Today's date in legal time."""
    return now().astimezone(ZoneInfo("Asia/Shanghai")).date()


def now() -> datetime:
    """This instant; the one place that reads the wall clock is asked."""
    from dispatcher.runtime.hands import Hands

    return Hands().wall()
