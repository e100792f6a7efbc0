"""The carrier of notices: one way after the other, until one has it. What became of each is kept as a receipt.

Which ways, in which order and how patiently is data: the rung's own channels (the case's policy), or the recipient's
(`routing_rules.notices`). Who is on duty, whether a citizen may be written to and what the case says is looked up when
the notice leaves, not when it was planned.

Nothing leaves before its receipt says that it is being tried. One attempt hands over to one channel at most; the next
channel is the next attempt, at once. So an attempt cut off anywhere is taken up where it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID, uuid5

import msgspec

from adapters.notice.channel import Channel, Letter, Taken
from adapters.notice.compose import Carried, is_urgent, notice_of, role_of
from adapters.notice.safe import check_safe
from adapters.notice.voice import Voice
from adapters.notice.wire import Notice, Party
from dispatcher.domain import commands as c
from dispatcher.domain.effects import AlertLine, Notify, TellCitizen
from dispatcher.domain.errors import Refused
from dispatcher.domain.library import Library
from dispatcher.domain.stream import SYSTEM, Effect, Submission
from dispatcher.ports import Clock, Delivery, GiveUp, Inbox, TryLater
from dispatcher.store.receipts import DONE, OVER, Receipt, Receipts, ReceiptState
from dispatcher.views.outgoing import Outgoing
from routing_rules.notices import Pace

_log = logging.getLogger("liandong.notice")

CARRIED: Final[frozenset[type[Effect]]] = frozenset({Notify, TellCitizen, AlertLine})
DESK: Final = "desk"
WEBHOOK: Final = "webhook"


class Reads(Protocol):
    """Cases as carriers see them (`dispatcher.views.outgoing.OutgoingCases`)."""

    async def get(self, id_: UUID) -> Outgoing | None: ...


class _Errand(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt: what is carried, to whom, by which ways, and what is known of earlier attempts."""

    delivery: Delivery
    effect: Carried
    out: Outgoing | None
    notice: Notice
    urgent: bool
    ways: tuple[str, ...]
    known: dict[str, Receipt]
    now: datetime
    library: Library


