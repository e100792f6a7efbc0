"""Figures of the open cases: how many in which stage, under which lamp, of which urgency, platform and unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from dispatcher.store.tables import Streams
from dispatcher.views.viewing import Viewer


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Counts over the open cases in the viewer's scope. Lamps: "" is green. Units: those with most cases."""

    open: int
    danger: int
    by_stage: dict[str, int]
    by_lamp: dict[str, int]
    by_urgency: dict[str, int]
    by_platform: dict[str, int]
    by_unit: dict[str, int]


async def figures(viewer: Viewer, units: int = 50) -> Figures:
    """Count. Reads every open row in scope: ask with measure."""
    async with viewer.database.reading(viewer.scope) as connection:
        stages = await _counted(viewer, connection, (col(Streams.stage),))
        lamps = await _counted(viewer, connection, (col(Streams.lamp), col(Streams.danger)))
        urgencies = await _counted(viewer, connection, (col(Streams.urgency),))
        platforms = await _counted(viewer, connection, (col(Streams.platform),))
        by_unit = await _counted(viewer, connection, (col(Streams.unit),))
    by_lamp: dict[str, int] = {}
    for lamp, _, count in lamps:
        by_lamp[lamp] = by_lamp.get(lamp, 0) + count
    most = sorted(((unit, count) for unit, count in by_unit if unit), key=lambda pair: (-pair[1], pair[0]))
    return Figures(
        open=sum(by_lamp.values()),
        danger=sum(count for _, danger, count in lamps if danger),
        by_stage=dict(sorted(stages)),
        by_lamp=dict(sorted(by_lamp.items())),
        by_urgency=dict(sorted(urgencies)),
        by_platform=dict(sorted(platforms)),
        by_unit=dict(most[:units]),
    )


async def _counted(viewer: Viewer, connection: AsyncConnection, keys: Sequence[Any]) -> list[Any]:
    statement = (
        select(*keys, func.count()).where(viewer.streams(), col(Streams.open).is_(True)).group_by(*keys)
    )
    return [tuple(row) for row in (await connection.execute(statement)).all()]
