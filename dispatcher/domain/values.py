"""The words of the field and the small records a case is made of. One word per concept.

Glossary (Chinese term = identifier = meaning)
诉求 case · 工单 work order (a case handled by 12345) · 警单 police order (a case handled by 110) · 转办工单
hand-over order · 一键转接 transfer · 三方通话 three-way call · 首接 first receiver · 主办/协办 lead/co-handler ·
二次分派 sub-assign · 并派认领 parallel claim · 派单 assign · 签收 sign for · 视同签收 deemed signed · 退单 return ·
裁定 adjudicate · 延期 extension · 催办 urge · 督办 supervise · 办结 close · 回访 callback · 重办 redo · 回流
re-flow · 好差评 rating · 挂起 pause · 并单 attach/merge · 撤回 withdraw · 不合理诉求 unreasonable.

Instants are aware datetimes; unit codes are GB 32100, division codes GB/T 2260.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

CaseId = UUID


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A small immutable part of a case."""


class Line(StrEnum):
    """The two lines."""

    HOTLINE = "12345"
    POLICE = "110"


class Stage(StrEnum):
    """Where a case stands. The table of what may be done in each is `dispatcher.domain.lifecycle`."""

    RECEIVED = "received"  # 已受理,待人工判定
    RULED = "ruled"  # 已判定,待交办
    TRANSFERRED = "transferred"  # 转接中,待对方确认
    PASSED = "passed"  # 对方已受理
    HANDED_OVER = "handed-over"  # 已转办,待对方结果
    OFFERED = "offered"  # 并派认领中
    ASSIGNED = "assigned"  # 已派单,待签收
    SIGNED = "signed"  # 已签收,办理中
    PAUSED = "paused"  # 挂起
    RETURNING = "returning"  # 退单待审
    ADJUDICATING = "adjudicating"  # 待裁定
    REPLIED = "replied"  # 已答复,待审核
    APPROVED = "approved"  # 审核通过,待送达
    DELIVERED = "delivered"  # 已送达,待办结
    ANSWERED = "answered"  # 即时答复
    GUIDED = "guided"  # 已引导
    POLICE_RECEIVED = "police-received"  # 警单:接警
    UNIT_SENT = "unit-sent"  # 警单:已派警
    ARRIVED = "arrived"  # 警单:已到场
    FED_BACK = "fed-back"  # 警单:已反馈
    FOLLOWING = "following"  # 从属于主单
    CLOSED = "closed"  # 办结
    CALLED_BACK = "called-back"  # 已回访
    ARCHIVED = "archived"  # 归档
    MERGED = "merged"  # 已并单
    WITHDRAWN = "withdrawn"  # 诉求人撤回


FINISHED = frozenset({Stage.ARCHIVED, Stage.MERGED, Stage.WITHDRAWN, Stage.PASSED, Stage.GUIDED})
"""Stages in which nothing more is owed."""


class Result(StrEnum):
    """How a case ended (办理结果)."""

    SOLVED = "solved"
    PARTLY = "partly"
    NOT_SOLVED = "not-solved"
    UNREASONABLE = "unreasonable"
    ANSWERED = "answered"
    GUIDED = "guided"
    BY_PEER = "by-peer"
    WITHDRAWN = "withdrawn"


class Said(Record, frozen=True, kw_only=True):
    """A text of the case by its number: the words are erasable and not in the log.

    The store keeps a salted digest of them in the event's envelope; salt and words are erased together.
    """

    no: int


class SafeContact(Record, frozen=True, kw_only=True):
    """May we call or text the citizen, when and how (安全联系). ``calls``/``texts`` False: never."""

    calls: bool = True
    texts: bool = True
    from_hour: int = 0
    until_hour: int = 24
    neutral_name: bool = False  # do not say who is calling


class Matter(Record, frozen=True, kw_only=True):
    """What the case is about, as ruled or overridden by a person."""

    platform: str  # the line that should own it: 110, 12345, 119, 120, 122, other, none
    decision: str
    item: str
    clause: str = ""
    urgency: str = "general"
    category: str = ""
    kind: str = ""
    owners: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    danger: bool = False
    police_urgent: bool = False
    contested: bool = False
    confidence: float = 0.0
    about: str = ""  # kind of unit complained of, or a unit's code
    points: int = 1  # request points found in the text
    lists: str = ""  # short digest of the lists it was ruled under; a later release does not move it


class Hop(Record, frozen=True, kw_only=True):
    """One holder's stretch: every hour is charged to whoever held the case."""

    holder: str  # platform id or unit code
    since: datetime
    until: datetime | None = None
    why: str = ""


class Tier(Record, frozen=True, kw_only=True):
    """One step of sub-assignment (二次分派) down a unit's tree."""

    unit: str
    since: datetime
    signed: datetime | None = None
    replied: datetime | None = None
    days: int = 0  # working days of its own, 0: the policy's


class PeerLink(Record, frozen=True, kw_only=True):
    """The case's counterpart on another platform: both sides' numbers are kept."""

    platform: str
    number: str = ""
    case: UUID | None = None
    direction: str = "out"  # out: we passed it on; in: it came to us


class Extension(Record, frozen=True, kw_only=True):
    """A request for more time and what became of it. ``days`` are working days."""

    clock: str
    asked: datetime
    days: int
    by: str
    decided: datetime | None = None
    granted: bool = False


class ReturnAsked(Record, frozen=True, kw_only=True):
    """A return (退单): reason code, list item it cites, by which unit."""

    at: datetime
    unit: str
    reason: str
    item: str
    accepted: bool | None = None


class Pause(Record, frozen=True, kw_only=True):
    """A stop of the unit's clocks while the citizen owes material or an expert finding is pending."""

    why: str  # "material" or "finding"
    asked: datetime
    items: int = 0
    days: int = 5
    began: datetime | None = None
    ended: datetime | None = None


class Rating(Record, frozen=True, kw_only=True):
    """好差评: of the call and of the result, separate and voluntary, 1 (best) to 5 (12345) or 3 (110)."""

    call: int = 0
    result: int = 0
    scale: int = 5
    at: datetime
    verified: bool | None = None  # None: not looked at; True: the complaint was justified


class Personal(Record, frozen=True, kw_only=True):
    """Who the citizen is. Sealed under the case's own key; never in an event, a log or an outbox row."""

    caller: str = ""  # number that called
    contact: str = ""  # number to reach
    name: str = ""
    sex: str = ""
    address: str = ""
    extra: dict[str, str] = {}


class ReturnReason(StrEnum):
    """Legal reasons for a return (退单理由)."""

    NOT_OUR_POWER = "not-our-power"  # 非本单位法定职责
    NOT_OUR_AREA = "not-our-area"  # 非本辖区
    MISSING_FACTS = "missing-facts"  # 要素不全且联系不上诉求人
    SAME_MATTER = "same-matter"  # 同一事项正在办理
    LEGAL_CHANNEL = "legal-channel"  # 已进入诉讼、仲裁、复议、信访
