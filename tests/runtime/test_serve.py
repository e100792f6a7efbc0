"""`liandong serve` as operators meet it: what it prints, how it stops, what it refuses."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import urllib.request
from importlib import resources
from pathlib import Path

import pytest

from tests.runtime.nodes import Node, run, serving
from tests.support.databases import Cluster


@pytest.fixture
def upgraded(sqlite_template: Path, tmp_path: Path) -> Path:
    """A folder whose embedded database has the newest schema already: a node starts faster on it."""
    (tmp_path / "var").mkdir()
    shutil.copy(sqlite_template, tmp_path / "var" / "liandong.db")
    return tmp_path


def _until(node: Node, name: str, value: float) -> None:
    for _ in range(400):
        if node.figure(name) == value:
            return
    raise AssertionError(f"{name} never became {value}")


def test_the_first_line_is_the_address_and_everything_after_is_json_lines_on_stderr(tmp_path: Path) -> None:
    with serving(tmp_path) as node:
        assert re.fullmatch(r"Open http://127\.0\.0\.1:\d+/\n", node.first_line)

        assert node.get("healthz") == (200, '{"alive":true}')
        status, body = node.get("readyz")
        assert (status, json.loads(body)["ready"]) == (200, True)
        assert node.get("")[0] == 200
        assert (tmp_path / "var" / "liandong.db").exists()
        assert (tmp_path / "var" / "vault.key").stat().st_mode & 0o777 == 0o600

        code, log = node.end()
    lines = [json.loads(line) for line in log.splitlines()]
    assert code == 0
    assert [line["words"] for line in lines if line["level"] == "error"] == []
    assert next(line for line in lines if line["words"] == "ready")["ready_s"] > 0
    assert lines[-1]["words"] == "stopped"


def test_an_open_live_stream_does_not_hold_up_the_stop(upgraded: Path) -> None:
    with serving(upgraded) as node:
        stream = urllib.request.urlopen(node.address + "live", timeout=30)
        assert stream.readline().startswith(b"retry")

        node.signal(signal.SIGTERM)
        node.process.wait(timeout=10)

        assert node.process.returncode == 0
        stream.close()


def test_a_file_is_served_by_one_process_and_free_again_after_a_kill(upgraded: Path) -> None:
    with serving(upgraded) as node:
        second = run(upgraded, "serve")

        assert second.returncode == 2
        assert "served by another process" in second.stderr
        assert "Traceback" not in second.stderr
        node.process.kill()
        node.process.wait(timeout=10)

    with serving(upgraded) as again:
        assert again.end()[0] == 0


def test_sighup_takes_good_lists_and_keeps_the_old_ones_when_the_new_are_bad(upgraded: Path) -> None:
    own = upgraded / "policy"
    with resources.as_file(resources.files("routing_rules").joinpath("data", "policy")) as packaged:
        shutil.copytree(packaged, own)
    with serving(upgraded, {"LIANDONG_DATA_POLICY": str(own)}) as node:
        (own / "bad.toml").write_text("[[clock]]\nid = 1\n")
        node.signal(signal.SIGHUP)
        _until(node, "liandong_lists_current", 0)
        assert node.get("readyz")[0] == 200

        (own / "bad.toml").unlink()
        node.signal(signal.SIGHUP)
        _until(node, "liandong_lists_current", 1)

        code, log = node.end()
    assert code == 0
    assert "bad.toml" in log


def test_bad_lists_are_all_named_and_nothing_starts(tmp_path: Path) -> None:
    for folder in ("policy", "directory"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "bad.toml").write_text("nonsense = 1\n")

    ran = run(
        tmp_path,
        "serve",
        LIANDONG_DATA_POLICY=str(tmp_path / "policy"),
        LIANDONG_DATA_DIRECTORY=str(tmp_path / "directory"),
    )

    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert ran.stderr.count("nonsense") >= 2
    assert ran.stdout == ""


def test_a_bad_configuration_is_refused_in_words(tmp_path: Path) -> None:
    ran = run(tmp_path, "serve", "--config", "none.toml", LIANDONG_HTTP_PORT="70000")

    assert ran.returncode == 2
    assert "none.toml" in ran.stderr
    assert "http.port = 70000" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_port_in_use_is_said_in_words(upgraded: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        ran = run(upgraded, "serve", LIANDONG_HTTP_PORT=str(port))

    assert ran.returncode == 2
    assert str(port) in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.postgres
async def test_postgresql_is_upgraded_on_request_and_then_served(postgres: Cluster, tmp_path: Path) -> None:
    address = {"LIANDONG_DATABASE_URL": await postgres.empty()}

    refused = run(tmp_path, "serve", **address)
    assert refused.returncode == 2
    assert "liandong db upgrade" in refused.stderr

    upgraded = run(tmp_path, "db", "upgrade", "--json", **address)
    assert json.loads(upgraded.stdout)["before"] == ""
    with serving(tmp_path, address) as node:
        status, body = node.get("readyz")
        assert (status, json.loads(body)["database"]) == (200, "up")
        with serving(tmp_path, address) as second:
            assert second.get("readyz")[0] == 200
            assert second.end()[0] == 0
        code, log = node.end()
    assert code == 0
    assert '"level":"error"' not in log


def test_db_upgrade_makes_the_embedded_database_and_repeats_without_harm(tmp_path: Path) -> None:
    first = json.loads(run(tmp_path, "db", "upgrade", "--json").stdout)
    second = json.loads(run(tmp_path, "db", "upgrade", "--json").stdout)

    assert first["before"] == ""
    assert second["before"] == second["after"] == first["after"]


def test_db_upgrade_without_a_database_says_so_and_shows_no_password(tmp_path: Path) -> None:
    ran = run(tmp_path, "db", "upgrade", LIANDONG_DATABASE_URL="postgresql://u:hunter2@127.0.0.1:1/x")

    assert ran.returncode == 2
    assert "hunter2" not in ran.stderr
    assert "Traceback" not in ran.stderr
