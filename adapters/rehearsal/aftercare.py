"""What comes after closing: callbacks, ratings, verification of bad ones, redo."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from adapters.rehearsal.moves import Move
from adapters.rehearsal.scene import Scene
from dispatcher.domain import commands as c
from dispatcher.domain.values import Line

_LEGAL = ZoneInfo("Asia/Shanghai")
_FROM, _UNTIL = time(9, 0), time(19, 0)  # the policy allows 08:30-20:00


def afterwards(scene: Scene) -> Move | None:
    """Call back while that is due; verify what was complained of; redo what was rightly complained of."""
    case = scene.case
    if case.contested_rating and scene.may(c.VerifyRating):
        justified = scene.draw.happens(scene.habits.justified)
        words = "核实属实，应予重办。" if justified else "核实结果与评价不符，已向诉求人说明。"
        at = scene.after(scene.habits.decide)
        return scene.inspector(c.VerifyRating(case=case.id, justified=justified, words=words), at)
    if case.callback_due and scene.may(c.CallBack):
        return scene.inspector(_call(scene), callable_from(scene.after(scene.habits.decide)))
    if case.rating is not None and case.rating.verified and not case.redos and scene.may(c.RedoCase):
        at = scene.after(scene.habits.decide)
        return scene.inspector(c.RedoCase(case=case.id, words="评价核实属实，重新办理。"), at)
    return None


def _call(scene: Scene) -> c.CallBack:
    draw, habits = scene.draw, scene.habits
    if not draw.happens(habits.called_back):
        return c.CallBack(case=scene.case.id, reached=False, words="无人接听。")
    if not draw.happens(habits.rated):
        return c.CallBack(case=scene.case.id, reached=True, words="诉求人未作评价。")
    worst = 3 if scene.case.line == Line.POLICE else 5
    result = draw.pick((1, 1, 2)) if draw.happens(habits.content) else worst - draw.pick((0, 1)) * (worst > 3)
    return c.CallBack(
        case=scene.case.id, reached=True, call_rating=draw.pick((1, 1, 1, 2)), result_rating=result
    )


def callable_from(at: datetime) -> datetime:
    """The instant itself when people may be rung then, else the next morning."""
    local = at.astimezone(_LEGAL)
    if _FROM <= local.time() < _UNTIL:
        return at
    day = local.date() if local.time() < _FROM else local.date() + timedelta(days=1)
    minutes = timedelta(minutes=local.minute)  # spread over the first hour
    return datetime.combine(day, _FROM, _LEGAL) + minutes
