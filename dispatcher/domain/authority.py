"""Who may send which command to which case: role, organisation and region. Pure; checked before the stage table.

Platform staff act on cases of their own platform (a province's supervisor on those of its prefectures), units on
cases they hold or help with, a peer system on what it passed or received. Nobody acts on a case about themselves.
"""

from __future__ import annotations

from dispatcher.domain import commands as c
from dispatcher.domain.case import Case
from dispatcher.domain.errors import NotFound, NotYours
from dispatcher.domain.library import Library
from dispatcher.domain.stream import Actor, Command, Role
from dispatcher.domain.values import Line

AGENTS = frozenset({Role.AGENT_12345, Role.AGENT_110, Role.SQUAD_LEADER})
DESK = AGENTS | {Role.SUPERVISOR, Role.LINKAGE_ADMIN}
CHIEFS = frozenset({Role.SQUAD_LEADER, Role.SUPERVISOR, Role.LINKAGE_ADMIN})
UNITS = frozenset({Role.CLERK, Role.LEAD})
POLICE = frozenset({Role.AGENT_110, Role.SQUAD_LEADER, Role.LIAISON, Role.PEER})
MACHINE = frozenset({Role.SYSTEM})
BETWEEN = DESK | {Role.PEER, Role.LIAISON, Role.SYSTEM}
CALLBACK = DESK | {Role.QUALITY}

ROLES: dict[type[Command], frozenset[Role]] = {
    c.RegisterCase: AGENTS | {Role.PEER, Role.LINKAGE_ADMIN, Role.SUPERVISOR},
    c.SupplementCase: DESK | UNITS | {Role.PEER},
    c.RuleCase: DESK,
    c.OverrideRuling: DESK,
    c.TransferCase: DESK,
    c.ConfirmTransfer: BETWEEN,
    c.ReportTransferFailed: BETWEEN,
    c.AgreeTaker: DESK,
    c.HandOverCase: DESK | {Role.LIAISON, Role.PEER},
    c.ConfirmHandOver: BETWEEN,
    c.ReportHandOverFailed: BETWEEN,
    c.ReportPeerResult: BETWEEN,
    c.GuideCaller: DESK,
    c.AnswerAtOnce: DESK,
    c.AssignCase: DESK,
    c.RecallDispatch: DESK,
    c.OfferClaim: DESK,
    c.ClaimCase: UNITS,
    c.SignFor: UNITS,
    c.ContactCitizen: UNITS | DESK,
    c.SubAssign: UNITS,
    c.RecallSubAssignment: UNITS,
    c.AskReturn: UNITS,
    c.DecideReturn: CHIEFS | {Role.AGENT_12345},
    c.AdjudicateCase: CHIEFS,
    c.AskExtension: UNITS,
    c.DecideExtension: CHIEFS,
    c.AskPause: UNITS,
    c.DecidePause: CHIEFS,
    c.ResumeCase: UNITS | DESK,
    c.ReplyCase: UNITS,
    c.SendBackSubReply: UNITS,
    c.ApproveReply: DESK | {Role.QUALITY},
    c.SendBackReply: DESK | {Role.QUALITY},
    c.DeliverReply: DESK,
    c.CloseCase: DESK,
    c.ProposeUnreasonable: DESK | UNITS,
    c.DecideUnreasonable: CHIEFS | {Role.QUALITY},
    c.AppealUnreasonable: DESK,
    c.CallBack: CALLBACK,
    c.RateCase: CALLBACK,
    c.VerifyRating: CALLBACK,
    c.RedoCase: CHIEFS | {Role.QUALITY},
    c.UrgeCase: DESK,
    c.SuperviseCase: CHIEFS,
    c.AttachFollower: DESK,
    c.LeaveParent: DESK,
    c.MergeCase: DESK,
    c.WithdrawCase: DESK,
    c.ReportUnitSent: POLICE,
    c.ReportArrived: POLICE,
    c.ReportFeedback: POLICE,
    c.ClosePoliceOrder: POLICE,
    c.ExpireDeadline: MACHINE,
    c.ReportNoticeFailed: MACHINE,
    c.ReportNoticeDiverted: MACHINE,
    c.ReportNoticeConfirmed: MACHINE,
    c.RepairDeadline: MACHINE,
    c.ReportQuarantined: MACHINE,
    c.ReportRepeat: MACHINE,
    c.ReportSurge: MACHINE,
    c.HoldCase: frozenset({Role.AUDIT_ADMIN, Role.SECURITY_ADMIN}),
    c.ReleaseHold: frozenset({Role.AUDIT_ADMIN, Role.SECURITY_ADMIN}),
    c.EraseCase: frozenset({Role.AUDIT_ADMIN, Role.SYSTEM}),
    c.MoveDeadlines: frozenset({Role.SYSTEM, Role.LINKAGE_ADMIN}),
}


def within(division: str, region: str) -> bool:
    """Whether a division lies in a region (GB/T 2260 codes nest by pairs of digits; "" reaches nowhere)."""
    if not region:
        return False
    if region.endswith("0000"):
        return division[:2] == region[:2]
    if region.endswith("00"):
        return division[:4] == region[:4]
    return division[:6] == region[:6]


def of_units(case: Case) -> tuple[str, ...]:
    """Every unit that has a part in the case now, each once: they find it in their lists."""
    if not (case.lead or case.co or case.offered or case.tiers):
        return ()
    units = dict.fromkeys((case.lead, *case.co, *case.offered, *(tier.unit for tier in case.tiers)))
    return tuple(unit for unit in units if unit)


