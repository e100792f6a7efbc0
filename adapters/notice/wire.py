"""What a receiver of notices gets: one JSON document for each notice, with the words in both languages.

Published shape; fields are added, never renamed. A document about the citizen's own case carries the number to reach
them by, every other one ids, codes and names of units only.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """Who is meant: a role at a unit or platform, its name, and how it is reached now ("" where it is not).

    ``mobile`` takes text messages. ``person`` is whoever is on duty, ``stands_in`` the role that answers for one who is
    absent. A platform without a roster is reached by its own line's number, which nobody rings to tell it something.
    """

    role: str
    unit: str = ""
    platform: str = ""
    name: str = ""
    phone: str = ""
    mobile: str = ""
    email: str = ""
    person: str = ""
    stands_in: str = ""


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """One language's words."""

    subject: str
    body: str


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One notice. ``key`` is the same at every attempt; ``at`` is this attempt's instant.

    ``kind`` is notify, tell-citizen or alert-line; ``words`` by language tag, Simplified Chinese first.
    """

    key: UUID
    kind: str
    at: datetime
    case: UUID
    number: str
    to: Party
    template: str
    level: int
    danger: bool
    words: dict[str, Words]
    link: str = ""
