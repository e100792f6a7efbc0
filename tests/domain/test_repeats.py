"""The nth time, and many about one event: on record, urgency raised and never lowered, 110 told of danger and crowds."""

from __future__ import annotations

from uuid import UUID

import pytest

from dispatcher.domain import commands as c
from dispatcher.domain import effects as f
from dispatcher.domain import events as e
from dispatcher.domain.stream import SYSTEM
from dispatcher.domain.values import Result, Stage
from tests.support.cases import KNIFE, LAMP, CaseBook
from tests.support.library import POLICE, POLICE_AGENT, SUPERVISOR, unit

NO_HEAT = "小区没有暖气,家里特别冷"
NOISE = "楼下烧烤店噪音扰民"


@pytest.fixture
def book() -> CaseBook:
    return CaseBook()


def _repeat(book: CaseBook, case: UUID, *earlier: UUID, urgent: bool = False) -> tuple[e.AnyEvent, ...]:
    return book.do(c.ReportRepeat(case=case, how="nth", earlier=earlier, urgent=urgent), SYSTEM)


def test_the_second_time_is_on_record_and_changes_nothing_else(book: CaseBook) -> None:
    first, second = book.register(LAMP), book.register(LAMP)

    told = _repeat(book, second, first)

    assert told == (e.RepeatSeen(how="nth", nth=2, earlier=(first,)),)
    assert (book.case(second).nth, book.case(second).earlier) == (2, (first,))
    assert book.case(second).matter.urgency == "general"


def test_the_third_time_is_urgent_and_the_squad_leader_hears_of_it(book: CaseBook) -> None:
    first, second, third = (book.register(LAMP) for _ in range(3))
    due = book.due(third, "total")

    _repeat(book, third, second, first)

    assert book.case(third).matter.urgency == "urgent"
    assert book.due(third, "total") < due
    assert [n.to.role for n in book.effects(f.Notify) if n.template == "repeat-seen"] == [
        "platform-squad-leader"
    ]


def test_a_repeat_of_an_urgent_open_case_is_urgent_too(book: CaseBook) -> None:
    first, second = book.register(LAMP), book.register(LAMP)

    _repeat(book, second, first, urgent=True)

    assert book.case(second).matter.urgency == "urgent"


def test_the_same_or_an_older_count_is_not_told_twice(book: CaseBook) -> None:
    first, second, third = (book.register(LAMP) for _ in range(3))
    _repeat(book, third, second, first)

    assert _repeat(book, third, second, first) == ()
    assert _repeat(book, third, first) == ()


def test_a_repeat_never_lowers_what_is_urgent(book: CaseBook) -> None:
    heat, again = book.register(NO_HEAT), book.register(NO_HEAT)
    assert book.case(again).matter.urgency == "urgent"

    _repeat(book, again, heat)

    assert book.case(again).matter.urgency == "urgent"


def test_a_parent_is_no_less_urgent_than_those_that_follow_it(book: CaseBook) -> None:
    parent, follower = book.register(LAMP), book.register(NO_HEAT)

    book.do(c.AttachFollower(case=follower, other=parent), SUPERVISOR)

    assert book.case(parent).matter.urgency == "urgent"
    assert book.case(follower).stage is Stage.FOLLOWING


def test_what_is_merged_into_is_no_less_urgent_than_what_was_merged(book: CaseBook) -> None:
    kept, merged = book.register(LAMP), book.register(NO_HEAT)

    book.do(c.MergeCase(case=merged, other=kept, reason="同一人同一事"), SUPERVISOR)

    assert book.case(kept).matter.urgency == "urgent"


def test_a_surge_tells_the_supervisor_once_for_each_step(book: CaseBook) -> None:
    parent, other = book.register(NOISE), book.register(NOISE)

    def tell(size: int) -> tuple[e.AnyEvent, ...]:
        return book.do(c.ReportSurge(case=parent, event="noise", size=size, cases=(other, parent)), SYSTEM)

    assert tell(4) == ()
    assert tell(6) == (e.SurgeSeen(event="noise", size=6, step=5, cases=(other,)),)
    assert tell(11) == ()
    assert len(tell(20)) == 1
    roles = [notice.to.role for notice in book.effects(f.Notify) if notice.template == "surge-seen"]
    assert roles == ["platform-supervisor"] * 2
    assert book.effects(f.AlertLine) == []
    assert (book.case(parent).surge, book.case(parent).surged) == (20, (other,))


def test_a_heating_surge_goes_to_the_utility_and_the_supervisor_and_not_to_110(book: CaseBook) -> None:
    parent = book.register(NO_HEAT)

    book.do(c.ReportSurge(case=parent, event="heating", size=9, cases=()), SYSTEM)

    told = [(n.to.role, n.to.unit) for n in book.effects(f.Notify) if n.template == "surge-seen"]
    assert told == [("platform-supervisor", ""), ("unit-duty-phone", unit("heating"))]
    assert book.effects(f.AlertLine) == []


def test_a_crowd_is_told_to_110(book: CaseBook) -> None:
    parent = book.register("听说有人要聚集讨薪,想咨询怎么办")
    before = len(book.effects(f.AlertLine))

    book.do(c.ReportSurge(case=parent, event="crowd", size=3, cases=()), SYSTEM)

    assert [alert.line for alert in book.effects(f.AlertLine)[before:]] == ["110"]


def test_an_event_without_rule_and_an_unknown_size_tell_nobody(book: CaseBook) -> None:
    parent = book.register(NOISE)

    assert book.do(c.ReportSurge(case=parent, event="nothing", size=99, cases=()), SYSTEM) == ()


@pytest.mark.parametrize("how", ["attach", "merge"])
def test_danger_neither_follows_nor_is_merged_away(book: CaseBook, how: str) -> None:
    from dispatcher.domain.errors import Refused

    parent = book.register(NOISE, platform=POLICE, by=POLICE_AGENT)
    danger = book.register(KNIFE, platform=POLICE, by=POLICE_AGENT)
    command = (
        c.AttachFollower(case=danger, other=parent)
        if how == "attach"
        else c.MergeCase(case=danger, other=parent, reason="同一件")
    )

    with pytest.raises(Refused):
        book.do(command, POLICE_AGENT)


def test_a_follower_that_trips_the_gate_leaves_its_parent(book: CaseBook) -> None:
    parent, follower = book.register(LAMP), book.register(LAMP)
    book.do(c.AttachFollower(case=follower, other=parent), SUPERVISOR)

    book.do(c.SupplementCase(case=follower, words=KNIFE))

    assert book.case(follower).parent is None
    assert book.case(follower).matter.danger


def test_each_citizen_of_a_surge_is_answered(book: CaseBook) -> None:
    """A follower keeps the date told to its citizen, and its own reply and close."""
    parent, follower = book.register(LAMP), book.register(LAMP)
    book.do(c.AttachFollower(case=follower, other=parent), SUPERVISOR)

    assert "total" in book.runs(follower)
    book.do(c.DeliverReply(case=follower, how="phone", words="路灯已修复"), SUPERVISOR)
    book.do(c.CloseCase(case=follower, result=Result.SOLVED), SUPERVISOR)

    assert book.case(follower).stage is Stage.CLOSED
    assert book.case(parent).is_open
