"""The Chinese and English words for stages, lamps, events and the like, as lists, trails and exports show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Words(NamedTuple):
    """One thing in both languages."""

    zh: str
    en: str


STAGES: Mapping[str, Words] = {
    "received": Words("已受理", "received"),
    "ruled": Words("已判定", "ruled"),
    "transferred": Words("转接中", "being transferred"),
    "passed": Words("对方已受理", "taken by the other side"),
    "handed-over": Words("已转办", "handed over"),
    "offered": Words("并派认领中", "offered for claim"),
    "assigned": Words("待签收", "assigned"),
    "signed": Words("办理中", "signed for"),
    "paused": Words("挂起", "paused"),
    "returning": Words("退单待审", "return asked"),
    "adjudicating": Words("待裁定", "to be adjudicated"),
    "replied": Words("已答复待审核", "replied"),
    "approved": Words("审核通过", "approved"),
    "delivered": Words("已送达", "delivered"),
    "answered": Words("即时答复", "answered at once"),
    "guided": Words("已引导", "guided"),
    "police-received": Words("已接警", "police: received"),
    "unit-sent": Words("已派警", "police: unit sent"),
    "arrived": Words("已到场", "police: arrived"),
    "fed-back": Words("已反馈", "police: fed back"),
    "following": Words("从属主单", "following"),
    "closed": Words("已办结", "closed"),
    "called-back": Words("已回访", "called back"),
    "archived": Words("已归档", "archived"),
    "merged": Words("已并单", "merged"),
    "withdrawn": Words("已撤回", "withdrawn"),
}

LAMPS: Mapping[str, Words] = {
    "": Words("绿灯", "green"),
    "amber": Words("黄灯", "amber"),
    "red": Words("红灯", "red"),
}

URGENCIES: Mapping[str, Words] = {
    "urgent": Words("紧急", "urgent"),
    "general": Words("一般", "general"),
    "complex": Words("复杂", "complex"),
    "joint": Words("多部门", "several departments"),
}

RESULTS: Mapping[str, Words] = {
    "solved": Words("已解决", "solved"),
    "partly": Words("部分解决", "partly solved"),
    "not-solved": Words("未解决", "not solved"),
    "unreasonable": Words("不合理诉求", "unreasonable"),
    "answered": Words("即时答复", "answered"),
    "guided": Words("引导", "guided"),
    "by-peer": Words("对方办理", "dealt with by the other side"),
    "withdrawn": Words("诉求人撤回", "withdrawn by the citizen"),
}

EVENTS: Mapping[str, Words] = {
    "case-registered": Words("登记受理", "registered"),
    "case-ruled": Words("按清单判定", "ruled by the lists"),
    "ruling-changed": Words("改判", "ruling changed"),
    "case-supplemented": Words("补充诉求", "more words about the matter"),
    "danger-raised": Words("升级为危险警情", "danger raised"),
    "assignment-due": Words("交办时限起算", "the platform must act on it"),
    "dispatch-due": Words("派警时限起算", "a police unit is awaited"),
    "passing-due": Words("转送时限起算", "it must be passed on"),
    "clocks-set": Words("时限更新", "deadlines set"),
    "milestone-reached": Words("时限节点到达", "a deadline milestone fell"),
    "transfer-started": Words("发起一键转接", "one-key transfer started"),
    "transfer-confirmed": Words("对方确认接转", "transfer confirmed"),
    "transfer-failed": Words("转接失败", "transfer failed"),
    "taker-agreed": Words("三方通话商定", "three-way call settled who takes it"),
    "hand-over-due": Words("转办对方平台", "hand-over order made"),
    "hand-over-delivered": Words("转办送达", "hand-over delivered"),
    "hand-over-failed": Words("转办未达", "hand-over failed"),
    "peer-result-reported": Words("对方平台反馈结果", "result from the other side"),
    "reflow-seen": Words("发现回流", "re-flow seen"),
    "case-guided": Words("引导至其他渠道", "guided to the right door"),
    "case-answered": Words("即时答复", "answered at once"),
    "case-assigned": Words("派单", "assigned"),
    "claim-offered": Words("并派待认领", "offered for claim"),
    "case-signed": Words("签收", "signed for"),
    "citizen-contacted": Words("联系诉求人", "citizen contacted"),
    "case-sub-assigned": Words("二次分派", "sub-assigned"),
    "sub-assignment-signed": Words("下级签收", "lower unit signed for it"),
    "sub-assignment-recalled": Words("收回二次分派", "sub-assignment recalled"),
    "sub-reply-submitted": Words("下级答复", "lower unit replied"),
    "sub-reply-sent-back": Words("退回下级答复", "lower unit's reply sent back"),
    "return-asked": Words("申请退单", "return asked for"),
    "return-accepted": Words("同意退单", "return accepted"),
    "return-refused": Words("不同意退单", "return refused"),
    "adjudication-due": Words("转入裁定", "adjudication due"),
    "case-adjudicated": Words("裁定", "adjudicated"),
    "extension-asked": Words("申请延期", "extension asked for"),
    "extension-decided": Words("延期审批", "extension decided"),
    "pause-asked": Words("申请挂起", "pause asked for"),
    "case-paused": Words("挂起", "paused"),
    "pause-refused": Words("不同意挂起", "pause refused"),
    "case-resumed": Words("恢复办理", "resumed"),
    "reply-submitted": Words("提交答复", "reply submitted"),
    "reply-approved": Words("答复审核通过", "reply approved"),
    "reply-sent-back": Words("答复退回", "reply sent back"),
    "reply-delivered": Words("答复送达诉求人", "reply delivered"),
    "case-closed": Words("办结", "closed"),
    "unreasonable-proposed": Words("不合理诉求初审", "proposed as unreasonable"),
    "unreasonable-refused": Words("不合理诉求复核不通过", "not found unreasonable"),
    "case-reopened": Words("重新办理", "reopened"),
    "callback-due": Words("待回访", "callback due"),
    "callback-tried": Words("回访一次", "callback tried"),
    "case-called-back": Words("回访完成", "called back"),
    "case-rated": Words("好差评", "rated"),
    "rating-contested": Words("差评待核实", "bad rating to be verified"),
    "rating-verified": Words("差评核实", "bad rating verified"),
    "case-urged": Words("催办", "urged"),
    "case-supervised": Words("督办", "supervised"),
    "case-attached": Words("并入主单", "attached to a parent"),
    "follower-joined": Words("并入从单", "a follower joined"),
    "parent-left": Words("脱离主单", "left its parent"),
    "follower-left": Words("从单脱离", "a follower left"),
    "case-merged": Words("合并", "merged"),
    "case-withdrawn": Words("诉求人撤回", "withdrawn"),
    "case-archived": Words("归档", "archived"),
    "police-unit-sent": Words("派警", "police unit sent"),
    "police-arrived": Words("到场", "police arrived"),
    "police-fed-back": Words("处警反馈", "police fed back"),
    "notice-failed": Words("通知未达", "a notice was not delivered"),
    "notice-diverted": Words("通知改道", "a notice went another way"),
    "notice-confirmed": Words("通知已确认", "a person confirmed hearing a notice"),
    "deadline-repaired": Words("时限修复", "a deadline was put back"),
    "deadline-quarantined": Words("时限隔离待查", "a deadline was set aside"),
    "repeat-seen": Words("重复来电", "the same number called before"),
    "surge-seen": Words("集中反映", "many report one event"),
    "legal-hold-set": Words("法定保全", "legal hold set"),
    "legal-hold-released": Words("解除保全", "legal hold released"),
    "personal-data-erased": Words("个人信息到期销毁", "personal data erased"),
    "self-dispatched": Words("系统自助派单", "assigned without a person"),
    "dispatch-recalled": Words("收回自助派单", "assignment without a person recalled"),
    "holder-relieved": Words("免除持单责任", "holder relieved"),
    "deadlines-moved": Words("日历更新,时限重算", "deadlines moved by a new calendar"),
}
"""Every kind of event by its word; a test holds this table to `dispatcher.domain.events`."""

FIELDS: Mapping[str, Words] = {
    "narrative": Words("诉求内容", "narrative"),
    "words": Words("说明", "words"),
    "reason": Words("理由", "reason"),
}


def of(table: Mapping[str, Words], key: str) -> Words:
    """The words of a key, or the key itself in both languages where the table has none."""
    return table.get(key, Words(key, key))
