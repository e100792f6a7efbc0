"""The receiving side of a link inside one deployment: both platforms live here and share the inbox.

The demonstration's shape. In production the other platform is another system behind a `Link` of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID, uuid5

from adapters.linkage.outbound import Reads, peer
from adapters.linkage.wire import Order, Receipt, ResultNote
from dispatcher.domain import commands as c
from dispatcher.domain.deciding.checks import MOST_WORDS
from dispatcher.domain.errors import KeyReused, Refused
from dispatcher.domain.stream import Actor, Submission
from dispatcher.ports import GiveUp, Inbox, TryLater

Draw = Callable[[str], Awaitable[str]]
"""Draws the next case number of a platform."""

Digest = Callable[[str], bytes]
"""The keyed digest of a telephone number, by which the platform finds a caller's history."""


class LocalLink:
    """Registers orders as the receiving platform's own cases, under ids derived from the order's key.

    Args:
        serves: whether a platform lives in this deployment.
    """

    def __init__(
        self, inbox: Inbox, reads: Reads, *, draw: Draw, digest: Digest, serves: Callable[[str], bool]
    ) -> None:
        self._inbox = inbox
        self._reads = reads
        self._draw = draw
        self._digest = digest
        self._serves = serves

    async def hand(self, order: Order, key: UUID) -> Receipt:
        """Register the order, or find what an earlier attempt registered."""
        if not self._serves(order.to):
            raise GiveUp(f"no link to {order.to}: pass it on by telephone")
        case = uuid5(key, "case")
        known = await self._reads.get(case)
        if known is None:
            number = await self._draw(order.to)
            caller = order.personal.caller or order.personal.contact
            command = registration(order, case, number, self._digest(caller) if caller else b"")
            try:
                await self._submit(command, key, "registered", peer(order.to), order.to)
            except KeyReused as reused:
                # Another attempt was faster and drew another number; the next one finds its case.
                raise TryLater("another attempt is registering it") from reused
            return Receipt(case=case, number=number)
        return Receipt(case=case, number=known.case.number)

    async def report(self, note: ResultNote, key: UUID) -> None:
        """Tell the case that was passed on what became of it."""
        if not self._serves(note.to):
            raise GiveUp(f"no link to {note.to}: tell it the result of {note.number} by telephone")
        command = c.ReportPeerResult(case=note.peer_case, result=note.result, words=note.words)
        await self._submit(command, key, "result", peer(note.origin), note.to)

    async def _submit(self, command: c.CaseCommand, key: UUID, step: str, actor: Actor, there: str) -> None:
        try:
            await self._inbox.submit(Submission(message_id=uuid5(key, step), command=command, actor=actor))
        except KeyReused:
            raise
        except Refused as refused:
            raise GiveUp(f"{there} refused it: {refused.code} {refused.field}".rstrip()) from refused


def registration(order: Order, case: UUID, number: str, caller_mac: bytes) -> c.RegisterCase:
    """The order as the receiving platform's own intake; ruled afresh there, by its own line."""
    return c.RegisterCase(
        case=case,
        platform=order.to,
        number=number,
        title=order.title,
        words="\n".join(order.texts)[:MOST_WORDS],
        channel="linkage",
        division=order.division,
        first_received=order.first_received,
        first_platform=order.first_platform,
        personal=order.personal,
        caller_mac=caller_mac,
        anonymous=order.anonymous,
        confidential=order.confidential,
        wants_reply=order.wants_reply,
        safe_contact=order.safe_contact,
        call=order.call,
        peer_platform=order.origin,
        peer_number=order.number,
        peer_case=order.case,
    )


def served_by(platforms: Sequence[str]) -> Callable[[str], bool]:
    """Whether a platform belongs to one of these: of the same line, within its division's tree.

    >>> served_by(["12345-630000"])("12345-630100"), served_by(["12345-630000"])("110-630100")
    (True, False)
    """
    trees = [(line, _tree(division)) for line, _, division in (p.partition("-") for p in platforms)]

    def serves(platform: str) -> bool:
        line, _, division = platform.partition("-")
        return any(line == own and division.startswith(tree) for own, tree in trees)

    return serves


def _tree(division: str) -> str:
    """What the codes of a division's tree begin with ("630000": "63")."""
    while len(division) > 2 and division.endswith("00"):
        division = division[:-2]
    return division
