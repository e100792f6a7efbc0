"""One contract for every channel of notices, over its real wire, beside receivers that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from twisted.internet.asyncioreactor import AsyncioSelectorReactor

from adapters.notice import fake_gateway, fake_switch, fakes
from adapters.notice.channel import Channel
from adapters.notice.email import email_channel
from adapters.notice.gateway import GatewayChannel, compile_shape
from adapters.notice.phone import PhoneChannel
from adapters.notice.smpp import fakes as centres
from adapters.notice.smpp.channel import SmppChannel
from adapters.notice.smpp.codec import Bind
from adapters.notice.smpp.line import SmppService
from adapters.notice.webhook import WebhookChannel
from dispatcher.ports import GiveUp, TryLater
from dispatcher.runtime.clock import ManualClock
from tests.contracts.conftest import MONDAY
from tests.contracts.letters import KEY, letter
from tests.contracts.test_email import PLAIN
from tests.support import mail

OTHER = UUID("3d0f7c7a-0000-4000-8000-0000000000ff")
SOON = timedelta(milliseconds=300)


class Rig:
    """A channel and what its receiver has."""

    def __init__(self, channel: Channel, has: Callable[[], int], address: str) -> None:
        self.channel = channel
        self.has = has
        self.address = address

    async def send(self, key: UUID = KEY) -> Any:
        return await self.channel.send(letter(address=self.address, key=key))


class Rigs:
    """Makes rigs and takes them down."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._clock = ManualClock(MONDAY)

    async def made(self, kind: str, behaviour: str) -> Rig:
        build: Callable[[str], Any] = getattr(self, f"_{kind}")
        rig = await build(behaviour)
        assert isinstance(rig, Rig)
        return rig

    async def _webhook(self, behaviour: str) -> Rig:
        receiver: fakes.Receiver = getattr(fakes, f"{behaviour}Receiver")()
        await self._stack.enter_async_context(receiver)
        channel = WebhookChannel(receiver.url, b"secret", self._clock, answer_within=SOON)
        return Rig(channel, lambda: len(receiver.taken), "")

    async def _email(self, behaviour: str) -> Rig:
        kinds: dict[str, Callable[[], mail.MailServer]] = {
            "": mail.MailServer,
            "Slow": mail.SlowServer,
            "Rejecting": mail.UnknownReceiverServer,
            "Busy": mail.BusyServer,
            "Deaf": mail.DroppingServer,
            "Dead": mail.MailServer,
        }
        server = kinds[behaviour]()
        if behaviour == "Dead":
            async with server:
                pass
        else:
            await self._stack.enter_async_context(server)
        settings = msgspec.structs.replace(PLAIN, port=server.port, answer_within=SOON)
        return Rig(
            email_channel(settings, self._clock),
            lambda: len({one["Message-ID"] for one in server.letters}),
            "head@example.cn",
        )

    async def _gateway(self, behaviour: str) -> Rig:
        name = {"Rejecting": "Refusing"}.get(behaviour, behaviour)
        gateway: fake_gateway.Gateway = getattr(fake_gateway, f"{name}Gateway")()
        await self._stack.enter_async_context(gateway)
        shape = compile_shape("gateway.toml", gateway.shape)
        channel = GatewayChannel(shape, fake_gateway.SECRET, self._clock, answer_within=SOON)
        return Rig(channel, lambda: len(gateway.taken), "13800000000")

    async def _smpp(self, behaviour: str) -> Rig:
        kinds: dict[str, Callable[[], centres.Smsc]] = {
            "": centres.Smsc,
            "Slow": centres.SlowSmsc,
            "Rejecting": centres.RefusingSmsc,
            "Busy": centres.BusySmsc,
            "Deaf": centres.DeafSmsc,
            "Dead": centres.Smsc,
        }
        centre = kinds[behaviour]()
        if behaviour == "Dead":
            async with centre:
                pass
        else:
            await self._stack.enter_async_context(centre)
        loop = asyncio.get_running_loop()

        async def heard(_: object) -> bool:
            return True

        line = SmppService(
            "127.0.0.1",
            centre.port,
            Bind(system_id=centres.SYSTEM_ID, password=centres.PASSWORD),
            heard,
            window=4,
            enquire_every=timedelta(seconds=30),
            answer_within=SOON,
            reactor=AsyncioSelectorReactor(loop),
        )
        line.startService()

        async def hang_up() -> None:
            stopping = line.stopService()
            assert stopping is not None
            await asyncio.wait_for(stopping.asFuture(loop), 10)

        self._stack.push_async_callback(hang_up)
        if behaviour != "Dead":
            await asyncio.wait_for(centre.bound.wait(), 10)
            await line.until_up()
        return Rig(
            SmppChannel(line, "12345"),
            lambda: len({one.tlvs[0x0204] for _, one in centre.taken}),
            "13800000000",
        )

    async def _phone(self, behaviour: str) -> Rig:
        name = {"Rejecting": "Refusing"}.get(behaviour, behaviour)
        switch: fake_switch.Switch = getattr(fake_switch, f"{name}Switch")()
        return Rig(PhoneChannel(switch, language="zh-CN", key="1"), lambda: len(switch.rung), "0971-5550000")


@pytest.fixture
async def rigs() -> AsyncIterator[Rigs]:
    async with AsyncExitStack() as stack:
        yield Rigs(stack)


KINDS = ("webhook", "email", "gateway", "smpp", "phone")
every = pytest.mark.parametrize("kind", KINDS)


@every
async def test_what_is_sent_is_there_once_however_often_it_is_sent(rigs: Rigs, kind: str) -> None:
    rig = await rigs.made(kind, "")

    await rig.send()
    await rig.send()

    assert rig.has() == 1


@every
async def test_two_notices_are_two(rigs: Rigs, kind: str) -> None:
    rig = await rigs.made(kind, "")

    first, second = await rig.send(), await rig.send(OTHER)

    assert rig.has() == 2
    if first.tells:
        assert first.reference != second.reference


@every
async def test_a_refusal_is_final_and_names_nobody(rigs: Rigs, kind: str) -> None:
    rig = await rigs.made(kind, "Rejecting")

    with pytest.raises(GiveUp) as refused:
        await rig.send()

    for secret in ("13800000000", "head@", "工单", "0971"):
        assert secret not in str(refused.value)
    assert rig.has() == 0


@every
async def test_a_busy_receiver_takes_it_the_next_time(rigs: Rigs, kind: str) -> None:
    rig = await rigs.made(kind, "Busy")

    with pytest.raises(TryLater):
        await rig.send()
    await rig.send()

    assert rig.has() == 1


@every
async def test_a_lost_answer_is_asked_for_again_and_what_comes_is_known_to_be_the_same(
    rigs: Rigs, kind: str
) -> None:
    rig = await rigs.made(kind, "Deaf")

    with pytest.raises(TryLater):
        await rig.send()
    if kind == "smpp":
        channel = rig.channel
        assert isinstance(channel, SmppChannel)
        await channel.line.until_up()
    await rig.send()

    assert rig.has() == 1


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "phone"])
async def test_silence_is_not_never(rigs: Rigs, kind: str) -> None:
    rig = await rigs.made(kind, "Slow")

    with pytest.raises(TryLater, match="in time"):
        await rig.send()


@every
async def test_where_nobody_is_there_it_is_tried_later(rigs: Rigs, kind: str) -> None:
    rig = await rigs.made(kind, "Dead")

    with pytest.raises(TryLater) as later:
        await rig.send()

    assert later.value.until is None
    assert rig.has() == 0
