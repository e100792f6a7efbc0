"""What 110 does, as its command system reports it, and what its desk hands over to 12345."""

from __future__ import annotations

from adapters.rehearsal.desk import look
from adapters.rehearsal.moves import Move
from adapters.rehearsal.scene import Scene
from dispatcher.domain import commands as c


def received(scene: Scene) -> Move:
    """A unit goes out, or the matter belongs to 12345 or to another door."""
    case, matter, habits = scene.case, scene.case.matter, scene.habits
    if not matter.danger and not case.handed_in:
        if matter.platform == "12345" and scene.may(c.HandOverCase):
            reason = "非警务诉求，诉求人已挂断，转办 12345。"
            command = c.HandOverCase(case=case.id, to=scene.receiver("12345"), reason=reason)
            return scene.desk(command, look(scene))
        if matter.platform in ("other", "none") and scene.may(c.GuideCaller):
            guide = c.GuideCaller(case=case.id, door="已告知对应的受理渠道")
            return scene.desk(guide, look(scene))
    hurried = scene.urgent or matter.police_urgent
    return scene.cad(c.ReportUnitSent(case=case.id), habits.sent if hurried else habits.sent_unhurried)


def unit_sent(scene: Scene) -> Move:
    """The unit arrives."""
    return scene.cad(c.ReportArrived(case=scene.case.id), scene.habits.arrived)


def arrived(scene: Scene) -> Move:
    """The unit reports what it found; now and then something is left for 12345."""
    left = scene.draw.happens(scene.habits.remainder) and not scene.case.handed_in
    command = c.ReportFeedback(
        case=scene.case.id, category="现场处置", words="民警到场处置完毕。", remainder=left
    )
    return scene.cad(command, scene.habits.fed_back)


def fed_back(scene: Scene) -> Move:
    """Hand the remainder over, or close."""
    case = scene.case
    if (
        case.remainder
        and not case.handed_in
        and scene.may(c.HandOverCase)
        and not scene.has_sent(c.HandOverCase)
    ):
        command = c.HandOverCase(
            case=case.id, to=scene.receiver("12345"), reason="现场剩余非警务事项转办 12345。", remainder=True
        )
        return scene.desk(command, scene.habits.sent_unhurried)
    return scene.cad(c.ClosePoliceOrder(case=case.id, words="处置完毕。"), scene.habits.fed_back)
