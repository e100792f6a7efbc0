"""The cast: for any case, who acts next, with what command and when. Pure but for the chances handed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import assert_never

from adapters.rehearsal import aftercare, desk, police, units
from adapters.rehearsal.chance import Chances
from adapters.rehearsal.habits import Habits
from adapters.rehearsal.moves import Move
from adapters.rehearsal.scene import Scene
from dispatcher.domain.case import Case
from dispatcher.domain.library import Library
from dispatcher.domain.values import Stage
from routing_rules.demo import Behaviour
from routing_rules.ruling import Urgency

_NONE: frozenset[str] = frozenset()


class Cast:
    """Everybody who acts.

    Args:
        served: whether a platform lives in this deployment, so that cases can be passed to it.
        always_open: people work day and night (the demonstration, where somebody is watching).
    """

    def __init__(
        self,
        library: Library,
        chances: Chances,
        *,
        served: Callable[[str], bool],
        behaviours: Mapping[Urgency, Behaviour],
        habits: Habits | None = None,
        always_open: bool = False,
    ) -> None:
        self._library = library
        self._chances = chances
        self._served = served
        self._behaviours = behaviours
        self._habits = habits or Habits()
        self._always_open = always_open

    def next_move(
        self, case: Case, now: datetime, *, sent: frozenset[str] = _NONE, barred: frozenset[str] = _NONE
    ) -> Move | None:
        """What happens next unless something else comes first; None when nobody means to do anything.

        Args:
            sent: names of commands the actors have sent for this case.
            barred: names of those that a rule refused; another way is taken.
        """
        scene = Scene(
            case,
            now,
            library=self._library,
            habits=self._habits,
            behaviours=self._behaviours,
            chances=self._chances,
            served=self._served,
            always_open=self._always_open,
            sent=sent,
            barred=barred,
        )
        return _move(scene)


def _move(scene: Scene) -> Move | None:
    stage = scene.case.stage
    match stage:
        case Stage.RECEIVED:
            return desk.received(scene)
        case Stage.RULED:
            return desk.ruled(scene)
        case Stage.TRANSFERRED | Stage.HANDED_OVER:
            return None  # the linkage brings what the other platform says
        case Stage.OFFERED:
            return units.offered(scene)
        case Stage.ASSIGNED:
            return units.assigned(scene)
        case Stage.SIGNED:
            return units.signed(scene)
        case Stage.PAUSED:
            return units.paused(scene)
        case Stage.RETURNING:
            return desk.pending(scene) or desk.returning(scene)
        case Stage.ADJUDICATING:
            return desk.adjudicating(scene)
        case Stage.REPLIED:
            return desk.replied(scene)
        case Stage.APPROVED:
            return desk.approved(scene)
        case Stage.DELIVERED | Stage.ANSWERED | Stage.FOLLOWING:
            return desk.close(scene)
        case Stage.POLICE_RECEIVED:
            return police.received(scene)
        case Stage.UNIT_SENT:
            return police.unit_sent(scene)
        case Stage.ARRIVED:
            return police.arrived(scene)
        case Stage.FED_BACK:
            return police.fed_back(scene)
        case Stage.CLOSED | Stage.CALLED_BACK:
            return aftercare.afterwards(scene)
        case Stage.PASSED | Stage.GUIDED | Stage.ARCHIVED | Stage.MERGED | Stage.WITHDRAWN:
            return None
        case _:
            assert_never(stage)
