"""A list owner's way from the README: copy, edit, check, compare, explain, replay, release by two, go back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Run = Callable[..., CompletedProcess[str]]
CASES = """id,at,text
a,2026-03-02T09:00:00,小区的庭院灯不亮
b,2026-03-03T09:00:00,村里的路灯坏了三天
c,2026-03-03T10:00:00,仓库起火了
,,
e,someday,路灯不亮
"""


def person(liandong: Run, name: str, role: str, folder: Path) -> str:
    made = liandong(
        "token", "add", "--name", name, "--role", role, "--platform", "12345-630000", "--division", "630000",
        "--json",
    )  # fmt: skip
    path = folder / f"{name}.token"
    path.write_text(json.loads(made.stdout)["token"])
    return str(path)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_list_is_edited_checked_compared_replayed_released_and_taken_back(
    liandong: Run, tmp_path: Path
) -> None:
    assert liandong("rules", "export", "mine").returncode == 0
    lists = tmp_path / "mine" / "lists" / "hotline.toml"
    edit(lists, 'words = ["路灯", ', 'words = ["路灯", "庭院灯", ')
    edit(
        lists,
        'owners = ["urban-management"]\ncategory = "城乡建设/道路设施/路灯"',
        'owners = ["power"]\ncategory = "城乡建设/道路设施/路灯"',
    )
    (tmp_path / "cases.csv").write_text(CASES, encoding="utf-8")

    checked = json.loads(liandong("rules", "check", "mine", "--json").stdout)
    assert checked["holds"], [fault for fault in checked["found"] if fault["serious"]]
    compared = liandong("rules", "diff", "in-force", "mine", "--json")
    explained = json.loads(liandong("rules", "explain", "庭院灯不亮", "--lists", "mine", "--json").stdout)
    replayed = liandong("rules", "replay", "cases.csv", "--new", "mine", "--json", "--moves", "moves.csv")

    assert compared.returncode == 0
    found = json.loads(compared.stdout)
    assert [(each["id"], each["change"]) for each in found["items"]] == [("hotline.lamp", "changed")]
    assert {each["concept"]: each["added"] for each in found["words"]} == {"words/hotline.lamp": ["庭院灯"]}
    assert (explained["item"], explained["list_version"]) == ("hotline.lamp", found["after"])
    assert replayed.returncode == 0
    report = json.loads(replayed.stdout)
    assert (report["cases"], report["moved"], len(report["faults"])) == (3, 2, 2)
    assert {(load["unit"], load["before"], load["after"]) for load in report["units"]} >= {("power", 0, 2)}
    assert "庭院灯" in (tmp_path / "moves.csv").read_text("utf-8-sig")

    first, second = (
        person(liandong, name, role, tmp_path)
        for name, role in (("li", "linkage-administrator"), ("wang", "supervisor"))
    )
    proposed = liandong(
        "rules", "release", "propose", "mine", "--reason", "路灯归电力", "--token-file", first, "--json"
    )
    digest = json.loads(proposed.stdout)["digest"]
    alone = liandong("rules", "release", "approve", digest, "--token-file", first)
    approved = liandong("rules", "release", "approve", digest, "--token-file", second, "--json")

    assert (alone.returncode, "two different persons" in alone.stderr) == (2, True)
    assert json.loads(approved.stdout)["signers"] == ["li", "wang"]
    assert json.loads(approved.stdout)["lists"] == found["after"]
    assert json.loads(liandong("rules", "diff", "in-force", "mine", "--json").stdout)["same"]

    back = liandong("rules", "rollback", "--reason", "电力退回", "--token-file", second, "--json")
    listed = json.loads(liandong("rules", "release", "list", "--json").stdout)["releases"]
    assert json.loads(back.stdout)["rolls_back"] == "configured"
    assert [row["state"] for row in listed] == ["past", "in-force"]
    assert all(row["sound"] for row in listed)
    assert json.loads(liandong("rules", "diff", "configured", "in-force", "--json").stdout)["same"]


def test_faults_of_an_edited_folder_are_all_named_with_their_kinds(liandong: Run, tmp_path: Path) -> None:
    liandong("rules", "export", "mine")
    lists = tmp_path / "mine" / "lists"
    edit(lists / "hotline.toml", 'id = "hotline.lamp"', 'id = "hotline.road"')
    edit(lists / "hainan.toml", 'base = "hotline.land"', 'base = "hotline.moon"')
    edit(lists / "police.toml", "urgent = true", "urgently = true")
    (lists / "lamp.toml").write_text("[list]\nlayer =", encoding="utf-8")

    done = liandong("rules", "check", "mine", "--json")
    words = " ".join(fault["words"] for fault in json.loads(done.stdout)["found"])

    assert done.returncode == 1
    for fault in ("hotline.moon", "urgently", "lamp.toml"):
        assert fault in words
    edit(lists / "police.toml", "urgently = true", "urgent = true")
    edit(lists / "hainan.toml", 'base = "hotline.moon"', 'base = "hotline.land"')
    (lists / "lamp.toml").write_text(
        '[list]\nlayer = "odd"\ndivision = "6399"\nsource = "x"\ndated = 2026-01-01\n'
    )
    done = liandong("rules", "check", "mine", "--json")
    assert "used twice" in " ".join(fault["words"] for fault in json.loads(done.stdout)["found"])
    edit(lists / "hotline.toml", 'id = "hotline.road"\ntitle = "路灯"', 'id = "hotline.lamp"\ntitle = "路灯"')
    done = liandong("rules", "check", "mine", "--json")
    assert {fault["kind"] for fault in json.loads(done.stdout)["found"] if fault["serious"]} == {
        "unknown-division"
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("diff", "nowhere", "in-force"), "nowhere"),
        (("explain", "x", "--lists", "abcdef123"), "abcdef123"),
        (("explain", "x", "--at", "2026-01-01"), "--at"),
        (("replay", "missing.csv"), "missing.csv"),
        (("release", "propose", "nowhere", "--reason", "r", "--token-file", "none"), "nowhere"),
        (("export", "."), "已有内容"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_in_words(
    liandong: Run, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "something").touch()

    done = liandong("rules", *words)

    assert done.returncode == 2
    assert said in done.stderr
