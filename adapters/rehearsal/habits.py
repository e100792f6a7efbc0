"""How the rehearsed people behave: shares and delays. They are ours, made up, and measure nothing but Liandong."""

from __future__ import annotations

from datetime import timedelta

import msgspec

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)


class Span(msgspec.Struct, frozen=True):
    """A delay between ``least`` and ``most``, short ones likelier."""

    least: timedelta
    most: timedelta


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """Shares are 0 to 1 of the cases that come to that point; delays are working time unless the case is urgent."""

    # the desk
    look: Span = Span(3 * _MINUTE, 90 * _MINUTE)
    look_urgent: Span = Span(1 * _MINUTE, 8 * _MINUTE)
    desk_late: float = 0.015
    answered_at_once: float = 0.45  # of questions (咨询)
    offered: float = 0.25  # of matters with several possible owners
    withdrawn: float = 0.004
    # units
    returned: float = 0.05
    unsigned: float = 0.12
    sign: Span = Span(10 * _MINUTE, 7 * _HOUR)
    sign_urgent: Span = Span(2 * _MINUTE, 20 * _MINUTE)
    claim: Span = Span(5 * _MINUTE, 100 * _MINUTE)
    contact: Span = Span(20 * _MINUTE, 8 * _HOUR)
    contact_urgent: Span = Span(3 * _MINUTE, 25 * _MINUTE)
    reached: float = 0.9
    sub_assigned: float = 0.18
    paused: float = 0.03
    extended: float = 0.08
    material: Span = Span(4 * _HOUR, 44 * _HOUR)
    late: float = 0.07
    late_by: Span = Span(2 * _HOUR, 34 * _HOUR)
    early: float = 0.15  # the earliest reply, as a share of the limit
    # approvals
    decide: Span = Span(15 * _MINUTE, 5 * _HOUR)
    return_accepted: float = 0.6
    extension_granted: float = 0.8
    pause_granted: float = 0.8
    sent_back: float = 0.07
    # closing
    solved: float = 0.72
    partly: float = 0.2
    called_back: float = 0.75  # reached at one attempt
    rated: float = 0.6
    content: float = 0.9
    justified: float = 0.5
    # the police
    sent: Span = Span(timedelta(seconds=40), 4 * _MINUTE)
    arrived: Span = Span(4 * _MINUTE, 30 * _MINUTE)
    fed_back: Span = Span(10 * _MINUTE, 120 * _MINUTE)
    remainder: float = 0.06
    # another platform that is not served here
    confirmed: Span = Span(timedelta(seconds=30), 4 * _MINUTE)
    peer_result: Span = Span(6 * _HOUR, 40 * _HOUR)
