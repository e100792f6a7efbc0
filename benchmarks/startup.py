"""How soon a node answers beyond what importing costs, what it holds while idle, and how soon small commands are done.

Every figure is the best of several starts: the machine may be busy with other things, and a start is never faster than
it can be. The first start of a folder compiles the lists; the later ones find them in the cache.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figures, read_options

TOP = str(Path(__file__).resolve().parents[1])
IDLE = 2.0
"""Seconds after which a node that nobody asks counts as idle."""

SMALL = {
    "classify": ["classify", "--json", "小区路灯坏了很久没人修"],
    "worktime": ["worktime", "add", "2026-03-02T10:00:00+08:00", "5"],
}


@dataclass(frozen=True, kw_only=True)
class Start:
    """One start of a node. Times in seconds, memory in MB of 2**20 bytes."""

    first: bool
    importing: float
    ready: float
    whole: float
    resident: float


def environment() -> dict[str, str]:
    """Nothing of ours but what is given. Byte code is kept, as it is wherever a program is started twice."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIANDONG_")}
    return kept | {"LIANDONG_HTTP_PORT": "0", "PYTHONPATH": TOP, "PYTHONDONTWRITEBYTECODE": ""}


def serve(folder: Path, *, first: bool) -> Start:
    """Start a node on SQLite, let it idle, and end it."""
    log = folder / "log.jsonl"
    began = time.perf_counter()
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "dispatcher", "serve"],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        whole = time.perf_counter() - began
        if not line.startswith(b"Open "):
            raise RuntimeError(f"the node did not start: {log.read_text()[-1000:]}")
        time.sleep(IDLE)  # noqa: TID251 - it is to be idle
        resident = _resident(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stdout.close()
    said = (json.loads(one) for one in log.read_text().splitlines())
    ready = next(one for one in said if one["words"] == "ready")
    return Start(
        first=first, importing=ready["importing_s"], ready=ready["ready_s"], whole=whole, resident=resident
    )


def small(words: list[str], folder: Path) -> float:
    """Run a small command to its end; how long it took."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "dispatcher", *words],
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def main() -> int:
    """Measure."""
    options = read_options("start-up of a node and of small commands, and the memory of an idle node")
    rounds = options.pick(quick=3, normal=6, full=12)
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="liandong-start-") as name:
        folder = Path(name)
        starts = [serve(folder, first=n == 0) for n in range(rounds + 1)]
        later = starts[1:]

        def best(of: Callable[[Start], float]) -> float:
            return min(of(one) for one in later)

        ready, resident = best(lambda one: one.ready), max(one.resident for one in later)
        figures.add("ready_beyond_imports_s", ready, "s", "<= 1.5", ready <= 1.5)
        figures.add("importing_s", best(lambda one: one.importing), "s")
        figures.add("ready_from_the_shell_s", best(lambda one: one.whole), "s")
        figures.add("ready_first_time_s", starts[0].ready, "s")
        figures.add("idle_rss_mb", resident, "MB", "<= 180", resident <= 180)
        figures.add("idle_rss_first_time_mb", starts[0].resident, "MB")
        for command, words in SMALL.items():
            small(words, folder)
            taken = min(small(words, folder) for _ in range(rounds + 2))
            figures.add(f"{command}_start_s", taken, "s", "< 0.4", taken < 0.4)
    figures.print_all(options.as_json)
    return 0 if figures.all_ok else 1


if __name__ == "__main__":
    raise SystemExit(main())
