"""Letters for the contract suites of channels."""

from __future__ import annotations

from uuid import UUID

from adapters.notice.channel import Letter
from adapters.notice.wire import Notice, Party, Words
from tests.contracts.conftest import MONDAY

KEY = UUID("3d0f7c7a-0000-4000-8000-00000000000e")


def letter(
    *,
    text: str = "【联动】工单 7 已派给贵单位，请签收。",
    address: str = "13800000000",
    urgent: bool = False,
    key: UUID = KEY,
) -> Letter:
    """A notice to a unit's head, ready for any channel."""
    notice = Notice(
        key=key,
        kind="notify",
        at=MONDAY,
        case=key,
        number="12345-630100-2026-0000007",
        to=Party(role="unit-head", phone="13800000000", mobile="13800000000", email="head@example.cn"),
        template="assigned",
        level=0,
        danger=False,
        words={
            "zh-CN": Words(subject="联动：工单 7", body="工单 7 已派给贵单位，请签收。"),
            "en": Words(subject="Liandong: case 7", body="Case 7 is assigned to you."),
        },
        link="https://liandong.example.cn/",
    )
    return Letter(notice=notice, address=address, text=text, urgent=urgent)
