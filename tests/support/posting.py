"""A carrier of notices over a deployment's own parts, with the channels and the rules of the test's choice."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from adapters.notice.channel import Channel
from adapters.notice.post import Post
from adapters.notice.voice import Voice
from dispatcher.domain.library import Library
from dispatcher.domain.stream import Effect, StreamRef
from dispatcher.ports import Delivery
from dispatcher.store.receipts import Receipts
from dispatcher.views.outgoing import OutgoingCases
from dispatcher.wiring import Core
from routing_rules.notices import ChannelRules, NoticeRules, Route
from routing_rules.organisation import Organisation

KEY = UUID("3d0f7c7a-0000-4000-8000-000000000001")


def delivery(effect: Effect, case: UUID, attempt: int = 1, key: UUID = KEY) -> Delivery:
    """An effect on its way out."""
    return Delivery(key=key, ref=StreamRef("case", case), effect=effect, attempt=attempt)


def by(*channels: str, rules: tuple[ChannelRules, ...] = ()) -> NoticeRules:
    """Everything to everybody by these channels."""
    return NoticeRules(routes=(Route(to=("*",), channels=channels),), channels=rules)


def changed(
    library: Library, *, notices: NoticeRules | None = None, organisation: Organisation | None = None
) -> Library:
    """The same releases, but for these."""
    return Library(
        book=library.book,
        policies=(library.policy,),
        calendars=library.calendars,
        organisation=organisation or library.organisation,
        directory=library.directory,
        places=library.places,
        home=library.home,
        notices=notices or library.notices,
    )


def post_of(
    core: Core,
    channels: Mapping[str, Channel],
    *,
    rules: NoticeRules | None = None,
    voice: Voice | None = None,
) -> Post:
    """The deployment's post with these channels; without ``rules`` by the library's own."""
    return Post(
        channels,
        OutgoingCases(core.database, core.vault),
        Receipts(core.database),
        core.inbox,
        lambda: changed(core.library(), notices=rules),
        core.clock,
        digest=core.vault.number_digest,
        voice=voice,
    )
