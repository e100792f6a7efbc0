"""Fixtures of the pages' tests: a deployment on a SQLite file, its clock standing on a Monday morning."""

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
async def liandong(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[World]:
    """A deployment with all its own adapters and the page."""
    shutil.copy(sqlite_template, tmp_path / "liandong.db")
    async with world(f"sqlite:///{tmp_path / 'liandong.db'}", tmp_path, MONDAY) as made:
        yield made
