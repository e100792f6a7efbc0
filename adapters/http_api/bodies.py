"""From command classes to request bodies: one mechanism for all, so that a new command is an endpoint by being there."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, Union, get_args, get_origin
from uuid import UUID

import msgspec
import pydantic
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from dispatcher.domain.stream import Command

MOST_WORDS = 20_000
MOST_CODE = 200
MOST_ENTRIES = 100
_PLAIN = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
_ONE_LINE = r"^[^\x00-\x1f\x7f]*$"
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}:\d{2})?")
_LONG = frozenset({"words", "reason", "text"})

WORDS: Mapping[str, str] = {
    "words": "文字说明 / what is said about it",
    "reason": "理由 / why",
    "title": "标题 / title",
    "platform": "平台编号,如 12345-630100 / platform id",
    "division": "行政区划代码(GB/T 2260) / division code",
    "channel": "渠道 / channel",
    "received": "收到时刻,须带时区 / when it came, with zone",
    "first_received": "对方平台首次受理时刻 / first receipt on the other platform",
    "first_platform": "首次受理的平台 / platform of the first receipt",
    "personal": "诉求人信息,加密另存 / the citizen; kept encrypted, apart",
    "anonymous": "匿名 / anonymous",
    "confidential": "保密 / confidential",
    "wants_reply": "要求回复 / wants a reply",
    "safe_contact": "安全联系 / whether and when we may call or text",
    "hints": "坐席提示 / what the desk knows beside the words",
    "call": "通话编号 / id of the call",
    "peer_platform": "对方平台 / the other platform",
    "peer_number": "对方单号 / number on the other platform",
    "peer_case": "对方诉求编号 / case id on the other platform",
    "to": "目标平台 / the platform it goes to",
    "lead": "主办单位(统一社会信用代码) / lead unit, GB 32100 code",
    "co": "协办单位 / co-handlers",
    "unit": "单位(统一社会信用代码) / unit, GB 32100 code",
    "units": "单位 / units",
    "urgency": "时限类别 / class of the time limit",
    "result": "办理结果 / result",
    "days": "工作日数 / working days",
    "item": "清单事项编号 / item of the responsibility list",
    "duty_item": "履职事项清单条目 / item of the township's duty list",
    "other": "另一诉求 / the other case",
    "number": "单号 / number",
    "at": "时刻,须带时区 / instant, with zone",
}


def _instant(value: object) -> object:
    """Only what RFC 3339 writes is an instant: no bare numbers, no dates."""
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        return value
    raise PydanticCustomError("datetime_parsing", "not an instant")


def _reckoned(value: datetime) -> datetime:
    """Only what still has a date in UTC is an instant: at the ends of the calendar a zone leads beyond them."""
    try:
        value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("datetime_parsing", "not an instant") from None
    return value


# Strictness is ours here: pydantic's own would refuse the text that a validator before it has seen.
Instant = Annotated[
    pydantic.AwareDatetime,
    Field(strict=False),
    pydantic.BeforeValidator(_instant, json_schema_input_type=pydantic.AwareDatetime),
    pydantic.AfterValidator(_reckoned),
]
LongText = Annotated[str, Field(max_length=MOST_WORDS, pattern=_PLAIN)]
Code = Annotated[str, Field(max_length=MOST_CODE, pattern=_ONE_LINE)]


class Body(BaseModel):
    """Base of all bodies: nothing unknown, nothing guessed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def model_of(
    struct: type[msgspec.Struct],
    *,
    leave_out: frozenset[str] = frozenset(),
    optional: frozenset[str] = frozenset(),
    defaults: Mapping[str, object] = types.MappingProxyType({}),
    name: str = "",
) -> type[BaseModel]:
    """The body for a struct: its fields but those that the edge itself knows, with the same defaults.

    ``optional`` names texts that the struct requires and the edge fills in when they are left out; ``defaults`` are
    what the edge fills in instead of the struct's own.
    """
    fields: dict[str, Any] = {}
    for field in msgspec.structs.fields(struct):
        if field.name in leave_out:
            continue
        annotation = _annotation(field.type, field.name)
        words = WORDS.get(field.name)
        if field.name in optional:
            fields[field.name] = (annotation, Field(default="", description=words))
        elif field.required:
            fields[field.name] = (annotation, Field(description=words))
        elif field.default_factory is not msgspec.NODEFAULT:
            fields[field.name] = (annotation, Field(default_factory=field.default_factory, description=words))
        else:
            default = defaults.get(field.name, field.default)
            if isinstance(default, msgspec.Struct):
                # A factory, because pydantic would copy a default that is a model at every request.
                fields[field.name] = (annotation, Field(default_factory=annotation, description=words))
                continue
            fields[field.name] = (annotation, Field(default=default, description=words))
    made: type[BaseModel] = pydantic.create_model(
        name or struct.__name__, __base__=Body, __doc__=(struct.__doc__ or "").strip(), **fields
    )
    return made


def command_of(cls: type[Command], body: BaseModel, **known: object) -> Command:
    """The command that a body asks for; ``known`` are the fields the edge fills in.

    Raises:
        msgspec.ValidationError: the struct's own bounds refuse it.
    """
    return msgspec.convert({**body.model_dump(exclude_unset=True), **known}, cls)


def instants_of(body: BaseModel, path: str = "") -> list[tuple[str, datetime]]:
    """Every instant in a body with its path, for the check against the clock."""
    found: list[tuple[str, datetime]] = []
    for name in type(body).model_fields:
        value = getattr(body, name)
        if isinstance(value, datetime):
            found.append((path + name, value))
        elif isinstance(value, BaseModel):
            found += instants_of(value, f"{path}{name}.")
    return found


_nested: dict[type[msgspec.Struct], type[BaseModel]] = {}


def _annotation(kind: Any, name: str) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return Union[tuple(_annotation(arg, name) for arg in get_args(kind))]  # noqa: UP007 - built at run time
    if origin is Annotated:
        return _annotation(get_args(kind)[0], name)
    if origin is tuple:
        inside: Any = _annotation(get_args(kind)[0], name)
        return Annotated[tuple.__class_getitem__((inside, ...)), Field(max_length=MOST_ENTRIES)]
    if origin is dict:
        return Annotated[dict[Code, Code], Field(max_length=MOST_ENTRIES)]
    if kind is str:
        return LongText if name in _LONG else Code
    if kind is datetime:
        return Instant
    if kind is int:
        return Annotated[int, Field(ge=0, le=10_000)]
    if kind in (bool, UUID, float, type(None)):
        return kind
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind not in _nested:
            _nested[kind] = model_of(kind)
        return _nested[kind]
    raise TypeError(f"field {name}: a body cannot hold {typing.cast(object, kind)!r}")
