"""Verbs over a store: sending out is paused and resumed by a person, and a database that is not there is said so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.mark.parametrize(
    "words",
    [("verify",), ("backup", "all.zip"), ("explain", "1"), ("relay", "status"), ("retention", "--dry-run")],
)
def test_a_database_that_is_not_there_is_neither_made_nor_called_good(
    liandong: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    ran = liandong(*words)

    assert ran.returncode == 2
    assert "没有这个数据库" in ran.stderr
    assert not (tmp_path / "var").exists()


def test_a_paused_relay_says_why_until_it_is_resumed(liandong: Run) -> None:
    assert liandong("db", "upgrade").returncode == 0

    refused = liandong("relay", "pause", " ")
    paused = json.loads(liandong("relay", "pause", "链路检修", "--json").stdout)
    shown = liandong("relay", "status")
    resumed = json.loads(liandong("relay", "resume", "--json").stdout)

    assert refused.returncode == 2
    assert "REASON" in refused.stderr
    assert (paused["paused"], paused["why"]) == (True, "链路检修")
    assert "链路检修" in shown.stdout
    assert resumed == {"paused": False, "why": "", "ready": 0, "dead": 0}
