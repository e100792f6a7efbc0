"""Real nodes for tests: `liandong serve` in a process of its own, in a folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


class Node:
    """A serving process and what it said."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.folder = folder
        assert process.stdout is not None
        self.first_line = process.stdout.readline()
        self.address = self.first_line.removeprefix("Open ").strip()

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page."""
        try:
            with urllib.request.urlopen(self.address + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.read().decode()

    def figure(self, name: str) -> float:
        """One figure without labels from /metrics."""
        lines = self.get("metrics")[1].splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(name + " "))

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to this process only."""
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """SIGTERM; the exit code and the log."""
        self.signal(signal.SIGTERM)
        _, log = self.process.communicate(timeout=60)
        return self.process.returncode, log


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a node: nothing of ours but what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIANDONG_")}
    top = str(Path(__file__).resolve().parents[2])
    return kept | {"LIANDONG_HTTP_PORT": "0", "PYTHONPATH": top} | more


def run(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs a verb to its end."""
    return subprocess.run(
        [sys.executable, "-m", "dispatcher", *words],
        cwd=folder,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=120,
    )


@contextmanager
def serving(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Node]:
    """A node inside the block; killed at its end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dispatcher", "serve"],
        cwd=folder,
        env=environment(folder, **(settings or {})),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Node(process, folder)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