def is_about(case: Case, unit: str, library: Library) -> bool:
    """Whether the case complains of this unit or of one above it (it is then neither assigned nor shown to it)."""
    blamed = library.complained_of(case.matter.about, case.division)
    return bool(blamed) and bool(unit) and (unit == blamed or library.is_below(unit, blamed))


def sees(actor: Actor, case: Case, library: Library) -> bool:
    """Whether the actor may know of the case at all."""
    if Role.SYSTEM in actor.roles:
        return True
    if actor.unit:
        return actor.unit in of_units(case) and not is_about(case, actor.unit, library)
    if Role.AUDIT_ADMIN in actor.roles or Role.SECURITY_ADMIN in actor.roles:
        return within(case.division or library.home, actor.division)
    if Role.PEER in actor.roles:
        peers = {link.platform for link in case.peers}
        return actor.platform == case.platform or actor.platform in peers
    return _reaches(actor, case, library)


def _reaches(actor: Actor, case: Case, library: Library) -> bool:
    """Staff of the case's own platform, or of one above it on the same line, in whose region it lies."""
    if not actor.platform:
        return False
    line, _, region = actor.platform.partition("-")
    own_line, _, own_region = case.platform.partition("-")
    if line != own_line:
        return False
    if actor.platform != case.platform and not within(own_region, region):
        return False
    return within(case.division or own_region, actor.division) or actor.platform == case.platform


def permit(actor: Actor, command: Command, case: Case | None, library: Library) -> None:
    """Let the command pass or refuse it.

    Raises:
        NotFound: the actor may not even know of the case.
        NotYours: the role does not send this command, or another unit holds the case.
    """
    name = c.name_of(type(command))
    roles = ROLES[type(command)].intersection(actor.roles)
    if not roles or (roles <= UNITS and not actor.unit):
        raise NotYours(
            "Role {roles} does not send {command}.",
            roles=", ".join(actor.roles),
            command=name,
            field="roles",
            value=", ".join(actor.roles),
            remedy="ask somebody whose role it is",
        )
    if case is None:
        _permit_register(actor, command, library)
        return
    if not sees(actor, case, library):
        raise NotFound("There is no such case.", field="case", value=str(case.id), remedy="check the number")
    if isinstance(command, c.RegisterCase):
        return
    if roles == {Role.PEER}:
        _permit_peer(actor, command, case)
    if actor.unit:
        _permit_unit(actor, command, case)


_ANSWERS: tuple[type[Command], ...] = (
    c.ConfirmTransfer,
    c.ReportTransferFailed,
    c.ConfirmHandOver,
    c.ReportHandOverFailed,
    c.ReportPeerResult,
)
"""What a platform says of a case that was passed on to it."""


def _permit_peer(actor: Actor, command: Command, case: Case) -> None:
    """Another platform answers for what it was passed and may add words; everything else is the case's own platform's."""
    if actor.platform == case.platform:
        return
    given = {link.platform for link in case.peers if link.direction == "out"}
    if isinstance(command, c.SupplementCase) or (isinstance(command, _ANSWERS) and actor.platform in given):
        return
    raise NotYours(
        "{platform} has no say in this for {command}.",
        platform=actor.platform,
        command=c.name_of(type(command)),
        field="platform",
        value=actor.platform,
        remedy="only the platform that holds the case may do this",
    )


def _permit_register(actor: Actor, command: Command, library: Library) -> None:
    if not isinstance(command, c.RegisterCase) or Role.SYSTEM in actor.roles:
        return
    line = command.platform.partition("-")[0]
    own = actor.platform.partition("-")[0]
    fits = actor.platform == command.platform or (
        line == own and within(command.platform.partition("-")[2], actor.platform.partition("-")[2])
    )
    if not fits:
        raise NotYours(
            "You register for {own}, not for {platform}.",
            own=actor.platform or "-",
            platform=command.platform,
            field="platform",
            value=command.platform,
            remedy="use your own platform's id",
        )
    needed = Role.AGENT_110 if line == Line.POLICE else Role.AGENT_12345
    wrong = Role.AGENT_12345 if line == Line.POLICE else Role.AGENT_110
    if wrong in actor.roles and needed not in actor.roles:
        raise NotYours(
            "Role {roles} does not register cases of line {line}.",
            roles=", ".join(actor.roles),
            line=line,
            field="platform",
            value=command.platform,
            remedy="let an agent of that line register it",
        )


def _permit_unit(actor: Actor, command: Command, case: Case) -> None:
    """A unit acts where it holds the case: the lead on the whole, the lowest tier on the work, co-handlers by word."""
    unit = actor.unit
    match command:
        case c.ClaimCase():
            fits = unit in case.offered and command.unit == unit
        case c.ContactCitizen() | c.SupplementCase():
            fits = True
        case c.SignFor():
            fits = unit == case.lead or any(t.unit == unit for t in case.tiers)
        case c.ReplyCase() | c.SubAssign():
            fits = unit == case.acting_unit
        case c.RecallSubAssignment() | c.SendBackSubReply():
            fits = unit == case.lead or any(t.unit == unit for t in case.tiers[:-1])
        case _:
            fits = unit == case.lead
    if not fits:
        raise NotYours(
            "The case is not in your unit's hands for {command}.",
            command=c.name_of(type(command)),
            field="unit",
            value=unit,
            remedy="only the unit that holds the case may do this",
        )
