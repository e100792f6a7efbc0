"""What crosses between two platforms: an order and a result, each an allow-list. What is not here does not cross."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from dispatcher.domain.values import Personal, Result, SafeContact


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A case handed to another platform, by call (transfer) or by order (hand-over).

    ``first_received`` and ``first_platform`` carry the total clock, which never resets. ``texts`` are the narrative
    and its supplements, in order; assignment notes, replies and the departments' names stay at home. ``personal`` is
    empty for an anonymous caller and, in a hand-over, for a confidential one.
    """

    origin: str
    number: str
    case: UUID
    to: str
    kind: str
    title: str
    texts: tuple[str, ...]
    division: str
    first_received: datetime
    first_platform: str
    call: str = ""
    danger: bool = False
    anonymous: bool = False
    confidential: bool = False
    wants_reply: bool = True
    safe_contact: SafeContact | None = None
    personal: Personal = Personal()


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The other side has it, as its own case under its own number."""

    case: UUID
    number: str


class ResultNote(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a case that ``to`` had passed on, in the words that its citizen was told."""

    origin: str
    number: str
    to: str
    peer_case: UUID
    peer_number: str
    result: Result
    words: str = ""
