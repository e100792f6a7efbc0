"""The line to a short message centre: what travels, receipts, lines that fall; beside another's implementation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
import smpp34
from twisted.internet.asyncioreactor import AsyncioSelectorReactor

from adapters.notice.smpp import codec
from adapters.notice.smpp.channel import SmppChannel
from adapters.notice.smpp.codec import Bind, Message
from adapters.notice.smpp.fakes import (
    PASSWORD,
    SYSTEM_ID,
    BusySmsc,
    CrumblingSmsc,
    DeafSmsc,
    GarbledSmsc,
    RefusingSmsc,
    SlowSmsc,
    Smsc,
)
from adapters.notice.smpp.line import LineDown, NoAnswer, Refusal, SmppService
from adapters.notice.smpp.texts import ReceiptText, text_of
from adapters.notice.sms_text import count
from dispatcher.ports import GiveUp, TryLater
from dispatcher.store.receipts import ReceiptState
from tests.contracts.letters import letter

WORDS = "工单 12345-630100-2026-0000007 已派给贵单位，请签收。"


class Ears:
    """Hears receipts; what it does not know is said again."""

    def __init__(self) -> None:
        self.heard: list[ReceiptText] = []
        self.known = True
        self.something = asyncio.Event()

    async def __call__(self, receipt: ReceiptText) -> bool:
        self.heard.append(receipt)
        self.something.set()
        return self.known


Dial = Callable[..., Any]


@pytest.fixture
async def dial() -> AsyncIterator[Dial]:
    """Makes lines to a centre on Twisted over the test's own loop, and hangs them up."""
    loop = asyncio.get_running_loop()
    reactor = AsyncioSelectorReactor(loop)
    lines: list[SmppService] = []

    def made(port: int, ears: Ears | None = None, **more: Any) -> SmppService:
        wanted: dict[str, Any] = {
            "window": 4,
            "enquire_every": timedelta(seconds=30),
            "answer_within": timedelta(seconds=5),
            **more,
        }
        line = SmppService(
            "127.0.0.1",
            port,
            Bind(system_id=SYSTEM_ID, password=PASSWORD),
            ears or Ears(),
            reactor=reactor,
            **wanted,
        )
        line.startService()
        lines.append(line)
        return line

    yield made
    for line in lines:
        stopping = line.stopService()
        if stopping is not None:
            await asyncio.wait_for(stopping.asFuture(loop), 10)


async def until(says: Callable[[], bool]) -> None:
    """Waits until something is so."""
    loop = asyncio.get_running_loop()
    so: asyncio.Future[None] = loop.create_future()

    def look() -> None:
        if says():
            so.set_result(None)
        elif not so.done():
            loop.call_later(0.002, look)

    look()
    await asyncio.wait_for(so, 10)


async def up(line: SmppService) -> SmppService:
    await until(lambda: line.is_up)
    return line


async def test_a_message_in_chinese_arrives_as_it_was_written(dial: Dial) -> None:
    async with Smsc() as smsc:
        line = await up(dial(smsc.port))

        taken = await SmppChannel(line, "12345").send(letter(text=WORDS, address="13800000000"))

        ((name, message),) = smsc.taken
        assert (taken.reference, taken.parts, taken.tells) == (name, 1, True)
        assert (text_of(message), message.data_coding) == (WORDS, codec.UCS2)
        assert (message.source, message.destination, message.registered_delivery) == (
            "12345",
            "13800000000",
            1,
        )


async def test_a_long_text_is_cut_as_the_air_interface_counts_and_put_together_again(dial: Dial) -> None:
    text = WORDS * 5
    async with Smsc() as smsc:
        line = await up(dial(smsc.port))

        taken = await SmppChannel(line, "12345").send(letter(text=text))

        parts = [message for _, message in smsc.taken]
        assert taken.parts == len(parts) == count(text) == 3
        assert "".join(text_of(part) for part in parts) == text
        headers = [part.text[:6] for part in parts]
        assert [header[:3] for header in headers] == [b"\x05\x00\x03"] * 3
        assert len({header[3] for header in headers}) == 1
        assert [(header[4], header[5]) for header in headers] == [(3, 1), (3, 2), (3, 3)]
        assert max(len(part.text) for part in parts) <= 140
        assert [part.registered_delivery for part in parts] == [0, 0, 1]
        assert taken.reference == smsc.taken[-1][0]


