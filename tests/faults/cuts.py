"""How the power is cut: pictures of a SQLite disk before every statement, and a plug between us and PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FRAME = 4096 + 24
"""A page with its header, as SQLite's write-ahead log is made of."""

LOG_HEADER = 32


@dataclass(frozen=True)
class Disk:
    """What a SQLite database's disk held at one moment: the file and its write-ahead log."""

    file: bytes
    log: bytes

    @staticmethod
    def of(path: Path) -> Disk:
        """The disk now."""
        log = path.with_name(path.name + "-wal")
        return Disk(path.read_bytes(), log.read_bytes() if log.exists() else b"")

    def put(self, path: Path) -> str:
        """Lay it out as a database; returns its URL."""
        path.write_bytes(self.file)
        if self.log:
            path.with_name(path.name + "-wal").write_bytes(self.log)
        return f"sqlite:///{path}"

    def torn(self, count: int) -> Iterator[Disk]:
        """The same disk when power failed while its log was being written: cut at and within frames."""
        lengths = {0, LOG_HEADER - 1}
        for start in range(LOG_HEADER, len(self.log), FRAME):
            lengths |= {start, start + 23, start + 24, start + FRAME // 2, start + FRAME - 1}
        for length in spread(sorted(one for one in lengths if one < len(self.log)), count):
            yield Disk(self.file, self.log[:length])


def spread(items: list[Any], most: int) -> list[Any]:
    """At most so many of them, the first and the last among them, evenly."""
    if len(items) <= most:
        return items
    return [items[n * (len(items) - 1) // (most - 1)] for n in range(most)]


class Camera:
    """Takes a picture of the disk before each statement that any connection of this process begins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"
        self.pictures: list[tuple[str, Disk]] = []
        self.running = False

    def before(self, statement: str) -> None:
        """A statement is about to run."""
        if self.running:
            self.pictures.append((statement.split("(")[0][:40].strip(), Disk.of(self.path)))

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Take pictures inside the block, and one at its end."""
        self.running = True
        yield
        self.running = False
        self.pictures.append(("the end", Disk.of(self.path)))

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        """Look over the shoulder of every connection that is opened from now on."""
        connect = sqlite3.connect

        def watched(*words: Any, **more: Any) -> sqlite3.Connection:
            made: sqlite3.Connection = connect(*words, **more)
            made.set_trace_callback(self.before)
            return made

        patch.setattr(sqlite3, "connect", watched)


class Plug:
    """Stands between us and PostgreSQL's socket, counts the statements that go by, and can be pulled at one.

    Args:
        socket: the server's own socket.
        at: pull it at the n-th statement (from 1) after `arm`; 0 never.
        answered: let the server carry the statement out first, and swallow its answer.

    ``said`` holds the statements so far: the text of simple ones, nothing of prepared ones. ``out``: it was pulled.
    """

    def __init__(self, socket: Path, *, at: int = 0, answered: bool = False) -> None:
        self._socket = socket
        self._at = at
        self._answered = answered
        self._armed = False
        self._server: asyncio.AbstractServer | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._lines: set[asyncio.Task[None]] = set()
        self.said: list[str] = []
        self.out = asyncio.Event()

    def arm(self) -> None:
        """Count from here."""
        self._armed = True

    @contextlib.asynccontextmanager
    async def behind(self, folder: Path) -> AsyncIterator[Plug]:
        """Listen in a folder, as PostgreSQL would."""
        self._server = await asyncio.start_unix_server(self._knocked, folder / ".s.PGSQL.5432")
        try:
            yield self
        finally:
            self._pull()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:  # the process is dead
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            for _ in range(8):  # transports close a turn later
                await asyncio.sleep(0)

    def _knocked(self, ours: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._lines.add(asyncio.create_task(self._connect(ours, back)))

    async def _connect(self, ours: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        theirs, forth = await asyncio.open_unix_connection(self._socket / ".s.PGSQL.5432")
        self._writers += [back, forth]
        counting = Statements(self._statement)
        for reader, writer, look in ((ours, forth, counting.feed), (theirs, back, self._answer)):
            task = asyncio.create_task(self._pass_on(reader, writer, look))
            self._lines.add(task)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, look: Callable[[bytes], bool]
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while (data := await reader.read(65536)) and look(data):
                writer.write(data)
                await writer.drain()
        writer.close()

    def _statement(self, words: str) -> bool:
        """Whether this one may pass."""
        if not self._armed:
            return True
        self.said.append(words)
        if len(self.said) != self._at:
            return True
        if not self._answered:
            self._pull()
        return self._answered

    def _answer(self, _data: bytes) -> bool:
        """The server says something; after the fatal statement nobody hears it."""
        if self._answered and self._at and len(self.said) >= self._at:
            self._pull()
            return False
        return True

    def _pull(self) -> None:
        self.out.set()
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()


class Statements:
    """Reads the frontend's half of PostgreSQL's protocol as far as to know where a statement begins to run."""

    def __init__(self, began: Callable[[str], bool]) -> None:
        self._began = began
        self._rest = b""
        self._greeted = False

    def feed(self, data: bytes) -> bool:
        """Take what was said. False: one of the statements must not pass."""
        self._rest += data
        while True:
            head = 1 if self._greeted else 0  # the startup message has no type
            if len(self._rest) < head + 4:
                return True
            length = head + int.from_bytes(self._rest[head : head + 4])
            if len(self._rest) < length:
                return True
            kind, body, self._rest = self._rest[:head], self._rest[head + 4 : length], self._rest[length:]
            self._greeted = True
            if kind in (b"Q", b"E") and not self._began(body.decode() if kind == b"Q" else ""):
                return False
