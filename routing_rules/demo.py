"""The demonstration: its organisation built from the gazetteer, its messages, and how its departments act.

Everything in it is invented except the divisions: codes are well-formed but synthetic (their body begins with DEM),
people are called by the turn they take, telephone numbers are fictional (555…). It is the same on every build.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec

from routing_rules.organisation import KINDS, Organisation, Person, Rank, Roster, Unit
from routing_rules.places import Places
from routing_rules.ruling import Urgency
from routing_rules.strict import DataFault, read_row, refuse, tables_of
from routing_rules.unit_codes import division_code_fault, unit_code


class _Form(msgspec.Struct, frozen=True):
    """How a kind looks: ``name`` after the division's own, its other name at the province, and whether counties have
    one. ``registered`` are the first two characters of the code: 11 organ, 12 institution, 51 association, 91 company."""

    name: str
    province: str = ""
    counties: bool = True
    registered: str = "11"


_FORMS: dict[str, _Form] = {
    "urban-management": _Form("城市管理综合执法局"),
    "housing": _Form("住房和城乡建设局", "住房和城乡建设厅"),
    "market": _Form("市场监督管理局"),
    "human-resources": _Form("人力资源和社会保障局", "人力资源和社会保障厅"),
    "education": _Form("教育局", "教育厅"),
    "health": _Form("卫生健康局", "卫生健康委员会"),
    "ecology": _Form("生态环境局", "生态环境厅"),
    "transport": _Form("交通运输局", "交通运输厅"),
    "traffic-police": _Form("公安局交通警察大队", "公安厅交通警察总队"),
    "public-security": _Form("公安局", "公安厅"),
    "civil-affairs": _Form("民政局", "民政厅"),
    "justice": _Form("司法局", "司法厅"),
    "agriculture": _Form("农业农村局", "农业农村厅"),
    "water": _Form("水利局", "水利厅"),
    "natural-resources": _Form("自然资源局", "自然资源厅"),
    "forestry": _Form("林业和草原局"),
    "emergency": _Form("应急管理局", "应急管理厅"),
    "culture": _Form("文化和旅游局", "文化和旅游厅"),
    "development-reform": _Form("发展和改革局", "发展和改革委员会"),
    "commerce": _Form("商务局", "商务厅", counties=False),
    "tax": _Form("税务局"),
    "medical-insurance": _Form("医疗保障局"),
    "housing-fund": _Form("住房公积金管理中心", counties=False, registered="12"),
    "big-data": _Form("政务服务管理局"),
    "disabled-veterans": _Form("退役军人事务局", "退役军人事务厅"),
    "ethnic-religious": _Form("民族宗教事务局", "民族宗教事务委员会"),
    "fire-rescue": _Form("消防救援大队", "消防救援总队"),
    "petition": _Form("信访局"),
    "supervision": _Form("人民政府督查室"),
    "government": _Form("人民政府"),
    "power": _Form("供电公司", "电力公司", registered="91"),
    "water-supply": _Form("供水公司", "供排水集团", registered="91"),
    "gas": _Form("燃气公司", "燃气集团", registered="91"),
    "heating": _Form("供热公司", "供热集团", registered="91"),
    "telecom": _Form("通信行业服务办公室", "通信管理局", counties=False),
    "post": _Form("邮政管理局", counties=False),
    "public-transport": _Form("公共交通公司", "公共交通集团", registered="91"),
    "railway": _Form("铁路联系办公室", counties=False, registered="12"),
    "women-federation": _Form("妇女联合会", registered="51"),
    "disabled-federation": _Form("残疾人联合会", registered="51"),
    "union": _Form("总工会", registered="51"),
    "finance": _Form("金融工作办公室", "金融监督管理局", counties=False),
    "sports": _Form("体育局", counties=False),
    "statistics": _Form("统计局", counties=False),
    "science-industry": _Form("工业和信息化局", "工业和信息化厅"),
    "tobacco": _Form("烟草专卖局", counties=False),
}

# Counties whose bureaus have sections and stations below them, so that an order can be passed down twice more; the
# names are those of townships there.
_DEEP: dict[str, tuple[str, ...]] = {
    "630106": ("多巴镇", "鲁沙尔镇", "上新庄镇"),
    "630121": ("桥头镇", "长宁镇", "塔尔镇"),
    "630222": ("川口镇", "古鄯镇", "马场垣乡"),
    "632521": ("恰卜恰镇", "倒淌河镇", "龙羊峡镇"),
    "632701": ("隆宝镇", "下拉秀镇", "仲达乡"),
    "632801": ("郭勒木德镇", "唐古拉山镇", "大格勒乡"),
}
_DEEP_KINDS = (
    "urban-management",
    "housing",
    "market",
    "agriculture",
    "natural-resources",
    "water",
    "transport",
)
_SECTIONS = ("综合科", "执法大队")

# The government and the police come before those of the same division that report to them.
_SUPERIORS_FIRST = tuple(dict.fromkeys(("government", "public-security", *_FORMS)))

_PREFECTURE_NAMES = {"公安局交通警察大队": "公安局交通警察支队", "消防救援大队": "消防救援支队"}


def demo_organisation(places: Places) -> Organisation:
    """The demonstration's organisation for a gazetteer: about 2,300 units, deterministic, in well under 50 ms."""
    return Organisation(_units(places), places)


