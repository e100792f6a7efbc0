"""Fixtures of the contract suites: a deployment on a SQLite file, its clock standing on a Monday morning."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.support.world import World, world

MONDAY = datetime(2026, 11, 9, 9, 0, tzinfo=ZoneInfo("Asia/Shanghai"))


@pytest.fixture
def fresh_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh SQLite file with the newest schema."""
    shutil.copy(sqlite_template, tmp_path / "liandong.db")
    return f"sqlite:///{tmp_path / 'liandong.db'}"


@pytest.fixture
async def liandong(fresh_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A deployment with all its own adapters."""
    async with world(fresh_url, tmp_path, MONDAY) as made:
        yield made
