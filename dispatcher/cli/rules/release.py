"""`liandong rules release`: one person proposes lists, another approves them; both sign, with a reason."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.cli.rules.sources import NoSuchLists, files_from, now
from dispatcher.cli.storing import leaves, with_core
from dispatcher.lists import load_rulebook, rulebook_files
from routing_rules.match import LEGAL_ZONE

if TYPE_CHECKING:
    from dispatcher.domain.stream import Actor
    from dispatcher.settings import Settings
    from dispatcher.store.list_releases import Kept, ListSigning
    from dispatcher.wiring import Core


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One release or proposal. ``state`` is proposed, coming, in-force or past; ``lists`` the rulebook's digest, the
    one that cases name; ``sound`` whether every signature is of this content and this deployment's."""

    digest: str
    state: str
    lists: str
    replaces: str
    reason: str
    signers: tuple[str, ...]
    effective_from: datetime | None
    created: datetime
    rolls_back: str = ""
    sound: bool = True


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """Releases and open proposals, oldest first. Published as docs/cli/rules-release.schema.json."""

    releases: list[Row]


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    steps = parser.add_subparsers(dest="step", metavar="STEP", required=True)
    propose = steps.add_parser("propose", help="提出一版清单 / propose lists")
    propose.add_argument("source", metavar="LISTS", help="文件夹 / a folder")
    propose.add_argument("--reason", required=True, metavar="WORDS", help="为什么 / why")
    propose.add_argument(
        "--from",
        dest="effective",
        metavar="ISO",
        help="生效时刻,须带时区;默认批准即生效 / instant with zone; default: once approved",
    )
    propose.set_defaults(handler=_propose)
    approve = steps.add_parser("approve", help="由另一人批准 / approve, as another person")
    approve.add_argument("digest", metavar="DIGEST", help="提案摘要,至少六位 / the proposal's digest")
    approve.set_defaults(handler=_approve)
    for signing in (propose, approve):
        add_token(signing)
    listing = steps.add_parser("list", help="全部发布与待批提案 / releases and open proposals")
    listing.set_defaults(handler=_list)
    for each in (propose, approve, listing):
        each.add_argument("--json", action="store_true", help="以 JSON 输出 / answer as JSON")
        add_config(each)


def add_token(parser: argparse.ArgumentParser) -> None:
    """Adds the option that says who signs."""
    parser.add_argument(
        "--token-file",
        required=True,
        metavar="FILE",
        help="签发人的令牌文件,- 为标准输入 / file with the signer's token, - for standard input",
    )


def _propose(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    effective: datetime | None = None
    if arguments.effective is not None:
        try:
            effective = datetime.fromisoformat(arguments.effective)
        except ValueError:
            effective = None
        if effective is None or effective.tzinfo is None:
            return refuse(
                f"--from {arguments.effective!r}: 须为带时区的时刻 / write 2026-02-14T10:00:00+08:00"
            )
    try:
        files = dict(files_from(arguments.source, settings).files)
    except (NoSuchLists, OSError) as fault:
        return refuse(fault)

    async def work(signing: ListSigning, by: Actor, at: datetime) -> Kept:
        return await signing.propose(files, by=by, reason=arguments.reason, effective_from=effective, now=at)

    return signed(arguments, settings, work, "已提出,待另一人批准 / proposed; another person approves it")


def _approve(arguments: argparse.Namespace) -> int:
    async def work(signing: ListSigning, by: Actor, at: datetime) -> Kept:
        return await signing.approve(arguments.digest, by=by, now=at)

    return signed(arguments, settings_of(arguments), work, "已批准 / approved")


def _list(arguments: argparse.Namespace) -> int:
    async def work(core: Core) -> int:
        from dispatcher.store.list_releases import ListReleases

        shelf = ListReleases(core.database)
        at = now()
        history = await shelf.history()
        present = await shelf.in_force(at)
        rows = [_row(kept, core.vault.signer, present, at) for kept in (*history, *await shelf.proposals())]
        if arguments.json:
            print(msgspec.json.encode(Listed(releases=rows)).decode())
        elif not rows:
            print("没有发布,用的是配置的清单 / no releases; the configured lists are in force")
        else:
            print("\n".join(_words(row) for row in rows))
        return 0 if all(row.sound for row in rows) else 1

    return with_core(settings_of(arguments), work, makes=True)


def signed(
    arguments: argparse.Namespace,
    settings: Settings,
    work: Callable[[ListSigning, Actor, datetime], Awaitable[Kept]],
    done: str,
) -> int:
    """Runs a signing step as the person whose token is given. 0 done, 2 refused."""
    try:
        named = arguments.token_file
        written = sys.stdin.readline() if named == "-" else Path(named).read_text(encoding="utf-8")
        token = written.partition("\n")[0].strip()  # `token add` writes a remark below it
    except (OSError, UnicodeDecodeError) as fault:
        return refuse(f"--token-file: {fault}")

    async def step(core: Core) -> int:
        from dispatcher.store.list_releases import ListSigning, ReleaseRefused

        at = core.clock.now()
        by = await core.accounts.actor_of(token, at)
        if by is None:
            return refuse("--token-file: 令牌无效或已过期 / the token is unknown, revoked or expired")
        configured = load_rulebook(rulebook_files(settings.data), settings.data.cache).digest
        try:
            kept = await work(ListSigning(core.database, core.vault, configured=configured), by, at)
        except ReleaseRefused as fault:
            return refuse(fault)
        except ExceptionGroup as faults:
            return refuse("\n".join(leaves(faults)))
        row = _row(kept, core.vault.signer, None, at)
        if arguments.json:
            print(msgspec.json.encode(row).decode())
        else:
            print(f"{done}\n{_words(row)}")
        return 0

    return with_core(settings, step, makes=True)


def _row(kept: Kept, signer: str, present: Kept | None, at: datetime) -> Row:
    from dispatcher.store.list_releases import PROPOSAL, signature_faults

    if kept.kind == PROPOSAL:
        state, effective = "proposed", kept.release.effective_from
    else:
        effective = kept.effective_from
        shown = present is not None and kept.digest == present.digest
        state = "coming" if effective > at else "in-force" if shown or present is None else "past"
    return Row(
        digest=kept.digest,
        state=state,
        lists=kept.release.lists,
        replaces=kept.release.replaces,
        reason=kept.release.reason,
        signers=kept.signers,
        effective_from=effective,
        created=kept.created,
        rolls_back=kept.release.rolls_back,
        sound=not signature_faults(kept.release, signer),
    )


_STATES = {"proposed": "待批", "coming": "将生效", "in-force": "在用", "past": "已过"}


def _words(row: Row) -> str:
    since = (
        row.effective_from.astimezone(LEGAL_ZONE).isoformat(timespec="minutes")
        if row.effective_from
        else "批准即生效 / once approved"
    )
    back = f" ← {row.rolls_back[:12]}" if row.rolls_back else ""
    mark = "" if row.sound else "  ✗ 签名不符 / a signature does not hold"
    return (
        f"{row.digest[:12]} {_STATES[row.state]} / {row.state}  清单 / lists {row.lists[:12]}{back}  {since}\n"
        f"    {' + '.join(row.signers)}: {row.reason}{mark}"
    )
