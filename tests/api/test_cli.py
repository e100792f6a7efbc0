"""`liandong user`, `token` and `export` on a store of their own."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dispatcher.__main__ import main
from dispatcher.domain.stream import Role
from dispatcher.store.accounts import Accounts
from dispatcher.store.database import Database
from tests.api.conftest import NOW


@pytest.fixture(autouse=True)
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The settings point to a fresh SQLite file."""
    made = f"sqlite:///{tmp_path}/liandong.db"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIANDONG_DATABASE_URL", made)
    monkeypatch.setenv("LIANDONG_VAULT_KEY_FILE", str(tmp_path / "vault.key"))
    return made


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(words)
    told = capsys.readouterr()
    return code, told.out, told.err


AGENT = ("--role", "agent-12345", "--platform", "12345-630100", "--name", "desk-1")


def test_a_token_is_shown_once_and_opens_as_its_account(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _run(capsys, "token", "add", *AGENT, "--json")
    made = json.loads(out)

    async def whose() -> tuple[object, ...]:
        database = Database(url)
        try:
            actor = await Accounts(database).actor_of(made["token"], NOW)
        finally:
            await database.close()
        assert actor is not None
        return actor.id, actor.roles, actor.platform, actor.division

    assert code == 0
    assert asyncio.run(whose()) == ("desk-1", (Role.AGENT_12345,), "12345-630100", "630100")


def test_all_faults_of_an_account_are_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = _run(
        capsys, "token", "add", "--role", "department-clerk", "--platform", "12345-999999",
        "--division", "1", "--unit", "x", "--name", "b c",
    )  # fmt: skip

    assert (code, out) == (2, "")
    for option in ("--id", "--platform", "--division", "--unit"):
        assert option in err
    assert "Traceback" not in err


def test_an_account_is_made_once_and_takes_further_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    first = _run(capsys, "user", "add", "desk-1", *AGENT[:4], "--json")
    again = _run(capsys, "user", "add", "desk-1", *AGENT[:4])
    token = _run(capsys, "token", "add", "--account", "desk-1", "--label", "screen", "--json")
    nobody = _run(capsys, "token", "add", "--account", "nobody")

    assert first[0] == 0 and json.loads(first[1])["sign_in"] is False
    assert again[0] == 2 and "desk-1" in again[2]
    assert token[0] == 0 and json.loads(token[1])["token"].startswith("ld_")
    assert nobody[0] == 2


def test_stopping_a_token_or_an_account_says_whether_there_was_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _run(capsys, "token", "add", *AGENT)

    assert _run(capsys, "token", "revoke", "desk-1")[0] == 0
    assert _run(capsys, "token", "revoke", "desk-1")[0] == 1
    assert _run(capsys, "user", "disable", "desk-1")[0] == 0
    assert _run(capsys, "user", "disable", "nobody")[0] == 1


def test_the_three_administrators_are_different_people(capsys: pytest.CaptureFixture[str]) -> None:
    roles = ("--role", "system-administrator", "--role", "audit-administrator")

    code, _, err = _run(capsys, "user", "add", "root", *roles, "--division", "630000")

    assert code == 2 and "管理员" in err


def test_an_export_of_an_empty_store_has_its_head_only(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    target = tmp_path / "cases.csv"

    code = main(["export", "cases", "--format", "csv", "--output", str(target)])

    assert code == 0
    content = target.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    (head,) = csv.reader(io.StringIO(content.decode("utf-8-sig")))
    assert head[:2] == ["诉求编号", "工单号"]
    assert sorted(path.name for path in tmp_path.iterdir() if ".part" in path.name) == []
    with closing(sqlite3.connect(tmp_path / "liandong.db")) as connection:
        log = connection.execute('SELECT "by", body FROM event ORDER BY position').fetchall()
    begun, ended = (json.loads(body) for _, body in log)
    assert all(by.startswith("console:") for by, _ in log)
    assert (begun["what"], begun["format"], begun["platforms"]) == ("cases", "csv", ["*"])
    assert (ended["rows"], ended["whole"]) == (0, True)
    assert ended["digest"] == hashlib.sha256(content).hexdigest()
    assert capsysbinary.readouterr().out == b""


def test_an_export_after_what_is_no_position_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = _run(capsys, "export", "events", "--after", "1x")

    assert code == 2 and "--after" in err
