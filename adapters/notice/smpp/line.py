"""A line to a short message centre: one Twisted connection, bound as transceiver, kept alive, dialled again when it falls.

A Deferred never leaves this module: `SmppService.submit` is a coroutine.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, cast
from typing import Protocol as Shaped

from twisted.application.internet import ClientService, backoffPolicy
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from adapters.notice.smpp import codec
from adapters.notice.smpp.codec import Bind, Message, Pdu
from adapters.notice.smpp.texts import ReceiptText, receipt_of

_log = logging.getLogger("liandong.smpp")

_LAST_SEQUENCE = 0x7FFFFFFF
_UNKNOWN_KEPT = 1000


class NoAnswer(Exception):
    """The centre did not answer in time, or the line fell before it did: the message may have been taken."""


class LineDown(Exception):
    """There is no bound line: nothing left the house."""


class Refusal(Exception):
    """The centre answered with a status that is not OK."""

    def __init__(self, status: int) -> None:
        super().__init__(codec.STATUS.get(status, f"0x{status:08X}"))
        self.status = status


class _Later(Shaped):
    def cancel(self) -> object: ...


class _Wire(Shaped):
    """What we use of a TCP transport (`twisted.internet.interfaces.ITCPTransport`)."""

    def write(self, data: bytes) -> object: ...

    def loseConnection(self) -> object: ...

    def abortConnection(self) -> object: ...


Heard = Callable[[ReceiptText], Awaitable[bool]]
"""Takes a receipt; False: no such message is known yet."""


class SmppProtocol(Protocol):
    """One connection. ``bound`` fires when the centre knows us; whatever waits for an answer fails when the line does."""

    def __init__(
        self, clock: Any, bind: Bind, heard: Heard, *, enquire_every: timedelta, answer_within: timedelta
    ) -> None:
        self._clock = clock
        self._bind = bind
        self._heard = heard
        self._answer_within = answer_within.total_seconds()
        self._enquire_every = enquire_every.total_seconds()
        self._enquiring: LoopingCall | None = None
        self._buffer = bytearray()
        self._sequence = 0
        self._waiting: dict[int, tuple[Deferred[Pdu], _Later]] = {}
        self._unknown: dict[str, None] = {}
        self._hearing: set[asyncio.Task[None]] = set()
        self._wire: _Wire | None = None
        self.bound: Deferred[SmppProtocol] = Deferred()

    @property
    def is_up(self) -> bool:
        """Whether the connection stands."""
        return self._wire is not None

    def connectionMade(self) -> None:
        """Says who we are."""
        self._wire = cast(_Wire, self.transport)
        answer = self.ask(codec.BIND_TRANSCEIVER, codec.bind_body(self._bind))
        answer.addCallbacks(self._is_bound, self._not_bound)

    def _is_bound(self, _: Pdu) -> None:
        self._enquiring = LoopingCall(self._enquire)
        self._enquiring.clock = self._clock
        self._enquiring.start(self._enquire_every, now=False)
        _log.info("the line to the short message centre is bound")
        self.bound.callback(self)

    def _not_bound(self, failure: Failure) -> None:
        _log.error("the short message centre does not bind us", extra={"why": failure.getErrorMessage()})
        self._drop()
        if not self.bound.called:
            self.bound.errback(failure)

    def _enquire(self) -> None:
        # A line that looks open and is dead shows itself here, not at the next danger.
        self.ask(codec.ENQUIRE_LINK, b"").addErrback(lambda _: self._drop())

    def ask(self, command: int, body: bytes) -> Deferred[Pdu]:
        """Send a request; the answer comes by its number. Fails with Refusal or NoAnswer."""
        self._sequence = self._sequence % _LAST_SEQUENCE + 1
        number = self._sequence
        answer: Deferred[Pdu] = Deferred()
        late = self._clock.callLater(self._answer_within, self._give_up, number)
        self._waiting[number] = (answer, late)
        self._write(Pdu(command=command, sequence=number, body=body))
        return answer

    def _give_up(self, number: int) -> None:
        answer, _ = self._waiting.pop(number)
        answer.errback(NoAnswer("no answer in time"))

    def dataReceived(self, data: bytes) -> None:
        """Octets came. After octets that are no PDU the line is dropped: nobody knows where the next one begins."""
        self._buffer += data
        try:
            for pdu in codec.frames(self._buffer):
                self._take(pdu)
        except codec.BadPdu as bad:
            _log.error("the short message centre sent what is no PDU", extra={"why": str(bad)})
            self._drop()

    def _take(self, pdu: Pdu) -> None:
        if pdu.command & codec.RESPONSE:
            self._answered(pdu)
        elif pdu.command == codec.ENQUIRE_LINK:
            self._reply(pdu)
        elif pdu.command == codec.DELIVER_SM:
            self._delivered(pdu)
        elif pdu.command == codec.UNBIND:
            self._reply(pdu)
            self._close()
        else:
            self._write(Pdu(command=codec.GENERIC_NACK, status=codec.RINVCMDID, sequence=pdu.sequence))

    def _answered(self, pdu: Pdu) -> None:
        found = self._waiting.pop(pdu.sequence, None)
        if found is None:
            _log.info("an answer came late", extra={"sequence": pdu.sequence})
            return
        answer, late = found
        late.cancel()
        if pdu.status == codec.OK:
            answer.callback(pdu)
        else:
            answer.errback(Refusal(pdu.status))

    def _delivered(self, pdu: Pdu) -> None:
        try:
            receipt = receipt_of(codec.read_message(pdu.body))
        except codec.BadPdu as bad:
            # Its frame is whole, so the place in the stream is not lost; dropping the line would only bring it again.
            _log.error("a message of the centre cannot be read", extra={"why": str(bad)})
            self._reply(pdu, codec.RX_P_APPN, codec.id_body(""))
            return
        if receipt is None:
            # Messages of citizens come in elsewhere; refusing keeps the centre from thinking that we have it.
            _log.warning("a text message that is no receipt was refused")
            self._reply(pdu, codec.RX_P_APPN, codec.id_body(""))
            return
        task = asyncio.ensure_future(self._hear(pdu, receipt))
        self._hearing.add(task)
        task.add_done_callback(self._hearing.discard)

    async def _hear(self, pdu: Pdu, receipt: ReceiptText) -> None:
        status = codec.OK
        try:
            if receipt.state is not None and not await self._heard(receipt):
                status = self._not_known(receipt.reference)
        except Exception as error:  # noqa: BLE001 - the top of this line's own work: the centre says it again
            _log.error("a receipt could not be kept", extra={"error": type(error).__name__}, exc_info=error)
            status = codec.RX_T_APPN
        if self._wire is not None:
            self._reply(pdu, status, codec.id_body(""))

    def _not_known(self, reference: str) -> int:
        """A receipt may overtake the answer that names its message: once, the centre is asked to say it again."""
        if reference in self._unknown:
            _log.warning("a receipt names a message that is not ours", extra={"reference": reference})
            return codec.OK
        self._unknown[reference] = None
        if len(self._unknown) > _UNKNOWN_KEPT:
            del self._unknown[next(iter(self._unknown))]
        return codec.RX_T_APPN

    def _reply(self, pdu: Pdu, status: int = codec.OK, body: bytes = b"") -> None:
        self._write(
            Pdu(command=pdu.command | codec.RESPONSE, status=status, sequence=pdu.sequence, body=body)
        )

    def _write(self, pdu: Pdu) -> None:
        if self._wire is not None:
            self._wire.write(codec.encode(pdu))

    def unbind(self) -> None:
        """Says goodbye; the answer is not waited for."""
        self._sequence = self._sequence % _LAST_SEQUENCE + 1
        self._write(Pdu(command=codec.UNBIND, sequence=self._sequence))

    def _close(self) -> None:
        if self._wire is not None:
            self._wire.loseConnection()

    def _drop(self) -> None:
        if self._wire is not None:
            self._wire.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Whatever was asked stays without an answer."""
        self._wire = None
        if self._enquiring is not None and self._enquiring.running:
            self._enquiring.stop()
            _log.warning("the line to the short message centre fell", extra={"why": reason.getErrorMessage()})
        waiting, self._waiting = self._waiting, {}
        for answer, late in waiting.values():
            late.cancel()
            answer.errback(NoAnswer("the line fell"))
        if not self.bound.called:
            self.bound.errback(ConnectionLost())


