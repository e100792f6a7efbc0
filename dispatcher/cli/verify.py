"""`liandong verify`: replays the log and proves rows, chains, deadlines and texts; says where something was changed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.cli.progress import progress
from dispatcher.cli.storing import with_core

if TYPE_CHECKING:
    from dispatcher.store.verify import Verified
    from dispatcher.wiring import Core


def register(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "verify",
        help="核验日志与状态 / prove the log, rows and deadlines",
        description="重放事件日志,证明状态行、哈希链、时限与文本;被改动一个字节也能指出在哪。可在服务运行时执行。/ "
        "Replays the log and proves rows, chains, deadlines and texts; works beside a running server.",
    )
    parser.add_argument(
        "--anchor",
        type=Path,
        metavar="FILE",
        help="库外保存的锚(每日根) / anchors kept outside the database (daily roots)",
    )
    parser.add_argument("--json", action="store_true", help="以 JSON 输出 / answer as JSON")
    add_config(parser)
    parser.set_defaults(handler=handler)


def handler(arguments: argparse.Namespace) -> int:
    """Verifies. 0 when everything is as the log says, 1 when not, 2 when it could not be asked."""
    settings = settings_of(arguments)
    if arguments.anchor is not None and not arguments.anchor.is_file():
        return refuse(f"--anchor {arguments.anchor}: 没有这个文件 / no such file")

    async def work(core: Core) -> int:
        from dispatcher.store.errors import Unreadable
        from dispatcher.store.merkle import read_anchors
        from dispatcher.store.verify import verify
        from dispatcher.wiring import CODEC

        try:
            anchors = (
                read_anchors(arguments.anchor, core.vault.signer) if arguments.anchor is not None else ()
            )
        except Unreadable as err:
            return refuse(f"--anchor: 锚不可信 / not to be trusted: {err}")
        with progress("verify", None, "case") as bar:
            seen = 0

            def told(done: int, _all: int) -> None:
                nonlocal seen
                bar.update(done - seen)
                seen = done

            proof = await verify(
                core.database,
                core.product.current,
                CODEC,
                vault=core.vault,
                anchors=anchors,
                progress=told,
            )
        show_proof(proof, as_json=arguments.json, anchors=len(anchors))
        return 0 if proof.good else 1

    return with_core(settings, work)


def show_proof(proof: Verified, *, as_json: bool, anchors: int = 0) -> None:
    """Print what a run proved and found."""
    if as_json:
        print(msgspec.json.encode({"good": proof.good, **msgspec.structs.asdict(proof)}).decode())
        return
    print(
        f"{proof.streams} 件、{proof.events} 个事件、{proof.deadlines} 个时限、{proof.texts} 段文本、"
        f"{proof.effects} 项外发"
        f"(已销毁 {proof.erased} 件);位置 {proof.position};根 {proof.root[:16]}"
        + (f";锚 {anchors} 个" if anchors else "")
    )
    for fault in proof.faults:
        place = f"{fault.table}.{fault.column}" if fault.column else fault.table
        print(f"✗ {fault.what}: {fault.detail}" + (f" [{place} {fault.row}]" if place else ""))
    if proof.unproved:
        print(f"· {proof.unproved} 行由旧版写入,日志中没有其证明 / rows by an older version have no proof")
    if proof.quarantined:
        print(f"· {proof.quarantined} 个时限待人工处理 / deadlines wait for a person")
    print(
        "与日志一致 / everything is as the log says"
        if proof.good
        else "与日志不符 / it is not as the log says"
    )
