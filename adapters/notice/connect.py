"""From settings to connected channels. Which are connected is a deployment's matter, which are used is data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

import msgspec
from aiohttp import web

from adapters.notice.channel import Channel
from adapters.notice.email import email_channel
from adapters.notice.gateway import GatewayChannel, compile_shape
from adapters.notice.phone import PhoneChannel
from adapters.notice.receipts_in import ReceiptsIn
from adapters.notice.reports import Reports
from adapters.notice.voice import Voice
from adapters.notice.webhook import WebhookChannel
from dispatcher.domain.library import Library
from dispatcher.ports import Caller, Clock
from dispatcher.settings import Settings
from routing_rules.strict import DataFault


class LongLine(Protocol):
    """A Twisted service, and whether its line stands."""

    @property
    def is_up(self) -> bool: ...

    def startService(self) -> object: ...

    def stopService(self) -> object: ...


class Connected(msgspec.Struct, frozen=True, kw_only=True):
    """The channels of this deployment, how it speaks on them, and what the service serves for them."""

    channels: Mapping[str, Channel]
    voice: Voice
    routes: tuple[web.RouteDef, ...] = ()
    lines: tuple[LongLine, ...] = ()


NOTHING: Final = Connected(channels=MappingProxyType({}), voice=Voice())
"""Desks only."""


def connect(settings: Settings, clock: Clock, reports: Reports, caller: Caller | None = None) -> Connected:
    """The channels that the settings name, and the telephone where there is a switch.

    Raises:
        OSError: a secret's file cannot be read.
        ExceptionGroup: the gateway's file has faults (`DataFault`), all of them.
    """
    notices, sms = settings.notices, settings.sms
    channels: dict[str, Channel] = {}
    routes: tuple[web.RouteDef, ...] = ()
    if notices.webhook_url:
        secret = notices.secret_file.read_bytes().strip() if notices.secret_file else b""
        channels["webhook"] = WebhookChannel(notices.webhook_url, secret, clock)
    if settings.smtp.host:
        channels["email"] = email_channel(settings.smtp, clock)
    if sms.gateway_file is not None:
        shape = compile_shape(sms.gateway_file.name, sms.gateway_file.read_bytes())
        word = sms.secret_file.read_text("utf-8").strip() if sms.secret_file else ""
        channels["sms"] = GatewayChannel(shape, word, clock, answer_within=sms.answer_within)
        if shape.receiving is not None:
            proof = sms.receipt_secret_file.read_bytes().strip() if sms.receipt_secret_file else b""
            if not proof:
                remedy = (
                    "receipts are taken from whoever can prove them only; name a file that holds the secret"
                )
                raise ExceptionGroup(
                    "SMS gateway", [DataFault("config", "sms.receipt_secret_file", "", remedy)]
                )
            routes = ReceiptsIn(shape.receiving, proof, reports, clock).routes()
    lines: list[LongLine] = []
    if settings.smpp.host:
        # Twisted is loaded by those only who have a line.
        from adapters.notice.smpp.channel import SmppChannel, smpp_line

        line = smpp_line(settings.smpp, reports)
        lines.append(line)
        channels["sms"] = SmppChannel(line, settings.smpp.source)
    voice = Voice(
        language=notices.language,
        sign=notices.sign,
        neutral_sign=notices.neutral_sign,
        most_parts=notices.sms_parts,
    )
    if caller is not None:
        channels["phone"] = PhoneChannel(caller, language=voice.language, key=voice.key)
    return Connected(channels=channels, voice=voice, routes=routes, lines=tuple(lines))


def unreachable(library: Library, channels: Mapping[str, Channel]) -> tuple[str, ...]:
    """Rungs and routes none of whose channels is connected here: their notices could never leave."""
    here = {*channels, "desk"}
    faults = [
        f"阶梯 {ladder.id} 第 {rung.id} 级的通道均未接通 / ladder {ladder.id}, rung {rung.id}: none of its channels is "
        f"connected here ({', '.join(rung.channels)}); connect one, or add desk"
        for ladder in library.policy.ladders
        for rung in ladder.rungs
        if rung.channels and here.isdisjoint(rung.channels)
    ]
    faults += [
        f"通知规则 {'、'.join(route.to)} 的通道均未接通 / notices to {', '.join(route.to)}: none of their channels is "
        f"connected here ({', '.join(route.channels)}); connect one, or add desk"
        for route in library.notices.routes
        if here.isdisjoint(route.channels)
    ]
    return tuple(faults)
