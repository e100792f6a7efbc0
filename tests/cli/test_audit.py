"""`liandong audit` and the auditor of a serving node, as operators meet them."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import time
from pathlib import Path

from dispatcher.runtime.hands import Hands
from tests.faults.deeds import Cast, Desk, Receiver
from tests.runtime.nodes import Node, run, serving

PATIENCE = 60


async def _register(url: str) -> None:
    """A case whose limits lie ahead."""
    async with Desk(url, Hands().wall(), Receiver()) as desk:
        await Cast("000").register("a")(desk)


def _ask(file: Path, statement: str) -> list[tuple[object, ...]]:
    """Somebody's hand in the database."""
    connection = sqlite3.connect(file, timeout=10)
    with connection:
        rows = connection.execute(statement).fetchall()
    connection.close()
    return rows


def _until(node: Node, name: str, value: float) -> None:
    end = time.monotonic() + PATIENCE
    while node.figure(name) != value:
        assert time.monotonic() < end, f"{name} never became {value}: {node.get('readyz')[1]}"


def test_a_serving_node_puts_a_deleted_row_back_and_tells_outside_only_while_all_is_well(
    sqlite_template: Path, tmp_path: Path
) -> None:
    (tmp_path / "var").mkdir()
    file, alive = tmp_path / "var" / "liandong.db", tmp_path / "alive"
    shutil.copy(sqlite_template, file)
    asyncio.run(_register(f"sqlite:///{file}"))
    settings = {
        "LIANDONG_AUDITOR_EVERY": "1s",
        "LIANDONG_AUDITOR_SWITCH_EVERY": "1s",
        "LIANDONG_AUDITOR_SWITCH_FILE": str(alive),
    }
    with serving(tmp_path, settings) as node:
        _until(node, "liandong_audit_clean", 1)
        assert json.loads(node.get("readyz")[1])["audit"] == "clean"
        gone = _ask(file, "DELETE FROM deadline WHERE clock = 'assign' RETURNING clock, milestone, due")
        assert gone

        _until(node, "liandong_audit_repaired", len(gone))
        _until(node, "liandong_audit_clean", 1)

        back = _ask(file, "SELECT clock, milestone, due FROM deadline WHERE state = 'repaired'")
        assert sorted(map(repr, back)) == sorted(map(repr, gone))
        code, log = node.end()
    assert code == 0
    assert log.count('"found":"missing"') == len(gone)
    stopped = alive.read_text()

    audited = run(tmp_path, "audit", "--json")
    assert audited.returncode == 0
    answer = json.loads(audited.stdout)
    assert (answer["clean"], answer["missing"], answer["repaired"]) == (True, 0, len(gone))
    assert alive.read_text() == stopped  # nobody serves: it grows old


def test_what_is_in_quarantine_is_listed_and_released_on_request(
    sqlite_template: Path, tmp_path: Path
) -> None:
    (tmp_path / "var").mkdir()
    file = tmp_path / "var" / "liandong.db"
    shutil.copy(sqlite_template, file)
    asyncio.run(_register(f"sqlite:///{file}"))
    _ask(file, "UPDATE deadline SET state = 'quarantined' WHERE clock = 'assign'")

    found = run(tmp_path, "audit", "--json")
    released = run(tmp_path, "audit", "--release")

    assert found.returncode == 1
    assert [one["found"] for one in json.loads(found.stdout)["findings"]] == ["quarantined"]
    assert released.returncode == 0, released.stderr
    assert _ask(file, "SELECT count(*) FROM deadline WHERE state = 'repaired'") == [(1,)]
    assert json.loads(run(tmp_path, "audit", "--json").stdout)["clean"]
