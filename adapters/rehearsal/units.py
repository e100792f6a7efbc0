"""What the departments do: sign, contact, return, sub-assign, ask for time or material, reply; mostly in time."""

from __future__ import annotations

from datetime import datetime, timedelta

from adapters.rehearsal.desk import pending
from adapters.rehearsal.habits import Span
from adapters.rehearsal.moves import Move
from adapters.rehearsal.scene import Scene
from dispatcher.domain import commands as c
from dispatcher.domain.values import Result, ReturnReason

_LIES_ABOUT = Span(
    timedelta(hours=18), timedelta(hours=30)
)  # longer than the day after which it counts as signed


def offered(scene: Scene) -> Move:
    """The first unit that was asked says it is theirs."""
    unit = scene.case.offered[0]
    span = scene.habits.sign_urgent if scene.urgent else scene.habits.claim
    return scene.unit(unit, c.ClaimCase(case=scene.case.id, unit=unit), scene.after(span, unit=unit))


def assigned(scene: Scene) -> Move:
    """Sign for it, send it back, or let it lie until it counts as signed."""
    case, draw, habits = scene.case, scene.draw, scene.habits
    if (waiting := pending(scene)) is not None:
        return waiting
    unit = case.lead
    returns = draw.happens(habits.returned) and not scene.urgent and not case.binding
    if returns and not case.returns and scene.may(c.AskReturn):
        command = c.AskReturn(
            case=case.id,
            reason=ReturnReason.NOT_OUR_POWER,
            item=case.matter.item,
            words="经核实不属本单位法定职责。",
        )
        return scene.unit(unit, command, scene.after(habits.sign, unit=unit))
    span = habits.sign_urgent if scene.urgent else habits.sign
    if not scene.urgent and draw.happens(habits.unsigned):
        span = _LIES_ABOUT
    return scene.unit(unit, c.SignFor(case=case.id, unit=unit), scene.after(span, unit=unit))


def signed(scene: Scene) -> Move:
    """Contact the citizen, then work on it: alone, through a lower unit, with more time or after a pause."""
    case, habits = scene.case, scene.habits
    if (waiting := pending(scene)) is not None:
        return waiting
    unit = case.acting_unit
    tier = next((tier for tier in case.tiers if tier.unit == unit and tier.replied is None), None)
    if tier is not None and tier.signed is None:
        span = habits.sign_urgent if scene.urgent else habits.sign
        return scene.unit(unit, c.SignFor(case=case.id, unit=unit), scene.after(span, unit=unit))
    reaches = scene.once("contact", case.lead).happens(habits.reached)
    if case.contacts == 0 and reaches and scene.may(c.ContactCitizen):
        span = habits.contact_urgent if scene.urgent else habits.contact
        contact = c.ContactCitizen(case=case.id, reached=True, words="已与诉求人联系，核实情况。")
        return scene.unit(unit, contact, scene.after(span, unit=unit))
    return _below(scene, unit) or _more_time(scene, unit) or _reply(scene, unit)


def paused(scene: Scene) -> Move:
    """The material comes in, or it does not and the limit of the pause ends it."""
    at = scene.after(scene.habits.material, unit=scene.case.lead)
    return scene.unit(scene.case.lead, c.ResumeCase(case=scene.case.id, words="材料已补齐。"), at)


def _below(scene: Scene, unit: str) -> Move | None:
    """Pass it down the unit's own tree."""
    case = scene.case
    if case.tiers or scene.urgent or not scene.may(c.SubAssign) or scene.library.unit(unit) is None:
        return None
    once = scene.once("below", unit, case.redos)
    lower = scene.library.organisation.children(unit)
    if not lower or not once.happens(scene.habits.sub_assigned):
        return None
    command = c.SubAssign(case=case.id, unit=once.pick(lower).code, words="请核实办理并按期反馈。")
    return scene.unit(unit, command, scene.after(scene.habits.decide, unit=unit))


def _more_time(scene: Scene, unit: str) -> Move | None:
    """Ask the citizen for material, or the platform for days."""
    case, habits = scene.case, scene.habits
    if scene.urgent or case.tiers or unit != case.lead:
        return None
    way = scene.once("time", case.redos).fraction()
    if way < habits.paused and not case.pauses and scene.may(c.AskPause):
        items = ("身份证明", "合同或凭证")
        pause = c.AskPause(case=case.id, why="material", items=items, days=5, words="需补充材料。")
        return scene.unit(unit, pause, scene.after(habits.contact, unit=unit))
    extends = habits.paused <= way < habits.paused + habits.extended
    if extends and not case.extensions and scene.may(c.AskExtension):
        extension = c.AskExtension(case=case.id, days=5, words="情况复杂，需进一步核查。")
        return scene.unit(unit, extension, scene.before_limit("handle", timedelta(hours=10)))
    return None


def _reply(scene: Scene, unit: str) -> Move:
    case, habits = scene.case, scene.habits
    share = scene.draw.fraction()
    result = Result.SOLVED
    if share >= habits.solved:
        result = Result.PARTLY if share < habits.solved + habits.partly else Result.NOT_SOLVED
    command = c.ReplyCase(
        case=case.id,
        words="经现场核查，已按规定处理，并将情况告知诉求人。",
        result=result,
        points_answered=tuple(range(1, case.matter.points + 1)),
    )
    return scene.unit(unit, command, _reply_at(scene, unit))


def _reply_at(scene: Scene, unit: str) -> datetime:
    """Most reply somewhere before the limit that binds them, some after it."""
    habits = scene.habits
    clock = "sub" if unit != scene.case.lead else "handle"
    when = scene.once("reply", unit, scene.case.redos)
    late = when.happens(habits.late) and not scene.has_sent(c.ReplyCase)
    if late:
        return scene.past_limit(clock, habits.late_by)
    return scene.share_of_limit(clock, habits.early + (0.97 - habits.early) * scene.draw.fraction() ** 1.5)
