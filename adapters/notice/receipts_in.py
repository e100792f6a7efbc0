"""Delivery receipts of an SMS gateway, posted to us: proved, read by the gateway's shape, and kept."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from aiohttp import web

from adapters.notice.gateway import Receiving, text_at
from adapters.notice.reports import Reports
from adapters.notice.webhook import signature
from dispatcher.ports import Clock
from dispatcher.store.receipts import ReceiptState

PATH: Final = "/hooks/sms/receipts"
FRESH: Final = timedelta(minutes=5)
"""A signature older than this, or from the future, proves nothing any more."""
_BODY_BYTES: Final = 1_048_576
_MOST: Final = 1_000


class ReceiptsIn:
    """Answers 204 when all is kept, 401 to whoever proves nothing, 422 to what cannot be read, and 503 where a message
    is not known yet: the gateway says it again."""

    def __init__(self, receiving: Receiving, secret: bytes, reports: Reports, clock: Clock) -> None:
        self._receiving = receiving
        usual = "Authorization" if receiving.auth == "token" else "Liandong-Signature"
        self._header = receiving.header or usual
        self._secret = secret
        self._reports = reports
        self._clock = clock

    def routes(self) -> tuple[web.RouteDef, ...]:
        """What the service serves."""
        return (web.post(PATH, self.take),)

    async def take(self, request: web.Request) -> web.Response:
        """One post of one or many receipts."""
        if request.content_length is not None and request.content_length > _BODY_BYTES:
            return web.Response(status=413)
        body = await request.content.read(_BODY_BYTES + 1)
        while not request.content.at_eof() and len(body) <= _BODY_BYTES:
            body += await request.content.read(_BODY_BYTES + 1 - len(body))
        if len(body) > _BODY_BYTES:
            return web.Response(status=413)
        if not self._proved(request.headers.get(self._header, ""), body):
            return web.Response(status=401)
        try:
            document = msgspec.json.decode(body)
        except msgspec.MsgspecError:
            return web.Response(status=422)
        read = self._read(document)
        if read is None:
            return web.Response(status=422)
        unknown = 0
        for reference, state, said in read:
            if state is not None and not await self._reports.heard("sms", reference, state, said):
                unknown += 1
        return web.Response(status=503, headers={"Retry-After": "5"}) if unknown else web.Response(status=204)

    def _proved(self, said: str, body: bytes) -> bool:
        if self._receiving.auth == "token":
            return hmac.compare_digest(said.removeprefix("Bearer ").encode(), self._secret)
        stated = dict(part.partition("=")[::2] for part in said.split(","))
        now = self._clock.now()
        try:
            at = datetime.fromtimestamp(int(stated.get("t", "")), tz=UTC)
        except (ValueError, OverflowError, OSError):
            return False
        if abs(now - at) > FRESH:
            return False
        return hmac.compare_digest(
            f"t={stated['t']},v1={stated.get('v1', '')}".encode(), signature(self._secret, body, at).encode()
        )

    def _read(self, document: object) -> list[tuple[str, ReceiptState | None, str]] | None:
        rules = self._receiving
        rows: object = document if rules.list else [document]
        for step in rules.list.split(".") if rules.list not in ("", ".") else ():
            rows = rows.get(step) if isinstance(rows, Mapping) else None
        if not isinstance(rows, list) or len(rows) > _MOST:
            return None
        read = []
        for row in rows:
            reference, said = text_at(row, rules.reference), text_at(row, rules.state)
            if not reference or said is None:
                return None
            state = None
            if said in rules.arrived:
                state = ReceiptState.ARRIVED
            elif said in rules.failed:
                state = ReceiptState.FAILED
            read.append((reference, state, f"the gateway says {said[:40]}"))
        return read
