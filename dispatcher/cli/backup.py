"""`liandong backup` and `liandong restore`: one file of everything, one of the vault's keys; a restore proves itself."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.cli.progress import progress
from dispatcher.cli.storing import with_core
from dispatcher.cli.verify import show_proof

if TYPE_CHECKING:
    from dispatcher.store.erasures import Repeated
    from dispatcher.wiring import Core


def register(subparsers: Any) -> None:
    """Adds both verbs."""
    keys = "保险柜密钥的备份,须另处保管(默认 FILE.keys) / the vault's keys, to be kept elsewhere (default FILE.keys)"
    for verb, help_ in (
        ("backup", "备份,可在服务运行时执行 / back up, also while running"),
        (
            "restore",
            "恢复到空库并自证;外发暂停 / restore into an empty database, with proof; the relay stays paused",
        ),
    ):
        parser = subparsers.add_parser(verb, help=help_, description=help_)
        parser.add_argument("file", type=Path, metavar="FILE", help="备份文件 / the backup")
        parser.add_argument("--keys", type=Path, metavar="FILE", help=keys)
        parser.add_argument("--json", action="store_true", help="以 JSON 输出 / answer as JSON")
        add_config(parser)
        parser.set_defaults(handler=_backup if verb == "backup" else _restore)


def handler(arguments: argparse.Namespace) -> int:
    """Runs the chosen verb."""
    code: int = arguments.handler(arguments)
    return code


def _backup(arguments: argparse.Namespace) -> int:
    into, keys = arguments.file, _keys(arguments)
    if into.is_dir() or keys.is_dir():
        return refuse(f"{into if into.is_dir() else keys}: 是目录;请给文件名 / is a folder; name a file")

    async def work(core: Core) -> int:
        from dispatcher.store.backup import backup

        with progress("backup", None, "row") as bar:
            manifest = await backup(
                core.database, into, keys, made=core.clock.now(), progress=_told(bar.update)
            )
        rows = sum(member.rows for member in manifest.tables.values())
        if arguments.json:
            answer = {"file": str(into), "keys": str(keys), "rows": rows, **msgspec.structs.asdict(manifest)}
            print(msgspec.json.encode(answer).decode())
        else:
            print(f"{into}: {rows} 行,位置 {manifest.position},根 {manifest.root[:16]}")
            print(f"{keys}: 密钥,请与备份分开保管 / keys, keep them apart from the backup")
        return 0

    return with_core(settings_of(arguments), work)


def _restore(arguments: argparse.Namespace) -> int:
    source, keys = arguments.file, _keys(arguments)
    for path in (source, keys):
        if not path.is_file():
            return refuse(f"{path}: 没有这个文件 / no such file (--keys names the keys)")

    async def work(core: Core) -> int:
        from dispatcher.store.backup import restore
        from dispatcher.store.verify import verify
        from dispatcher.wiring import CODEC

        # Nobody may serve what is being filled.
        with core.database.serving(), progress("restore", None, "row") as bar:
            proof = await restore(
                core.database,
                source,
                keys,
                core.product.current,
                CODEC,
                vault=core.vault,
                now=core.clock.now(),
                progress=_told(bar.update),
            )
            repeated = await _erase_again(core)
            if repeated.erased:
                proof = await verify(core.database, core.product.current, CODEC, vault=core.vault)
        show_proof(proof, as_json=arguments.json)
        _tell(repeated)
        if not arguments.json and proof.good:
            print("外发已暂停;核对备份之后发出过什么,再用 liandong relay resume 恢复")
            print("The relay is paused; see what was sent since the backup, then: liandong relay resume")
        return 0 if proof.good and not repeated.refused else 1

    return with_core(settings_of(arguments), work, makes=True)


async def _erase_again(core: Core) -> Repeated:
    """Erase what was erased after the backup was made, as far as the journal beside the anchors says."""
    from dispatcher.store.erasures import journal_of, read_journal, repeat_erasures
    from dispatcher.wiring import erase_again

    journal = read_journal(journal_of(core.settings.database.anchor_file), core.vault.signer)
    await core.shelf.keep()  # the restored cases run under releases of their own
    async with core.writer:
        return await repeat_erasures(core.database, core.inbox, journal, erase_again)


def _tell(repeated: Repeated) -> None:
    """Say what was erased again, on standard error: standard output holds the proof."""
    if repeated.erased:
        count = len(repeated.erased)
        print(
            f"备份之后销毁过 {count} 件,已再次销毁 / erased again after the backup: {count}", file=sys.stderr
        )
    for case, why in repeated.refused.items():
        print(f"✗ 不能再次销毁 / cannot be erased again: {case} ({why})", file=sys.stderr)


def _keys(arguments: argparse.Namespace) -> Path:
    given: Path | None = arguments.keys
    file: Path = arguments.file
    return given or file.with_name(file.name + ".keys")


def _told(update: Any) -> Any:
    """Turns "table, rows so far in it" into steps of a bar."""
    seen: dict[str, int] = {}

    def told(table: str, rows: int) -> None:
        update(rows - seen.get(table, 0))
        seen[table] = rows

    return told
