"""rules check: the shipped data pass; faults in somebody's own folders are all named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

Run = Callable[..., CompletedProcess[str]]


def test_the_shipped_data_pass(liandong: Run) -> None:
    done = liandong("rules", "check", "--json")

    report = json.loads(done.stdout)
    assert done.returncode == 0, report["found"]
    assert report["holds"]
    assert {"lists", "policy", "calendars", "organisation"} <= report["versions"].keys()


def test_faults_of_several_folders_are_named_at_once(liandong: Run, tmp_path: Path) -> None:
    for folder, content in (("policy", "[[clock]]\nid = 3\n"), ("calendars", "nonsense = true\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.toml").write_text(content, encoding="utf-8")

    done = liandong(
        "rules", "check", "--json", LIANDONG_DATA_POLICY="policy", LIANDONG_DATA_CALENDARS="calendars"
    )

    rooms = {fault["room"] for fault in json.loads(done.stdout)["found"] if fault["serious"]}
    assert done.returncode == 1
    assert {"policy", "calendars"} <= rooms
