"""Titles on an open screen tell nothing about persons, and still tell what the matter is."""

from __future__ import annotations

import pytest

from dashboards.masking import HIDDEN, masked

SECRETS = [
    ("我叫李文静,暖气不热", "李文静"),
    ("姓名:卓玛·才让 反映停水", "卓玛·才让"),
    ("联系人：王五,井盖缺失", "王五"),
    ("请回电13897512345", "13897512345"),
    ("请回电138-9751-2345", "9751"),
    ("请回电１３８９７５１２３４５", "１３８９７５１"),
    ("电话0971-5550123打不通", "5550123"),
    ("电话一三八九七五五零零幺二", "一三八九七五五零零幺二"),
    ("身份证63010219900101123X", "63010219900101123X"),
    ("卡号6222 0212 3456 7890 123 被扣", "3456"),
    ("微信邮箱 someone.else@example.com 举报", "someone.else"),
    ("青A12345乱停车", "A12345"),
    ("住12号楼3单元402室漏水", "402"),
    ("张先生反映噪音", "张"),
]


@pytest.mark.parametrize(("title", "secret"), SECRETS)
def test_what_names_a_person_is_hidden(title: str, secret: str) -> None:
    shown = masked(title)

    assert secret not in shown
    assert HIDDEN in shown


@pytest.mark.parametrize(
    "title",
    [
        "室温14度,3天没热水",
        "2026年11月22日起欠薪10000元",
        "G109国道1980公里处塌方",
        "K2路公交车甩客",
        "夜间23:40仍在施工",
        "农民工工资拖欠11人3个月",
        "草场边界纠纷,双方情绪激动",
    ],
)
def test_what_the_matter_is_stays(title: str) -> None:
    assert masked(title) == title


def test_masking_a_masked_title_changes_nothing() -> None:
    once = masked("我叫李文静,电话13897512345,住12号楼3单元402室")

    assert masked(once) == once