def _units(places: Places) -> Iterator[Unit]:
    home = places.home
    numbers: dict[str, int] = {}  # area code → fictional numbers given out
    codes: dict[tuple[str, str], str] = {}
    order = [home]
    for prefecture in places.prefectures():
        order += (prefecture, *places.counties(prefecture))
    for division in order:
        level = places.division(division).level
        area = places.phone_area(division)
        name = places.name(division)
        upper = places.chain(division)[1] if division != home else ""
        for kind in _SUPERIORS_FIRST:
            form = _FORMS[kind]
            if level == "county" and not form.counties:
                continue
            code = codes[kind, division] = _code(form.registered, division, kind, 0)
            yield Unit(
                code=code,
                name=name + _title(form, level),
                kind=kind,
                division=division,
                parent=_parent(kind, division, upper, codes),
                platform=_platform(kind, level, division),
                roster=_roster(area, numbers),
            )
            if kind in _DEEP_KINDS and division in _DEEP:
                yield from _below(code, name + form.name, kind, division, area, numbers)
        for place, township in enumerate(_DEEP.get(division, ()), start=1):
            yield Unit(
                code=_code("11", division, "government", place),
                name=f"{name}{township}人民政府",
                kind="government",
                division=division,
                parent=codes["government", division],
                roster=_roster(area, numbers),
                rank=Rank.STATION,
            )


def _below(
    bureau: str, name: str, kind: str, division: str, area: str, numbers: dict[str, int]
) -> Iterator[Unit]:
    """A county bureau's sections, and below the last of them, which works outdoors, a station in each township."""
    section = ""
    for serial, title in enumerate(_SECTIONS, start=1):
        section = _code("11", division, kind, serial)
        yield Unit(
            code=section,
            name=name + title,
            kind=kind,
            division=division,
            parent=bureau,
            roster=_roster(area, numbers),
            rank=Rank.SECTION,
        )
    for serial, township in enumerate(_DEEP[division], start=len(_SECTIONS) + 1):
        yield Unit(
            code=_code("12", division, kind, serial),
            name=f"{name}{township}站",
            kind=kind,
            division=division,
            parent=section,
            roster=_roster(area, numbers),
            rank=Rank.STATION,
        )


def _title(form: _Form, level: str) -> str:
    if level == "province":
        return form.province or form.name
    return _PREFECTURE_NAMES.get(form.name, form.name) if level == "prefecture" else form.name


def _parent(kind: str, division: str, upper: str, codes: dict[tuple[str, str], str]) -> str:
    if kind == "traffic-police":
        return codes["public-security", division]
    if upper:
        return codes[kind, upper]
    return "" if kind == "government" else codes["government", division]


def _platform(kind: str, level: str, division: str) -> str:
    if kind == "public-security":
        return f"110-{division}"
    return f"12345-{division}" if kind == "big-data" and level != "county" else ""


_NUMBER_OF_KIND = {kind: number for number, kind in enumerate(KINDS, start=1)}


def _code(registered: str, division: str, kind: str, serial: int) -> str:
    return unit_code(registered, division, f"DEM{_NUMBER_OF_KIND[kind]:02d}{serial:03d}")


def _roster(area: str, numbers: dict[str, int]) -> Roster:
    first = numbers.get(area, 0)
    numbers[area] = first + 5
    phone = [f"{area}-555{number:04d}" for number in range(first, first + 5)]
    return Roster(
        phone=phone[0],
        leaders=(Person(name="值班负责人甲", phone=phone[1]), Person(name="值班负责人乙", phone=phone[2])),
        deputies=(Person(name="值班副职甲", phone=phone[3]), Person(name="值班副职乙", phone=phone[4])),
    )


# ---- the messages --------------------------------------------------------------------------------------------


class DemoMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message of the demonstration. ``line`` is where it comes in, ``platform`` the line that should own it
    (12345, 110, 119, 120, 122, other, none); messages with the same ``event`` tell of one event, "" of none other."""

    id: str
    line: str
    division: str
    kind: str
    platform: str
    title: str
    text: str
    channel: str = "phone"
    danger: bool = False
    event: str = ""


_MESSAGE_WORDS: dict[str, tuple[str, ...]] = {
    "line": ("12345", "110"),
    "kind": ("咨询", "求助", "投诉", "举报", "建议"),
    "channel": ("phone", "web", "wechat", "app", "sms"),
    "platform": ("12345", "110", "119", "120", "122", "other", "none"),
}


def demo_messages(content: bytes) -> tuple[DemoMessage, ...]:
    """The messages of ``data/demo/messages.toml``, in its order. Raises ExceptionGroup of DataFault, all at once."""
    faults: list[DataFault] = []
    tables = tables_of("messages", content, {"schema": str, "message": list}, faults)
    _check_schema("messages", tables["schema"], "demo-messages-1", faults)
    found: dict[str, DemoMessage] = {}
    for where, raw in tables["message"]:
        message = read_row(DemoMessage, raw, where, faults)
        if message is None:
            continue
        if message.id in found:
            faults.append(DataFault(where, "id", message.id, "is listed twice; ids are unique"))
        for field, known in _MESSAGE_WORDS.items():
            value = getattr(message, field)
            if value not in known:
                faults.append(DataFault(where, field, value, f"is one of {', '.join(known)}"))
        if fault := division_code_fault(message.division):
            faults.append(DataFault(where, "division", message.division, fault))
        if not message.text:
            faults.append(DataFault(where, "text", "", "a message says something"))
        found[message.id] = message
    refuse("demonstration messages", faults)
    return tuple(found.values())


# ---- how departments, platforms and citizens act ---------------------------------------------------------------


class Delay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A delay to be drawn from a triangle between ``least`` and ``most`` with its peak at ``usual``: working time, or
    the clock's own when ``natural``."""

    least: timedelta
    usual: timedelta
    most: timedelta
    natural: bool = False


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How cases of one urgency class are handled in the demonstration. Shares are 0 to 1; each ``*_after`` counts from
    the event before it. The caller draws with a random.Random of its own seed; nothing is drawn in here."""

    urgency: Urgency
    sign_after: Delay  # assigned → signed
    unsigned_share: float  # left unsigned: deemed signed at the limit, or rung up when urgent
    contact_after: Delay  # signed → citizen contacted
    contact_share: float
    reply_after: Delay  # signed → reply submitted, when in time
    late_reply_share: float
    late_by: Delay  # the limit → reply submitted, when late
    return_share: float  # 退单
    return_after: Delay  # assigned → return asked for
    second_return_share: float  # of those returned once: the next holder returns too
    return_accepted_share: float
    sub_assign_share: float  # 二次分派
    sub_assign_after: Delay  # signed → assigned down the tree
    extension_share: float
    extension_before_limit: Delay  # asked for this long before the limit
    extension_days: int  # working days asked for
    extension_granted_share: float
    extension_silence_share: float  # nobody decides; the rest is refused
    material_share: float  # the citizen owes material
    material_supplied_share: float
    material_after: Delay  # asked → supplied
    sent_back_share: float  # the platform sends the reply back
    review_after: Delay  # reply submitted → approved or sent back
    solved_share: float
    partly_share: float
    unreasonable_share: float  # the rest is not solved
    callback_after: Delay  # closed → called
    reached_share: float  # each attempt
    rated_share: float  # of those reached
    satisfaction: tuple[float, float, float, float, float]  # very satisfied … very dissatisfied
    redo_share: float  # of the dissatisfied: with cause
    urge_share: float  # the citizen calls again while it is open


def demo_behaviour(content: bytes) -> dict[Urgency, Behaviour]:
    """The rows of ``data/demo/behaviour.toml``, one for every urgency. Raises ExceptionGroup of DataFault, all at once."""
    faults: list[DataFault] = []
    tables = tables_of("behaviour", content, {"schema": str, "class": list}, faults)
    _check_schema("behaviour", tables["schema"], "demo-behaviour-1", faults)
    found: dict[Urgency, Behaviour] = {}
    for where, raw in tables["class"]:
        row = read_row(Behaviour, raw, where, faults)
        if row is None:
            continue
        if row.urgency in found:
            faults.append(
                DataFault(where, "urgency", row.urgency.value, "has a row already; one for each class")
            )
        found[row.urgency] = row
        _check_behaviour(where, row, faults)
    if not faults:
        faults.extend(
            DataFault("behaviour", "urgency", urgency.value, "has no row; one for each class")
            for urgency in Urgency
            if urgency not in found
        )
    refuse("demonstration behaviour", faults)
    return found


def _check_behaviour(where: str, row: Behaviour, faults: list[DataFault]) -> None:
    for field in msgspec.structs.fields(row):
        value = getattr(row, field.name)
        if isinstance(value, Delay) and not timedelta(0) <= value.least <= value.usual <= value.most:
            faults.append(DataFault(where, field.name, str(value), "needs 0 ≤ least ≤ usual ≤ most"))
        if isinstance(value, float) and not 0 <= value <= 1:
            faults.append(DataFault(where, field.name, value, "is a share from 0 to 1"))
    if row.extension_days < 1:
        faults.append(DataFault(where, "extension_days", row.extension_days, "is at least one working day"))
    sums = {
        "satisfaction": (sum(row.satisfaction), True),
        "solved_share": (row.solved_share + row.partly_share + row.unreasonable_share, False),
        "extension_granted_share": (row.extension_granted_share + row.extension_silence_share, False),
    }
    for name, (total, whole) in sums.items():
        # binary fractions: 0.42 + 0.30 + … is 1 only nearly
        if total > 1 + 1e-9 or (whole and total < 1 - 1e-9):
            faults.append(
                DataFault(where, name, round(total, 6), "the shares that belong together add up to 1")
            )


def _check_schema(name: str, stated: list[tuple[str, Any]], schema: str, faults: list[DataFault]) -> None:
    if [value for _, value in stated] != [schema]:
        faults.append(DataFault(name, "schema", [value for _, value in stated], f'write schema = "{schema}"'))
