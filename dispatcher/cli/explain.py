"""`liandong explain`: a case's whole trail and why: ruling, evidence, clocks, who held it how long."""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.cli.storing import with_core
from routing_rules.ruling import Evidence

if TYPE_CHECKING:
    from dispatcher.views.cases import OneCase
    from dispatcher.views.trail import Trail
    from dispatcher.wiring import Core

_LEGAL = ZoneInfo("Asia/Shanghai")


class Ruled(msgspec.Struct, frozen=True, kw_only=True):
    """The ruling as it stands, and what the lists in force now say about the same words (``evidence`` gives spans of
    them). ``again`` differs from ``item`` where the lists changed, a person overrode, or more was said later."""

    item: str
    clause: str
    platform: str
    decision: str
    urgency: str
    owners: tuple[str, ...]
    lists: str
    again: str = ""
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """One holder's stretch: ``seconds`` of natural time are charged to it."""

    holder: str
    name: str
    since: datetime
    until: datetime | None
    seconds: float
    why: str


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one case, without personal data. Published as docs/cli/explain.schema.json."""

    case: UUID
    number: str
    stage: str
    open: bool
    lamp: str
    ruled: Ruled
    clocks: list[dict[str, Any]]
    hops: list[Held]
    trail: list[dict[str, Any]]
    allowed: tuple[str, ...]
    related: dict[str, Any] | None = None


def register(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "explain",
        help="一件诉求的经过与依据 / a case's trail and why",
        description="一件诉求的经过与依据:判定、证据、时限、各承办停留。/ A case's trail and why.",
    )
    parser.add_argument("case", metavar="CASE", help="编号或 id / number or id")
    parser.add_argument("--json", action="store_true", help="以 JSON 输出 / answer as JSON")
    add_config(parser)
    parser.set_defaults(handler=handler)


def handler(arguments: argparse.Namespace) -> int:
    """Explains. 0 when the case was found, 2 when there is none."""

    async def work(core: Core) -> int:
        from dispatcher.domain.stream import SYSTEM
        from dispatcher.views.cases import id_of_number, one_case
        from dispatcher.views.related import related
        from dispatcher.views.trail import trail
        from dispatcher.views.viewing import Viewer
        from dispatcher.wiring import CODEC

        viewer = Viewer(core.database, SYSTEM, core.library)
        try:
            id_: UUID | None = UUID(arguments.case)
        except ValueError:
            id_ = await id_of_number(viewer, arguments.case)
        case = await one_case(viewer, id_) if id_ is not None else None
        history = await trail(viewer, case.state.id, CODEC) if case is not None else None
        if case is None or history is None:
            return refuse(f"{arguments.case}: 没有这件诉求 / no such case; give its number or its id")
        together = await related(viewer, case.state.id)
        explained = msgspec.structs.replace(
            _explain(core, case, history),
            related=msgspec.to_builtins(together) if together is not None else None,
        )
        if arguments.json:
            print(msgspec.json.encode(explained).decode())
        else:
            _print(explained, case)
        return 0

    return with_core(settings_of(arguments), work)


def _explain(core: Core, case: OneCase, history: Trail) -> Explained:
    state, library, now = case.state, core.library(), core.clock.now()
    matter = state.matter
    lists = next((entry.lists for entry in reversed(history.entries) if entry.lists), "")
    ruled = Ruled(
        item=matter.item,
        clause=matter.clause,
        platform=matter.platform,
        decision=matter.decision,
        urgency=matter.urgency,
        owners=matter.owners,
        lists=lists,
    )
    words = next((text.words for text in case.texts if text.no == 0 and text.words), None)
    if words is not None:
        text = f"{case.line.title}。{words}" if case.line.title else words
        from routing_rules.ruling import Hints

        again = library.rule(
            text,
            line=state.line,
            division=state.division or state.platform.partition("-")[2],
            at=state.received,
            hints=Hints(channel=state.channel),
        )
        ruled = msgspec.structs.replace(ruled, again=again.item, reason=again.reason, evidence=again.evidence)
    hops = [
        Held(
            holder=hop.holder,
            name=unit.name if (unit := library.unit(hop.holder)) is not None else hop.holder,
            since=hop.since,
            until=hop.until,
            seconds=((hop.until or state.closed or now) - hop.since).total_seconds(),
            why=hop.why,
        )
        for hop in state.hops
    ]
    return Explained(
        case=state.id,
        number=state.number,
        stage=state.stage.value,
        open=state.is_open,
        lamp=case.line.lamp,
        ruled=ruled,
        clocks=[msgspec.to_builtins(run) for run in state.clocks],
        hops=hops,
        trail=[msgspec.to_builtins(entry) for entry in history.entries],
        allowed=case.allowed,
    )


def _print(explained: Explained, case: OneCase) -> None:
    ruled = explained.ruled
    print(f"{explained.number}  {case.line.stage_words}  {case.line.title}")
    print(
        f"判定  {ruled.item} {ruled.clause} → {ruled.platform}（{ruled.decision}，{ruled.urgency}）清单 {ruled.lists}"
    )
    if ruled.reason:
        print(f"理由  {ruled.reason}")
    if ruled.again and ruled.again != ruled.item:
        print(f"      按现行清单会判为 {ruled.again} / the lists in force now would say so")
    print("停留")
    for hop in explained.hops:
        print(f"  {_local(hop.since)} {hop.name} {_length(hop.seconds)} {hop.why}")
    print("时限")
    for run in case.state.clocks:
        ended = _local(run.stopped) if run.stopped is not None else "进行中"
        late = " 逾期" if run.breached is not None and run.at_limit == "nothing" else ""
        print(f"  {run.clock:<16} {_local(run.started)} → {_local(run.due)}  {ended}{late}")
    print("经过")
    for entry in explained.trail:
        at = _local(datetime.fromisoformat(entry["at"]))
        said = f"“{entry['said']}”" if entry["said"] else ""
        detail = entry["detail"]
        which = f"{detail['clock']}.{detail['milestone']}" if "milestone" in detail else ""
        print("  " + " ".join(part for part in (at, entry["what"], which, entry["by"], said) if part))
        for moved in detail.get("moves", ()):
            before, after = (
                _local(datetime.fromisoformat(moved[side])) if moved.get(side) else "终止"
                for side in ("before", "after")
            )
            print(f"      {moved['clock']}: {before} → {after} · {moved['rule']} · {detail['reason']}")
    _print_related(explained.related)
    if explained.allowed:
        print(f"现在可以  {'、'.join(explained.allowed)}")


def _print_related(related: dict[str, Any] | None) -> None:
    if related is None or not related["suggestions"]:
        return
    nth = f"，第 {related['nth']} 次" if related["nth"] > 1 else ""
    print(f"可能相关（{related['event_words']}，{related['people']} 人反映{nth}）")
    for one in related["suggestions"]:
        at = _local(datetime.fromisoformat(one["received"]))
        parts = (at, one["number"], one["stage_words"], one["title"], "；".join(one["reasons"]))
        print("  " + " ".join(part for part in parts if part))


def _local(at: datetime) -> str:
    return at.astimezone(_LEGAL).strftime("%Y-%m-%d %H:%M:%S")


def _length(seconds: float) -> str:
    length = timedelta(seconds=round(seconds))
    return str(length).replace(" days", "天").replace(" day", "天").replace(",", "")
