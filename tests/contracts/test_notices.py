"""The contract of notice carriers over real HTTP, receivers that misbehave, and what notices say and keep quiet."""

from __future__ import annotations

import hmac
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from adapters.notice import words as w
from adapters.notice.compose import notice_of
from adapters.notice.fakes import (
    BusyReceiver,
    DeadReceiver,
    DeafReceiver,
    Receiver,
    RejectingReceiver,
    SlowReceiver,
)
from adapters.notice.post import Post
from adapters.notice.webhook import WebhookChannel, signature
from dispatcher.domain import commands as c
from dispatcher.domain.effects import AlertLine, Notify, PassOrder, Recipient, TellCitizen
from dispatcher.domain.values import Personal, Result, SafeContact
from dispatcher.ports import GiveUp, TryLater
from dispatcher.views.notices import list_notices
from dispatcher.views.viewing import Viewer
from dispatcher.wiring import Core
from tests.contracts.conftest import MONDAY
from tests.support.posting import KEY, by, delivery, post_of
from tests.support.world import HOTLINE, World, agent, clerk, instead, library, unit_of, world

SECRET = b"a secret shared with the receiver"


def webhook(liandong: World, url: str, *, answer_within: timedelta = timedelta(seconds=5)) -> Post:
    channel = WebhookChannel(url, SECRET, liandong.clock, answer_within=answer_within)
    return post_of(liandong.core, {"webhook": channel}, rules=by("webhook"))


def desk(liandong: World) -> Post:
    return post_of(liandong.core, {})


async def told(liandong: World, **more: Any) -> tuple[UUID, str]:
    answer = await liandong.call_in("小区路灯不亮,请尽快维修", **more)
    return answer.case, answer.number


def notify(case: UUID, number: str) -> Notify:
    to = Recipient(role="unit-desk", unit=unit_of("urban-management"))
    return Notify(case=case, number=number, to=to, template="assigned")


async def test_a_notice_arrives_once_however_often_it_is_sent(liandong: World) -> None:
    case, number = await told(liandong)
    async with Receiver() as receiver:
        carrier = webhook(liandong, receiver.url)

        await carrier.deliver(delivery(notify(case, number), case))
        await carrier.deliver(delivery(notify(case, number), case, attempt=2))

        assert list(receiver.taken) == [str(KEY)]
        assert len(receiver.heard) == 1  # the second sender knew that it was taken


async def test_the_signature_proves_body_and_instant(liandong: World) -> None:
    case, number = await told(liandong)
    async with Receiver() as receiver:
        await webhook(liandong, receiver.url).deliver(delivery(notify(case, number), case))

        (body,) = receiver.taken.values()
        stated = dict(part.split("=", 1) for part in receiver.heard[0]["Liandong-Signature"].split(","))
        expected = hmac.digest(SECRET, f"{stated['t']}.".encode() + body, "sha256").hex()
        assert stated["v1"] == expected
        assert int(stated["t"]) == int(MONDAY.timestamp())


def test_another_body_has_another_signature() -> None:
    assert signature(SECRET, b"{}", MONDAY) != signature(SECRET, b"[]", MONDAY)


async def test_a_busy_receiver_is_asked_again(liandong: World) -> None:
    case, number = await told(liandong)
    async with BusyReceiver() as receiver:
        carrier = webhook(liandong, receiver.url)

        with pytest.raises(TryLater, match="503"):
            await carrier.deliver(delivery(notify(case, number), case))
        await carrier.deliver(delivery(notify(case, number), case, attempt=2))

        assert list(receiver.taken) == [str(KEY)]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 599])
async def test_not_now_is_not_never(liandong: World, status: int) -> None:
    case, number = await told(liandong)
    async with RejectingReceiver(status) as receiver:
        with pytest.raises(TryLater, match=str(status)):
            await webhook(liandong, receiver.url).deliver(delivery(notify(case, number), case))


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 410, 422])
async def test_a_refusal_and_a_redirect_are_final(liandong: World, status: int) -> None:
    case, number = await told(liandong)
    async with RejectingReceiver(status) as receiver:
        with pytest.raises(GiveUp, match=str(status)):
            await webhook(liandong, receiver.url).deliver(delivery(notify(case, number), case))


async def test_a_receiver_that_says_nothing_is_tried_later(liandong: World) -> None:
    case, number = await told(liandong)
    async with SlowReceiver() as receiver:
        carrier = webhook(liandong, receiver.url, answer_within=timedelta(milliseconds=100))

        with pytest.raises(TryLater, match="in time"):
            await carrier.deliver(delivery(notify(case, number), case))