async def test_english_goes_in_the_seven_bit_alphabet(dial: Dial) -> None:
    async with Smsc() as smsc:
        line = await up(dial(smsc.port))

        await SmppChannel(line, "12345").send(letter(text="[Liandong] Case 7: 5 € {due}"))

        ((_, message),) = smsc.taken
        assert message.data_coding == codec.GSM7
        assert text_of(message) == "[Liandong] Case 7: 5 € {due}"


@pytest.mark.parametrize("how", ["text", "parameters"])
@pytest.mark.parametrize(
    ("word", "number", "state"),
    [
        ("DELIVRD", 2, ReceiptState.ARRIVED),
        ("UNDELIV", 5, ReceiptState.FAILED),
        ("EXPIRED", 3, ReceiptState.FAILED),
        ("REJECTD", 8, ReceiptState.FAILED),
    ],
)
async def test_a_receipt_is_heard_and_answered(
    dial: Dial, how: str, word: str, number: int, state: ReceiptState
) -> None:
    ears = Ears()
    async with Smsc() as smsc:
        await up(dial(smsc.port, ears))

        await smsc.report("m1", word, state=number if how == "parameters" else 0)

        await until(lambda: bool(smsc.answers))
        assert [(one.reference, one.state) for one in ears.heard] == [("m1", state)]
        assert smsc.answers[0].status == codec.OK


async def test_a_receipt_that_overtakes_its_message_is_asked_for_once_more(dial: Dial) -> None:
    ears = Ears()
    ears.known = False
    async with Smsc() as smsc:
        await up(dial(smsc.port, ears))

        await smsc.report("m9", "DELIVRD")
        await until(lambda: len(smsc.answers) == 1)
        await smsc.report("m9", "DELIVRD")
        await until(lambda: len(smsc.answers) == 2)

        assert [answer.status for answer in smsc.answers] == [codec.RX_T_APPN, codec.OK]


async def test_what_is_on_its_way_is_not_yet_a_receipt_and_a_citizens_text_is_refused(dial: Dial) -> None:
    ears = Ears()
    async with Smsc() as smsc:
        await up(dial(smsc.port, ears))

        await smsc.report("m1", "ENROUTE")
        await smsc.deliver(Message(source="13800000000", destination="12110", text=b"help"))
        await until(lambda: len(smsc.answers) == 2)

        assert ears.heard == []
        assert {answer.status for answer in smsc.answers} == {codec.OK, codec.RX_P_APPN}


async def test_refusals_busy_centres_and_lost_answers_are_told_apart(dial: Dial) -> None:
    async with RefusingSmsc() as refusing, BusySmsc() as busy, DeafSmsc() as deaf:
        one, two, three = [await up(dial(each.port)) for each in (refusing, busy, deaf)]

        with pytest.raises(GiveUp, match="RINVDSTADR"):
            await SmppChannel(one, "").send(letter())
        with pytest.raises(TryLater, match="RTHROTTLED"):
            await SmppChannel(two, "").send(letter())
        await SmppChannel(two, "").send(letter())
        with pytest.raises(TryLater, match="the line fell"):
            await SmppChannel(three, "").send(letter())

        await until(lambda: three.is_up)  # dialled again by itself
        await SmppChannel(three, "").send(letter())
        assert (len(busy.taken), len(deaf.taken), deaf.binds) == (1, 2, 2)


async def test_no_answer_in_time_may_have_been_taken(dial: Dial) -> None:
    async with SlowSmsc() as smsc:
        line = await up(dial(smsc.port, answer_within=timedelta(milliseconds=150)))

        with pytest.raises(NoAnswer, match="in time"):
            await line.submit(Message(destination="1"))


async def test_octets_one_by_one_are_as_good_as_all_at_once(dial: Dial) -> None:
    async with CrumblingSmsc() as smsc:
        line = await up(dial(smsc.port))

        assert await line.submit(Message(destination="1")) == "m1"


async def test_after_octets_that_are_no_pdu_the_line_is_dialled_anew(dial: Dial) -> None:
    async with GarbledSmsc() as smsc:
        line = await up(dial(smsc.port))

        with pytest.raises(NoAnswer, match="the line fell"):
            await line.submit(Message(destination="1"))

        await until(lambda: smsc.binds == 2 and line.is_up)
        assert await line.submit(Message(destination="1")) == "m2"


