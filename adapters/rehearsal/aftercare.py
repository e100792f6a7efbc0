"""What comes after closing: callbacks, ratings, verification of bad ones, redo."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from adapters.rehearsal.moves import Move
from adapters.rehearsal.scene import Scene
from dispatcher.domain import commands as c

_LEGAL = ZoneInfo("Asia/Shanghai")
_FIVE = 5  # 12345 rates in five steps, 1 best
_MIDDLING = 3
_FROM, _UNTIL = time(9, 0), time(19, 0)  # the policy allows 08:30-20:00


def afterwards(scene: Scene) -> Move | None:
    """Call back while that is due; verify a bad rating; redo what the citizen is rightly dissatisfied with."""
    case, habits = scene.case, scene.habits
    if case.contested_rating and scene.may(c.VerifyRating):
        justified = scene.draw.happens(scene.behaviour.redo_share)
        words = "核实属实，应予重办。" if justified else "核实结果与评价不符，已向诉求人说明。"
        command = c.VerifyRating(case=case.id, justified=justified, words=words)
        return scene.inspector(command, scene.after(habits.verify))
    if case.callback_due and scene.may(c.CallBack):
        return scene.inspector(_call(scene), callable_from(scene.after(scene.behaviour.callback_after)))
    middling = case.rating is not None and case.rating.result == _MIDDLING and case.rating.scale == _FIVE
    dissatisfied = middling and scene.once("redo").happens(scene.behaviour.redo_share / 2)
    if dissatisfied and not case.redos and scene.may(c.RedoCase) and not scene.has_sent(c.RedoCase):
        redo = c.RedoCase(case=case.id, words="诉求人不满意且理由成立，重新办理。")
        return scene.inspector(redo, scene.after(habits.verify))
    return None


def _call(scene: Scene) -> c.CallBack:
    case, draw, usual = scene.case, scene.draw, scene.behaviour
    if not draw.happens(usual.reached_share):
        return c.CallBack(case=case.id, reached=False, words="无人接听。")
    if case.rating is not None or not draw.happens(usual.rated_share):
        return c.CallBack(case=case.id, reached=True, words="诉求人未作评价。")
    result = 1 + draw.weighed(usual.satisfaction)
    return c.CallBack(case=case.id, reached=True, call_rating=draw.pick((1, 1, 1, 2)), result_rating=result)


def callable_from(at: datetime) -> datetime:
    """The instant itself when people may be rung then, else the next morning."""
    local = at.astimezone(_LEGAL)
    if _FROM <= local.time() < _UNTIL:
        return at
    day = local.date() if local.time() < _FROM else local.date() + timedelta(days=1)
    minutes = timedelta(minutes=local.minute)  # spread over the first hour
    return datetime.combine(day, _FROM, _LEGAL) + minutes
