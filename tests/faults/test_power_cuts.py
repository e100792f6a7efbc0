"""Power cut before every statement of every kind of command, restart, repeat: the same ending as if nothing had been."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.faults.cuts import Camera, Plug, spread
from tests.faults.deeds import BEGAN, DEEDS, Cast, Deed, Desk, Receiver
from tests.faults.endings import Ending, endings
from tests.support.databases import OWNER, Cluster

MOST_CUTS = 50
"""Of each kind of command on each engine."""

TORN = 8
"""Of which so many within the writing of the commit itself."""

_EACH_DEED = pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.name)


async def _lead_up(url: str, deed: Deed, cast: Cast) -> None:
    async with Desk(url, BEGAN, Receiver()) as desk:
        for act in deed.given(cast):
            await act(desk)


async def _do(url: str, deed: Deed, cast: Cast, receiver: Receiver) -> None:
    """One life of a process: what the sender wants is done, for the first time or again."""
    async with Desk(url, deed.at, receiver) as desk:
        await deed.when(cast)(desk)


async def _endings(url: str, deed: Deed, casts: list[Cast], receiver: Receiver) -> list[Ending]:
    async with Desk(url, deed.at, receiver) as desk:
        return await endings(desk, receiver, casts)


@_EACH_DEED
def test_on_sqlite_every_cut_ends_as_if_nothing_had_been(
    deed: Deed, sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, cast, done = tmp_path / "given.db", Cast("000"), Receiver()
    shutil.copy(sqlite_template, given)
    asyncio.run(_lead_up(f"sqlite:///{given}", deed, cast))
    camera = Camera(tmp_path / "undisturbed.db")
    shutil.copy(given, camera.path)

    async def photographed() -> None:
        async with Desk(camera.url, deed.at, done) as desk:
            with camera.held():
                await deed.when(cast)(desk)

    with monkeypatch.context() as patch:
        camera.watch(patch)
        asyncio.run(photographed())
    taken = dict(done.taken)
    undisturbed = asyncio.run(_endings(camera.url, deed, [cast], done))

    # Until COMMIT nothing reaches the disk: most pictures show one and the same.
    disks = dict.fromkeys(disk for _, disk in camera.pictures)
    disks |= dict.fromkeys(camera.pictures[-1][1].torn(TORN))
    assert len(camera.pictures) > 8
    assert 2 < len(disks) <= MOST_CUTS
    for disk in disks:
        url, receiver = disk.put(Path(tempfile.mkdtemp(dir=tmp_path)) / "after.db"), Receiver()
        receiver.taken.update(taken)
        asyncio.run(_do(url, deed, cast, receiver))
        assert asyncio.run(_endings(url, deed, [cast], receiver)) == undisturbed


@pytest.mark.postgres
@_EACH_DEED
def test_on_postgresql_every_cut_ends_as_if_nothing_had_been(deed: Deed, postgres: Cluster) -> None:
    url = asyncio.run(postgres.fresh())
    first, second = Cast("000"), Cast("001")
    receiver, counting = Receiver(), Plug(postgres.socket)
    asyncio.run(_lead_up(url, deed, first))
    asyncio.run(_do(url, deed, first, receiver))
    asyncio.run(_lead_up(url, deed, second))
    assert asyncio.run(_plugged(url, deed, second, receiver, counting))

    cuts = [(n, False) for n in range(1, len(counting.said) + 1)]
    cuts += [(n, True) for n, words in enumerate(counting.said, 1) if words.startswith("COMMIT")]
    assert len({answered for _, answered in cuts}) == 2
    cuts = spread(cuts, MOST_CUTS)
    casts = [Cast(f"{n:03d}") for n in range(2, len(cuts) + 2)]
    for cast, (n, answered) in zip(casts, cuts, strict=True):
        asyncio.run(_lead_up(url, deed, cast))
        plug = Plug(postgres.socket, at=n, answered=answered)
        assert not asyncio.run(_plugged(url, deed, cast, receiver, plug))
        assert plug.out.is_set()
        asyncio.run(_do(url, deed, cast, receiver))

    undisturbed, *others = asyncio.run(_endings(url, deed, [first, second, *casts], receiver))
    assert others[0] == undisturbed
    for cut, ending in zip(cuts, others[1:], strict=True):
        assert ending == undisturbed, f"cut at statement {cut[0]}, answered: {cut[1]}"


async def _plugged(url: str, deed: Deed, cast: Cast, receiver: Receiver, plug: Plug) -> bool:
    """One life behind a plug; whether it came to its end. What still runs when the plug is out dies with its loop."""
    name = url.split("@/")[1].split("?")[0]
    with tempfile.TemporaryDirectory(prefix="plug-") as folder:
        async with plug.behind(Path(folder)):
            desk = Desk(f"postgresql://{OWNER}@/{name}?host={folder}", deed.at, receiver)
            await desk.writer.start()
            plug.arm()
            doing = asyncio.ensure_future(deed.when(cast)(desk))
            dying = asyncio.ensure_future(plug.out.wait())
            await asyncio.wait((doing, dying), return_when=asyncio.FIRST_COMPLETED)
            lived = doing.done()
            if lived:
                await desk.writer.close()
            for task in (doing, dying):
                task.cancel()
            await asyncio.gather(doing, dying, return_exceptions=True)
            await desk.database.close()
    return lived
