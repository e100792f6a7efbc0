"""Whole lives of cases through the front doors: HTTP in, deadlines on a manual clock, notices out, the page beside."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from dispatcher.domain.stream import Actor, Role
from tests.journeys.conftest import Journey
from tests.support.world import HOTLINE, POLICE, agent, clerk, unit_of

ZONE = ZoneInfo("Asia/Shanghai")
SUPERVISOR = Actor(id="qi", roles=(Role.SUPERVISOR,), platform=HOTLINE, division="630100")


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=ZONE)


async def test_a_call_comes_in_is_late_is_urged_and_ends_well(journey: Journey) -> None:
    unit = unit_of("urban-management")
    told = await journey.post(
        "/calls",
        agent(),
        {
            "words": "小区门口路灯不亮半个月了,请尽快维修",
            "title": "路灯不亮",
            "division": "630102",
            "personal": {"caller": "13897512345", "name": "李文静"},
        },
        status=201,
    )
    case = told["case"]
    assert not told.get("danger")
    assert "路灯不亮" in await journey.page()

    await journey.liandong.until(at(9, 9, 20))
    await journey.do(case, "assign-case", agent(), lead=unit)
    assert journey.told() == [("unit-desk", "assigned")]
    await journey.liandong.until(at(9, 14))
    await journey.do(case, "sign-for", clerk(unit))
    await journey.do(case, "contact-citizen", clerk(unit), reached=True, words="已联系")

    # Nothing is heard for two weeks: amber, then red, then the ladder.
    await journey.liandong.until(at(30, 18))
    whom = [role for role, _ in journey.told()]
    assert {"unit-lead", "unit-deputy-head", "platform-supervisor", "unit-head", "inspection"} <= set(whom)
    assert 'data-lamp="red"' in await journey.page("?lamp=red")
    await journey.do(case, "supervise-case", SUPERVISOR, words="请立即办理")
    assert journey.told() == [("unit-lead", "case-supervised")]

    await journey.do(
        case, "reply-case", clerk(unit), words="路灯已修复", result="solved", points_answered=[1]
    )
    assert journey.told() == [("platform-agent", "reply-submitted")]
    await journey.do(case, "approve-reply", agent())
    assert journey.told() == [("citizen", "reply-ready")]
    await journey.do(case, "deliver-reply", agent(), how="phone")
    await journey.do(case, "close-case", agent(), result="solved")
    assert journey.told() == [("citizen", "closed")]
    assert "路灯不亮" not in await journey.page("?lamp=red")


async def test_110_hands_over_what_is_not_police_work_and_hears_the_result(journey: Journey) -> None:
    told = await journey.post(
        "/calls",
        agent(POLICE),
        {"words": "楼上装修半夜施工噪音扰民,想反映一下", "title": "装修噪音", "division": "630102"},
        status=201,
    )
    origin = UUID(told["case"])

    await journey.do(str(origin), "hand-over-case", agent(POLICE), to=HOTLINE, reason="非警务诉求")
    link = (await journey.liandong.case(origin)).peers[-1]
    assert link.case is not None
    theirs = await journey.liandong.case(link.case)
    assert (theirs.platform, theirs.first_platform) == (HOTLINE, POLICE)

    await journey.do(str(link.case), "answer-at-once", agent(), words="已告知施工时间规定并联系物业")
    journey.told()
    ours = await journey.liandong.case(origin)
    assert ours.result is not None
    assert ours.result.value == "by-peer"


async def test_danger_at_12345_is_with_110_before_anybody_moves(journey: Journey) -> None:
    told = await journey.post(
        "/calls",
        agent(),
        {"words": "有人持刀砍人,就在楼下,快来救命", "division": "630102"},
        status=201,
    )

    case = await journey.liandong.case(UUID(told["case"]))
    link = case.peers[-1]
    assert link.platform == POLICE
    assert link.case is not None
    theirs = await journey.liandong.case(link.case)
    assert theirs.matter.danger
    assert case.stage.value == "passed"
    roles = journey.told()
    assert all(template == "alert" for _, template in roles)
    assert "涉险" in await journey.page("?line=110")
