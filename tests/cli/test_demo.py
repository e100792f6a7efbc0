"""demo: it says where to look first, has a past, goes on living, and stops when told to."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.cli.conftest import ROOT


def test_the_address_comes_first_the_page_is_served_and_the_end_is_clean(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = {name: value for name, value in os.environ.items() if not name.startswith("LIANDONG_")}
        env |= {"PYTHONPATH": str(ROOT), "LIANDONG_HTTP_PORT": str(port), "LIANDONG_DEMO_RATE": "600"}
        with subprocess.Popen(
            [sys.executable, "-m", "dispatcher", "demo", "--history", "12"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=env,
        ) as demo:
            assert demo.stdout is not None
            first = demo.stdout.readline()
            assert first.startswith("Open http://127.0.0.1:")
            address = first.removeprefix("Open ").strip()
            assert str(port) not in address, "the port was taken"
            with urllib.request.urlopen(address, timeout=120) as page:
                assert page.status == 200
            with sqlite3.connect(tmp_path / "var" / "liandong.db") as database:
                past = database.execute("SELECT count(*) FROM stream").fetchone()[0]
            for _ in range(5_000):
                with urllib.request.urlopen(f"{address}readyz", timeout=60) as ready:
                    position = int(ready.read().split(b'"position":')[1].split(b"}")[0].split(b",")[0])
                with sqlite3.connect(tmp_path / "var" / "liandong.db") as database:
                    now = database.execute("SELECT count(*) FROM stream").fetchone()[0]
                if now > past:
                    break
            demo.send_signal(signal.SIGTERM)
            _, errors = demo.communicate(timeout=120)

    assert demo.returncode == 0, errors
    assert past >= 12
    assert now > past, "messages go on arriving"
    assert position > 0
    assert "Traceback" not in errors


def test_a_speed_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dispatcher", "demo", "--speed", "0"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert "--speed" in done.stderr
