"""Carries orders and results to other platforms over a link, and tells the case what the other side said."""

from __future__ import annotations

import logging
from typing import Protocol
from uuid import UUID, uuid5

from adapters.linkage.wire import Order, Receipt, ResultNote
from dispatcher.domain import commands as c
from dispatcher.domain.effects import PassOrder, ReturnResult
from dispatcher.domain.errors import Refused
from dispatcher.domain.stream import Actor, Role, Submission
from dispatcher.domain.values import Personal, Result, Stage
from dispatcher.ports import Delivery, GiveUp, Inbox
from dispatcher.views.outgoing import Outgoing

_log = logging.getLogger("liandong.linkage")

_WAITING = {"transfer": Stage.TRANSFERRED, "hand-over": Stage.HANDED_OVER}
_FIELDS = ("narrative", "supplement")


class Link(Protocol):
    """The way to other platforms. The same key twice is one order there, and gets the same receipt."""

    async def hand(self, order: Order, key: UUID) -> Receipt:
        """Raises `TryLater` (not known to have arrived) or `GiveUp` (refused, or no way to that platform)."""
        ...

    async def report(self, note: ResultNote, key: UUID) -> None:
        """Raises `TryLater` or `GiveUp`."""
        ...


class Reads(Protocol):
    """Cases as carriers see them (`dispatcher.views.outgoing.OutgoingCases`)."""

    async def get(self, id_: UUID) -> Outgoing | None: ...


class LinkageCarrier:
    """Carries `PassOrder` and `ReturnResult`."""

    def __init__(self, link: Link, reads: Reads, inbox: Inbox) -> None:
        self._link = link
        self._reads = reads
        self._inbox = inbox

    async def deliver(self, delivery: Delivery) -> None:
        """Hands the order or the result over. What the other side said is in the log before this returns."""
        effect = delivery.effect
        if isinstance(effect, PassOrder):
            await self._pass(effect, delivery.key)
        elif isinstance(effect, ReturnResult):
            await self._return(effect, delivery.key)
        else:
            raise GiveUp(f"linkage does not carry {type(effect).__name__}")

    async def _pass(self, effect: PassOrder, key: UUID) -> None:
        out = await self._reads.get(effect.case)
        if out is None:
            raise GiveUp("the case is gone")
        if out.case.stage is not _WAITING.get(effect.kind):
            # Confirmed by an earlier attempt whose answer was lost, withdrawn, or taken back: nobody waits for it.
            _log.info("an order is no longer waited for", extra={"case": effect.case, "key": key})
            return
        receipt = await self._link.hand(order_of(out, effect), key)
        confirmed: c.CaseCommand = (
            c.ConfirmTransfer(case=effect.case, number=receipt.number, peer_case=receipt.case)
            if effect.kind == "transfer"
            else c.ConfirmHandOver(case=effect.case, number=receipt.number, peer_case=receipt.case)
        )
        try:
            await self._inbox.submit(
                Submission(
                    message_id=uuid5(key, "confirmed"),
                    command=confirmed,
                    actor=peer(effect.to),
                )
            )
        except Refused as refused:
            # It was withdrawn in the meantime. The other side has it and closes it by its own rules.
            _log.warning("a confirmation came too late", extra={"case": effect.case, "code": refused.code})

    async def _return(self, effect: ReturnResult, key: UUID) -> None:
        if effect.peer_case is None:
            raise GiveUp(
                f"{effect.to} never told its case's id; tell it the result of {effect.number} by hand"
            )
        out = await self._reads.get(effect.case)
        if out is None:
            raise GiveUp("the case is gone")
        words = out.texts.get(effect.said, "") if effect.said is not None else ""
        await self._link.report(
            ResultNote(
                origin=out.case.platform,
                number=effect.number,
                to=effect.to,
                peer_case=effect.peer_case,
                peer_number=effect.peer_number,
                result=Result(effect.result),
                words=words,
            ),
            key,
        )


def order_of(out: Outgoing, effect: PassOrder) -> Order:
    """What the other platform gets to know of a case: the allow-list, and nothing of who must stay unknown."""
    case = out.case
    unknown = case.anonymous or (case.confidential and effect.kind == "hand-over" and not effect.danger)
    return Order(
        origin=case.platform,
        number=case.number,
        case=case.id,
        to=effect.to,
        kind=effect.kind,
        title=out.title,
        texts=tuple(out.texts[no] for no in sorted(out.texts) if out.fields.get(no) in _FIELDS),
        division=case.division,
        first_received=case.first_received,
        first_platform=case.first_platform,
        call=case.call,
        danger=effect.danger,
        anonymous=case.anonymous,
        confidential=case.confidential,
        wants_reply=case.wants_reply,
        safe_contact=case.safe_contact,
        personal=Personal() if unknown else out.personal,
    )


def peer(platform: str) -> Actor:
    """The other platform as a sender of commands."""
    return Actor(id=f"linkage:{platform}", roles=(Role.PEER,), platform=platform, division=platform[-6:])