async def test_a_dead_receiver_is_tried_later(liandong: World) -> None:
    case, number = await told(liandong)
    async with DeadReceiver() as receiver:
        with pytest.raises(TryLater, match="cannot be reached"):
            await webhook(liandong, receiver.url).deliver(delivery(notify(case, number), case))


async def test_a_lost_answer_is_asked_for_again_under_the_same_key(liandong: World) -> None:
    case, number = await told(liandong)
    async with DeafReceiver() as receiver:
        carrier = webhook(liandong, receiver.url)

        with pytest.raises(TryLater):
            await carrier.deliver(delivery(notify(case, number), case))
        await carrier.deliver(delivery(notify(case, number), case, attempt=2))

        assert list(receiver.taken) == [str(KEY)]


@pytest.mark.parametrize("kind", ["desk", "webhook"])
async def test_neither_carrier_takes_what_is_not_a_notice(liandong: World, kind: str) -> None:
    case, number = await told(liandong)
    carrier = desk(liandong) if kind == "desk" else webhook(liandong, "http://127.0.0.1:9/")
    order = PassOrder(case=case, number=number, origin=HOTLINE, to="110-630102", kind="transfer")

    with pytest.raises(GiveUp, match="PassOrder"):
        await carrier.deliver(delivery(order, case))


# ---- safe contact ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["desk", "webhook"])
async def test_a_citizen_who_must_not_be_written_to_is_not(liandong: World, kind: str) -> None:
    case, number = await told(liandong, safe_contact=SafeContact(texts=False))
    async with Receiver() as receiver:
        carrier = desk(liandong) if kind == "desk" else webhook(liandong, receiver.url)

        with pytest.raises(GiveUp, match="safe contact"):
            await carrier.deliver(delivery(TellCitizen(case=case, number=number, template="closed"), case))

        assert receiver.taken == {}


async def test_outside_the_agreed_hours_the_message_waits(liandong: World) -> None:
    case, number = await told(liandong, safe_contact=SafeContact(from_hour=12, until_hour=14))
    effect = TellCitizen(case=case, number=number, template="closed")
    async with Receiver() as receiver:
        carrier = webhook(liandong, receiver.url)

        with pytest.raises(TryLater, match="between 12:00 and 14:00") as early:
            await carrier.deliver(delivery(effect, case))
        assert early.value.until == MONDAY.replace(hour=12)
        await liandong.clock.advance(MONDAY.replace(hour=12))
        await carrier.deliver(delivery(effect, case, attempt=2))

        assert list(receiver.taken) == [str(KEY)]


async def test_a_neutral_message_tells_neither_who_writes_nor_why(liandong: World) -> None:
    case, number = await told(liandong, safe_contact=SafeContact(neutral_name=True))
    async with Receiver() as receiver:
        effect = TellCitizen(case=case, number=number, template="reply-ready", said=0)
        await webhook(liandong, receiver.url).deliver(delivery(effect, case))

        (body,) = receiver.taken.values()
        sent = json.loads(body)
        shown = json.dumps([sent["words"], sent["number"]], ensure_ascii=False)
        for secret in (number, "12345", "110", "联动", "工单", "路灯"):
            assert secret not in shown


async def test_a_citizens_number_is_not_posted_in_clear_text(liandong: World) -> None:
    case, number = await told(liandong)
    carrier = webhook(liandong, "http://notices.example/")

    with pytest.raises(GiveUp, match="https"):
        await carrier.deliver(delivery(TellCitizen(case=case, number=number, template="closed"), case))


async def test_without_a_number_a_person_must_find_another_way(liandong: World) -> None:
    case, number = await told(liandong, personal=Personal())
    async with Receiver() as receiver:
        with pytest.raises(GiveUp, match="no number"):
            effect = TellCitizen(case=case, number=number, template="closed")
            await webhook(liandong, receiver.url).deliver(delivery(effect, case))


# ---- what notices say --------------------------------------------------------------------------------------------


def test_every_template_is_said_in_chinese() -> None:
    chinese, english = w.languages()
    told_to = {"notify": [*w.NOTIFY.values(), w.AMBER, w.LIMIT, w.RUNG, w.OTHER]}
    told_to["citizen"] = [*w.CITIZEN.values(), w.NEUTRAL]
    told_to["alert"] = list(w.ALERT.values())
    told_to["subject"] = list(w.SUBJECTS.values())
    places = dict.fromkeys(("number", "clock", "rung", "level", "template", "said", "line"), "X")

    same = [
        message
        for context, messages in told_to.items()
        for message in messages
        if chinese.say(context, message, **places) == english.say(context, message, **places)
    ]

    assert same == []


