"""A node follows releases of lists; a bad one leaves the old lists in force and shows red; running cases keep theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from dispatcher.domain import commands as c
from dispatcher.domain.library import SHORT
from dispatcher.domain.stream import Actor, Role
from dispatcher.lists import rulebook_files
from dispatcher.store.list_releases import Kept, ListSigning, ReleaseRefused, check_signed
from dispatcher.store.releases import Release, Releases
from dispatcher.wiring import reload_lists
from tests.support.world import World, agent, library, world

START = datetime(2026, 3, 10, 2, tzinfo=UTC)
OWNER = Actor(id="li", roles=(Role.LINKAGE_ADMIN,), division="630000")
SECOND = Actor(id="wang", roles=(Role.SUPERVISOR,), division="630000")
LAMP = "小区门口的路灯不亮"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[World]:
    async with world(f"sqlite:///{tmp_path}/liandong.db", tmp_path, START) as made:
        yield made


async def release(at: World, old: str, new: str, file: str = "lists/hotline.toml") -> Kept:
    """Two persons release the present files with one change."""
    files = dict(rulebook_files(at.core.settings.data))
    changed = files[file].decode().replace(old, new)
    assert changed != files[file].decode()
    files[file] = changed.encode()
    signing = ListSigning(at.core.database, at.core.vault, configured=library().book.digest)
    now = at.clock.now()
    proposal = await signing.propose(files, by=OWNER, reason="试", effective_from=None, now=now)
    return await signing.approve(proposal.digest, by=SECOND, now=now)


def gauge(at: World) -> str:
    page = at.core.telemetry.page().decode()
    return next(line for line in page.splitlines() if line.startswith("liandong_lists") and " " in line)


async def test_a_node_takes_a_release_once_it_is_in_force_and_new_cases_are_ruled_by_it(
    running: World,
) -> None:
    before = await running.call_in(LAMP)
    made = await release(running, '"路灯", ', '"庭院灯", ')

    await running.core.shelf.take()

    assert running.core.library().book.digest == made.release.lists
    assert (await running.call_in("庭院灯不亮", key="new")).item == "hotline.lamp"
    assert (await running.case(before.case)).matter.lists == library().book.digest[:SHORT]


async def test_a_running_case_keeps_its_lists_but_newer_knowledge_of_danger_counts(running: World) -> None:
    case = await running.call_in("社区的图书馆几点开门")
    words = '[concept.gone]\nwords = ["呜哩哇啦"]\n'
    # The new release knows a word of danger more, and calls broken windows urgent.
    await release(running, "[concept.beaten]\n", words + "[concept.beaten]\n", "lexicon/danger.toml")
    made = await release(
        running,
        'when = ["dog-bite"]',
        'when = ["dog-bite", "beaten elder child"]',
        "lists/gate.toml",
    )
    await running.core.shelf.take()
    assert running.core.library().book.digest == made.release.lists

    await running.say(
        c.SupplementCase(case=case.case, words="门口有人正在打老人,孩子在哭"), agent("12345-630100")
    )

    after = await running.case(case.case)
    assert after.matter.danger
    assert after.matter.lists == library().book.digest[:SHORT]
    assert library().book.digest in {each.digest for each in running.core.library().books.values()}


async def forge(at: World, made: Kept, **changes: object) -> None:
    """A row that no signing made, in force a minute after the start."""
    forged = msgspec.structs.replace(made.release, **changes)
    await Releases(at.core.database).put(
        Release(
            digest="f" * 64,
            kind="list-release",
            content=msgspec.msgpack.encode(forged),
            signers=("li", "wang"),
            effective_from=START + timedelta(minutes=1),
            created=START,
        )
    )
    await at.clock.advance(START + timedelta(minutes=2))


@pytest.mark.parametrize(
    "changes",
    [
        {"lists": "0" * 64, "files": {"lists/a.toml": b"x ="}},
        {"lists": "0" * 64, "signatures": ()},
        {"lists": "0" * 64, "reason": "别的"},
    ],
    ids=["unreadable", "unsigned", "changed after signing"],
)
async def test_a_release_that_is_not_as_signed_leaves_the_old_lists_and_turns_the_gauge_red(
    running: World, changes: dict[str, object]
) -> None:
    made = await release(running, '"路灯", ', '"庭院灯", ')
    await running.core.shelf.take()
    assert gauge(running).endswith("1.0")

    await forge(running, made, **changes)
    await running.core.shelf.take()

    assert running.core.library().book.digest == made.release.lists
    assert gauge(running).endswith("0.0")
    with pytest.raises(ReleaseRefused):
        await reload_lists(running.core)
    # A node that starts now takes the release before it rather than none.
    await running.core.shelf.keep()
    assert running.core.library().book.digest == made.release.lists


async def test_one_person_alone_cannot_put_a_release_in_force(running: World) -> None:
    made = await release(running, '"路灯", ', '"庭院灯", ')
    alone = msgspec.structs.replace(made.release, signatures=made.release.signatures[:1], proposal="")

    with pytest.raises(ReleaseRefused, match="two different persons"):
        check_signed(msgspec.structs.replace(made, release=alone), running.core.vault.signer)


async def test_a_node_that_starts_takes_the_release_in_force(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/liandong.db"
    async with world(url, tmp_path, START) as first:
        made = await release(first, '"路灯", ', '"庭院灯", ')

    async with world(url, tmp_path, START + timedelta(hours=1)) as again:
        assert again.core.library().book.digest == made.release.lists
        signing = ListSigning(again.core.database, again.core.vault, configured=library().book.digest)
        await signing.roll_back("", by=SECOND, reason="有误", now=again.clock.now())
        await again.core.shelf.take()
        assert again.core.library().book.digest == library().book.digest
