"""The post: one way after the other, quiet hours, a receiver's number, safe contact, crashes, and sending again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

import msgspec
import pytest

from adapters.notice.channel import Channel, Letter, Taken
from adapters.notice.post import Post
from adapters.notice.reports import Reports
from dispatcher.domain import commands as c
from dispatcher.domain.effects import AlertLine, Notify, Recipient, TellCitizen
from dispatcher.domain.stream import Actor, Role
from dispatcher.domain.values import Personal, SafeContact
from dispatcher.ports import GiveUp, TryLater
from dispatcher.store.receipts import Receipt, Receipts, ReceiptState
from routing_rules.notices import ChannelRules, NoticeRules, Pace
from routing_rules.organisation import Organisation, Roster
from tests.contracts.conftest import MONDAY
from tests.support.posting import KEY, by, changed, delivery
from tests.support.world import World, agent, library, unit_of

LAMP = "小区路灯不亮,请尽快维修"
DANGER = "供热管道爆裂,蒸汽烫伤了人"
UNIT = unit_of("urban-management")
MOBILE = "13800000001"
AUDITOR = Actor(id="auditor", roles=(Role.AUDIT_ADMIN,), division="630000")
NIGHT = MONDAY.replace(hour=23)


class Box:
    """A channel in memory that does as it is told, once for each entry of ``faults``, and takes everything after."""

    def __init__(self, *faults: Exception, tells: bool = False) -> None:
        self.letters: list[Letter] = []
        self.faults = list(faults)
        self.tells = tells

    async def send(self, letter: Letter) -> Taken:
        if self.faults:
            raise self.faults.pop(0)
        self.letters.append(letter)
        return Taken(reference=f"r{len(self.letters)}", tells=self.tells)


def rosters() -> Organisation:
    roster = Roster(phone=MOBILE, mobile=MOBILE, leaders=(), deputies=(), email="duty@example.cn")
    return Organisation(
        (
            msgspec.structs.replace(unit, roster=roster) if unit.code == UNIT else unit
            for unit in library().organisation.units()
        ),
        library().places,
    )


def post(liandong: World, rules: NoticeRules, **channels: Channel) -> Post:
    core, units = liandong.core, rosters()
    return Post(
        channels,
        liandong.cases,
        Receipts(core.database),
        core.inbox,
        lambda: changed(core.library(), notices=rules, organisation=units),
        core.clock,
        digest=core.vault.number_digest,
    )


def rules(id_: str, **more: Any) -> ChannelRules:
    given: dict[str, Any] = {"urgent": Pace(tries=1), "general": Pace(tries=3), **more}
    return ChannelRules(id=id_, **given)


async def told(liandong: World, words: str = LAMP, **more: Any) -> tuple[UUID, str]:
    answer = await liandong.call_in(words, **more)
    return answer.case, answer.number


def notify(case: UUID, number: str) -> Notify:
    return Notify(
        case=case, number=number, to=Recipient(role="unit-duty-phone", unit=UNIT), template="assigned"
    )


async def ways(liandong: World, key: UUID = KEY) -> dict[str, Receipt]:
    return await Receipts(liandong.core.database).of(key)


async def states(liandong: World, key: UUID = KEY) -> dict[str, str]:
    return {channel: one.state.value for channel, one in (await ways(liandong, key)).items()}


async def carried(carrier: Post, effect: Any, case: UUID, key: UUID = KEY) -> None:
    """Deliver until it is done or really waits: the next way is asked at once."""
    for attempt in range(1, 20):
        try:
            await carrier.deliver(delivery(effect, case, attempt, key))
        except TryLater as later:
            if later.until is None or "another way" not in str(later):
                raise
        else:
            return
    raise AssertionError("it never ends")


async def test_a_refusal_leads_to_the_next_way_and_both_are_on_record(liandong: World) -> None:
    case, number = await told(liandong)
    sms, mail = Box(GiveUp("refused with code 9")), Box()

    await carried(post(liandong, by("sms", "email", "desk"), sms=sms, email=mail), notify(case, number), case)

    assert await states(liandong) == {"sms": "failed", "email": "taken"}
    assert (await ways(liandong))["sms"].why == "refused with code 9"
    assert [letter.address for letter in mail.letters] == ["duty@example.cn"]


async def test_silence_is_tried_as_often_as_the_data_say_and_then_the_next_way(liandong: World) -> None:
    case, number = await told(liandong)
    sms, mail = Box(*(TryLater("no answer") for _ in range(9))), Box()
    carrier = post(liandong, by("sms", "email", rules=(rules("sms"),)), sms=sms, email=mail)

    for _ in range(2):
        with pytest.raises(TryLater, match="no answer") as later:
            await carrier.deliver(delivery(notify(case, number), case))
        assert later.value.until is None  # patience and pauses are the relay's
    await carried(carrier, notify(case, number), case)

    assert (len(sms.faults), await states(liandong)) == (6, {"sms": "failed", "email": "taken"})


async def test_the_last_way_has_all_of_the_relays_patience(liandong: World) -> None:
    case, number = await told(liandong)
    carrier = post(liandong, by("sms"), sms=Box(*(TryLater("no answer") for _ in range(30))))

    for _ in range(30):
        with pytest.raises(TryLater):
            await carrier.deliver(delivery(notify(case, number), case))
    await carrier.deliver(delivery(notify(case, number), case))

    assert (await ways(liandong))["sms"].tries == 31


async def test_a_silent_webhook_is_asked_on_while_the_desk_behind_it_sees_the_notice(liandong: World) -> None:
    case, number = await told(liandong)
    hook = Box(*(TryLater("no answer") for _ in range(9)))
    carrier = post(liandong, by("sms", "webhook", "desk", rules=(rules("webhook"),)), webhook=hook)

    for attempt in range(9):
        with pytest.raises(TryLater):
            await carrier.deliver(delivery(notify(case, number), case))
        assert ("desk" in await states(liandong)) == (attempt >= 2)
    await carrier.deliver(delivery(notify(case, number), case))

    assert await states(liandong) == {"sms": "skipped", "webhook": "taken", "desk": "taken"}
    assert len(hook.letters) == 1


async def test_quiet_hours_hold_what_is_not_urgent_and_never_what_is(liandong: World) -> None:
    calm, calm_number = await told(liandong)
    hot, hot_number = await told(liandong, DANGER)
    assert (await liandong.case(hot)).matter.danger
    quiet = rules("sms", quiet=(NIGHT.replace(hour=22).time(), NIGHT.replace(hour=7).time()))
    sms = Box()
    carrier = post(liandong, by("sms", "desk", rules=(quiet,)), sms=sms)
    await liandong.clock.advance(NIGHT)

    with pytest.raises(TryLater, match="quiet") as held:
        await carrier.deliver(delivery(notify(calm, calm_number), calm))
    await carrier.deliver(delivery(notify(hot, hot_number), hot, key=uuid5(KEY, "hot")))

    assert held.value.until == NIGHT.replace(hour=7) + timedelta(days=1)
    assert await states(liandong) == {"sms": "held"}
    assert len(sms.letters) == 1
    await liandong.clock.advance(held.value.until)
    await carrier.deliver(delivery(notify(calm, calm_number), calm))
    assert (len(sms.letters), await states(liandong)) == (2, {"sms": "taken"})


async def test_a_receiver_gets_so_many_and_then_the_next_way_says_why(liandong: World) -> None:
    case, number = await told(liandong)
    pace = Pace(most=2, within=timedelta(hours=1))
    sms, mail = Box(), Box()
    carrier = post(liandong, by("sms", "email", rules=(rules("sms", general=pace),)), sms=sms, email=mail)

    for each in range(3):
        await carried(carrier, notify(case, number), case, key=uuid5(KEY, str(each)))

    assert (len(sms.letters), len(mail.letters)) == (2, 1)
    last = (await ways(liandong, uuid5(KEY, "2")))["sms"]
    assert (last.state, last.why) == (
        ReceiptState.THROTTLED,
        "2 notices within 1:00:00 went to this receiver already",
    )
    await liandong.clock.advance(MONDAY + timedelta(hours=1, seconds=1))
    await carried(carrier, notify(case, number), case, key=uuid5(KEY, "3"))
    assert len(sms.letters) == 3


async def test_where_no_other_way_is_left_the_one_too_many_waits(liandong: World) -> None:
    case, number = await told(liandong)
    sms = Box()
    pace = Pace(most=1, within=timedelta(hours=1))
    carrier = post(liandong, by("sms", rules=(rules("sms", general=pace),)), sms=sms)
    await carried(carrier, notify(case, number), case, key=uuid5(KEY, "first"))

    with pytest.raises(TryLater) as held:
        await carrier.deliver(delivery(notify(case, number), case))

    assert held.value.until == MONDAY + timedelta(hours=1)
    assert await states(liandong) == {"sms": "held"}


async def test_an_attempt_cut_off_is_taken_up_where_it_was(liandong: World) -> None:
    """The node died while the gateway had it: an urgent notice goes on to the next way, a general one is asked again."""
    calm, calm_number = await told(liandong)
    hot, hot_number = await told(liandong, DANGER)
    died = {}
    for case in (calm, hot):
        died[case] = uuid5(KEY, str(case))
        await Receipts(liandong.core.database).put(
            Receipt(
                key=died[case],
                channel="sms",
                stream_id=case,
                role="unit-duty-phone",
                state=ReceiptState.TRYING,
                at=MONDAY,
                tries=1,
                sent_at=MONDAY,
            )
        )
    sms, mail = Box(), Box()
    carrier = post(liandong, by("sms", "email", rules=(rules("sms"),)), sms=sms, email=mail)

    await carried(carrier, notify(calm, calm_number), calm, died[calm])
    await carried(carrier, notify(hot, hot_number), hot, died[hot])

    assert (len(sms.letters), len(mail.letters)) == (1, 1)
    assert await states(liandong, died[hot]) == {"sms": "failed", "email": "taken"}


async def test_word_is_waited_for_and_then_the_next_way_is_asked(liandong: World) -> None:
    case, number = await told(liandong)
    sms, mail = Box(tells=True), Box()
    waits = rules("sms", general=Pace(outcome=timedelta(minutes=2)))
    carrier = post(liandong, by("sms", "email", rules=(waits,)), sms=sms, email=mail)

    with pytest.raises(TryLater, match="waits for word") as held:
        await carrier.deliver(delivery(notify(case, number), case))
    assert held.value.until == MONDAY + timedelta(minutes=2)
    await liandong.clock.advance(held.value.until)
    await carried(carrier, notify(case, number), case)

    assert await states(liandong) == {"sms": "failed", "email": "taken"}
    assert (await ways(liandong))["sms"].why == "no word that it arrived"


async def test_word_that_it_arrived_ends_the_waiting(liandong: World) -> None:
    case, number = await told(liandong)
    sms, mail = Box(tells=True), Box()
    waits = rules("sms", general=Pace(outcome=timedelta(minutes=2)))
    carrier = post(liandong, by("sms", "email", rules=(waits,)), sms=sms, email=mail)
    core = liandong.core
    reports = Reports(Receipts(core.database), core.outbox, core.clock, lambda: None)
    with pytest.raises(TryLater):
        await carrier.deliver(delivery(notify(case, number), case))

    assert await reports.heard("sms", "r1", ReceiptState.ARRIVED)
    await carrier.deliver(delivery(notify(case, number), case))

    assert (mail.letters, await states(liandong)) == ([], {"sms": "arrived"})


async def test_what_a_person_has_sent_again_tries_every_way_afresh(liandong: World) -> None:
    case, number = await told(liandong)
    sms = Box(GiveUp("refused"))
    carrier = post(liandong, by("sms"), sms=sms)
    with pytest.raises(GiveUp, match="sms: refused"):
        await carrier.deliver(delivery(notify(case, number), case))

    await carrier.deliver(delivery(notify(case, number), case))

    assert (len(sms.letters), await states(liandong)) == (1, {"sms": "taken"})


async def test_where_nothing_is_connected_the_desks_read_and_nothing_is_kept(liandong: World) -> None:
    case, number = await told(liandong)

    await post(liandong, by("sms", "desk")).deliver(delivery(notify(case, number), case))

    assert await states(liandong) == {}


# ---- citizens ------------------------------------------------------------------------------------------------------


def tell(case: UUID, number: str) -> TellCitizen:
    return TellCitizen(case=case, number=number, template="closed")


async def test_a_citizen_is_texted_and_never_rung_or_mailed(liandong: World) -> None:
    case, number = await told(liandong, personal=Personal(caller="13897512345", name="测试"))
    sms, phone, mail = Box(), Box(), Box()

    await carried(
        post(liandong, by("phone", "email", "sms"), sms=sms, phone=phone, email=mail),
        tell(case, number),
        case,
    )

    assert ([one.address for one in sms.letters], phone.letters, mail.letters) == (["13897512345"], [], [])
    kept = await ways(liandong)
    assert await states(liandong) == {"phone": "skipped", "email": "skipped", "sms": "taken"}
    assert "13897512345" not in str(kept)


async def test_a_fixed_line_takes_no_text_and_the_desk_must_tell(liandong: World) -> None:
    case, number = await told(liandong)
    sms = Box()

    await carried(post(liandong, by("sms", "desk"), sms=sms), tell(case, number), case)

    assert (sms.letters, await states(liandong)) == ([], {"sms": "skipped", "desk": "taken"})


async def test_what_happened_while_it_waited_counts(liandong: World) -> None:
    case, number = await told(
        liandong,
        personal=Personal(caller="13897512345"),
        safe_contact=SafeContact(from_hour=12, until_hour=14),
    )
    sms = Box()
    carrier = post(liandong, by("sms", "desk"), sms=sms)
    with pytest.raises(TryLater) as early:
        await carrier.deliver(delivery(tell(case, number), case))

    await erased(liandong, case)
    await liandong.clock.advance(MONDAY.replace(hour=12))

    assert early.value.until == MONDAY.replace(hour=12)
    with pytest.raises(GiveUp, match="safe contact"):
        await carrier.deliver(delivery(tell(case, number), case))
    assert sms.letters == []


async def erased(liandong: World, case: UUID) -> None:
    await liandong.say(c.WithdrawCase(case=case, words="不需要了"), agent())
    await liandong.say(c.EraseCase(case=case, basis="保存期满"), AUDITOR)


async def test_erasure_forgets_where_a_message_went(liandong: World) -> None:
    case, number = await told(liandong, personal=Personal(caller="13897512345"))
    await carried(post(liandong, by("sms"), sms=Box()), tell(case, number), case)
    assert (await ways(liandong))["sms"].address is not None

    await erased(liandong, case)

    kept = (await ways(liandong))["sms"]
    assert (kept.address, kept.reference, kept.state) == (None, "", ReceiptState.TAKEN)


async def test_another_line_is_told_on_its_own_desk_and_software_does_not_ring_it(liandong: World) -> None:
    case, number = await told(liandong, DANGER)
    platform = library().directory.receiver("119", "630102", MONDAY)
    phone = Box()
    effect = AlertLine(case=case, number=number, line="119", target=platform.platform_id)

    await carried(post(liandong, by("phone", "desk"), phone=phone), effect, case)

    assert (phone.letters, await states(liandong)) == ([], {"phone": "skipped", "desk": "taken"})
