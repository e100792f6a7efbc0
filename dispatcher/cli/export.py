"""`liandong export`: all events or all cases of a store as NDJSON or CSV, in pieces, to a file or standard output."""

from __future__ import annotations

import argparse
import getpass
import hashlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid5

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.cli.progress import progress
from dispatcher.cli.storing import with_core

if TYPE_CHECKING:
    from dispatcher.wiring import Core


def register(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "export",
        help="批量导出 / bulk export",
        description="批量导出诉求或事件,不含个人信息 / export cases or events, without personal data",
    )
    parser.add_argument("what", choices=("cases", "events"), help="诉求或事件 / cases or events")
    parser.add_argument("--format", choices=("ndjson", "csv"), default="ndjson", help="格式 / format")
    parser.add_argument(
        "--after", default="0", metavar="POSITION", help="只导出此序号之后的事件 / events after this position"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="写入文件 / file to write (default: stdout)"
    )
    parser.add_argument(
        "--json", action="store_true", help="完成后在标准错误给出 JSON 小结 / a summary in JSON on stderr"
    )
    add_config(parser)
    parser.set_defaults(handler=handler)


def handler(arguments: argparse.Namespace) -> int:
    """Exports. 0 when everything was written, 2 when something cannot be used (said in words)."""
    if not arguments.after.isdecimal() or len(arguments.after) > 18:
        return refuse(f"--after {arguments.after!r}: 写事件序号 / write the position of an event, such as 0")

    async def work(core: Core) -> int:
        rows = await _export(arguments, core)
        if arguments.json:
            print(f'{{"what": "{arguments.what}", "rows": {rows}}}', file=sys.stderr)
        return 0

    return with_core(settings_of(arguments), work, writes=True, makes=False)


async def _export(arguments: argparse.Namespace, core: Core) -> int:
    import msgspec

    from dispatcher.domain.exports import BeginExport, EndExport
    from dispatcher.domain.stream import SYSTEM, Actor, Submission
    from dispatcher.runtime.clock import new_id
    from dispatcher.views import export
    from dispatcher.views.cases import Filters
    from dispatcher.views.viewing import Viewer

    encode = msgspec.json.Encoder().encode
    pieces: AsyncIterator[Sequence[Any]]
    head: str
    row: Any
    # The database sees the console as Liandong itself; the record names whoever sits there.
    by = Actor(id=f"console:{getpass.getuser()}", roles=SYSTEM.roles)
    viewer = Viewer(core.database, SYSTEM, core.library)
    if arguments.what == "events":
        pieces = export.events(viewer, after=int(arguments.after))
        head, row = export.event_table()
    else:
        pieces = export.cases(viewer, Filters())
        head, row = export.case_table()
    number = new_id()

    async def record(command: BeginExport | EndExport, step: str) -> None:
        await core.inbox.submit(Submission(message_id=uuid5(number, step), command=command, actor=by))

    begun = BeginExport(
        export=number,
        what=arguments.what,
        format=arguments.format,
        platforms=viewer.scope.platforms,
        divisions=viewer.scope.divisions,
        filters={"after": arguments.after} if arguments.what == "events" else {},
    )
    await record(begun, "begin")
    rows, digest, whole = 0, hashlib.sha256(), False
    try:
        with _Target(arguments.output) as out, progress("export", None, "row") as bar:

            def give(raw: bytes) -> None:
                digest.update(raw)
                out.write(raw)

            if arguments.format == "csv":
                give(head.encode())
            async for piece in pieces:
                if arguments.format == "csv":
                    give("".join(map(row, piece)).encode())
                else:
                    give(b"".join(encode(one) + b"\n" for one in piece))
                rows += len(piece)
                bar.update(len(piece))
        whole = True
    finally:
        await record(EndExport(export=number, rows=rows, digest=digest.hexdigest(), whole=whole), "end")
    return rows


class _Target:
    """Standard output, or a file that is there whole or not at all."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._part = path.with_name(path.name + f".{os.getpid()}.part") if path else None
        self._file: IO[bytes] | None = None

    def __enter__(self) -> IO[bytes]:
        if self._part is None:
            return sys.stdout.buffer
        handle = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(handle, "wb")
        return self._file

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._file is None or self._part is None or self._path is None:
            return
        self._file.close()
        if kind is None:
            self._part.replace(self._path)
        else:
            with suppress(FileNotFoundError):
                self._part.unlink()
