"""From settings to connected channels. Which are connected is a deployment's matter, which are used is data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from adapters.notice.channel import Channel
from adapters.notice.email import email_channel
from adapters.notice.voice import Voice
from adapters.notice.webhook import WebhookChannel
from dispatcher.domain.library import Library
from dispatcher.ports import Clock
from dispatcher.settings import Settings


class Connected(msgspec.Struct, frozen=True, kw_only=True):
    """The channels of this deployment, and how it speaks on them."""

    channels: Mapping[str, Channel]
    voice: Voice


NOTHING: Final = Connected(channels=MappingProxyType({}), voice=Voice())
"""Desks only."""


def connect(settings: Settings, clock: Clock) -> Connected:
    """The channels that the settings name.

    Raises:
        OSError: a secret's file cannot be read.
    """
    notices = settings.notices
    channels: dict[str, Channel] = {}
    if notices.webhook_url:
        secret = notices.secret_file.read_bytes().strip() if notices.secret_file else b""
        channels["webhook"] = WebhookChannel(notices.webhook_url, secret, clock)
    if settings.smtp.host:
        channels["email"] = email_channel(settings.smtp, clock)
    return Connected(
        channels=channels,
        voice=Voice(
            language=notices.language,
            sign=notices.sign,
            neutral_sign=notices.neutral_sign,
            most_parts=notices.sms_parts,
        ),
    )


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