class Post:
    """Carries `Notify`, `TellCitizen` and `AlertLine`.

    Args:
        channels: those that are connected here; the desk always is.
        digest: a keyed digest of an address, by which what one receiver is sent is counted.
        base: the address people open, for the link in a notice.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        reads: Reads,
        receipts: Receipts,
        inbox: Inbox,
        library: Callable[[], Library],
        clock: Clock,
        *,
        digest: Callable[[str], bytes],
        voice: Voice | None = None,
        base: str = "",
    ) -> None:
        self._channels = dict(channels)
        self._reads = reads
        self._receipts = receipts
        self._inbox = inbox
        self._library = library
        self._clock = clock
        self._digest = digest
        self._voice = voice or Voice()
        self._base = base

    async def deliver(self, delivery: Delivery) -> None:
        """Returns when a channel has it, and has said so where its word is waited for.

        Raises:
            TryLater: it waits (a quiet hour, word still to come, the next channel), or the last channel is silent.
            GiveUp: the citizen must not be written to, or no channel is left.
        """
        effect = delivery.effect
        if not isinstance(effect, Notify | TellCitizen | AlertLine):
            raise GiveUp(f"notices do not carry {type(effect).__name__}")
        library, now = self._library(), self._clock.now()
        told = _explicit(effect)
        if not self._channels and not isinstance(effect, TellCitizen) and (not told or DESK in told):
            return  # desks only: they read what was sent (`dispatcher.views.notices`)
        out = await self._reads.get(effect.case)
        if isinstance(effect, TellCitizen):
            check_safe(out, now)
        urgent = is_urgent(effect, out)
        ways = told or library.notices.route(role_of(effect), urgent=urgent)
        if not any(way in self._channels for way in ways) and DESK in ways:
            return
        known = await self._receipts.of(delivery.key)
        errand = _Errand(
            delivery=delivery,
            effect=effect,
            out=out,
            notice=notice_of(effect, out, library, key=delivery.key, at=now, base=self._base),
            urgent=urgent,
            ways=ways,
            known=known,
            now=now,
            library=library,
        )
        if known and _overtaken(effect, out) and await self._stopped(errand):
            return
        if all(way in known and known[way].state in OVER for way in ways):
            # Only a person sends it again after that: every way is tried afresh.
            await self._receipts.forget(delivery.key)
            errand.known.clear()
        await self._carry(errand)

    async def _carry(self, errand: _Errand) -> None:
        for way in errand.ways:
            if await self._over(errand, way, last=self._is_last(errand, way)):
                continue
            await self._diverted(errand, way)
            return
        raise GiveUp("; ".join(f"{way}: {errand.known[way].why}" for way in errand.ways)[:300])

    def _is_last(self, errand: _Errand, way: str) -> bool:
        """Whether nothing but silence comes after this channel.

        A webhook honours keys and is asked again as long as the relay has patience: the desk behind it sees the notice
        meanwhile, but is no reason to stop.
        """
        after = errand.ways[errand.ways.index(way) + 1 :]
        if way != WEBHOOK:
            return not after
        return not any(later in self._channels for later in after)

    async def _stopped(self, errand: _Errand) -> bool:
        """What it was about is over. True: nothing more leaves, and nothing more is waited for."""
        ways = (way for way in errand.ways if way not in errand.known or errand.known[way].state not in OVER)
        way = next(ways, errand.ways[-1])
        here = errand.known.get(way)
        if here is not None and here.state in DONE:
            return False
        if here is None or here.state is not ReceiptState.TAKEN:
            await self._note(errand, way, ReceiptState.OVERTAKEN, "the clock it was about has stopped")
        return True

    async def _over(self, errand: _Errand, way: str, *, last: bool) -> bool:
        """Whether a channel is done with in vain. False: it has the notice."""
        known = errand.known.get(way)
        pace = errand.library.notices.channel(way).pace(urgent=errand.urgent)
        if known is not None:
            if known.state in OVER:
                return True
            if known.state in DONE:
                await self._confirmed(errand, known)
                return False
            if known.state is ReceiptState.TAKEN:
                return await self._waited(errand, known)
            if known.state is ReceiptState.TRYING and known.tries >= pace.tries and not last:
                # The attempt was cut off: it may have arrived. The next channel says it once more, to be sure.
                await self._note(errand, way, ReceiptState.FAILED, "no answer")
                return True
        if way == DESK:
            await self._note(errand, DESK, ReceiptState.TAKEN, "")
            return False
        channel = self._channels.get(way)
        address = _address(errand.notice.to, way)
        if channel is None:
            await self._note(errand, way, ReceiptState.SKIPPED, "this channel is not connected here")
            return True
        if not address and way != WEBHOOK:
            await self._note(errand, way, ReceiptState.SKIPPED, "nobody there can be reached this way")
            return True
        if await self._held_back(errand, way, address, pace, last=last):
            return True
        return await self._send(errand, way, channel, address, pace, last=last)

    async def _waited(self, errand: _Errand, known: Receipt) -> bool:
        """A gateway has it. Is there word that it arrived, or time left for such word?"""
        if known.until is None:
            return False
        if errand.now < known.until:
            raise TryLater("waits for word that it arrived", until=known.until)
        await self._note(errand, known.channel, ReceiptState.FAILED, "no word that it arrived")
        return True

    async def _held_back(self, errand: _Errand, way: str, address: str, pace: Pace, *, last: bool) -> bool:
        """Quiet hours hold it; too many to one receiver send it another way, and say so."""
        if not errand.urgent:
            until = errand.library.notices.channel(way).quiet_until(errand.now)
            if until is not None:
                await self._note(errand, way, ReceiptState.HELD, f"quiet hours until {until:%H:%M}")
                raise TryLater("quiet hours", until=until)
        if not pace.most or not address:
            return False
        count, first = await self._receipts.lately(
            way, self._digest(address), errand.now - pace.within, but=errand.delivery.key
        )
        if count < pace.most or first is None:
            return False
        why = f"{pace.most} notices within {pace.within} went to this receiver already"
        if last:
            await self._note(errand, way, ReceiptState.HELD, why)
            raise TryLater(why, until=first + pace.within)
        await self._note(errand, way, ReceiptState.THROTTLED, why)
        return True

    async def _send(
        self, errand: _Errand, way: str, channel: Channel, address: str, pace: Pace, *, last: bool
    ) -> bool:
        earlier = errand.known.get(way)
        tries = (earlier.tries if earlier is not None else 0) + 1
        digest = self._digest(address) if address else None
        trying = await self._note(
            errand, way, ReceiptState.TRYING, "", tries=tries, address=digest, sent_at=errand.now
        )
        text = self._voice.text(way, errand.effect, errand.out, errand.library)
        letter = Letter(notice=errand.notice, address=address, text=text, urgent=errand.urgent)
        try:
            taken = await channel.send(letter)
        except GiveUp as refused:
            await self._keep(errand, trying, ReceiptState.FAILED, str(refused))
            if last:
                return True
            raise TryLater(f"{way}: {refused}; another way", until=errand.now) from refused
        except TryLater as silent:
            if last or tries < pace.tries:
                await self._keep(errand, trying, ReceiptState.RETRY, str(silent))
                if tries >= pace.tries:
                    await self._shown(errand, way)
                raise TryLater(f"{way}: {silent}", until=silent.until) from silent
            await self._keep(errand, trying, ReceiptState.FAILED, str(silent))
            raise TryLater(f"{way}: {silent}; another way", until=errand.now) from silent
        await self._taken(errand, trying, taken, pace, last=last)
        return False

    async def _shown(self, errand: _Errand, way: str) -> None:
        """A channel is asked on, but somebody should know by now: the desk behind it sees the notice."""
        if DESK in errand.ways[errand.ways.index(way) + 1 :] and DESK not in errand.known:
            await self._note(errand, DESK, ReceiptState.TAKEN, "")
            await self._diverted(errand, DESK)

    async def _taken(self, errand: _Errand, trying: Receipt, taken: Taken, pace: Pace, *, last: bool) -> None:
        waits = taken.tells and pace.outcome is not None and not last
        until = errand.now + pace.outcome if waits and pace.outcome is not None else None
        kept = msgspec.structs.replace(
            trying,
            state=ReceiptState.TAKEN,
            reference=taken.reference,
            parts=taken.parts,
            until=until,
            at=self._clock.now(),
        )
        await self._receipts.put(kept)
        errand.known[trying.channel] = kept
        if until is not None:
            raise TryLater("waits for word that it arrived", until=until)

    async def _note(
        self,
        errand: _Errand,
        way: str,
        state: ReceiptState,
        why: str,
        *,
        tries: int | None = None,
        address: bytes | None = None,
        sent_at: datetime | None = None,
    ) -> Receipt:
        """Keep what is known now; what an earlier attempt knew and this one does not say stays."""
        was = errand.known.get(way)
        kept = Receipt(
            key=errand.delivery.key,
            channel=way,
            stream_id=errand.delivery.ref.id,
            role=role_of(errand.effect),
            name=errand.notice.to.person,
            state=state,
            why=why,
            at=errand.now,
            tries=tries if tries is not None else (was.tries if was is not None else 0),
            address=address if address is not None else (was.address if was is not None else None),
            sent_at=sent_at if sent_at is not None else (was.sent_at if was is not None else None),
            parts=was.parts if was is not None else 0,
            reference=was.reference if was is not None else "",
        )
        await self._receipts.put(kept)
        errand.known[way] = kept
        return kept

    async def _keep(self, errand: _Errand, trying: Receipt, state: ReceiptState, why: str) -> None:
        kept = msgspec.structs.replace(trying, state=state, why=why, at=self._clock.now())
        await self._receipts.put(kept)
        errand.known[trying.channel] = kept

    async def _diverted(self, errand: _Errand, carried: str) -> None:
        """Puts it on the case's record when a channel that is connected here failed and another one carried it."""
        before = errand.ways[: errand.ways.index(carried)]
        failed = [way for way in before if way in self._channels]
        if not failed:
            return
        _log.warning(
            "a notice went another way",
            extra={"key": errand.delivery.key, "wanted": failed[0], "carried": carried},
        )
        await self._tell(
            errand,
            f"diverted/{carried}",
            c.ReportNoticeDiverted(
                case=errand.effect.case,
                to=errand.effect.receiver(),
                template=errand.notice.template,
                wanted=failed[0],
                carried=carried,
                reason=_reasons(failed, errand.known),
            ),
        )

    async def _confirmed(self, errand: _Errand, known: Receipt) -> None:
        if known.state is not ReceiptState.CONFIRMED:
            return
        await self._tell(
            errand,
            f"confirmed/{known.channel}",
            c.ReportNoticeConfirmed(
                case=errand.effect.case,
                to=errand.effect.receiver(),
                template=errand.notice.template,
                channel=known.channel,
            ),
        )

    async def _tell(self, errand: _Errand, what: str, command: c.CaseCommand) -> None:
        try:
            # The id comes from the notice's own key, so that telling twice is harmless.
            await self._inbox.submit(
                Submission(message_id=uuid5(errand.delivery.key, what), command=command, actor=SYSTEM)
            )
        except Refused as refused:
            _log.info("nobody keeps this any more", extra={"code": refused.code})


def _explicit(effect: Carried) -> tuple[str, ...]:
    return effect.channels if isinstance(effect, Notify) else ()


def _address(to: Party, way: str) -> str:
    """Where a channel finds the receiver. A citizen is rung by people only, and a platform's own line by nobody."""
    if way == "sms":
        return to.mobile
    if way == "email":
        return to.email
    if way == "phone" and to.role != "citizen" and (to.unit or to.person):
        return to.phone
    return ""


def _overtaken(effect: Carried, out: Outgoing | None) -> bool:
    """Whether what a waiting notice was about is over: nobody is rung for a limit that was met meanwhile."""
    if not isinstance(effect, Notify) or not effect.milestone or out is None:
        return False
    run = out.case.clock(effect.clock)
    return run is not None and run.stopped is not None


def _reasons(ways: Sequence[str], known: Mapping[str, Receipt]) -> str:
    return "; ".join(f"{way}: {known[way].why}" for way in ways if way in known)
