"""Police orders mirror what an existing CAD reports. Liandong commands no patrols."""

from __future__ import annotations

from dispatcher.domain import commands as c
from dispatcher.domain import events as e
from dispatcher.domain.deciding import checks
from dispatcher.domain.draft import Draft
from dispatcher.domain.values import Stage


def unit_sent(draft: Draft, command: c.ReportUnitSent) -> None:
    """A further unit sent to a case already under way is noted, the stage stays."""
    seen = checks.instant("at", command.at, draft) if command.at is not None else draft.now
    draft.record(e.PoliceUnitSent(seen=seen, unit=command.unit))


def arrived(draft: Draft, command: c.ReportArrived) -> None:
    """Reported by the CAD; reports may skip the sending when that was lost."""
    seen = checks.instant("at", command.at, draft) if command.at is not None else draft.now
    if draft.case.stage is Stage.POLICE_RECEIVED:
        draft.record(e.PoliceUnitSent(seen=seen))
    draft.record(e.PoliceArrived(seen=seen))


def feedback(draft: Draft, command: c.ReportFeedback) -> None:
    """With the second category set; a later feedback replaces the category."""
    if draft.case.stage is Stage.POLICE_RECEIVED:
        draft.record(e.PoliceUnitSent(seen=draft.now))
    draft.record(
        e.PoliceFedBack(
            category=command.category,
            remainder=command.remainder,
            words=draft.maybe("feedback", command.words),
        )
    )
