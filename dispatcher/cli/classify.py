"""`liandong classify`: which line should own a text, why, and who is to be told; one answer for each line of input."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, TextIO

import msgspec

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.cli.progress import progress
from dispatcher.lists import (
    load_directory,
    load_organisation,
    load_places,
    load_recommender,
    load_rulebook,
    rulebook_files,
)
from routing_rules.match import rule
from routing_rules.recommend import Recommended, category_of, recommend
from routing_rules.ruling import Evidence, Hints, Line, Ruling

if TYPE_CHECKING:
    from routing_rules.directory import Directory
    from routing_rules.loader import Rulebook
    from routing_rules.model.scorer import Recommender
    from routing_rules.organisation import Organisation
    from routing_rules.places import Places

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_HOME = "630000"
_CHUNK = 1 << 16
_LONGEST_LINE = 8_000_000  # bytes; a line without end must not fill the memory
_ANSWERING = frozenset({"12345", "110", "119", "120", "122"})

_LINES = {
    "12345": "12345 政务服务便民热线",
    "110": "110 报警服务台",
    "119": "119 消防救援",
    "120": "120 医疗急救",
    "122": "122 交通事故报警",
    "other": "其他专门渠道",
    "none": "两个平台均不受理",
}
_DECISIONS = {
    "accept": "本平台受理",
    "transfer": "一键转接",
    "hand_over": "转办工单",
    "dual": "双线同时处置",
    "three_way": "三方通话商定",
    "guide": "引导至正确渠道",
    "human": "请人工判断",
}
_URGENCIES = {"urgent": "紧急", "general": "一般", "complex": "复杂", "joint": "多部门"}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is said about one text. Published as docs/cli/classify.schema.json; keys are only ever added.

    ``platform`` is the line that should own it, ``receiver`` the id of that line's platform for the place,
    ``decision`` what the asking line should do. ``place`` is the GB/T 2260 division found in the text, else the one
    asked from; ``question`` what the agent should ask first where the place is not close enough. ``units`` are codes
    (GB 32100) of the units that answer for ``owners`` there, the lead first, ``unit_names`` their names.
    ``confidence`` (0 to 1) is about the platform. ``evidence`` gives spans of the text.
    """

    platform: str
    receiver: str
    also: tuple[str, ...]
    danger: bool
    decision: str
    police_urgent: bool
    item: str
    clause: str
    layer: str
    list_version: str
    evidence: tuple[Evidence, ...]
    category: str
    kind: str
    urgency: str
    owners: tuple[str, ...]
    units: tuple[str, ...]
    unit_names: tuple[str, ...]
    place: str
    question: str
    contested: bool
    confidence: float
    reason: str
    guidance: str
    points: tuple[str, ...]
    about_unit: str
    confidential: bool
    anonymous: bool
    recommended: Recommended


class Judge:
    """The lists and the map of who is where, as seen from one line, division and instant.

    Args:
        at: aware; hours and dated items are read by it.
    """

    def __init__(
        self,
        book: Rulebook,
        places: Places,
        directory: Directory,
        organisation: Organisation,
        *,
        line: Line,
        division: str,
        at: datetime,
        hints: Hints,
        model: Recommender | None = None,
    ) -> None:
        self._rule = partial(rule, book=book, line=line, at=at, hints=hints)
        self._recommend = partial(recommend, book=book, model=model, at=at, hints=hints)
        self._places = places
        self._directory = directory
        self._organisation = organisation
        self._division = division
        self._at = at
        self._receivers: dict[tuple[str, str], tuple[str, str]] = {}
        self._units: dict[tuple[str, str], tuple[str, str]] = {}

    def answer(self, text: str) -> Answer:
        """The answer for any text at all."""
        place = self._places.best(text, self._division)
        ruling: Ruling = self._rule(text, division=place)
        recommended = self._recommend(text, ruling, division=place)
        receiver, question = self._receiver(ruling.platform, place)
        units = [
            unit
            for owner in ruling.owners
            if owner != ruling.about_unit and (unit := self._unit(owner, place))[0]
        ]
        return Answer(
            platform=ruling.platform,
            receiver=receiver,
            also=ruling.also,
            danger=ruling.danger,
            decision=ruling.decision.value,
            police_urgent=ruling.police_urgent,
            item=ruling.item,
            clause=ruling.clause,
            layer=ruling.layer,
            list_version=ruling.list_version,
            evidence=ruling.evidence,
            category=category_of(ruling, recommended),
            kind=ruling.kind,
            urgency=ruling.urgency.value,
            owners=ruling.owners,
            units=tuple(dict.fromkeys(code for code, _ in units)),
            unit_names=tuple(dict.fromkeys(name for _, name in units)),
            place=place,
            question=question,
            contested=ruling.contested,
            confidence=ruling.confidence,
            reason=ruling.reason,
            guidance=ruling.guidance,
            points=ruling.points,
            about_unit=ruling.about_unit,
            confidential=ruling.confidential,
            anonymous=ruling.anonymous,
            recommended=recommended,
        )

    def _receiver(self, platform: str, place: str) -> tuple[str, str]:
        if platform not in _ANSWERING:
            return "", ""
        key = (platform, place)
        if key not in self._receivers:
            found = self._directory.receiver(platform, place, self._at)
            self._receivers[key] = (found.platform_id, found.question)
        return self._receivers[key]

    def _unit(self, owner: str, place: str) -> tuple[str, str]:
        key = (owner, place)
        if key not in self._units:
            found = self._organisation.resolve(owner, place)
            self._units[key] = (found.code, found.name) if found is not None else ("", "")
        return self._units[key]


