"""Figures of the open cases: how many in which stage, under which lamp, of which urgency, platform and unit."""

from __future__ import annotations

import msgspec
from sqlalchemy import func, select
from sqlmodel import col

from dispatcher.store.tables import Streams
from dispatcher.views.cases import state_of
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
    counted = await (_counted_one_by_one(viewer) if viewer.actor.unit else _counted(viewer))
    totals: list[dict[str, int]] = [{}, {}, {}, {}, {}]
    danger = 0
    for row in counted:
        danger += row.count if row.danger else 0
        for total, word in zip(
            totals, (row.stage, row.lamp, row.urgency, row.platform, row.unit), strict=True
        ):
            total[word] = total.get(word, 0) + row.count
    by_stage, by_lamp, by_urgency, by_platform, by_unit = totals
    by_unit.pop("", None)
    most = sorted(by_unit.items(), key=lambda pair: (-pair[1], pair[0]))
    return Figures(
        open=sum(by_lamp.values()),
        danger=danger,
        by_stage=dict(sorted(by_stage.items())),
        by_lamp=dict(sorted(by_lamp.items())),
        by_urgency=dict(sorted(by_urgency.items())),
        by_platform=dict(sorted(by_platform.items())),
        by_unit=dict(most[:units]),
    )


class _Row(msgspec.Struct, frozen=True):
    stage: str
    lamp: str
    urgency: str
    platform: str
    unit: str
    danger: bool
    count: int


_KEYS = (
    col(Streams.stage),
    col(Streams.lamp),
    col(Streams.urgency),
    col(Streams.platform),
    col(Streams.unit),
    col(Streams.danger),
)


async def _counted(viewer: Viewer) -> list[_Row]:
    statement = (
        select(*_KEYS, func.count()).where(viewer.streams(), col(Streams.open).is_(True)).group_by(*_KEYS)
    )
    async with viewer.database.reading(viewer.scope) as connection:
        return [_Row(*row) for row in (await connection.execute(statement)).all()]


async def _counted_one_by_one(viewer: Viewer) -> list[_Row]:
    """A unit's cases are few, and those about itself must not even be counted; no column says which they are."""
    statement = select(*_KEYS, col(Streams.state)).where(viewer.streams(), col(Streams.open).is_(True))
    async with viewer.database.reading(viewer.scope) as connection:
        rows = (await connection.execute(statement)).all()
    return [_Row(*row[:-1], 1) for row in rows if viewer.sees(state_of(row.state))]
