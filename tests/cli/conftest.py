"""A command line in a folder of its own: the real program, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def liandong(tmp_path: Path) -> Run:
    """Runs `liandong` with words, in an empty folder, on SQLite there."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("LIANDONG_")}
    env["PYTHONPATH"] = str(ROOT)
    env["LIANDONG_LOGGING_LEVEL"] = "warning"

    def run(*words: str, stdin: str | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dispatcher", *words],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**env, **more},
            timeout=300,
            check=False,
        )

    return run
