"""Logs: JSON lines, with what was passed and nothing that would break a line."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from uuid import UUID

import pytest

from dispatcher.runtime.logs import JsonLines


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("liandong.tests.logs")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield logger, written
    logger.removeHandler(handler)


def test_a_record_is_one_line_with_its_extras(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log

    logger.info("a case\nwas %s", "ruled", extra={"key": UUID(int=1), "late_s": 1.5, "item": "供热"})

    lines = written.getvalue().splitlines()
    line = json.loads(lines[0])
    assert len(lines) == 1
    assert line["words"] == "a case\nwas ruled"
    assert (line["key"], line["late_s"], line["item"]) == (str(UUID(int=1)), 1.5, "供热")
    assert line["at"].endswith("+00:00")


def test_an_error_carries_its_trace_within_the_line(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log

    logger.error("a round failed", exc_info=ZeroDivisionError("by nothing"))

    line = json.loads(written.getvalue())
    assert "ZeroDivisionError: by nothing" in line["trace"]
