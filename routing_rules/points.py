"""What a text asks for: its kind, its single requests, and secrecy asked for in its own words."""

import itertools
import re

LONGEST_TEXT = 4_000
MOST_POINTS = 10
LONGEST_POINT = 160
SHORTEST_SEVERAL = 12  # what is shorter asks for one thing

# A search for alternatives that all begin with a fixed character jumps from one such character to the next and costs
# a few nanoseconds for each character; one that may begin with a class or a group is ten times as slow. So every
# alternative below is written out from its first character.
_NUMERAL = re.compile(r"[一二三四五六七八九十1-9①-⑩](?:[、,.)\uff09\uff0c\uff0e是]|(?<=[①-⑩]))")
_NUMBERED = re.compile(
    r"(?:^|[\s。;:,!?\uff1b\uff1a\uff0c\uff01\uff1f])(?:[一二三四五六七八九十]、|第[一二三四五六七八九十][、,\uff0c]|"
    r"[一二三四五六]是(?!否)|[1-9一二三四五六七八九十][)\uff09]|[1-9][、.\uff0e](?!\d))|"
    r"[(\uff08][1-9一二三四五六七八九十][)\uff09]|[①-⑩]"
)
_EDGE = re.compile(r"^[\s,\uff0c。;\uff1b、]+|[\s,\uff0c。;\uff1b、]+$")
_STOP = re.compile(r"[。!?;\n\uff01\uff1f\uff1b]")
_COMMA = re.compile(r"[,\uff0c]")
_STOPS = frozenset("。!?;\n\uff01\uff1f\uff1b")
_REQUEST = re.compile(
    r"请问|请求|恳请|希望|要求|建议|盼|望(?:有关|相关|政府|领导|尽快|能)|能否|能不能|可否|可不可以|为什么|为何|何时|"
    r"什么时候|怎么|如何|是否|有没有|投诉|举报|咨询|请(?!客)|帮(?:我|忙|助)|尽快|快来|\?|\uff1f"
)
_CONFIDENTIAL = re.compile(
    r"保密|保护(?:好)?我?的?(?:个人)?(?:信息|隐私|身份)|"
    + "|".join(
        rf"{denial}(?:把我|将我)?[^,,。]{{0,6}}(?:透露|泄露|公开|告诉(?:他|对方|别人))"
        for denial in ("不要", "不能", "别", "勿", "请勿", "千万别")
    )
    + r"|别说是我|不要说是我|怕(?:被)?(?:打击)?报复"
)
_ANONYMOUS = re.compile(
    r"匿名|不(?:想|愿|便|方便)(?:透露|留|说)[^,,。]{0,3}(?:姓名|名字|身份|名|电话|号码)|不留名|不具名|实名不方便"
)
_SAID = re.compile(r"举报|检举|揭发|线索|投诉|咨询|请问|建议")
_KINDS = {
    "举报": "举报",
    "检举": "举报",
    "揭发": "举报",
    "线索": "举报",
    "投诉": "投诉",
    "咨询": "咨询",
    "请问": "咨询",
    "建议": "建议",
}
_RANKS = ("举报", "投诉", "咨询", "建议")
_ASK = re.compile(
    r"想问|问一下|问下|了解一下|想知道|怎么办理|如何办理|需要(?:什么|哪些)|哪里办|什么(?:时候|条件|手续|材料|政策)"
)
_ADVISE = re.compile(
    r"呼吁|倡议|意见|希望(?:能)?(?:增加|增设|开通|设立|完善|取消|改进|优化)|能否(?:增加|增设|开通|设立)"
)
_COMPLAIN = re.compile(
    r"不作为|乱作为|乱收费|态度|推诿|扯皮|扰民|没人管|无人管|严重影响|欺骗|不合理|违规|违法|拖欠|为什么|为何|凭什么|太差|恶劣|不退|拒不"
)


def kind_of(text: str) -> str:
    """咨询, 求助, 投诉, 举报 or 建议, by the caller's own words; 求助 when none speaks."""
    head = text[:LONGEST_TEXT]
    if _SAID.search(head) is not None:
        said = _SAID.findall(head[:40]) or _SAID.findall(head)
        kinds = {_KINDS[word] for word in said}
        return next(kind for kind in _RANKS if kind in kinds)
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
    if len(whole) <= SHORTEST_SEVERAL:
        return (whole,) if whole else ()
    if len(_NUMERAL.findall(whole)) >= 2:
        marks = list(_NUMBERED.finditer(whole))
        if len(marks) >= 2:
            ends = [*[mark.start() for mark in marks[1:]], len(whole)]
            listed = (_EDGE.sub("", whole[mark.end() : end]) for mark, end in zip(marks, ends, strict=True))
            return tuple(point[:LONGEST_POINT] for point in listed if len(point) > 1)[:MOST_POINTS] or (
                whole[:LONGEST_POINT],
            )
    wanted = [request.start() for request in _REQUEST.finditer(whole)]
    if not wanted:
        return (whole[:LONGEST_POINT],)
    points: dict[str, None] = {}
    begin = at = 0
    for end in [*[stop.end() for stop in _STOP.finditer(whole)], len(whole)]:
        while at < len(wanted) and wanted[at] < begin:
            at += 1
        if at == len(wanted):
            break
        # A stop that follows another at once is no sentence.
        if wanted[at] < end and whole[begin] not in _STOPS:
            for start, until in _clauses(whole, begin, end, wanted[at:]):
                point = _EDGE.sub("", whole[start:until]) if until < end else whole[start:until].strip()
                if len(point) > 3:
                    points[point[:LONGEST_POINT]] = None
        begin = end
    return tuple(points)[:MOST_POINTS] or (whole[:LONGEST_POINT],)


def _clauses(whole: str, begin: int, end: int, wanted: list[int]) -> list[tuple[int, int]]:
    """A sentence as its single requests: each with what is said before it, the last with what follows."""
    inside = [place for place in wanted if place < end]
    cuts = [begin]
    for before, after in itertools.pairwise(inside):
        comma = _COMMA.search(whole, before, after)
        if comma is not None:
            cuts.append(comma.end())
    return list(zip(cuts, [*cuts[1:], end], strict=True))
