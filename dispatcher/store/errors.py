"""What can go wrong in the store, as types. A refusal of the business is `dispatcher.domain.errors.Refused`."""

from __future__ import annotations


class StoreError(Exception):
    """Base of all errors that the store raises on purpose."""


class Failed(StoreError):
    """This one command could not be carried out because of a fault of ours or of its data; nothing changed.

    ``why`` is safe to show and to log: it never quotes the content of the command.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Unavailable(StoreError):
    """The database cannot take commands now (gone, full, overloaded, stopping). Ask again with the same id.

    The command may have been stored: the connection can be lost between the commit and its answer.
    """


class BadUrl(StoreError):
    """``database.url`` cannot be used."""

    def __init__(self, url: str, remedy: str) -> None:
        super().__init__(f"database.url = {url!r}: {remedy}")
        self.url = url
        self.remedy = remedy


class SchemaTooNew(StoreError):
    """The database was upgraded by a newer Liandong; this one must not touch it."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(
            f"database schema {found!r} is unknown here (newest known: {expected!r}); upgrade Liandong"
        )
        self.found = found
        self.expected = expected


class SchemaTooOld(StoreError):
    """The database waits for an upgrade."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(
            f"database schema is {found or 'empty'!r}, needed is {expected!r}; run: liandong db upgrade"
        )
        self.found = found
        self.expected = expected


class AlreadyServing(StoreError):
    """Another process serves this SQLite file; the embedded database takes one writer."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is served by another process; stop it, or use PostgreSQL for several nodes")
        self.path = path


class Unreadable(StoreError):
    """Stored bytes cannot be decoded: they were changed from outside, or written by an unknown version."""
