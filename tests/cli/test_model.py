"""`liandong model` as an owner uses it: train, measure, promote, use, roll back; a worse one is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from routing_rules.model.training import Row
from tests.cli.conftest import Run
from tests.rules.shipped import category_rows

WHY = ("--by", "owner-1", "--reason", "季度更新")


def write(path: Path, rows: Sequence[Row], *, category: str = "category") -> str:
    with path.open("w", newline="", encoding="utf-8-sig") as out:
        table = csv.writer(out)
        table.writerow(["text", "title", category])
        table.writerows([row.text, row.title, row.category] for row in rows)
    return path.name


def test_a_model_is_trained_measured_put_in_force_used_and_taken_back(liandong: Run, tmp_path: Path) -> None:
    rows = category_rows()
    half, rest = write(tmp_path / "half.csv", rows[::2]), write(tmp_path / "rest.csv", rows[1::2])
    text = next(row for row in rows if row.category == rows[0].category).text

    before = json.loads(liandong("classify", text, "--json").stdout)
    trained = json.loads(liandong("model", "train", half, "--json").stdout)
    measured = json.loads(liandong("model", "evaluate", rest, "--json").stdout)
    promoted = liandong("model", "promote", *WHY)
    after = json.loads(liandong("classify", text, "--json").stdout)
    again = liandong("model", "promote", *WHY)
    listed = json.loads(liandong("model", "list", "--json").stdout)
    taken_back = json.loads(liandong("model", "rollback", *WHY, "--json").stdout)
    without = json.loads(liandong("classify", text, "--json").stdout)
    nothing_below = liandong("model", "rollback", *WHY)

    assert before["recommended"]["by"] == "lists" and before["recommended"]["categories"]
    assert 0.3 < trained["cards"][0]["macro_f1"] <= 1 and trained["rows"] == len(rows[::2])
    assert 0 < measured["heads"]["category"]["rows"] <= len(rows[1::2])
    assert promoted.returncode == 0, promoted.stderr
    assert after["recommended"]["by"] == trained["digest"]
    assert (
        after["category"] == after["recommended"]["categories"][0]["label"] in {row.category for row in rows}
    )
    assert again.returncode == 2 and "已在用" in again.stderr
    assert [line["force"] for line in listed["models"]] == [True]
    assert [(one["action"], one["by"]) for one in listed["history"]] == [("promote", "owner-1")]
    assert taken_back["model"] == ""
    assert without == before
    assert nothing_below.returncode == 2


def test_a_worse_challenger_is_refused_and_the_champion_stays(liandong: Run, tmp_path: Path) -> None:
    rows = category_rows()
    good, fresh = write(tmp_path / "good.csv", rows[::2]), write(tmp_path / "fresh.csv", rows[1::2])
    labels = sorted({row.category for row in rows})
    turned = [
        Row(text=row.text, category=labels[(labels.index(row.category) + n % 3) % len(labels)])
        for n, row in enumerate(rows[::2])
    ]
    bad = write(tmp_path / "bad.csv", turned)
    champion = json.loads(liandong("model", "train", good, "--json").stdout)["digest"]
    assert liandong("model", "promote", *WHY).returncode == 0
    assert liandong("model", "train", bad).returncode == 0

    blind = liandong("model", "promote", *WHY)
    compared = liandong("model", "promote", "--on", fresh, *WHY)

    assert blind.returncode == 1 and "--on" in blind.stderr
    assert compared.returncode == 1 and "macro-F1" in compared.stderr
    assert json.loads(liandong("model", "list", "--json").stdout)["history"][-1]["model"] == champion


def test_files_that_cannot_be_used_are_named(liandong: Run, tmp_path: Path) -> None:
    other = write(tmp_path / "other.csv", category_rows()[:8], category="类别")
    (tmp_path / "binary.csv").write_bytes(b"text,category\n\xff\xfe\x00,1\n")

    wrong = liandong("model", "train", other)
    binary = liandong("model", "train", "binary.csv")
    missing = liandong("model", "train", "nowhere.csv")
    nothing = liandong("model", "train")
    none_kept = liandong("model", "evaluate", other, "--category-column", "类别")

    assert wrong.returncode == 2 and "category" in wrong.stderr and "类别" in wrong.stderr
    assert binary.returncode == 2 and "UTF-8" in binary.stderr
    assert missing.returncode == 2 and "nowhere.csv" in missing.stderr
    assert nothing.returncode == 2 and "--closed" in nothing.stderr
    assert none_kept.returncode == 2
    assert not any("Traceback" in ran.stderr for ran in (wrong, binary, missing, nothing, none_kept))
