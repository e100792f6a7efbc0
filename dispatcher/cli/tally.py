"""Counts a simulated history from what the store holds at its end, and holds the store to its promises."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import msgspec
from sqlalchemy import Select, func, select

from dispatcher.cli.messages import RowFault
from dispatcher.domain.case import Case
from dispatcher.domain.effects import Notify
from dispatcher.domain.values import FINISHED
from dispatcher.store.codec import decode_state, kind_of
from dispatcher.store.tables import Table
from dispatcher.store.verify import verify
from dispatcher.wiring import CODEC, Core

_CHUNK = 500
_event = Table.metadata.tables["event"]
_stream = Table.metadata.tables["stream"]
_deadline = Table.metadata.tables["deadline"]
_outbox = Table.metadata.tables["outbox"]

_OUTCOME = {"deem-signed": "deemed", "resume": "ended_by_limit", "archive": "ended_by_limit"}


class Tally(msgspec.Struct, kw_only=True):
    """The figures of a history. Keys of ``deadlines`` are clocks, their values outcomes of the last run of each."""

    cases: int = 0
    open: int = 0
    platforms: dict[str, int] = {}
    owners: dict[str, int] = {}
    decisions: dict[str, int] = {}
    categories: dict[str, int] = {}
    urgencies: dict[str, int] = {}
    units: dict[str, int] = {}
    stages: dict[str, int] = {}
    results: dict[str, int] = {}
    deadlines: dict[str, dict[str, int]] = {}
    events: dict[str, int] = {}
    notices: dict[str, int] = {}
    effects: dict[str, int] = {}
    danger: int = 0
    reflow: int = 0
    returned: int = 0
    extended: int = 0
    redone: int = 0
    consultation: int = 0


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One promise, whether it held, and what was seen."""

    promise: str
    holds: bool
    seen: str = ""


class Throughput(msgspec.Struct, frozen=True, kw_only=True):
    """How fast it went, in real seconds; ``simulated_days`` is from the first message to the last act."""

    seconds: float
    messages_per_second: float
    commands_per_second: float
    events_per_second: float
    simulated_days: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay prints with --json. Published as docs/cli/replay.schema.json; keys are only ever added.

    ``messages`` is how many were registered. ``faults`` name the rows of the file that were left out, ``turned_away``
    those refused at the door. ``acts`` are the accepted commands of the rehearsed people by name, ``refusals`` what was
    refused to them: unexplained ones fail the run. ``tally`` counts the history, ``checks`` are the promises held.
    """

    messages: int
    rows: int
    faults: list[RowFault]
    turned_away: list[str]
    first: str
    last: str
    ended: str
    seed: int
    tally: Tally
    unit_names: dict[str, str]
    acts: dict[str, int]
    refusals: list[dict[str, Any]]
    errors: dict[str, int]
    settled: int
    sent: int
    steps: int
    throughput: Throughput
    checks: list[Check]
    holds: bool


async def count(core: Core) -> Tally:
    """Count everything; streams are read in chunks."""
    tally = Tally()
    clocks: Counter[tuple[str, str]] = Counter()
    fields: dict[str, Counter[str]] = {
        name: Counter()
        for name in (
            "platforms",
            "owners",
            "decisions",
            "categories",
            "urgencies",
            "units",
            "stages",
            "results",
        )
    }
    async with core.database.snapshot() as connection:
        rows = await connection.stream(select(_stream.c.state).where(_stream.c.stream_kind == "case"))
        async for (state,) in rows.yield_per(_CHUNK):
            case = cast("Case", decode_state(state, Case))
            _count_case(case, tally, fields, clocks)
        kinds = await connection.execute(
            select(_event.c.kind, func.count()).group_by(_event.c.kind).order_by(_event.c.kind)
        )
        tally.events = {str(kind): int(number) for kind, number in kinds.all()}
        effects = await connection.execute(select(_outbox.c.kind, func.count()).group_by(_outbox.c.kind))
        tally.effects = {str(kind): int(number) for kind, number in sorted(effects.tuples().all())}
        levels: Counter[str] = Counter()
        notices = await connection.stream(select(_outbox.c.body).where(_outbox.c.kind == kind_of(Notify)))
        async for (body,) in notices.yield_per(_CHUNK):
            effect = CODEC.effect(body)
            if isinstance(effect, Notify):
                levels[str(effect.level)] += 1
        tally.notices = dict(sorted(levels.items()))
    for name, counter in fields.items():
        setattr(tally, name, dict(counter.most_common()))
    for (clock, outcome), number in sorted(clocks.items()):
        tally.deadlines.setdefault(clock, {})[outcome] = number
    return tally


def _count_case(
    case: Case, tally: Tally, fields: dict[str, Counter[str]], clocks: Counter[tuple[str, str]]
) -> None:
    matter = case.matter
    tally.cases += 1
    tally.open += case.is_open
    tally.danger += matter.danger
    tally.reflow += case.reflow
    tally.returned += bool(case.returns)
    tally.extended += any(extension.granted for extension in case.extensions)
    tally.redone += case.redos
    tally.consultation += case.consult
    fields["platforms"][case.platform] += 1
    fields["owners"][matter.platform] += 1
    fields["decisions"][matter.decision] += 1
    fields["categories"][matter.category.partition("/")[0] or "-"] += 1
    fields["urgencies"][matter.urgency] += 1
    fields["stages"][case.stage.value] += 1
    if case.lead:
        fields["units"][case.lead] += 1
    if case.result is not None:
        fields["results"][case.result.value] += 1
    for run in case.clocks:
        outcome = "in_time"
        if run.breached is not None:
            outcome = _OUTCOME.get(run.at_limit, "late")
        elif run.stopped is None:
            outcome = "open"
        clocks[run.clock, outcome] += 1


async def prove(core: Core, *, registered: int, expected: int) -> list[Check]:
    """Hold the store to its promises after a simulation."""
    checks = [
        Check(
            promise="every message became a case / 每条来件都成为一件诉求",
            holds=registered == expected,
            seen=f"{registered} / {expected}",
        )
    ]
    async with core.database.snapshot() as connection:

        async def number(statement: Select[int]) -> int:
            return (await connection.execute(statement)).scalar_one()

        armed = await number(
            select(func.count())
            .select_from(_deadline.join(_stream, _deadline.c.stream_id == _stream.c.id))
            .where(_deadline.c.state == "armed", _stream.c.stage.in_([stage.value for stage in FINISHED]))
        )
        checks.append(
            Check(
                promise="finished cases owe nothing / 已了结的诉求不再有到期事项",
                holds=armed == 0,
                seen=str(armed),
            )
        )
        for table, state, promise in (
            (_deadline, "quarantined", "no deadline is in quarantine / 没有无法处理的时限"),
            (_outbox, "dead", "no effect is a dead letter / 没有投递失败的通知"),
        ):
            found = await number(select(func.count()).select_from(table).where(table.c.state == state))
            checks.append(Check(promise=promise, holds=found == 0, seen=str(found)))
    return checks


async def prove_log(core: Core) -> Check:
    """Replay the whole log and compare (`liandong verify`)."""
    verified = await verify(core.database, core.product.current, CODEC, vault=core.vault)
    first = "; ".join(f"{fault.what}: {fault.detail}" for fault in verified.faults[:3])
    return Check(
        promise="the log proves rows, chains and deadlines / 日志可证明状态、链与时限",
        holds=not verified.faults,
        seen=first or f"{verified.events} events, {verified.streams} streams",
    )
