"""The stage table: complete, and drawn into the documents as it is."""

from __future__ import annotations

from typing import get_args

import pytest

from dispatcher.domain import commands as c
from dispatcher.domain import events as e
from dispatcher.domain.errors import WrongStage
from dispatcher.domain.lifecycle import ALLOWED, LEADS_TO, admits, allowed_names, diagram
from dispatcher.domain.values import Stage
from tests.support import draw_lifecycle
from tests.support.cases import CaseBook
from tests.support.library import AGENT


@pytest.mark.parametrize(
    ("name", "drawn"), [("lifecycle.md", draw_lifecycle.lifecycle), ("events.md", draw_lifecycle.events)]
)
def test_the_documents_are_drawn_from_the_code(name: str, drawn: object) -> None:
    assert callable(drawn)
    kept = (draw_lifecycle.DOCS / name).read_text(encoding="utf-8")

    assert kept == drawn(), "stale: run python -m tests.support.draw_lifecycle"


def test_every_stage_has_a_row_and_every_command_a_place() -> None:
    assert set(ALLOWED) == set(Stage)
    placed = {command for row in ALLOWED.values() for command in row}
    assert placed == set(get_args(c.AnyCommand)) - {c.RegisterCase}


def test_no_arrow_starts_where_its_command_is_not_admitted() -> None:
    for command, targets in LEADS_TO.items():
        for stage in targets:
            assert stage is None or command in ALLOWED[stage], f"{command.__name__} from {stage}"


def test_every_stage_is_reached_and_the_diagram_shows_it() -> None:
    drawn = diagram()

    for stage in Stage:
        assert f"--> {stage.value.replace('-', '_')}:" in drawn


def test_kinds_are_words_with_a_version_and_never_the_same_twice() -> None:
    kinds = [str(event.__struct_config__.tag) for event in get_args(e.AnyEvent)]

    assert len(set(kinds)) == len(kinds)
    assert all(kind.rpartition(".")[2].isdigit() for kind in kinds)


def test_a_command_the_stage_does_not_admit_is_answered_with_what_it_does() -> None:
    book = CaseBook()
    case = book.signed()

    with pytest.raises(WrongStage) as refused:
        book.do(c.CloseCase(case=case), AGENT)

    assert refused.value.allowed == allowed_names(book.case(case))
    assert "reply-case" in refused.value.allowed
    assert "expire-deadline" not in refused.value.allowed
    assert not admits(book.case(case), c.CloseCase)