class _Factory(Factory[SmppProtocol]):
    noisy = False

    def __init__(self, make: Callable[[], SmppProtocol]) -> None:
        self._make = make

    def buildProtocol(self, addr: object) -> SmppProtocol:
        return self._make()


class SmppService:
    """The line as a service: dials, binds, dials again with growing pauses; `submit` sends one message.

    Args:
        host: an address, or localhost: a line in clear text is dialled where it was set, not where a name server says.
        reactor: Twisted's, on our loop; None takes the one installed, when the service starts.
    """

    def __init__(
        self,
        host: str,
        port: int,
        bind: Bind,
        heard: Heard,
        *,
        window: int,
        enquire_every: timedelta,
        answer_within: timedelta,
        reactor: Any = None,
    ) -> None:
        self._where = (host, port)
        self._bind = bind
        self._heard = heard
        self._enquire_every = enquire_every
        self._answer_within = answer_within
        self._reactor = reactor
        self._window = asyncio.Semaphore(window)
        self._service: ClientService | None = None
        self._line: SmppProtocol | None = None
        self._risen = asyncio.Event()

    @property
    def is_up(self) -> bool:
        """Whether the centre knows us now."""
        return self._line is not None and self._line.is_up

    async def until_up(self) -> None:
        """Waits for a bound line."""
        while not self.is_up:
            self._risen.clear()
            await self._risen.wait()

    def startService(self) -> None:
        """Begins to dial."""
        reactor = self._reactor
        if reactor is None:
            from twisted.internet import reactor

        factory = _Factory(
            lambda: SmppProtocol(
                reactor,
                self._bind,
                self._heard,
                enquire_every=self._enquire_every,
                answer_within=self._answer_within,
            )
        )
        self._service = ClientService(
            cast(Any, self._endpoint(reactor)),  # zope interfaces are beyond the type checker
            cast(Any, factory),
            retryPolicy=backoffPolicy(initialDelay=0.5, maxDelay=30.0),
            clock=reactor,
            prepareConnection=self._prepare,
        )
        self._service.startService()

    def _endpoint(self, reactor: Any) -> object:
        host, port = self._where
        host = "127.0.0.1" if host == "localhost" else host
        kind = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
        return kind(reactor, host, port, timeout=self._answer_within.total_seconds())

    def _prepare(self, protocol: SmppProtocol) -> Deferred[SmppProtocol]:
        protocol.bound.addCallback(self._has_line)
        return protocol.bound

    def _has_line(self, protocol: SmppProtocol) -> SmppProtocol:
        self._line = protocol
        self._risen.set()
        return protocol

    def stopService(self) -> Deferred[None] | None:
        """Says goodbye and hangs up; dials no more."""
        if self._service is None:
            return None
        if self._line is not None:
            self._line.unbind()
        stopping: Deferred[None] = self._service.stopService()
        return stopping

    async def submit(self, message: Message) -> str:
        """The centre's own name for a message that it took.

        Raises:
            LineDown: nothing was sent. NoAnswer: it may have been taken. Refusal: it was not.
        """
        async with self._window:
            line = self._line
            if line is None or not line.is_up:
                raise LineDown("the line to the short message centre is down")
            answer = await line.ask(codec.SUBMIT_SM, codec.message_body(message)).asFuture(
                asyncio.get_running_loop()
            )
        try:
            return codec.read_id(answer.body)
        except codec.BadPdu as bad:
            raise NoAnswer("its answer cannot be read") from bad
