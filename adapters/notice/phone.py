"""Notices by telephone: the switch rings the duty phone, reads the text, and asks for a key."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from adapters.notice.channel import Letter, Taken
from dispatcher.ports import Caller, DutyCall

RING_FOR: Final = timedelta(seconds=45)


class PhoneChannel:
    """Has calls placed by the switch. A call is worth something only when somebody confirms, so word is always waited
    for."""

    def __init__(self, caller: Caller, *, language: str, key: str) -> None:
        self._caller = caller
        self._language = language
        self._key = key

    async def send(self, letter: Letter) -> Taken:
        """Returning means that the switch has the call; whether somebody confirmed comes as word."""
        name = await self._caller.ring(
            DutyCall(
                id=letter.notice.key,
                number=letter.address,
                words=letter.text,
                language=self._language,
                confirm=self._key,
                ring_for=RING_FOR,
            )
        )
        return Taken(reference=name, tells=True)
