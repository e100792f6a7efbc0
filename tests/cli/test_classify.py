"""classify: one answer for each line, as a stream, from where the asking line stands."""

from __future__ import annotations

import json
from collections.abc import Callable
from subprocess import CompletedProcess

import msgspec

from dispatcher.cli.classify import Answer

Run = Callable[..., CompletedProcess[str]]
NOON = "2026-03-04T12:00:00+08:00"


def test_every_line_gets_one_answer_of_the_published_shape(liandong: Run) -> None:
    lines = ["楼下路灯坏了没人修", "", "有人拿刀追人,快来", "最后一行没有换行"]

    done = liandong("classify", "--json", "--at", NOON, stdin="\n".join(lines))

    answers = [msgspec.json.decode(line, type=Answer) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert len(answers) == len(lines)
    assert answers[1].decision == "human"
    assert answers[2].danger
    assert answers[2].platform == "110"


def test_what_is_no_text_is_answered_too(liandong: Run) -> None:
    done = liandong(
        "classify",
        "--json",
        "--at",
        NOON,
        stdin="\x00\x07\r\n\ud83d\ude00\n".encode("utf-16", "surrogatepass").decode("utf-16"),
    )

    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2


def test_the_same_words_are_read_from_the_line_that_asks(liandong: Run) -> None:
    words = "小区门口的路灯坏了半个月没人修"

    at_hotline = json.loads(liandong("classify", words, "--json", "--at", NOON).stdout)
    at_police = json.loads(liandong("classify", words, "--json", "--at", NOON, "--line", "110").stdout)

    assert at_hotline["decision"] == "accept"
    assert at_police["decision"] in ("transfer", "hand_over")
    assert at_police["platform"] == at_hotline["platform"] == "12345"


def test_units_are_those_of_the_place_that_is_named(liandong: Run) -> None:
    answer = json.loads(
        liandong(
            "classify", "格尔木市的暖气一点都不热", "--json", "--at", NOON, "--division", "630100"
        ).stdout
    )

    assert answer["place"].startswith("6328")
    assert answer["receiver"].startswith("12345-6328")
    assert answer["units"]
    assert all(len(code) == 18 for code in answer["units"])


def test_without_json_a_person_can_read_it(liandong: Run) -> None:
    done = liandong("classify", "有人拿刀追人,快来", "--at", NOON)

    assert "110" in done.stdout
    assert "先救援" in done.stdout


def test_arguments_that_cannot_be_used_are_refused_in_words(liandong: Run) -> None:
    for words in (("--at", "2026-03-04T12:00:00"), ("--division", "999999"), ("--config", "none.toml")):
        done = liandong("classify", "x", *words)

        assert done.returncode == 2
        assert done.stderr.strip()
        assert "Traceback" not in done.stderr