def test_a_rung_is_told_by_its_name_and_the_number_on_duty() -> None:
    unit = unit_of("urban-management")
    effect = Notify(
        case=KEY,
        number="12345-630100-2026-0000007",
        to=Recipient(role="unit-duty-leader", unit=unit),
        template="handle.rung:duty-leader",
        clock="handle",
        milestone="rung:duty-leader#2",
        level=3,
    )

    notice = notice_of(effect, None, library(), key=KEY, at=MONDAY)

    assert notice.words["zh-CN"].body == (
        "工单 12345-630100-2026-0000007：承办时限已超期，升级至第 3 级（值班领导）。"
    )
    assert notice.to.name == library().organisation.unit(unit).name
    assert notice.to.phone == library().organisation.on_duty(unit, MONDAY).leader_phone


def test_an_alert_names_the_line_and_its_number() -> None:
    platform = library().directory.receiver("119", "630102", MONDAY)
    effect = AlertLine(case=KEY, number="N", line="119", target=platform.platform_id)

    notice = notice_of(effect, None, library(), key=KEY, at=MONDAY)

    assert notice.danger
    assert (notice.to.platform, notice.to.phone) == (platform.platform_id, platform.number)


async def test_the_desks_read_what_was_sent_to_them_newest_first(liandong: World) -> None:
    unit = unit_of("urban-management")
    case, number = await told(liandong)
    await liandong.say(c.AssignCase(case=case, lead=unit), agent())
    await liandong.pass_time(timedelta(minutes=1))
    await liandong.say(c.UrgeCase(case=case, words="请抓紧"), agent())
    await liandong.send()

    page = await list_notices(Viewer(liandong.core.database, clerk(unit), liandong.core.library), unit)

    assert [(n.template, n.role, n.number) for n in page.notices] == [
        ("case-urged", "unit-lead", number),
        ("assigned", "unit-desk", number),
    ]


async def test_another_units_desk_reads_nothing_of_it(liandong: World) -> None:
    unit, other = unit_of("urban-management"), unit_of("education")
    case, _ = await told(liandong)
    await liandong.say(c.AssignCase(case=case, lead=unit), agent())
    await liandong.send()

    page = await list_notices(Viewer(liandong.core.database, clerk(other), liandong.core.library), unit)

    assert page.notices == ()


async def test_a_notice_given_up_is_on_the_cases_record(fresh_url: str, tmp_path: Path) -> None:
    async with RejectingReceiver() as receiver:

        def make(core: Core) -> Post:
            channels = {"webhook": WebhookChannel(receiver.url, SECRET, core.clock)}
            return post_of(core, channels, rules=by("webhook"))

        async with world(fresh_url, tmp_path, MONDAY, specs=instead("notice", make)) as liandong:
            case, _ = await told(liandong)
            await liandong.say(c.AssignCase(case=case, lead=unit_of("urban-management")), agent())

            await liandong.send()

            (letter,) = await liandong.core.outbox.dead_letters()
            assert letter.last_error == "webhook: the receiver answered 422"
            async with liandong.core.database.looking() as connection:
                kinds = await connection.exec_driver_sql(
                    "SELECT kind FROM event ORDER BY position DESC LIMIT 1"
                )
                assert kinds.scalar_one() == "notice-failed.1"


async def test_a_message_to_a_citizen_that_no_channel_took_waits_at_the_platforms_desk(
    liandong: World,
) -> None:
    unit = unit_of("urban-management")
    case, number = await told(liandong)
    await liandong.say(c.AssignCase(case=case, lead=unit), agent())
    await liandong.say(c.SignFor(case=case), clerk(unit))
    await liandong.say(c.ReplyCase(case=case, words="路灯已修复", result=Result.SOLVED), clerk(unit))
    await liandong.say(c.ApproveReply(case=case), agent())
    await liandong.send()

    page = await list_notices(Viewer(liandong.core.database, agent(), liandong.core.library), HOTLINE)

    assert [(n.role, n.template, n.number) for n in page.notices] == [
        ("citizen", "reply-ready", number),
        ("platform-agent", "reply-submitted", number),
    ]
