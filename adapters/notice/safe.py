"""Safe contact (安全联系), asked at the moment a message to a citizen leaves: what was agreed since the plan counts."""

from __future__ import annotations

from datetime import datetime, timedelta

from dispatcher.domain.plan import may_text
from dispatcher.domain.worktime import LEGAL_ZONE
from dispatcher.ports import GiveUp, TryLater
from dispatcher.views.outgoing import Outgoing


def check_safe(out: Outgoing | None, now: datetime) -> None:
    """Let a message to the citizen leave, or stop it.

    Raises:
        GiveUp: the case is gone or erased, or the citizen must not be written to.
        TryLater: not at this hour; it names the hour.
    """
    if out is None:
        raise GiveUp("the case is gone")
    if not may_text(out.case):
        raise GiveUp("safe contact: the citizen must not be written to")
    safe = out.case.safe_contact
    if safe is None:
        return
    local = now.astimezone(LEGAL_ZONE)
    if safe.from_hour <= local.hour < safe.until_hour:
        return
    if safe.from_hour >= safe.until_hour:
        raise GiveUp("safe contact: there is no hour at which the citizen may be written to")
    opens = local.replace(hour=safe.from_hour, minute=0, second=0, microsecond=0)
    if opens <= local:
        opens += timedelta(days=1)
    raise TryLater(
        f"safe contact: between {safe.from_hour}:00 and {safe.until_hour}:00 only",
        until=opens.astimezone(now.tzinfo),
    )
