"""Notices by webhook: one JSON document for each, signed, to one address."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
import msgspec

from adapters.notice.channel import Letter, Taken
from dispatcher.ports import Clock, GiveUp, TryLater
from dispatcher.setting_checks import is_loopback

ANSWER_WITHIN: Final = timedelta(seconds=10)
PASSING: Final = frozenset({408, 425, 429})
"""Answers of the 400s that mean "not now"."""


class WebhookChannel:
    """Posts each notice as JSON to one address.

    ``Idempotency-Key`` is the effect's own key. With a secret, ``Liandong-Signature: t=SECONDS,v1=HEX`` holds the
    HMAC-SHA256 of ``SECONDS.BODY``. Redirects are not followed. 2xx is delivered; 408, 425, 429, 5xx and silence are
    tried again; every other answer is final.
    """

    def __init__(
        self, url: str, secret: bytes, clock: Clock, *, answer_within: timedelta = ANSWER_WITHIN
    ) -> None:
        self._url = url
        self._secret = secret
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=answer_within.total_seconds())
        self._private = is_private(url)

    async def send(self, letter: Letter) -> Taken:
        """Returning means that the receiver answered 2xx."""
        if letter.notice.kind == "tell-citizen":
            if not self._private:
                raise GiveUp("a citizen's number is posted over https or loopback only")
            if not letter.notice.to.phone:
                raise GiveUp("no number to reach the citizen by")
        await self._post(msgspec.json.encode(letter.notice), letter.notice.key)
        return Taken()

    async def _post(self, body: bytes, key: UUID) -> None:
        headers = {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": str(key)}
        if self._secret:
            headers["Liandong-Signature"] = signature(self._secret, body, self._clock.now())
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
        if status in PASSING or status >= 500:
            raise TryLater(f"the receiver answered {status}")
        raise GiveUp(f"the receiver answered {status}")


def signature(secret: bytes, body: bytes, at: datetime) -> str:
    """The value of Liandong-Signature for a body posted at this instant."""
    seconds = int(at.timestamp())
    return f"t={seconds},v1={hmac.digest(secret, b'%d.%s' % (seconds, body), 'sha256').hex()}"


def is_private(url: str) -> bool:
    """Whether nobody on the way can read what is posted there."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return True
    return is_loopback(parts.hostname or "")
