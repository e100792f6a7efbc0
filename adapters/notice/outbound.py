"""Carriers of notices: to the desks, which read what was sent, or to a webhook, which passes it on.

Whoever carries it, safe contact is asked again at the moment it leaves: what was agreed since the plan counts.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
import msgspec

from adapters.notice.compose import notice_of
from dispatcher.domain.effects import AlertLine, Notify, TellCitizen
from dispatcher.domain.library import Library
from dispatcher.domain.plan import may_text
from dispatcher.domain.stream import Effect
from dispatcher.domain.worktime import LEGAL_ZONE
from dispatcher.ports import Clock, Delivery, GiveUp, TryLater
from dispatcher.views.outgoing import Outgoing

CARRIED: Final[frozenset[type[Effect]]] = frozenset({Notify, TellCitizen, AlertLine})
ANSWER_WITHIN: Final = timedelta(seconds=10)

_PASSING: Final = frozenset({408, 425, 429})
"""Answers of the 400s that mean "not now"."""


class Reads(Protocol):
    """Cases as carriers see them (`dispatcher.views.outgoing.OutgoingCases`)."""

    async def get(self, id_: UUID) -> Outgoing | None: ...


class DeskCarrier:
    """Leaves notices where they are: the desks read the outbox's sent rows (`dispatcher.views.notices`).

    A message to a citizen waits there for somebody to tell them, unless they may not be told this way.
    """

    def __init__(self, reads: Reads, clock: Clock) -> None:
        self._reads = reads
        self._clock = clock

    async def deliver(self, delivery: Delivery) -> None:
        """Returns at once; raises GiveUp or TryLater for a citizen who must not be written to (now)."""
        effect = delivery.effect
        if isinstance(effect, TellCitizen):
            check_safe(await self._reads.get(effect.case), self._clock.now())
        elif not isinstance(effect, Notify | AlertLine):
            raise GiveUp(f"notices do not carry {type(effect).__name__}")


class WebhookCarrier:
    """Posts each notice as JSON to one address.

    ``Idempotency-Key`` is the effect's own key. With a secret, ``Liandong-Signature: t=SECONDS,v1=HEX`` holds the
    HMAC-SHA256 of ``SECONDS.BODY``. Redirects are not followed. 2xx is delivered; 408, 425, 429, 5xx and silence are
    tried again; every other answer is final.

    Args:
        base: the address people open, for the link in a notice.
    """

    def __init__(
        self,
        url: str,
        secret: bytes,
        reads: Reads,
        library: Callable[[], Library],
        clock: Clock,
        *,
        base: str = "",
        answer_within: timedelta = ANSWER_WITHIN,
    ) -> None:
        self._url = url
        self._secret = secret
        self._reads = reads
        self._library = library
        self._clock = clock
        self._base = base
        self._timeout = aiohttp.ClientTimeout(total=answer_within.total_seconds())
        self._private = _is_private(url)

    async def deliver(self, delivery: Delivery) -> None:
        """Raises TryLater or GiveUp; returning means that the receiver answered 2xx."""
        effect = delivery.effect
        if not isinstance(effect, Notify | TellCitizen | AlertLine):
            raise GiveUp(f"notices do not carry {type(effect).__name__}")
        out = await self._reads.get(effect.case)
        now = self._clock.now()
        if isinstance(effect, TellCitizen):
            check_safe(out, now)
            if not self._private:
                raise GiveUp("a citizen's number is posted over https or loopback only")
        notice = notice_of(effect, out, self._library(), key=delivery.key, at=now, base=self._base)
        if isinstance(effect, TellCitizen) and not notice.to.phone:
            raise GiveUp("no number to reach the citizen by")
        await self._post(msgspec.json.encode(notice), delivery.key, now)

    async def _post(self, body: bytes, key: UUID, now: datetime) -> None:
        headers = {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": str(key)}
        if self._secret:
            headers["Liandong-Signature"] = signature(self._secret, body, now)
        try:
            async with (
                # A session for each notice: they are few, and nothing is left to close when the process drains.
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                status = answer.status
        except TimeoutError as error:
            raise TryLater("the receiver did not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            # It may have been taken and the answer lost: the key makes the next attempt harmless.
            raise TryLater(f"the receiver cannot be reached ({type(error).__name__})") from error
        if 200 <= status < 300:
            return
        if status in _PASSING or status >= 500:
            raise TryLater(f"the receiver answered {status}")
        raise GiveUp(f"the receiver answered {status}")


def signature(secret: bytes, body: bytes, at: datetime) -> str:
    """The value of Liandong-Signature for a body posted at this instant."""
    seconds = int(at.timestamp())
    return f"t={seconds},v1={hmac.digest(secret, b'%d.%s' % (seconds, body), 'sha256').hex()}"


def check_safe(out: Outgoing | None, now: datetime) -> None:
    """Let a message to the citizen leave, or stop it.

    Raises:
        GiveUp: the case is gone or erased, or the citizen must not be written to.
        TryLater: not at this hour.
    """
    if out is None:
        raise GiveUp("the case is gone")
    if not may_text(out.case):
        raise GiveUp("safe contact: the citizen must not be written to")
    safe = out.case.safe_contact
    if safe is not None and not safe.from_hour <= now.astimezone(LEGAL_ZONE).hour < safe.until_hour:
        raise TryLater(f"safe contact: between {safe.from_hour}:00 and {safe.until_hour}:00 only")


def _is_private(url: str) -> bool:
    """Whether nobody on the way can read what is posted there."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return True
    host = parts.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
