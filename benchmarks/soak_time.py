"""Soak of time: seeded tempests over storms of deadlines. Prints what was lost, what was doubled, and how late.

    python -m benchmarks.soak_time --runs 1000 --seed 1

A run is a database, some hundreds of deadlines that fall at once, and up to three faults drawn from its seed: half of
the nodes killed, one killed or stopped (SIGSTOP) at a drawn statement, clocks set an hour off, the database restarted, a
poisoned row, rows deleted by hand, slow and dead receivers, a full disk. Runs of even seeds are on PostgreSQL, of odd
ones on SQLite. Broken off and started again with the same words on the same commit it goes on where it was. What was
proved is added to docs/proofs.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import msgspec
from tqdm import tqdm

from benchmarks.soak import DONE, commit
from dispatcher.domain.worktime import LEGAL_ZONE
from dispatcher.runtime.hands import Hands
from dispatcher.store import schema
from dispatcher.store.database import Database
from tests.faults.tempest import Mother, Result, Tempest, database_on, small_disk
from tests.support.databases import FAST, Cluster, cluster

PROOFS = Path(__file__).resolve().parents[1] / "docs" / "proofs.md"
HEAD = "<!-- make soak adds here: tempests -->"


async def one_run(seed: int, mother: Mother, postgres: Cluster) -> Result:
    """One tempest, on PostgreSQL for even seeds."""
    folder = Path(tempfile.mkdtemp(prefix=f"liandong-tempest-{seed}-"))
    on_postgres = seed % 2 == 0
    async with contextlib.AsyncExitStack() as stack:
        disk: Path | None = None
        with contextlib.suppress(PermissionError):
            disk = stack.enter_context(small_disk())
        if on_postgres:
            url = await (stack.enter_async_context(database_on(postgres, disk)) if disk else postgres.fresh())
        else:
            url = f"sqlite:///{disk or folder}/liandong.db"
            database = Database(url)
            await schema.upgrade(database, Hands().wall())
            await database.close()
        tempest = Tempest(mother, url, folder, seed, postgres=postgres if on_postgres else None, disk=disk)
        try:
            result = await tempest.run()
        except (AssertionError, OSError) as err:
            result = Result(
                seed=seed,
                engine=url.split(":")[0],
                faults=tempest.faults,
                fired=0,
                lost=0,
                doubled=0,
                late_ms=0,
                wrong=(f"{type(err).__name__}: {err}",),
            )
        if result.wrong and disk is not None and not on_postgres:
            shutil.copytree(disk, folder / "disk", ignore=shutil.ignore_patterns("ballast"))
    if result.wrong:
        print(f"left as it was: {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return result


def read(path: Path) -> list[Result]:
    """What was run before."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Result) for line in lines]


def summary(name: str, done: list[Result]) -> str:
    """The line of docs/proofs.md."""
    seeds = [one.seed for one in done]
    failed = [one.seed for one in done if one.wrong]
    late = max(done, key=lambda one: one.late_ms)
    result = f"FAILED: seeds {', '.join(map(str, failed))}" if failed else "all held"
    day = f"{Hands().wall().astimezone(LEGAL_ZONE):%Y-%m-%d}"
    return (
        f"| {day} | {name} | {min(seeds)}–{max(seeds)} | {len(done)} | {sum(one.fired for one in done):,}"
        f" | {sum(one.lost for one in done)} | {sum(one.doubled for one in done)}"
        f" | {late.late_ms} ms ({'+'.join(late.faults)}) | {result} |"
    )


def main() -> int:
    """Soak."""
    parser = argparse.ArgumentParser(description="seeded tempests over storms of deadlines")
    parser.add_argument("--runs", type=int, default=1000, help="how many in all (default 1000)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first run (default 1)")
    parser.add_argument("--again", action="store_true", help="do not skip what is done, and write no proof")
    options = parser.parse_args()
    name = commit()
    DONE.mkdir(parents=True, exist_ok=True)
    path = DONE / f"time-{name}-{options.seed}-{options.runs}{'-again' if options.again else ''}.jsonl"
    if options.again:
        path.unlink(missing_ok=True)
    done = read(path)
    seen = {one.seed for one in done}
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="liandong-mother-"))
    mother = Mother(folder)
    try:
        with (
            cluster((*FAST, "track_commit_timestamp=on")) as postgres,
            tqdm(total=options.runs, unit="run", initial=len(done)) as bar,
        ):
            for seed in range(options.seed, options.seed + options.runs):
                if seed in seen:
                    continue
                one = asyncio.run(one_run(seed, mother, postgres))
                done.append(one)
                with path.open("ab") as file:
                    file.write(msgspec.json.encode(one) + b"\n")
                bar.update()
                bar.write(
                    f"seed {seed} {one.engine} {'+'.join(one.faults)}: fired {one.fired}, lost {one.lost},"
                    f" doubled {one.doubled}, max lateness {one.late_ms} ms"
                )
                for words in one.wrong:
                    bar.write(f"  {words}")
    except KeyboardInterrupt:
        print("broken off; the same words go on with it", file=sys.stderr)
        return 130
    finally:
        mother.close()
        shutil.rmtree(folder, ignore_errors=True)
    line = summary(name, done)
    print(line)
    if not options.again:
        words = PROOFS.read_text()
        PROOFS.write_text(words.replace(HEAD, f"{line}\n{HEAD}"))
    return 1 if any(one.wrong for one in done) else 0


if __name__ == "__main__":
    raise SystemExit(main())
