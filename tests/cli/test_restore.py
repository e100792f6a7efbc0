"""`liandong restore` erases again what was erased after the backup was made, under the releases of the restored cases."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run

MESSAGES = "id,title,at,text\n1,路灯不亮,2019-03-04 09:00:00,城东区夏都大街路灯不亮已经三天\n"


def test_a_restore_erases_again_what_retention_erased_after_the_backup(liandong: Run, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(MESSAGES, encoding="utf-8")
    assert liandong("replay", "m.csv", "--json").returncode == 0
    assert liandong("backup", "b.zip").returncode == 0
    erased = json.loads(liandong("retention", "--json").stdout)
    for file in (tmp_path / "var").glob("liandong.db*"):
        file.unlink()

    ran = liandong("restore", "b.zip", "--json")

    proof = json.loads(ran.stdout)
    assert sum(erased["erased"].values()) >= 1
    assert (ran.returncode, proof["good"], proof["erased"]) == (0, True, sum(erased["erased"].values()))
    assert "erased again" in ran.stderr
