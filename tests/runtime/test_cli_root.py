"""The command line's root: unknown words, help, and how little it loads."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from dispatcher.__main__ import VERBS, main


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dispatcher", *words], capture_output=True, text=True, timeout=60
    )


def test_an_unknown_verb_is_refused_in_words_with_the_nearest_one() -> None:
    ran = _run("serv")

    assert ran.returncode == 2
    assert "没有这个命令" in ran.stderr
    assert "did you mean serve?" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_no_verb_shows_them_all() -> None:
    ran = _run()

    assert ran.returncode == 2
    assert all(verb.word in ran.stderr for verb in VERBS)


def test_help_is_an_answer() -> None:
    ran = _run("--help")

    assert ran.returncode == 0
    assert "工作时间" in ran.stdout


def test_the_root_loads_nothing_heavy() -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\nfrom dispatcher.__main__ import main\nmain(['no-such-command'])\n"
            "heavy = {'sqlalchemy', 'aiohttp', 'twisted', 'msgspec', 'asyncio', 'apscheduler'}\n"
            "print(sorted(heavy & sys.modules.keys()))",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.word)
def test_every_verb_has_its_module(verb: tuple[str, str, str]) -> None:
    assert find_spec(verb[1]) is not None


def test_a_bad_option_ends_with_two() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--no-such-option"])

    assert ended.value.code == 2
