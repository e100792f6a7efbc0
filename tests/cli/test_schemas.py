"""The published shapes of --json answers are the ones that are printed."""

from __future__ import annotations

import pytest

from tests.support.schemas import FOLDER, SHAPES, schema_of


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_the_published_schema_is_the_present_one(name: str) -> None:
    published = (FOLDER / f"{name}.schema.json").read_bytes()

    assert published == schema_of(SHAPES[name]), "run: python -m tests.support.schemas"
