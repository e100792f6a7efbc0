"""The single requests of a message, so that a reply can be held against each."""

import pytest

from routing_rules.points import MOST_POINTS, asks


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("我家小区停水两天了,什么时候能来水?另外楼下路灯也不亮,能不能一起修一下?", 2),
        ("1、物业乱收停车费;2、电梯经常坏;3、楼道堆满杂物没人清。请处理。", 3),
        ("老板拖欠三个月工资,要求尽快支付,同时社保也没交,希望补缴。", 2),
        ("请问办护照要什么材料?多久能拿到?可以代办吗?", 3),
        ("村里的路坑坑洼洼,希望硬化;水渠也堵了,请清理;还有低保名单不公示,要求公开。", 3),
        ("暖气不热,投诉三次没人管,一是要求今天修好,二是退取暖费。", 2),
        ("第一,请查一下是谁关的水阀;第二,尽快恢复供水;第三,处理关阀的人。", 3),
        ("(1)退还押金(2)赔偿一个月房租(3)给个书面说明", 3),
        ("①修路②安路灯③清垃圾,请领导重视", 3),
        ("能否把3.5元的停车费降到2元?能否前半小时免费?", 2),
        ("公交车太少,建议增加班次,并在北门设一个站。", 1),
        ("路灯不亮,请修", 1),
        ("楼上漏水把天花板泡了,物业不管,请协调维修并赔偿损失。", 1),
    ],
)
def test_each_request_is_a_point_with_what_leads_to_it(text: str, count: int) -> None:
    points = asks(text)

    assert len(points) == count, points
    assert all(point.rstrip("。;?") in text for point in points)


def test_points_are_bounded_and_any_text_has_at_most_its_own() -> None:
    assert asks("") == ()
    assert len(asks("请修路。" * 500)) <= MOST_POINTS
    assert asks("😀" * 50) == ("😀" * 50,)
    assert 1 <= len(asks("请修路,请安灯," * 400)) <= MOST_POINTS
