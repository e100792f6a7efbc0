"""Both languages are whole: every word of screens has its Chinese, and a broken catalogue says where."""

from __future__ import annotations

import re
from importlib import resources

import pytest
from jinja2 import Environment
from jinja2.ext import extract_from_ast

from dashboards import words as w
from dashboards.words import words_in
from dispatcher.domain.values import Stage
from dispatcher.languages import BadCatalogue, catalogue
from tests.support.world import library


def template() -> str:
    return resources.files("dashboards").joinpath("templates", "board.html").read_text("utf-8")


def test_every_word_of_the_page_is_said_in_chinese() -> None:
    chinese = words_in("zh-CN")
    found = extract_from_ast(Environment().parse(template()), ("words",))
    plain = {message for _, _, message in found if isinstance(message, str)}
    placed = re.findall(r'words\.of\("(\w+)", "([^"]+)"\)', template())
    script = [
        (context, message)
        for context, table in (
            ("stage", w.STAGES),
            ("clock", w.CLOCKS),
            ("lamp", w.LAMPS),
            ("time", w.TIME),
            ("link", w.LINK),
            ("mark", w.MARKS),
        )
        for message in table.values()
    ]

    missing = [message for message in plain if chinese(message) == message]
    missing += [message for context, message in placed + script if chinese.of(context, message) == message]

    assert len(plain) > 30
    assert missing == []


def test_every_stage_and_every_clock_has_a_name() -> None:
    assert set(w.STAGES) == {stage.value for stage in Stage}
    assert {clock.id for clock in library().policy.clocks} <= set(w.CLOCKS)


def test_a_word_means_what_its_place_says() -> None:
    assert words_in("zh-CN").of("place", "Supervision") == "督办"
    assert words_in("en").of("place", "Supervision") == "Supervision"


@pytest.mark.parametrize(
    ("po", "line"),
    [
        ('msgid "a"\nmsgstr "b"\n\nmsgid "a"\nmsgstr "c"\n', 4),
        ('msgid "a\nmsgstr "b"\n', 1),
        ('msgid "a"\nmsgstr[0] "b"\n', 2),
        ("words without a keyword\n", 1),
    ],
)
def test_a_broken_catalogue_names_the_line(po: str, line: int) -> None:
    with pytest.raises(BadCatalogue) as fault:
        catalogue(po.encode())

    assert fault.value.line == line


def test_an_entry_without_translation_keeps_its_english() -> None:
    assert catalogue(b'msgid "a"\nmsgstr ""\n').gettext("a") == "a"


def test_lines_of_one_entry_are_joined_and_escapes_read() -> None:
    po = 'msgid "a \\"b\\""\nmsgstr ""\n"甲"\n"\\n乙"\n'

    assert catalogue(po.encode()).gettext('a "b"') == "甲\n乙"
