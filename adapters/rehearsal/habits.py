"""How the rehearsed desks and police behave; departments' and citizens' behaviour is data (routing_rules/data/demo).

All of it is made up so that every path of a case is walked; it measures nothing but Liandong.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from routing_rules.demo import Delay


def _natural(least: float, usual: float, most: float) -> Delay:
    minutes = [timedelta(minutes=length) for length in (least, usual, most)]
    return Delay(least=minutes[0], usual=minutes[1], most=minutes[2], natural=True)


def _working(least: float, usual: float, most: float) -> Delay:
    return msgspec.structs.replace(_natural(least, usual, most), natural=False)


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """Shares are 0 to 1 of the cases that come to that point."""

    look: Delay = _working(3, 20, 180)
    look_urgent: Delay = _natural(0.5, 2, 8)
    look_late: Delay = _working(540, 600, 900)
    look_urgent_late: Delay = _natural(11, 15, 45)
    desk_late: float = 0.02
    answered_at_once: float = 0.45  # of questions (咨询)
    offered: float = 0.3  # of contested matters with several possible owners
    withdrawn: float = 0.006
    agreed: float = 0.8
    claim: Delay = _working(5, 40, 150)
    claim_urgent: Delay = _natural(2, 8, 35)
    lies_about: Delay = _working(1080, 1200, 1800)  # longer than the day after which it counts as signed
    decide: Delay = _working(15, 60, 420)
    decide_urgent: Delay = _natural(2, 6, 25)
    silent: Delay = _working(700, 1000, 1500)  # an approver who does not look
    deliver: Delay = _working(10, 60, 420)
    deliver_urgent: Delay = _natural(2, 10, 40)
    close: Delay = _working(5, 30, 240)
    verify: Delay = _working(30, 200, 600)
    # the police
    sent: Delay = _natural(0.5, 1.5, 4)
    sent_unhurried: Delay = _natural(2, 9, 34)
    arrived: Delay = _natural(4, 9, 30)
    fed_back: Delay = _natural(10, 35, 150)
    remainder: float = 0.06