def register(subparsers: Subparsers) -> None:
    """Add `classify` to the command line."""
    parser = subparsers.add_parser(
        "classify",
        help="判定一段诉求由谁受理 / who should take a matter",
        description="判定一段诉求由谁受理。不给 TEXT 时逐行读标准输入,每行一个答案(空行也答)。/ "
        "Who should take a matter. Without TEXT, reads standard input and answers each line, the empty one too.",
    )
    parser.add_argument("text", nargs="?", metavar="TEXT", help="诉求原话 / what the caller said")
    parser.add_argument(
        "--line", choices=[line.value for line in Line], default="12345", help="从哪条线看 / the asking line"
    )
    parser.add_argument(
        "--division",
        default=_HOME,
        metavar="CODE",
        help=f"GB/T 2260 行政区划代码 / division (default {_HOME})",
    )
    parser.add_argument(
        "--at", metavar="ISO", help="时刻,须带时区,默认此刻 / instant with zone (default now)"
    )
    parser.add_argument(
        "--caller-gone",
        action="store_true",
        help="已挂断、不能转接 / the caller cannot be transferred any more",
    )
    parser.add_argument("--json", action="store_true", help="JSON 输出 / answer in JSON")
    add_config(parser)
    parser.set_defaults(handler=handler)


def handler(args: argparse.Namespace) -> int:
    """Answer on stdout. 0 when all was answered; 2 when an argument or the configuration cannot be used."""
    try:
        judge = _judge(args)
    except ExceptionGroup as group:
        first = "\n".join(str(fault) for fault in group.exceptions[:10])
        words = f"清单或数据有误,共 {len(group.exceptions)} 处(liandong rules check 列出全部) / the data are refused:\n"
        return refuse(words + first)
    except (_Wrong, OSError, ValueError) as fault:
        return refuse(str(fault))
    write = _write_json if args.json else _write_words
    if args.text is not None:
        write(judge.answer(args.text), args.text, sys.stdout)
        return 0
    with progress("classify", _size(sys.stdin), "B") as bar:
        for lines, size in _arriving(sys.stdin.buffer):
            for line in lines:
                write(judge.answer(line), line, sys.stdout)
            sys.stdout.flush()  # whoever feeds us line by line wants its answer now
            bar.update(size)
    return 0


class _Wrong(Exception):
    """An argument cannot be used; the words say which and what to write."""


def _judge(args: argparse.Namespace) -> Judge:
    data = settings_of(args).data
    gc.disable()  # what is loaded here is never garbage: looking for some costs an eighth of a small command's time
    places = load_places(data)
    if not places.knows(args.division):
        raise _Wrong(f"--division {args.division!r}: 没有这个区划 / use a GB/T 2260 code such as 630100")
    judge = Judge(
        load_rulebook(rulebook_files(data), data.cache),
        places,
        load_directory(data, places),
        load_organisation(data, places),
        line=Line(args.line),
        division=args.division,
        at=_instant(args.at),
        hints=Hints(caller_gone=args.caller_gone),
        model=load_recommender(data.model),
    )
    gc.freeze()
    gc.enable()
    return judge


def _instant(written: str | None) -> datetime:
    if written is None:
        from dispatcher.runtime.hands import Hands  # the one place that reads the wall clock

        return Hands().wall()
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise _Wrong(
            f"--at {written!r}: 须为带时区的时刻 / give an instant with its zone: 2026-02-14T10:00:00+08:00"
        )
    return at


def _arriving(stream: BinaryIO) -> Iterator[tuple[list[str], int]]:
    """Lines as they arrive, in bunches, each with its size in bytes. A last line without an end counts."""
    rest = b""
    while chunk := os.read(stream.fileno(), _CHUNK):
        size = len(chunk)
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            whole.append(rest[:_LONGEST_LINE])
            rest = b""
        yield [_text(line) for line in whole], size
    if rest:
        yield [_text(rest)], 0


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")


def _size(stream: TextIO) -> int | None:
    """How many bytes there will be, where that is known."""
    try:
        return os.fstat(stream.fileno()).st_size or None
    except OSError:
        return None


def _write_json(answer: Answer, _text: str, out: TextIO) -> None:
    out.write(msgspec.json.encode(answer).decode())
    out.write("\n")


def _shares(said: Recommended) -> str:
    return "、".join(f"{one.label} {one.probability:.0%}" for one in (*said.categories, *said.units[:1]))


def _write_words(answer: Answer, text: str, out: TextIO) -> None:
    shown = text if len(text) <= 60 else text[:60] + "…"
    rows = [
        f"【{_LINES[answer.platform]}】{_DECISIONS[answer.decision]}"
        + ("  ⚠ 涉险,先救援" if answer.danger else "")
    ]
    if shown:
        rows.insert(0, f"“{shown}”")
    if answer.receiver:
        rows.append(f"  接收平台  {answer.receiver}")
    if answer.also:
        rows.append(f"  同时通知  {'、'.join(answer.also)}")
    rows.append(f"  依据      {answer.item} {answer.clause}")
    rows.append(f"  理由      {answer.reason}")
    if answer.guidance:
        rows.append(f"  引导      {answer.guidance}")
    if answer.unit_names:
        rows.append(f"  承办      {'、'.join(answer.unit_names)}")
    rows.append(
        f"  类别      {answer.category or '—'} · {answer.kind} · {_URGENCIES[answer.urgency]} · 把握 {answer.confidence:.0%}"
    )
    if answer.recommended.differs:
        rows.append(f"  模型另有看法 {_shares(answer.recommended)}")
    if answer.question:
        rows.append(f"  请先问    {answer.question}")
    rows.append(f"  清单版本  {answer.list_version[:12]}")
    out.write("\n".join(rows) + "\n")
