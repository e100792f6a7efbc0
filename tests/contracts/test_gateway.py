"""The SMS gateway over HTTP: a shape as data, what leaves, how its answers are read, and receipts that prove themselves."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from adapters.notice.channel import Taken
from adapters.notice.fake_gateway import SECRET, SHAPE, GarbledGateway, Gateway
from adapters.notice.gateway import GatewayChannel, Receiving, compile_shape, text_at
from adapters.notice.receipts_in import PATH, ReceiptsIn
from adapters.notice.reports import Reports
from adapters.notice.webhook import signature
from dispatcher.domain.stream import StreamRef
from dispatcher.ports import Clock, GiveUp, TryLater
from dispatcher.runtime.clock import ManualClock
from dispatcher.store.receipts import Receipt, Receipts, ReceiptState
from routing_rules.strict import DataFault
from tests.contracts.conftest import MONDAY
from tests.contracts.letters import KEY, letter
from tests.support.world import World

PROOF = b"the gateway's own secret"


def channel(gateway: Gateway, shape: bytes | None = None) -> GatewayChannel:
    read = compile_shape("gateway.toml", shape or gateway.shape)
    return GatewayChannel(read, SECRET, ManualClock(MONDAY), answer_within=timedelta(seconds=5))


def faults_of(shape: str) -> list[str]:
    with pytest.raises(ExceptionGroup) as refused:
        compile_shape("gateway.toml", shape.encode())
    return [str(fault) for fault in refused.value.exceptions if isinstance(fault, DataFault)]


async def test_the_shape_says_what_leaves_and_where_the_secret_stands() -> None:
    async with Gateway() as gateway:
        taken = await channel(gateway).send(letter(address="+8613800000000"))

        (message,) = gateway.taken.values()
        assert (message["mobile"], message["report"]) == ("13800000000", True)
        assert message["content"] == "【联动】工单 7 已派给贵单位，请签收。"
        assert len(message["sign"]) == 64
        assert SECRET not in json.dumps(message)
        assert taken == Taken(reference="gw-0", parts=1, tells=True)


async def test_what_a_citizen_wrote_fills_no_place() -> None:
    async with Gateway() as gateway:
        await channel(gateway).send(letter(text="{secret} {phone}"))

        (message,) = gateway.taken.values()
        assert message["content"] == "{secret} {phone}"


async def test_a_page_with_status_200_is_no_answer() -> None:
    async with GarbledGateway() as gateway:
        with pytest.raises(TryLater, match="not JSON"):
            await channel(gateway).send(letter())


async def test_a_wrong_secret_is_refused() -> None:
    async with Gateway() as gateway:
        shape = compile_shape("gateway.toml", gateway.shape)
        wrong = GatewayChannel(shape, "other", ManualClock(MONDAY), answer_within=timedelta(seconds=5))

        with pytest.raises(GiveUp, match="401"):
            await wrong.send(letter())


async def test_a_form_is_sent_as_one() -> None:
    shape = b"""
    [send]
    url = "URL"
    body = "form"
    fields = { to = "{phone}", msg = "{text}" }
    """
    async with Gateway() as gateway:
        with pytest.raises(GiveUp, match="401"):  # this gateway wants its header
            await channel(gateway, shape.replace(b"URL", gateway.url.encode())).send(letter())

        assert gateway.heard[0]["Content-Type"] == "application/x-www-form-urlencoded"


def test_every_fault_of_a_shape_is_named_at_once() -> None:
    found = faults_of(
        """
        [send]
        url = "http://sms.example/send?key={secret}"
        body = "form"
        fields = { to = "{fone}", deep = { text = "{text}" } }
        [send.answer]
        code = "code"
        [send.signing]
        of = "{signature}"
        """
    )

    for words in ("https only", "no places here", "{fone}", "{phone}", "flat text", "taken", "sign itself"):
        assert any(words in fault for fault in found), words


def test_a_shape_needs_a_way_to_send() -> None:
    assert "where and how" in faults_of("[receipt]\nreference = 'id'")[0]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.b", "1"),
        ("a.c.1", "y"),
        ("a.c.9", None),
        ("a.z", None),
        ("a", None),
        ("a.t", None),
        ("a.c.x", None),
    ],
)
def test_a_path_finds_text_and_numbers_only(path: str, found: str | None) -> None:
    assert text_at({"a": {"b": 1, "c": ["x", "y"], "t": True}}, path) == found


# ---- receipts ------------------------------------------------------------------------------------------------------


class _Outbox:
    def __init__(self) -> None:
        self.woken: list[tuple[UUID, bool]] = []

    async def look_again(self, key: UUID, now: datetime, *, sent: bool) -> bool:
        self.woken.append((key, sent))
        return True


class Hook:
    """The receipts' endpoint over a deployment's own table."""

    def __init__(self, web: aiohttp.ClientSession, receipts: Receipts, outbox: _Outbox, clock: Clock) -> None:
        self.receipts = receipts
        self.outbox = outbox
        self._web = web
        self._clock = clock

    async def post(self, document: Any, *, secret: bytes = PROOF, at: datetime | None = None) -> int:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        headers = {"Liandong-Signature": signature(secret, body, at or self._clock.now())}
        async with self._web.post(PATH, data=body, headers=headers) as answer:
            return answer.status

    async def state(self) -> ReceiptState:
        return (await self.receipts.of(KEY))["sms"].state


@asynccontextmanager
async def hook(liandong: World, receiving: Receiving, *, waits: bool = True) -> AsyncIterator[Hook]:
    receipts, outbox = Receipts(liandong.core.database), _Outbox()
    reports = Reports(receipts, outbox, liandong.clock, lambda: None)
    await receipts.put(
        Receipt(
            key=KEY,
            channel="sms",
            stream_id=StreamRef("case", KEY).id,
            role="unit-head",
            state=ReceiptState.TAKEN,
            at=MONDAY,
            reference="gw-0",
            until=MONDAY + timedelta(minutes=1) if waits else None,
        )
    )
    app = aiohttp.web.Application()
    app.add_routes(ReceiptsIn(receiving, PROOF, reports, liandong.clock).routes())
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    try:
        await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession(base_url=base) as web:
            yield Hook(web, receipts, outbox, liandong.clock)
    finally:
        await runner.cleanup()


async def test_a_receipt_is_kept_and_wakes_the_notice_that_waits(liandong: World) -> None:
    async with hook(liandong, Receiving()) as made:
        assert await made.post({"id": "gw-0", "status": "DELIVRD"}) == 204
        assert await made.post({"id": "gw-0", "status": "DELIVRD"}) == 204

        assert await made.state() is ReceiptState.ARRIVED
        assert made.outbox.woken == [(KEY, False)]


async def test_what_counted_as_sent_and_did_not_arrive_goes_on_its_way_again(liandong: World) -> None:
    async with hook(liandong, Receiving(), waits=False) as made:
        assert await made.post({"id": "gw-0", "status": "UNDELIV"}) == 204

        assert await made.state() is ReceiptState.FAILED
        assert made.outbox.woken == [(KEY, True)]


async def test_what_arrived_does_not_fail_afterwards(liandong: World) -> None:
    async with hook(liandong, Receiving()) as made:
        await made.post({"id": "gw-0", "status": "DELIVRD"})
        assert await made.post({"id": "gw-0", "status": "EXPIRED"}) == 204

        assert await made.state() is ReceiptState.ARRIVED


async def test_an_unknown_message_is_asked_for_again(liandong: World) -> None:
    async with hook(liandong, Receiving(list="reports")) as made:
        rows = [{"id": "gw-0", "status": "DELIVRD"}, {"id": "gw-9", "status": "DELIVRD"}]

        assert await made.post({"reports": rows}) == 503
        assert await made.state() is ReceiptState.ARRIVED


async def test_what_is_on_its_way_changes_nothing(liandong: World) -> None:
    async with hook(liandong, Receiving()) as made:
        assert await made.post({"id": "gw-0", "status": "ENROUTE"}) == 204

        assert await made.state() is ReceiptState.TAKEN


@pytest.mark.parametrize("old", [timedelta(minutes=6), -timedelta(minutes=6)])
async def test_whoever_proves_nothing_is_not_heard(liandong: World, old: timedelta) -> None:
    document = {"id": "gw-0", "status": "UNDELIV"}
    async with hook(liandong, Receiving()) as made:
        assert await made.post(document, secret=b"guessed") == 401
        assert await made.post(document, at=MONDAY - old) == 401

        assert await made.state() is ReceiptState.TAKEN


@pytest.mark.parametrize("said", ["", "t=,v1=", "t=1e9,v1=x", "t=99999999999999999999,v1=x", "v1=x", "字"])
async def test_a_signature_that_is_none_is_refused(liandong: World, said: str) -> None:
    async with (
        hook(liandong, Receiving()) as made,
        made._web.post(PATH, data=b"{}", headers={"Liandong-Signature": said}) as answer,
    ):
        assert answer.status == 401


async def test_a_token_proves_as_well(liandong: World) -> None:
    body = json.dumps({"id": "gw-0", "status": "DELIVRD"}).encode()
    async with hook(liandong, Receiving(auth="token")) as made:
        for token, status in ((PROOF.decode(), 204), ("other", 401), ("字", 401)):
            headers = {"Authorization": f"Bearer {token}"}
            async with made._web.post(PATH, data=body, headers=headers) as answer:
                assert answer.status == status


@pytest.mark.parametrize("body", [b"not json", b"[]", b'{"id":"gw-0"}', b'{"status":"DELIVRD"}', b"3"])
async def test_what_cannot_be_read_changes_nothing(liandong: World, body: bytes) -> None:
    async with hook(liandong, Receiving()) as made:
        assert await made.post(body) == 422
        assert await made.state() is ReceiptState.TAKEN


async def test_too_much_is_too_much(liandong: World) -> None:
    async with (
        hook(liandong, Receiving(list="r")) as made,
        made._web.post(PATH, data=io.BytesIO(b" " * 1_100_000)) as answer,
    ):
        assert answer.status == 413


def test_the_shape_in_the_documents_is_one() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "notices.md").read_text("utf-8")
    example = docs.partition("```toml\n[send]")[2].partition("```")[0]

    shape = compile_shape("docs", f"[send]{example}".encode())

    assert shape.receiving is not None
    assert {"send", "answer", "signing", "receipt"} <= set(
        SHAPE.replace(".", " ").replace("[", " ").replace("]", " ").split()
    )
