"""What every channel of notices is: it takes one letter, and says whether it did. Each passes the same contract suite."""

from __future__ import annotations

from typing import Protocol

import msgspec

from adapters.notice.wire import Notice


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One notice, ready for one channel.

    ``address`` is where it goes ("" for the webhook and the desk, which find their way themselves); ``text`` are the
    words as this channel carries them; ``notice`` is the whole document, in both languages. ``notice.key`` is the same
    at every attempt.
    """

    notice: Notice
    address: str
    text: str
    urgent: bool = False


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """The channel took a letter. ``reference`` is its own name for it, by which word of its arrival will come;
    ``parts`` how many messages it made of it; ``tells`` whether such word can be expected."""

    reference: str = ""
    parts: int = 1
    tells: bool = False


class Channel(Protocol):
    """One way out of the house."""

    async def send(self, letter: Letter) -> Taken:
        """Hand a letter over. A repeated key is harmless or at least recognisable there.

        Raises:
            TryLater: not known to have been taken: the receiver is silent, busy or gone.
            GiveUp: it refused; asking again is of no use.
        """
        ...