async def test_a_message_that_cannot_be_read_is_refused_and_the_line_stands(dial: Dial) -> None:
    async with Smsc() as smsc:
        line = await up(dial(smsc.port))

        for writer in smsc._writers:
            writer.write(codec.encode(codec.Pdu(command=codec.DELIVER_SM, sequence=7, body=b"\x01")))
        await until(lambda: bool(smsc.answers))

        assert smsc.answers[0].status == codec.RX_P_APPN
        assert line.is_up and smsc.binds == 1


async def test_a_wrong_password_leaves_no_line(dial: Dial) -> None:
    async with Smsc(password="other") as smsc:
        line = dial(smsc.port)

        await until(lambda: smsc.binds >= 1)

        assert not line.is_up
        with pytest.raises(LineDown):
            await line.submit(Message(destination="1"))
        with pytest.raises(TryLater, match="is down"):
            await SmppChannel(line, "").send(letter())


async def test_a_silent_line_is_found_out_and_dialled_again(dial: Dial) -> None:
    async with Smsc() as smsc:
        line = await up(dial(smsc.port, enquire_every=timedelta(milliseconds=50)))

        await until(lambda: smsc.enquiries >= 2)
        smsc.cut()

        await until(lambda: smsc.binds == 2 and line.is_up)


async def test_hanging_up_says_goodbye(dial: Dial) -> None:
    async with Smsc() as smsc:
        line = await up(dial(smsc.port))
        stopping = line.stopService()
        assert stopping is not None
        await asyncio.wait_for(stopping.asFuture(asyncio.get_running_loop()), 10)

        await until(lambda: smsc.goodbyes == 1)
        assert not line.is_up


async def test_no_more_messages_wait_for_their_answer_than_the_window_lets(dial: Dial) -> None:
    async with SlowSmsc() as smsc:
        line = await up(dial(smsc.port, window=2, answer_within=timedelta(milliseconds=400)))

        asked = [asyncio.create_task(line.submit(Message(destination="1"))) for _ in range(5)]
        await until(lambda: len(smsc.taken) == 2)
        for _ in range(20):
            await asyncio.sleep(0)

        assert len(smsc.taken) == 2
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


# ---- beside another's implementation (smpp34, Rust) ---------------------------------------------------------------


async def test_another_implementations_centre_understands_us_and_we_understand_it(dial: Dial) -> None:
    """An independent reading of the specification: bind, submit in Chinese, parts, a receipt, a refusal, goodbye."""
    port = free_port()
    server = smpp34.Server(host="127.0.0.1", port=port)
    await server.start()
    ears = Ears()
    line = dial(port, ears)
    try:
        async with asyncio.timeout(20):
            esme = await server.next()
            assert isinstance(esme, smpp34.Esme), esme
            await up(line)
            sending = asyncio.create_task(line.submit(messages(WORDS)[0]))
            event = await server.next()
            assert isinstance(event, smpp34.SubmitSmEvent), event
            assert bytes(event.short_message).decode("utf-16-be") == WORDS
            assert (event.destination_addr, event.data_coding) == ("13800000000", 8)
            event.accept("their-1")
            assert await sending == "their-1"

            refused = asyncio.create_task(line.submit(Message(destination="1", text=b"x")))
            event = await server.next()
            assert isinstance(event, smpp34.SubmitSmEvent), event
            event.reject(0x0B)
            with pytest.raises(Refusal, match="RINVDSTADR"):
                await refused

            receipt = b"id:their-1 sub:001 dlvrd:001 submit date:2611240900 done date:2611240901 stat:DELIVRD err:000"
            await esme.deliver_sm(
                source_addr="13800000000", destination_addr="12345", short_message=receipt, esm_class=4
            )
            await ears.something.wait()
            assert [(one.reference, one.state) for one in ears.heard] == [("their-1", ReceiptState.ARRIVED)]
    finally:
        await server.stop()


def messages(text: str) -> tuple[Message, ...]:
    from adapters.notice.smpp.texts import messages_of

    return messages_of(text, source="12345", destination="13800000000", mark=7)


def free_port() -> int:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
