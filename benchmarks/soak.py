"""Soak: seeded kill -9 of real nodes under load on SQLite and PostgreSQL, each round called to account at its end.

    python -m benchmarks.soak --kills 1000 --seed 1

A round is a database, senders, a receiver and some kills; all that is drawn in it follows from its seed. Rounds of even
seeds run on PostgreSQL, of odd ones on SQLite. Broken off and started again with the same words on the same commit it
goes on where it was. What was proved is added to docs/proofs.md.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import msgspec
from tqdm import tqdm

from dispatcher.domain.worktime import LEGAL_ZONE
from dispatcher.runtime.hands import Hands
from dispatcher.store import schema
from dispatcher.store.database import Database
from tests.faults.storm import Storm, killed
from tests.support.databases import Cluster, cluster

TOP = Path(__file__).resolve().parents[1]
PROOFS = TOP / "docs" / "proofs.md"
DONE = TOP / ".cache" / "soak"
EACH = 10
"""Kills in a round."""


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One round: what was wrong afterwards, and how much was going on."""

    seed: int
    kills: int
    faults: list[str]
    seen: dict[str, int]


async def one_round(seed: int, kills: int, postgres: Cluster | None) -> Round:
    """One round, on PostgreSQL where there is one."""
    folder = Path(tempfile.mkdtemp(prefix=f"liandong-soak-{seed}-"))
    if postgres is not None:
        url = await postgres.empty()
    else:
        url = f"sqlite:///{folder}/liandong.db"
    database = Database(url)
    await schema.upgrade(database, Hands().wall())
    await database.close()
    storm = Storm(url, folder, seed)
    try:
        faults = await killed(storm, kills)
    except (AssertionError, TimeoutError) as err:
        faults = [f"{type(err).__name__}: {err}"]
    books = storm.books
    seen = {
        "cases": books.registered,
        "commands": sum(status in (200, 201) for status, _ in books.answers.values()),
        "repeated": books.repeats,
        "notices": len(storm.receiver.taken),
    }
    if faults:
        print(f"left as it was: {folder} {url}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
        if postgres is not None:
            name = url.split("@/")[1].split("?")[0]
            await postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
    return Round(seed=seed, kills=kills, faults=faults, seen=seen)


def commit() -> str:
    """What is proved: the commit, and whether the checkout says something else."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=TOP, capture_output=True, text=True, check=True
        ).stdout.strip()

    product = ("dispatcher", "routing_rules", "adapters", "dashboards")
    return git("rev-parse", "--short=10", "HEAD") + (
        "+" if git("diff", "--name-only", "--", *product) else ""
    )


class Record:
    """What was run so far, kept in a file so that a soak may be broken off."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rounds: list[Round] = []
        if path.exists():
            self.rounds = [msgspec.json.decode(line, type=Round) for line in path.read_bytes().splitlines()]

    def add(self, one: Round) -> None:
        """Keep a round."""
        self.rounds.append(one)
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(one) + b"\n")

    @property
    def kills(self) -> int:
        """How many there were."""
        return sum(one.kills for one in self.rounds)

    @property
    def failed(self) -> list[int]:
        """The seeds after which something was wrong."""
        return [one.seed for one in self.rounds if one.faults]

    def line(self, name: str, now: datetime) -> str:
        """What docs/proofs.md says of it."""
        seeds = [one.seed for one in self.rounds]
        sums = {what: sum(one.seen[what] for one in self.rounds) for what in self.rounds[0].seen}
        counts = ", ".join(f"{n:,} {what}" for what, n in sums.items())
        result = f"FAILED: seeds {', '.join(map(str, self.failed))}" if self.failed else "all held"
        day = f"{now.astimezone(LEGAL_ZONE):%Y-%m-%d}"
        return f"| {day} | {name} | {min(seeds)}–{max(seeds)} | {self.kills} | {counts} | {result} |"


def soak(kills: int, first: int, record: Record) -> None:
    """All rounds that are not done yet."""
    done = {one.seed for one in record.rounds}
    with cluster() as postgres, tqdm(total=kills, unit="kill", initial=record.kills) as bar:
        for n in range((kills + EACH - 1) // EACH):
            seed, count = first + n, min(EACH, kills - n * EACH)
            if seed in done:
                continue
            one = asyncio.run(one_round(seed, count, postgres if seed % 2 == 0 else None))
            record.add(one)
            bar.update(count)
            if one.faults:
                print(f"seed {seed}:", *one.faults[:20], sep="\n  ", file=sys.stderr)
                again = f"python -m benchmarks.soak --again --kills {count} --seed {seed}"
                print(f"  once more: {again}", file=sys.stderr)


def main() -> int:
    """Soak."""
    parser = argparse.ArgumentParser(description="seeded kill -9 of real nodes under load")
    parser.add_argument("--kills", type=int, default=1000, help="how many in all (default 1000)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first round (default 1)")
    parser.add_argument("--again", action="store_true", help="do not skip what is done, and write no proof")
    options = parser.parse_args()
    name = commit()
    path = DONE / f"{name}-{options.seed}-{options.kills}{'-again' if options.again else ''}.jsonl"
    if options.again:
        path.unlink(missing_ok=True)
    record = Record(path)
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started us in the background
        signal.signal(number, signal.default_int_handler)
    try:
        soak(options.kills, options.seed, record)
    except KeyboardInterrupt:
        print("broken off; the same words go on with it", file=sys.stderr)
        return 130
    line = record.line(name, Hands().wall())
    print(line)
    if not options.again:
        with PROOFS.open("a") as file:
            file.write(line + "\n")
    return 1 if record.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
