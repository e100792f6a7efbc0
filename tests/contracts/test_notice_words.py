"""The words of notices: each template on each channel in each language, with nothing in them that does not belong."""

from __future__ import annotations

import ast
import inspect
import string
from collections.abc import Iterator
from typing import get_args
from uuid import UUID

import pytest

from adapters.notice import words as w
from adapters.notice.compose import Carried
from adapters.notice.sms_text import count
from adapters.notice.voice import Voice
from dispatcher.domain import events as e
from dispatcher.domain import plan as planning
from dispatcher.domain.effects import AlertLine, Notify, Recipient, TellCitizen
from dispatcher.domain.values import Personal, SafeContact
from dispatcher.views.outgoing import Outgoing
from tests.support.world import World, library, unit_of

KEY = UUID("3d0f7c7a-0000-4000-8000-000000000001")
NUMBER = "12345-630100-2026-0000007"
UNIT = unit_of("urban-management")
CHINESE, ENGLISH = Voice(language="zh-CN"), Voice(language="en", sign="Liandong")

ALLOWED = {
    "notify": {"number", "clock", "rung", "level", "template"},
    "citizen": {"number", "said"},
    "alert": {"number", "line"},
    "subject": {"number"},
    "sms": {"sign", "body", "line"},
    "phone": {"sign", "body", "key", "year", "count"},
}
"""What words may be filled with: no name, no number of a citizen, no address, no text but a citizen's own answer."""


def words_of() -> Iterator[tuple[str, str]]:
    for message in (*w.NOTIFY.values(), w.AMBER, w.LIMIT, w.RUNG, w.OTHER):
        yield "notify", message
    for message in (*w.CITIZEN.values(), w.NEUTRAL):
        yield "citizen", message
    for message in w.ALERT.values():
        yield "alert", message
    for message in w.SUBJECTS.values():
        yield "subject", message
    for channel, messages in w.CHANNEL_WORDS.items():
        for message in messages:
            yield channel, message


def rungs() -> Iterator[Notify]:
    """A notice for each milestone of each ladder of the packaged policy."""
    for clock in library().policy.clocks:
        for ladder in {limit.ladder for limit in clock.limits} - {""}:
            found = library().policy.ladder(ladder)
            assert found is not None
            for milestone, level in [
                ("amber", 0),
                ("limit", 1),
                *((f"rung:{r.id}", r.level) for r in found.rungs),
            ]:
                yield Notify(
                    case=KEY,
                    number=NUMBER,
                    to=Recipient(role="unit-head", unit=UNIT),
                    template=f"{clock.id}.{milestone}",
                    clock=clock.id,
                    milestone=milestone,
                    level=level,
                )


def effects() -> Iterator[Carried]:
    to = Recipient(role="unit-head", unit=UNIT)
    for template in w.NOTIFY:
        yield Notify(case=KEY, number=NUMBER, to=to, template=template)
    yield from rungs()
    for line in ("119", "utility:water"):
        yield AlertLine(case=KEY, number=NUMBER, line=line, target=UNIT)


def planned() -> set[str]:
    """The templates that the plan can name, read from its source."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(inspect.getsource(planning))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            place = {"_to_unit": 3, "_to_platform": 2, "_tell": 1}.get(node.func.id)
            if place is not None and len(node.args) > place:
                constants = [one for one in ast.walk(node.args[place]) if isinstance(one, ast.Constant)]
                found |= {one.value for one in constants if isinstance(one.value, str)}
        if isinstance(node, ast.match_case) and "word_of" in ast.dump(ast.Module(node.body, [])):
            names = {
                one.cls.attr
                for one in ast.walk(node.pattern)
                if isinstance(one, ast.MatchClass)
                if isinstance(one.cls, ast.Attribute)
            }
            found |= {e.word_of(each) for each in get_args(e.AnyEvent) if each.__name__ in names}
    return found


def test_every_template_that_is_planned_has_words() -> None:
    told = planned()

    assert {"assigned", "case-urged", "closed", "reply-ready", "danger-raised"} <= told
    assert told - set(w.NOTIFY) - set(w.CITIZEN) == set()


@pytest.mark.parametrize(("context", "message"), list(words_of()))
def test_words_are_filled_with_what_is_allowed_in_both_languages(context: str, message: str) -> None:
    (chinese, english) = w.languages()
    places = {name for _, name, _, _ in string.Formatter().parse(message) if name}
    assert places <= ALLOWED[context]

    said = chinese.say(context, message, **{name: f"<{name}>" for name in places})

    assert said != english.say(context, message, **{name: f"<{name}>" for name in places})
    assert all(f"<{name}>" in said for name in places)
    assert any("\u4e00" <= sign <= "\u9fff" for sign in said) or context == "sms"


@pytest.mark.parametrize("voice", [CHINESE, ENGLISH])
@pytest.mark.parametrize("channel", ["sms", "phone"])
def test_every_template_reads_whole_on_every_channel(channel: str, voice: Voice) -> None:
    for effect in effects():
        text = voice.text(channel, effect, None, library())

        assert "{" not in text and "}" not in text, text
        assert voice.sign in text
        if channel == "phone":
            assert NUMBER not in text, "twenty-five signs are not read aloud"
            assert "7" in text
        else:
            assert NUMBER in text


def test_one_text_message_says_it_and_a_rung_takes_two_at_most() -> None:
    """70 Chinese signs are one message, each of a chain has 67 (3GPP TS 23.040)."""
    sizes = {
        effect.template if isinstance(effect, Notify) else "alert": count(
            CHINESE.text("sms", effect, None, library())
        )
        for effect in effects()
    }

    assert {name: size for name, size in sizes.items() if size > (2 if "." in name else 1)} == {}


async def test_a_long_answer_is_cut_and_says_where_the_rest_is(liandong: World) -> None:
    answer = await liandong.call_in("路灯不亮")
    case = await liandong.case(answer.case)
    out = Outgoing(case=case, title="", texts={0: "已经修好。" * 400}, fields={}, personal=_nobody())
    effect = TellCitizen(case=answer.case, number=answer.number, template="reply-ready", said=0)

    text = CHINESE.text("sms", effect, out, library())

    assert 3 <= count(text) <= 4
    assert text.startswith(f"【联动】您的诉求 {answer.number}")
    assert text.endswith("…全文请致电 12345 查询。")


async def test_a_neutral_text_is_signed_by_nobody_who_can_be_known(liandong: World) -> None:
    answer = await liandong.call_in("路灯不亮", safe_contact=SafeContact(neutral_name=True))
    out = Outgoing(case=await liandong.case(answer.case), title="", texts={}, fields={}, personal=_nobody())
    effect = TellCitizen(case=answer.case, number=answer.number, template="reply-ready")

    text = CHINESE.text("sms", effect, out, library())
    signed = Voice(neutral_sign="短信通知").text("sms", effect, out, library())

    assert text == "您咨询的事情有新的进展，方便时请回电。"
    assert signed == f"【短信通知】{text}"


def _nobody() -> Personal:
    return Personal()
