"""The contract of `Link`, held to the fake and to the local link; and what the relay makes of links that misbehave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid5

import pytest

from adapters.linkage.fakes import DeadLink, DeafLink, RecordingLink, RejectingLink, SlowLink
from adapters.linkage.inbound import LocalLink, served_by
from adapters.linkage.outbound import Link, LinkageCarrier, order_of
from adapters.linkage.wire import Order, ResultNote
from dispatcher.domain import commands as c
from dispatcher.domain.effects import PassOrder, ReturnResult
from dispatcher.domain.stream import StreamRef
from dispatcher.domain.values import Personal, Result, Stage
from dispatcher.ports import Delivery, GiveUp, TryLater
from dispatcher.views.outgoing import OutgoingCases
from dispatcher.wiring import Core
from tests.contracts.conftest import MONDAY
from tests.support.world import HOTLINE, POLICE, World, agent, instead, world

KEY = UUID("7c2f6a39-0000-4000-8000-000000000001")
OTHER_KEY = UUID("7c2f6a39-0000-4000-8000-000000000002")


def local_link(liandong: World) -> LocalLink:
    """The link that wiring makes for one deployment."""

    async def draw(platform: str) -> str:
        return f"{platform}-{await liandong.numbers.take(platform, 2026)}"

    return LocalLink(
        liandong.core.inbox,
        liandong.cases,
        draw=draw,
        digest=liandong.core.vault.number_digest,
        serves=served_by(("12345-630000", "110-630000")),
    )


@pytest.fixture(params=["fake", "local"])
def link(request: pytest.FixtureRequest, liandong: World) -> Link:
    return RecordingLink() if request.param == "fake" else local_link(liandong)


async def order(liandong: World, **more: str) -> Order:
    """A noisy neighbour, reported to 110 and handed over to 12345."""
    told = await liandong.call_in("楼上半夜放音响,噪音扰民", platform=POLICE, key=more.pop("key", "noise"))
    await liandong.say(c.HandOverCase(case=told.case, to=HOTLINE, reason="非警务"), agent(POLICE))
    out = await liandong.cases.get(told.case)
    assert out is not None
    effect = PassOrder(case=told.case, number=told.number, origin=POLICE, to=HOTLINE, kind="hand-over")
    return order_of(out, effect)


async def test_the_same_key_twice_is_one_order_with_one_receipt(link: Link, liandong: World) -> None:
    sent = await order(liandong)

    first = await link.hand(sent, KEY)
    again = await link.hand(sent, KEY)

    assert first == again


async def test_two_keys_are_two_orders(link: Link, liandong: World) -> None:
    one = await link.hand(await order(liandong), KEY)
    other = await link.hand(await order(liandong, key="second"), OTHER_KEY)

    assert one.case != other.case
    assert one.number != other.number


async def test_a_result_may_be_told_twice(link: Link, liandong: World) -> None:
    sent = await order(liandong)
    receipt = await link.hand(sent, KEY)
    note = ResultNote(
        origin=HOTLINE,
        number=receipt.number,
        to=POLICE,
        peer_case=sent.case,
        peer_number=sent.number,
        result=Result.SOLVED,
        words="已劝导",
    )

    await link.report(note, OTHER_KEY)
    await link.report(note, OTHER_KEY)


async def test_the_local_link_registers_the_order_as_the_receivers_own_case(liandong: World) -> None:
    sent = await order(liandong)

    receipt = await local_link(liandong).hand(sent, KEY)

    theirs = await liandong.cases.get(receipt.case)
    assert theirs is not None
    assert theirs.case.platform == HOTLINE
    assert theirs.case.number == receipt.number
    assert theirs.case.first_platform == POLICE
    assert theirs.case.first_received == sent.first_received
    assert [(p.platform, p.number, p.case) for p in theirs.case.peers] == [(POLICE, sent.number, sent.case)]
    assert theirs.personal == Personal(caller="09715550123", name="测试")


async def test_the_local_link_gives_up_on_a_platform_that_lives_elsewhere(liandong: World) -> None:
    sent = await order(liandong)
    elsewhere = Order(
        **{name: getattr(sent, name) for name in Order.__struct_fields__} | {"to": "12345-620100"}
    )

    with pytest.raises(GiveUp, match="no link to 12345-620100"):
        await local_link(liandong).hand(elsewhere, KEY)


async def test_an_anonymous_caller_stays_unknown_on_the_other_side(liandong: World) -> None:
    told = await liandong.call_in("楼上半夜放音响,噪音扰民", platform=POLICE, anonymous=True)
    out = await liandong.cases.get(told.case)
    assert out is not None

    sent = order_of(
        out, PassOrder(case=told.case, number=told.number, origin=POLICE, to=HOTLINE, kind="hand-over")
    )

    assert sent.personal == Personal()


@asynccontextmanager
async def deployment_over(link_of: type[Link], url: str, folder: Path) -> AsyncIterator[World]:
    """A deployment whose only way to the other platform is this link."""
    async with world(url, folder, MONDAY, specs=instead("linkage", over(link_of()))) as made:
        yield made


def over(link: Link) -> Callable[[Core], LinkageCarrier]:
    """The carrier that wiring makes, over another link."""
    return lambda core: LinkageCarrier(link, OutgoingCases(core.database, core.vault), core.inbox)


async def handed_over(liandong: World) -> UUID:
    told = await liandong.call_in("楼上半夜放音响,噪音扰民", platform=POLICE)
    await liandong.say(c.HandOverCase(case=told.case, to=HOTLINE, reason="非警务"), agent(POLICE))
    return told.case


async def test_an_order_is_confirmed_under_both_numbers(liandong: World) -> None:
    case = await handed_over(liandong)

    await liandong.send()

    ours = await liandong.case(case)
    peer = ours.peers[-1]
    assert peer.case is not None
    theirs = await liandong.case(peer.case)
    assert (peer.platform, peer.number) == (HOTLINE, theirs.number)
    assert (theirs.peers[0].platform, theirs.peers[0].number) == (POLICE, ours.number)
    assert ours.holder == HOTLINE


async def test_a_dead_link_is_tried_until_patience_ends_and_then_the_case_is_ours_again(
    fresh_url: str, tmp_path: Path
) -> None:
    async with deployment_over(DeadLink, fresh_url, tmp_path) as liandong:
        case = await handed_over(liandong)
        await liandong.send()
        assert (await liandong.case(case)).stage is Stage.HANDED_OVER

        for _ in range(100):  # far more than the pauses of six hours' patience
            await liandong.clock.advance(liandong.clock.now() + timedelta(minutes=6))
            await liandong.send()

        ours = await liandong.case(case)
        assert ours.stage is Stage.POLICE_RECEIVED
        assert ours.holder == POLICE
        (letter,) = await liandong.core.outbox.dead_letters()
        assert "patience used up" in letter.last_error


async def test_a_refused_order_is_ours_again_at_once(fresh_url: str, tmp_path: Path) -> None:
    async with deployment_over(RejectingLink, fresh_url, tmp_path) as liandong:
        case = await handed_over(liandong)

        await liandong.send()

        assert (await liandong.case(case)).stage is Stage.POLICE_RECEIVED


async def test_a_silent_link_costs_one_attempt_and_blocks_nothing(fresh_url: str, tmp_path: Path) -> None:
    specs, quick = instead("linkage", over(SlowLink())), {"LIANDONG_RUNTIME_RELAY_ATTEMPT": "100ms"}
    async with world(fresh_url, tmp_path, MONDAY, specs=specs, **quick) as liandong:
        case = await handed_over(liandong)

        await liandong.send()

        assert (await liandong.case(case)).stage is Stage.HANDED_OVER


async def test_a_lost_answer_leads_to_one_case_on_the_other_side(liandong: World) -> None:
    deaf = DeafLink(local_link(liandong))
    carrier = LinkageCarrier(deaf, liandong.cases, liandong.core.inbox)
    told = await handed_over(liandong)
    ours = await liandong.case(told)
    effect = PassOrder(case=told, number=ours.number, origin=POLICE, to=HOTLINE, kind="hand-over")

    with pytest.raises(TryLater):
        await carrier.deliver(Delivery(key=KEY, ref=StreamRef("case", told), effect=effect, attempt=1))
    await carrier.deliver(Delivery(key=KEY, ref=StreamRef("case", told), effect=effect, attempt=2))

    peer = (await liandong.case(told)).peers[-1]
    assert peer.case == uuid5(KEY, "case")
    assert peer.number == (await liandong.case(peer.case)).number


async def test_an_order_that_nobody_waits_for_any_more_does_not_leave(liandong: World) -> None:
    recording = RecordingLink()
    carrier = LinkageCarrier(recording, liandong.cases, liandong.core.inbox)
    told = await handed_over(liandong)
    ours = await liandong.case(told)
    await liandong.say(c.WithdrawCase(case=told, words="不用了"), agent(POLICE))

    effect = PassOrder(case=told, number=ours.number, origin=POLICE, to=HOTLINE, kind="hand-over")
    await carrier.deliver(Delivery(key=KEY, ref=StreamRef("case", told), effect=effect, attempt=1))

    assert recording.orders == {}


async def test_a_result_without_the_other_sides_case_is_left_to_a_person(liandong: World) -> None:
    carrier = LinkageCarrier(RecordingLink(), liandong.cases, liandong.core.inbox)
    told = await liandong.call_in("路灯不亮")
    effect = ReturnResult(
        case=told.case, number=told.number, to=POLICE, peer_case=None, peer_number="", result="solved"
    )

    with pytest.raises(GiveUp, match="by hand"):
        await carrier.deliver(Delivery(key=KEY, ref=StreamRef("case", told.case), effect=effect, attempt=1))
