"""Text messages over a gateway's HTTP interface, whatever its shape: the shape is a file (docs/notices.md).

The file is TOML: where to send, the headers, the fields with places in braces, how its answer is read, and how its
delivery receipts are. Secrets come from files of their own and never stand in an address.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import aiohttp
import msgspec

from adapters.notice.channel import Letter, Taken
from adapters.notice.sms_text import count
from adapters.notice.webhook import PASSING, is_private
from dispatcher.ports import Clock, GiveUp, TryLater
from routing_rules.strict import DataFault, read_row, refuse, tables_of

_PLACE: Final = re.compile(r"\{([a-z_0-9]*)\}")
PLACES: Final = ("phone", "text", "key", "secret", "timestamp", "signature")
_ANSWER_BYTES: Final = 65_536


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the gateway's answer is read: the dotted path of its code, which codes mean taken and which "not now" (all
    others refuse), and the path of its own name for the message. Without ``code`` any 2xx means taken."""

    code: str = ""
    taken: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    reference: str = ""


class Signing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What fills ``{signature}``: the hex digest of ``of`` with its places filled (not ``{signature}``)."""

    of: str
    by: Literal["hmac-sha256", "sha256", "md5"] = "hmac-sha256"


class Receiving(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How its delivery receipts are read. ``auth`` signature: ``Liandong-Signature`` as our webhook signs; token: the
    secret itself stands in ``header`` (``Authorization`` where none is named). ``list`` is the path of an array of receipts, "" for a single one. States that
    are in neither list mean that it is still on its way."""

    auth: Literal["signature", "token"] = "signature"
    header: str = ""
    list: str = ""
    reference: str = "id"
    state: str = "status"
    arrived: tuple[str, ...] = ("DELIVRD",)
    failed: tuple[str, ...] = ("UNDELIV", "EXPIRED", "DELETED", "REJECTD", "UNKNOWN")


