"""replay, and the verbs over what it leaves: verify, explain, backup, restore, retention, import."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

Run = Callable[..., CompletedProcess[str]]

TEXTS = (
    ("路灯不亮", "小区门口的路灯坏了半个月没人修"),
    ("暖气不热", "家里暖气一点都不热,打了三次电话没人来"),
    ("持刀", "有人拿刀追人,快来"),
    ("社保卡", "请问社保卡丢了怎么补办"),
    ("欠薪", "工地拖欠我三个月工资,老板不接电话"),
    ("离婚", "我想起诉离婚,法院什么时候开庭"),
)


def written(folder: Path, rows: int) -> Path:
    path = folder / "messages.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["id", "title", "at", "text"])
        for number in range(rows):
            title, text = TEXTS[number % len(TEXTS)]
            out.writerow(
                [number, title, f"2020/3/{number % 27 + 1} 09:{number % 60:02d}:00", f"{text}({number})"]
            )
    return path


def test_a_month_of_messages_is_carried_to_its_end_and_everything_about_it_holds(
    liandong: Run, tmp_path: Path
) -> None:
    path = written(tmp_path, 48)

    done = liandong("replay", str(path), "--json")

    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert report["messages"] == 48
    assert all(check["holds"] for check in report["checks"]), report["checks"]
    assert not any(not refusal["explained"] for refusal in report["refusals"])
    assert report["tally"]["danger"] >= 8
    assert report["tally"]["open"] == 0
    assert report["tally"]["cases"] > 48, "dangers also become police orders"
    assert report["tally"]["deadlines"]["handle"]["in_time"] > 0

    again = liandong("replay", str(path))
    assert again.returncode == 2
    assert "--append" in again.stderr

    _explained(liandong, tmp_path)
    _restored(liandong, tmp_path)
    _erased(liandong)
    _flipped(liandong, tmp_path)


def _explained(liandong: Run, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "var" / "liandong.db") as database:
        (number,) = database.execute("SELECT number FROM stream WHERE stage = 'archived' LIMIT 1").fetchone()
    explained = json.loads(liandong("explain", number, "--json").stdout)
    assert explained["number"] == number
    assert explained["ruled"]["evidence"]
    assert explained["trail"][0]["kind"].startswith("case-registered")
    assert explained["hops"][0]["holder"].startswith("12345-")
    assert liandong("explain", "12345-630100-1999-0000001").returncode == 2


def _restored(liandong: Run, tmp_path: Path) -> None:
    assert liandong("backup", "all.zip").returncode == 0
    done = liandong("restore", "all.zip", "--json", LIANDONG_DATABASE_URL="sqlite:///second.db")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["good"] is True
    refused = liandong("restore", "all.zip", LIANDONG_DATABASE_URL="sqlite:///second.db")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


def _erased(liandong: Run) -> None:
    rehearsed = json.loads(liandong("retention", "--dry-run", "--json").stdout)
    assert rehearsed["erased"] == {}
    done = liandong("retention", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert report["due"] == rehearsed["due"]
    assert sum(report["erased"].values()) == sum(report["due"].values()) > 48
    assert report["left"] == 0
    assert json.loads(liandong("retention", "--json").stdout)["due"] == {}
    assert liandong("verify").returncode == 0


def _flipped(liandong: Run, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "var" / "liandong.db") as database:
        database.execute(
            'UPDATE event SET body = replace(CAST(body AS TEXT), \'"lead":"\', \'"lead":"X\')'
            " WHERE position = (SELECT min(position) FROM event WHERE kind = 'case-assigned.1')"
        )
    done = liandong("verify", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["faults"][0]["stream"]


def test_the_same_seed_gives_the_same_history(liandong: Run, tmp_path: Path) -> None:
    path = written(tmp_path, 12)

    first, second = (
        json.loads(
            liandong(
                "replay", str(path), "--json", "--no-verify", LIANDONG_DATABASE_URL=f"sqlite:///{name}.db"
            ).stdout
        )
        for name in ("first", "second")
    )

    for report in (first, second):
        report.pop("throughput")
    assert first == second


def test_faulty_rows_are_named_and_the_others_are_replayed(liandong: Run, tmp_path: Path) -> None:
    path = tmp_path / "messages.csv"
    path.write_text(
        "id,title,at,text\n1,路灯,昨天,路灯坏了\n2,路灯,2026-03-02 09:00:00,路灯坏了\n", encoding="utf-8"
    )

    done = liandong("replay", str(path), "--json", "--no-verify")

    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert report["messages"] == 1
    assert [(fault["line"], fault["field"]) for fault in report["faults"]] == [(2, "at")]
    assert "line 2" in done.stderr


def test_open_cases_come_in_with_their_true_times_and_late_ones_are_listed(
    liandong: Run, tmp_path: Path
) -> None:
    (tmp_path / "open.csv").write_text(
        "id,received,title,text,caller\n"
        "A1,2020-03-02 09:00:00,路灯,小区门口的路灯坏了半个月没人修,13900000000\n"
        "A2,2020-03-02 10:00:00,暖气,家里暖气不热,\n",
        encoding="utf-8",
    )

    first = json.loads(liandong("import", "open.csv", "--platform", "12345-630100", "--json").stdout)
    second = json.loads(liandong("import", "open.csv", "--platform", "12345-630100", "--json").stdout)

    assert (first["imported"], first["repeated"]) == (2, 0)
    assert (second["imported"], second["repeated"]) == (0, 2)
    assert {late["id"] for late in first["late"]} == {"A1", "A2"}
    with sqlite3.connect(tmp_path / "var" / "liandong.db") as database:
        assert database.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
        received = database.execute("SELECT min(received) FROM stream").fetchone()[0]
    assert received.startswith("2020-03-02 01:00:00")


def test_a_faulty_import_names_all_faults_and_imports_nothing(liandong: Run, tmp_path: Path) -> None:
    (tmp_path / "open.jsonl").write_text(
        '{"id":"1","received":"soon","text":"x"}\n{"id":"2","received":"2026-03-02T09:00:00+08:00"}\n',
        encoding="utf-8",
    )

    done = liandong("import", "open.jsonl", "--platform", "12345-630100")

    assert done.returncode == 2
    assert "line 1: received" in done.stderr
    assert "line 2: text" in done.stderr
    assert not (tmp_path / "var" / "liandong.db").exists()
