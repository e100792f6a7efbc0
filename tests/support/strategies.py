"""Random commands for random cases: mostly such as the stage admits, from people whose role it is, sometimes not.

Everything is drawn by a ``choose`` handed in: Hypothesis for tests that shrink, a seeded Random for long walks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Protocol, TypeVar, get_args

from dispatcher.domain import commands as c
from dispatcher.domain.authority import ROLES
from dispatcher.domain.case import Case
from dispatcher.domain.lifecycle import admits
from dispatcher.domain.stream import SYSTEM, Actor, Command, Role
from dispatcher.domain.values import Line, Result, ReturnReason, SafeContact
from routing_rules.organisation import Rank
from routing_rules.ruling import Urgency
from tests.support.library import HOTLINE, POLICE, clerk, library, staff, unit

T = TypeVar("T")


class Choose(Protocol):
    """One of them, at random."""

    def __call__(self, among: Sequence[T], /) -> T: ...


HUANGZHONG = "630106"
"""A county whose bureaus have sections and stations below them."""
BUREAU = unit("urban-management", HUANGZHONG)
_TREE = library().organisation
SECTION = next(x.code for x in _TREE.children(BUREAU) if _TREE.children(x.code))
STATION = _TREE.children(SECTION)[0].code
WATERWORKS = unit("water-supply", HUANGZHONG)
TOWNSHIP = next(x.code for x in _TREE.units("government", HUANGZHONG) if x.rank is Rank.STATION)
UNITS = (BUREAU, SECTION, STATION, WATERWORKS, unit("market", HUANGZHONG), TOWNSHIP, "11630102DEM0100099")
PLATFORMS = (HOTLINE, POLICE, "12345-630000", "110-630100", "12345-999999")
WORDS = (
    "小区路灯坏了很久没人修",
    "小区停水两天了",
    "楼下有个男的拿着菜刀追人",
    "家里着火了",
    "法院判决不服",
    "你好",
    "我要投诉城管局执法人员态度差",
    "举报饭店用地沟油,请保密",
    "",
    "不是\x00文字",
)
_CALM = ("小区路灯坏了很久没人修", "请尽快处理", "已核实") * 4
WAITS = tuple(timedelta(minutes=minutes) for minutes in (0, 1, 20, 200, 24 * 60, 3 * 24 * 60, 12 * 24 * 60))
ALL_COMMANDS: tuple[type[c.AnyCommand], ...] = get_args(c.AnyCommand)
_EVERYDAY = frozenset(
    {c.SupplementCase, c.ExpireDeadline, c.ReportNoticeFailed, c.HoldCase, c.MoveDeadlines, c.UrgeCase}
    | {c.ReportNoticeDiverted, c.ReportNoticeConfirmed}
    | {c.RepairDeadline, c.ReportQuarantined, c.ReportRepeat, c.ReportSurge}
    | {c.SuperviseCase, c.WithdrawCase, c.MergeCase, c.OverrideRuling, c.EraseCase, c.ReleaseHold}
    | {c.ReportPeerResult, c.RuleCase, c.ContactCitizen}
)
SAFE_CONTACTS = (
    None,
    SafeContact(),
    SafeContact(calls=False),
    SafeContact(texts=False, from_hour=9, until_hour=12),
)
_FLAG = (True, False)


def _choices(command: type[Command], case: Case, others: Sequence[Case]) -> dict[str, Sequence[Any]]:
    """Values for the fields that matter; the rest keep their defaults."""
    here = (case.lead or BUREAU, *case.offered, *(tier.unit for tier in case.tiers))
    below = {BUREAU: SECTION, SECTION: STATION}.get(case.acting_unit, SECTION)
    run = next((one for one in case.running if one.armed), None)
    known: dict[str, Sequence[Any]] = {
        "words": (*_CALM, *WORDS),
        "reason": tuple(ReturnReason) if command is c.AskReturn else (*_CALM, *WORDS),
        "lead": (BUREAU, WATERWORKS, *UNITS),
        "unit": (*here, below, below, *UNITS),
        "co": ((), (), (WATERWORKS,), (BUREAU, TOWNSHIP)),
        "units": ((BUREAU, WATERWORKS), (BUREAU, WATERWORKS), (BUREAU,), (TOWNSHIP, BUREAU)),
        "to": PLATFORMS,
        "taker": (*PLATFORMS, case.platform, ""),
        "other": tuple(other.id for other in others)
        if command is not c.LeaveParent or case.parent is None
        else (case.parent,),
        "duty_item": ("", "第3项"),
        "days": (0, 1, 2, 3, 5, 10, -1, 11),
        "grant": _FLAG,
        "accept": _FLAG,
        "agree": _FLAG,
        "reached": _FLAG,
        "waived": (False, False, False, True),
        "justified": _FLAG,
        "remainder": _FLAG,
        "danger": (None, None, None, None, True, False),
        "about": (None, None, None, "", "urban-management", BUREAU),
        "result": (None, *Result) if command is c.CloseCase else tuple(Result),
        "urgency": (None, None, *Urgency),
        "call_rating": (0, 0, 1, 3, 6),
        "result_rating": (0, 1, 3, 5, 6),
        "why": ("material", "finding", "lunch"),
        "items": (("身份证复印件",), ()),
        "door": ("法院立案庭", ""),
        "item": ("三定方案第2条", ""),
        "division": ("", HUANGZHONG, "999999"),
        "basis": ("保存期满",),
        "batch": ("2027",),
        "platform": ("", "", "110", "12345", "119", "nowhere"),
        "points_answered": ((), (), (1,), (7,)),
        "clock": (run.clock if run else "total",),
        "milestone": (run.armed[0].milestone if run else "limit",),
        "due": (run.armed[0].due if run else case.received,),
        "template": ("assigned",),
        "wanted": ("phone",),
        "carried": ("sms",),
        "channel": ("phone",),
        "found": ("missing",),
        "number": ("N1",),
        "how": ("nth",),
        "earlier": tuple((other.id,) * n for other in others for n in (1, 2)),
        "urgent": _FLAG,
        "event": ("noise", "heating", "crowd", "nothing"),
        "size": (0, 4, 5, 20),
        "cases": tuple((other.id,) for other in others),
    }
    return {field: known[field] for field in command.__struct_fields__ if field in known}


def _people(case: Case, command: type[c.AnyCommand]) -> tuple[Actor, ...]:
    """Those whose role it is, where the case lies."""
    parts = (case.acting_unit, case.lead, *case.offered, *(tier.unit for tier in case.tiers))
    everybody = (
        staff(case.platform, Role.AGENT_110 if case.line == Line.POLICE else Role.AGENT_12345),
        staff(case.platform, Role.SQUAD_LEADER),
        staff(case.platform, Role.SUPERVISOR),
        staff(case.platform, Role.QUALITY),
        staff(case.platform, Role.PEER),
        Actor(id="auditor", roles=(Role.AUDIT_ADMIN,), division="630000"),
        SYSTEM,
        *(clerk(code) for code in parts if code),
    )
    return tuple(actor for actor in everybody if ROLES[command].intersection(actor.roles))


_STRAYS = (
    *(staff(HOTLINE, role) for role in Role),
    staff("110-630100", Role.PEER),
    clerk(WATERWORKS),
    clerk(STATION),
)
_TEN = tuple(range(10))


def action(choose: Choose, case: Case, others: Sequence[Case]) -> tuple[c.AnyCommand, Actor]:
    """A command for the case and who sends it."""
    possible = [
        command for command in ALL_COMMANDS if command is not c.RegisterCase and admits(case, command)
    ]
    particular = [command for command in possible if command not in _EVERYDAY]
    draw = choose(_TEN)
    kinds: Sequence[type[c.AnyCommand]] = ALL_COMMANDS[1:]
    if draw < 7:
        kinds = particular or possible
    elif draw < 9:
        kinds = possible
    command = choose(kinds)
    people = _people(case, command)
    actor = choose(_STRAYS if not people or choose(_TEN) == 9 else people)
    build: Callable[..., c.AnyCommand] = command
    values = {field: choose(among) for field, among in _choices(command, case, others).items()}
    return build(case=case.id, **values), actor
