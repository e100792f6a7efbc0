"""What the departments do: sign, contact, return, sub-assign, ask for time or material, reply; mostly in time."""

from __future__ import annotations

from datetime import datetime, timedelta

from adapters.rehearsal.desk import pending
from adapters.rehearsal.moves import Move
from adapters.rehearsal.scene import Scene
from dispatcher.domain import commands as c
from dispatcher.domain.values import Result, ReturnReason


def offered(scene: Scene) -> Move:
    """The first unit that was asked says it is theirs."""
    unit = scene.case.offered[0]
    delay = scene.habits.claim_urgent if scene.urgent else scene.habits.claim
    return scene.unit(unit, c.ClaimCase(case=scene.case.id, unit=unit), scene.after(delay, unit=unit))


def assigned(scene: Scene) -> Move:
    """Sign for it, send it back, or let it lie until it counts as signed."""
    case, usual = scene.case, scene.behaviour
    if (waiting := pending(scene)) is not None:
        return waiting
    unit = case.lead
    share = usual.second_return_share if case.returns else usual.return_share
    if not case.binding and scene.once("return", unit).happens(share) and scene.may(c.AskReturn):
        command = c.AskReturn(
            case=case.id,
            reason=ReturnReason.NOT_OUR_POWER,
            item=case.matter.item,
            words="经核实不属本单位法定职责。",
        )
        at = scene.in_time("return", scene.after(usual.return_after, unit=unit))
        return scene.unit(unit, command, at)
    return scene.unit(unit, c.SignFor(case=case.id, unit=unit), _sign_at(scene, unit))


def _sign_at(scene: Scene, unit: str) -> datetime:
    usual = scene.behaviour
    if not scene.draw.happens(usual.unsigned_share):
        return scene.after(usual.sign_after, unit=unit)
    if scene.urgent:  # nobody signs until somebody has been rung
        return scene.past_limit("sign", scene.habits.claim_urgent)
    return scene.after(scene.habits.lies_about, unit=unit)


def signed(scene: Scene) -> Move:
    """Contact the citizen, then work on it: alone, through a lower unit, with more time or after a pause."""
    case, usual = scene.case, scene.behaviour
    if (waiting := pending(scene)) is not None:
        return waiting
    unit = case.acting_unit
    tier = next((tier for tier in case.tiers if tier.unit == unit and tier.replied is None), None)
    if tier is not None and tier.signed is None:
        return scene.unit(unit, c.SignFor(case=case.id, unit=unit), scene.after(usual.sign_after, unit=unit))
    reaches = scene.once("contact", case.lead).happens(usual.contact_share)
    if case.contacts == 0 and reaches and scene.may(c.ContactCitizen):
        contact = c.ContactCitizen(case=case.id, reached=True, words="已与诉求人联系，核实情况。")
        return scene.unit(unit, contact, scene.after(usual.contact_after, unit=unit))
    return _below(scene, unit) or _more_time(scene, unit) or _reply(scene, unit)


def paused(scene: Scene) -> Move | None:
    """The material comes in, or it does not and the limit of the pause ends it."""
    if not scene.draw.happens(scene.behaviour.material_supplied_share):
        return None
    unit = scene.case.lead
    at = scene.after(scene.behaviour.material_after, unit=unit)
    return scene.unit(unit, c.ResumeCase(case=scene.case.id, words="材料已补齐。"), at)


def _below(scene: Scene, unit: str) -> Move | None:
    """Pass it down the unit's own tree, one step."""
    case, usual = scene.case, scene.behaviour
    if case.tiers or not scene.may(c.SubAssign) or scene.library.unit(unit) is None:
        return None
    once = scene.once("below", unit, case.redos)
    lower = scene.library.organisation.children(unit)
    if not lower or not once.happens(usual.sub_assign_share):
        return None
    command = c.SubAssign(case=case.id, unit=once.pick(lower).code, words="请核实办理并按期反馈。")
    return scene.unit(unit, command, scene.after(usual.sub_assign_after, unit=unit))


def _more_time(scene: Scene, unit: str) -> Move | None:
    """Ask the citizen for material, or the platform for days."""
    case, usual = scene.case, scene.behaviour
    if scene.urgent or case.tiers or unit != case.lead:
        return None
    once = scene.once("time")
    if once.happens(usual.material_share) and not case.pauses and scene.may(c.AskPause):
        items = ("身份证明", "合同或凭证")
        pause = c.AskPause(case=case.id, why="material", items=items, days=5, words="需补充材料。")
        return scene.unit(unit, pause, scene.after(usual.contact_after, unit=unit))
    if once.happens(usual.extension_share) and not case.extensions and scene.may(c.AskExtension):
        ask = c.AskExtension(case=case.id, days=usual.extension_days, words="情况复杂，需进一步核查。")
        left = scene.draw.delay(usual.extension_before_limit)
        return scene.unit(unit, ask, scene.before_limit("handle", left))
    return None


def _reply(scene: Scene, unit: str) -> Move:
    """The result as it came out, with every request point answered."""
    case, usual = scene.case, scene.behaviour
    weights = (usual.solved_share, usual.partly_share, 1 - usual.solved_share - usual.partly_share)
    result = (Result.SOLVED, Result.PARTLY, Result.NOT_SOLVED)[scene.draw.weighed(weights)]
    command = c.ReplyCase(
        case=case.id,
        words="经现场核查，已按规定处理，并将情况告知诉求人。",
        result=result,
        points_answered=tuple(range(1, case.matter.points + 1)),
    )
    return scene.unit(unit, command, _reply_at(scene, unit))


def _reply_at(scene: Scene, unit: str) -> datetime:
    """Most reply before the limit that binds them, some after it."""
    usual = scene.behaviour
    if scene.has_sent(c.SendBackReply) or scene.case.redos:  # the work is done, the words are to be mended
        return scene.after(usual.sub_assign_after, unit=unit)
    clock = "sub" if unit != scene.case.lead else "handle"
    late = scene.once("late", unit, scene.case.redos).happens(usual.late_reply_share)
    if late and not scene.has_sent(c.ReplyCase):
        return scene.past_limit(clock, usual.late_by)
    spare = (
        timedelta(hours=14) if clock == "handle" else timedelta(hours=1)
    )  # the platform has to look at it too
    return scene.in_time(clock, scene.after(usual.reply_after, unit=unit), spare=spare)
