"""What the domain is told when an effect will never happen: another way must be taken, or a person must know."""

from __future__ import annotations

from uuid import UUID, uuid5

from dispatcher.domain import commands as c
from dispatcher.domain import effects as f
from dispatcher.domain.stream import SYSTEM, Effect, Submission


def failure_of(key: UUID, effect: Effect, why: str) -> Submission | None:
    """The command that reports an effect given up.

    Args:
        key: the effect's own; the message id comes from it, so telling twice is harmless.
        why: what the carrier said; holds no personal data.
    """
    command = _report(effect, why)
    if command is None:
        return None
    return Submission(message_id=uuid5(key, "given-up"), command=command, actor=SYSTEM)


def _report(effect: Effect, why: str) -> c.CaseCommand | None:
    match effect:
        case f.PassOrder(case=case, kind="transfer"):
            return c.ReportTransferFailed(case=case, reason=why)
        case f.PassOrder(case=case):
            return c.ReportHandOverFailed(case=case, reason=why)
        case f.Notify(case=case, template=template):
            return c.ReportNoticeFailed(case=case, to=effect.receiver(), template=template, reason=why)
        case f.TellCitizen(case=case, template=template):
            return c.ReportNoticeFailed(case=case, to="citizen", template=template, reason=why)
        case f.AlertLine(case=case):
            return c.ReportNoticeFailed(case=case, to=effect.receiver(), template="alert", reason=why)
        case f.ReturnResult(case=case):
            return c.ReportNoticeFailed(case=case, to=effect.receiver(), template="return-result", reason=why)
        case _:
            return None