class _Send(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: str
    body: Literal["json", "form"] = "json"
    headers: dict[str, str] = {}
    fields: dict[str, Any]
    answer: Answer = Answer()
    signing: Signing | None = None


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway's shape, checked. ``receiving`` is None where it sends no receipts."""

    send: _Send
    receiving: Receiving | None


def compile_shape(name: str, content: bytes) -> Shape:
    """Read a gateway file. Raises an ExceptionGroup of DataFault naming every fault."""
    faults: list[DataFault] = []
    rows = tables_of(name, content, {"send": dict, "receipt": dict}, faults)
    send = next((read_row(_Send, row, where, faults) for where, row in rows["send"]), None)
    receiving = next((read_row(Receiving, row, where, faults) for where, row in rows["receipt"]), None)
    if not rows["send"]:
        faults.append(DataFault(name, "send", None, "say where and how to send: url, fields"))
    if send is not None:
        faults.extend(_send_faults(f"{name} send", send))
    refuse("SMS gateway", faults)
    assert send is not None
    return Shape(send=send, receiving=receiving)


def _send_faults(where: str, send: _Send) -> list[DataFault]:
    faults: list[DataFault] = []
    parts = urlsplit(send.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        faults.append(DataFault(where, "url", send.url, "a full http(s):// address"))
    elif not is_private(send.url):
        remedy = "telephone numbers leave over https only (or to this machine)"
        faults.append(DataFault(where, "url", send.url, remedy))
    if _PLACE.search(send.url):
        faults.append(
            DataFault(where, "url", "…", "no places here: addresses end up in logs; use headers or fields")
        )
    used: set[str] = set()
    templates = [("headers", list(send.headers.values())), ("fields", list(_strings(send.fields)))]
    if send.signing is not None:
        templates.append(("signing", [send.signing.of]))
        if "{signature}" in send.signing.of:
            faults.append(DataFault(where, "signing", send.signing.of, "cannot sign itself"))
    for field, texts in templates:
        for place in (found for text in texts for found in _PLACE.findall(text)):
            used.add(place)
            if place not in PLACES:
                faults.append(
                    DataFault(where, field, f"{{{place}}}", f"unknown; places are {', '.join(PLACES)}")
                )
    faults.extend(
        DataFault(where, "fields", f"{{{needed}}}", "is used nowhere; a message needs it")
        for needed in ("phone", "text")
        if needed not in used
    )
    if "signature" in used and send.signing is None:
        faults.append(DataFault(where, "signing", None, "say what {signature} is made of"))
    if send.body == "form" and any(not isinstance(value, str) for value in send.fields.values()):
        faults.append(DataFault(where, "fields", "…", "a form has flat text fields only"))
    if send.answer.code and not send.answer.taken:
        faults.append(DataFault(where, "answer.taken", [], "say which codes mean that it was taken"))
    return faults


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for each in value.values() for text in _strings(each)]
    if isinstance(value, list):
        return [text for each in value for text in _strings(each)]
    return []


class GatewayChannel:
    """Hands each text message to the gateway. ``{key}`` is the effect's own, the same at every attempt."""

    def __init__(self, shape: Shape, secret: str, clock: Clock, *, answer_within: timedelta) -> None:
        self._send = shape.send
        self._tells = shape.receiving is not None and bool(shape.send.answer.reference)
        self._secret = secret
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=answer_within.total_seconds())

    async def send(self, letter: Letter) -> Taken:
        """Returning means that the gateway took it. 408, 425, 429, 5xx, "not now" codes, silence and answers that are
        none are tried again under the same key."""
        places = self._places(letter, self._clock.now())
        body = _filled(self._send.fields, places)
        headers = {name: _place(text, places) for name, text in self._send.headers.items()}
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.post(
                    self._send.url,
                    headers=headers,
                    allow_redirects=False,
                    **({"json": body} if self._send.body == "json" else {"data": body}),
                ) as answer,
            ):
                status, said = answer.status, await answer.content.read(_ANSWER_BYTES)
        except TimeoutError as error:
            raise TryLater("the gateway did not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise TryLater(f"the gateway cannot be reached ({type(error).__name__})") from error
        if status in PASSING or status >= 500:
            raise TryLater(f"the gateway answered {status}")
        if not 200 <= status < 300:
            raise GiveUp(f"the gateway answered {status}")
        return self._read(said, letter)

    def _read(self, said: bytes, letter: Letter) -> Taken:
        rules = self._send.answer
        answer: object = None
        if rules.code or rules.reference:
            try:
                answer = msgspec.json.decode(said)
            except msgspec.MsgspecError as error:
                # A proxy's page with status 200: nobody knows whether the gateway behind it has the message.
                raise TryLater("the gateway's answer is not JSON") from error
        if rules.code:
            code = text_at(answer, rules.code)
            if code in rules.later or code is None:
                raise TryLater(f"the gateway answered code {code}")
            if code not in rules.taken:
                raise GiveUp(f"the gateway refused with code {code[:40]}")
        reference = (text_at(answer, rules.reference) or "") if rules.reference else ""
        return Taken(reference=reference, parts=count(letter.text), tells=self._tells and bool(reference))

    def _places(self, letter: Letter, at: datetime) -> dict[str, str]:
        places = {
            "phone": letter.address.removeprefix("+86"),
            "text": letter.text,
            "key": str(letter.notice.key),
            "secret": self._secret,
            "timestamp": str(int(at.timestamp())),
        }
        signing = self._send.signing
        if signing is not None:
            words, secret = _place(signing.of, places).encode(), self._secret.encode()
            if signing.by == "hmac-sha256":
                places["signature"] = hmac.digest(secret, words, "sha256").hex()
            else:  # what some gateways ask for; over https it proves no less than a password would
                places["signature"] = hashlib.new(signing.by, words, usedforsecurity=False).hexdigest()
        return places


def _filled(value: Any, places: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _place(value, places)
    if isinstance(value, Mapping):
        return {name: _filled(each, places) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, places) for each in value]
    return value


def _place(text: str, places: Mapping[str, str]) -> str:
    # In one pass: what a citizen wrote may look like a place and is not one.
    return _PLACE.sub(lambda found: places.get(found[1], found[0]), text)


def text_at(document: object, path: str) -> str | None:
    """The text or number at a dotted path (array places are numbers), None where there is nothing."""
    here = document
    for step in path.split("."):
        if isinstance(here, Mapping) and step in here:
            here = here[step]
        elif isinstance(here, list) and step.isdigit() and int(step) < len(here):
            here = here[int(step)]
        else:
            return None
    if isinstance(here, bool) or not isinstance(here, str | int):
        return None
    return str(here)
