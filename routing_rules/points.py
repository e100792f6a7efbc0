"""What a text asks for: its kind, its single requests, and secrecy asked for in its own words."""

import re

LONGEST_TEXT = 4_000
MOST_POINTS = 10
LONGEST_POINT = 160

_NUMBERED = re.compile(
    r"(?:^|[\s。;;::,,!?!?])(?:[一二三四五六七八九十]、|第[一二三四五六七八九十][、,,]|[(（]?[1-9一二三四五六七八九十][)）]|[1-9][、..](?!\d)|[①-⑩])"
)
_EDGE = re.compile(r"^[\s,,。;;、]+|[\s,,。;;、]+$")
_SENTENCE = re.compile(r"[^。!?!?;;\n]+[。!?!?;;\n]?")
_REQUEST = re.compile(
    r"请问|请求|恳请|希望|要求|建议|盼|望(?:有关|相关|政府|领导|尽快|能)|能否|能不能|可否|可不可以|为什么|为何|何时|"
    r"什么时候|怎么|如何|是否|有没有|投诉|举报|咨询|请(?!客)|帮(?:我|忙|助)|尽快|快来|[??]"
)
_CONFIDENTIAL = re.compile(
    r"保密|保护(?:好)?我?的?(?:个人)?(?:信息|隐私|身份)|(?:不要|别|不能|勿|请勿|千万别)(?:把我|将我)?[^,,。]{0,6}(?:透露|泄露|公开|告诉(?:他|对方|别人))|"
    r"别说是我|不要说是我|怕(?:被)?(?:打击)?报复"
)
_ANONYMOUS = re.compile(
    r"匿名|不(?:想|愿|便|方便)(?:透露|留|说)[^,,。]{0,3}(?:姓名|名字|身份|名|电话|号码)|不留名|不具名|实名不方便"
)
_ASK = re.compile(
    r"请问|咨询|想问|问一下|问下|了解一下|想知道|怎么办理|如何办理|需要(?:什么|哪些)|哪里办|什么(?:时候|条件|手续|材料|政策)"
)
_REPORT = re.compile(r"举报|检举|揭发|线索")
_ADVISE = re.compile(
    r"建议|呼吁|倡议|意见|希望(?:能)?(?:增加|增设|开通|设立|完善|取消|改进|优化)|能否(?:增加|增设|开通|设立)"
)
_COMPLAIN = re.compile(
    r"投诉|不作为|乱作为|乱收费|态度|推诿|扯皮|扰民|没人管|无人管|严重影响|欺骗|不合理|违规|违法|拖欠|为什么|为何|凭什么|太差|恶劣|不退|拒不"
)


def kind_of(text: str) -> str:
    """咨询, 求助, 投诉, 举报 or 建议, by the caller's own words; 求助 when none speaks."""
    head = text[:LONGEST_TEXT]
    top = head[:40]
    for part in (top, head):
        if _REPORT.search(part):
            return "举报"
        if "投诉" in part:
            return "投诉"
        if "咨询" in part or "请问" in part:
            return "咨询"
        if "建议" in part:
            return "建议"
    if _ASK.search(head):
        return "咨询"
    if _ADVISE.search(head):
        return "建议"
    return "投诉" if _COMPLAIN.search(head) else "求助"


def asked_secrecy(text: str) -> tuple[bool, bool]:
    """Whether the words ask to be kept confidential, and whether they ask for anonymity."""
    head = text[:LONGEST_TEXT]
    anonymous = _ANONYMOUS.search(head) is not None
    return anonymous or _CONFIDENTIAL.search(head) is not None, anonymous


def asks(text: str) -> tuple[str, ...]:
    """The single requests of a text, so that a reply can be held against each; the text itself if one."""
    whole = text[:LONGEST_TEXT].strip()
    if len(whole) <= 40:
        return (whole,) if whole else ()
    starts = [mark.end() for mark in _NUMBERED.finditer(whole)]
    if len(starts) >= 2:
        ends = [*[mark.start() for mark in _NUMBERED.finditer(whole)][1:], len(whole)]
        listed = (_EDGE.sub("", whole[start:end]) for start, end in zip(starts, ends, strict=True))
        return tuple(point[:LONGEST_POINT] for point in listed if len(point) > 1)[:MOST_POINTS] or (
            whole[:LONGEST_POINT],
        )
    asked = [
        s
        for sentence in _SENTENCE.findall(whole)
        if _REQUEST.search(sentence) and len(s := sentence.strip()) > 3
    ]
    return tuple(dict.fromkeys(point[:LONGEST_POINT] for point in asked))[:MOST_POINTS] or (
        whole[:LONGEST_POINT],
    )
