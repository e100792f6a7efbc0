"""What the desks of 12345 do: decide what the lists left open, pass on, answer, assign, approve, deliver."""

from __future__ import annotations

from adapters.rehearsal.moves import Move
from adapters.rehearsal.scene import FALLBACK_OWNERS, Scene
from dispatcher.domain import commands as c
from routing_rules.demo import Delay
from routing_rules.ruling import Urgency

_RESCUE = ("110", "119", "120", "122")


def look(scene: Scene) -> Delay:
    """How long until somebody looks; now and then too long."""
    habits = scene.habits
    late = scene.draw.happens(habits.desk_late)
    if scene.urgent:
        return habits.look_urgent_late if late else habits.look_urgent
    return habits.look_late if late else habits.look


def received(scene: Scene) -> Move:
    """The lists left it to a person."""
    if not scene.case.human or not scene.may(c.OverrideRuling):
        return ruled(scene)
    command = c.OverrideRuling(
        case=scene.case.id,
        reason="已向诉求人核实，属本平台受理范围",
        platform=scene.case.line,
        owners=scene.case.matter.owners or FALLBACK_OWNERS[:1],
    )
    return scene.desk(command, look(scene))


def ruled(scene: Scene) -> Move:
    """Ruled: agree with the other line, pass it on, guide, answer, or give it to a unit."""
    case, matter, draw = scene.case, scene.case.matter, scene.draw
    delay = look(scene)
    passing = _pass_on(scene, delay)
    if passing is not None:
        return passing
    if matter.kind == "咨询" and draw.happens(scene.habits.answered_at_once) and _calm(scene, c.AnswerAtOnce):
        return scene.desk(c.AnswerAtOnce(case=case.id, words="已按政策口径当场答复诉求人。"), delay)
    if draw.happens(scene.habits.withdrawn) and _calm(scene, c.WithdrawCase):
        return scene.desk(c.WithdrawCase(case=case.id, words="诉求人来电撤回。"), delay)
    units = scene.units()
    several = len(units) > 1
    if several and matter.contested and draw.happens(scene.habits.offered) and scene.may(c.OfferClaim):
        return scene.desk(c.OfferClaim(case=case.id, units=units, guard=units[0]), delay)
    helping = units[1:] if matter.urgency == "joint" else ()
    urgency = None
    if not scene.urgent and matter.urgency == "general" and matter.points > 2:
        urgency = Urgency.complex
    return scene.desk(c.AssignCase(case=case.id, lead=units[0], co=helping, urgency=urgency), delay)


def _calm(scene: Scene, command: type[c.CaseCommand]) -> bool:
    return not scene.case.matter.danger and scene.may(command)


def _pass_on(scene: Scene, delay: Delay) -> Move | None:
    """To the other line, by agreement or alone; to the right door when it is neither's."""
    case, matter = scene.case, scene.case.matter
    if case.handed_in:
        return None  # it came from there; sending it back would be re-flow
    if matter.decision == "three_way" and not scene.has_sent(c.AgreeTaker) and scene.may(c.AgreeTaker):
        agreed = scene.draw.happens(scene.habits.agreed)
        reason = "三方通话商定由本平台办理。" if agreed else "双方意见不一，按首接负责先行办理。"
        command = c.AgreeTaker(case=case.id, taker=case.platform if agreed else "", reason=reason)
        return scene.desk(command, delay)
    if scene.has_sent(c.AgreeTaker):
        return None
    to = scene.receiver(matter.platform) if matter.platform in _RESCUE else ""
    elsewhere = matter.platform in ("other", "none") or (to and not scene.serves(to))
    if elsewhere and _calm(scene, c.GuideCaller):
        return scene.desk(c.GuideCaller(case=case.id, door="已告知对应的受理渠道"), delay)
    untried = to and scene.serves(to) and all(link.platform != to for link in case.peers)
    if untried and to != case.platform and scene.may(c.TransferCase):
        return scene.desk(c.TransferCase(case=case.id, to=to), delay)
    return None


def pending(scene: Scene) -> Move | None:
    """Requests of the unit that wait for the platform's yes or no."""
    case, draw, habits, usual = scene.case, scene.draw, scene.habits, scene.behaviour
    if (asked := case.extension_pending) is not None and scene.may(c.DecideExtension):
        grant = draw.happens(usual.extension_granted_share)
        silent = draw.happens(usual.extension_silence_share)
        days, words = (asked.days, "") if grant else (0, "理由不充分。")
        command = c.DecideExtension(case=case.id, grant=grant, days=days, words=words)
        return scene.chief(command, habits.silent if silent else None)
    if case.pause_pending is not None and scene.may(c.DecidePause):
        return scene.chief(c.DecidePause(case=case.id, grant=True))
    return None


def returning(scene: Scene) -> Move:
    """Accept or refuse a return."""
    accept = scene.draw.happens(scene.behaviour.return_accepted_share)
    words = "同意退单。" if accept else "清单已明确由贵单位办理。"
    return scene.chief(c.DecideReturn(case=scene.case.id, accept=accept, words=words))


def adjudicating(scene: Scene) -> Move:
    """Say who it is, bindingly."""
    unit = scene.units()[0]
    return scene.chief(c.AdjudicateCase(case=scene.case.id, unit=unit, words="裁定由该单位主办。"))


def replied(scene: Scene) -> Move:
    """Look at the reply; now and then send it back, or find with two persons that no more can be asked."""
    case, usual = scene.case, scene.behaviour
    if case.proposed_by:
        agree = c.DecideUnreasonable(case=case.id, agree=True, words="经复核，同意。")
        return scene.inspector(agree, scene.after(scene.habits.decide))
    sent_back = scene.draw.happens(usual.sent_back_share) and not scene.has_sent(c.SendBackReply)
    if sent_back and scene.may(c.SendBackReply):
        return scene.desk(c.SendBackReply(case=case.id, words="请补充处理结果与依据。"), usual.review_after)
    unreasonable = scene.draw.happens(usual.unreasonable_share) and not case.matter.danger
    if unreasonable and scene.may(c.ProposeUnreasonable):
        proposed = c.ProposeUnreasonable(case=case.id, words="诉求缺乏法律法规依据。")
        return scene.desk(proposed, usual.review_after)
    return scene.desk(c.ApproveReply(case=case.id), usual.review_after)


def approved(scene: Scene) -> Move:
    """Tell the citizen."""
    command = c.DeliverReply(case=scene.case.id, how="phone", words="已电话告知办理情况。")
    return scene.desk(command, scene.habits.deliver_urgent if scene.urgent else scene.habits.deliver)


def close(scene: Scene) -> Move:
    """Nothing more to do."""
    return scene.desk(c.CloseCase(case=scene.case.id), scene.habits.close)
