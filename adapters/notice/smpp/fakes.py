"""Short message centres on loopback (asyncio streams, no Twisted): one that behaves, and one class for each way not to.

Each is opened with ``async with``.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

from adapters.notice.smpp import codec
from adapters.notice.smpp.codec import Message, Pdu

SYSTEM_ID, PASSWORD = "liandong", "secret"
_RINVPASWD: Final = 0x0E


class Smsc:
    """Takes messages. ``taken`` holds them in order with the names they were given; `report` sends a receipt."""

    def __init__(self, password: str = PASSWORD) -> None:
        self.taken: list[tuple[str, Message]] = []
        self.answers: list[Pdu] = []
        self.enquiries = 0
        self.binds = 0
        self.goodbyes = 0
        self.port = 0
        self.bound = asyncio.Event()
        self.answered = asyncio.Event()
        self._password = password
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sequence = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            self.cut()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._server.wait_closed()

    def cut(self) -> None:
        """Cuts every line."""
        self.bound.clear()
        for writer in self._writers:
            writer.transport.abort()

    async def report(self, reference: str, word: str, *, state: int = 0) -> None:
        """Sends the receipt of a message, as text, or by optional parameters where a state is given."""
        text = f"id:{reference} sub:001 dlvrd:001 stat:{word} err:000 text:"
        tlvs = {}
        if state:
            tlvs = {
                codec.RECEIPTED_MESSAGE_ID: reference.encode() + b"\0",
                codec.MESSAGE_STATE: bytes((state,)),
            }
            text = ""
        await self.deliver(
            Message(destination="12345", esm_class=codec.RECEIPT, text=text.encode(), tlvs=tlvs)
        )

    async def deliver(self, message: Message) -> None:
        """Sends a deliver_sm over every line."""
        self._sequence += 1
        pdu = Pdu(command=codec.DELIVER_SM, sequence=self._sequence, body=codec.message_body(message))
        for writer in self._writers:
            writer.write(codec.encode(pdu))
            await writer.drain()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        buffer = bytearray()
        try:
            while data := await reader.read(4096):
                buffer += data
                for pdu in codec.frames(buffer):
                    await self._take(pdu, writer)
        except ConnectionError:
            pass  # the other side, or `cut`, ended the line
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.close()

    async def _take(self, pdu: Pdu, writer: asyncio.StreamWriter) -> None:
        if pdu.command & codec.RESPONSE:
            self.answers.append(pdu)
            self.answered.set()
            return
        status, body = codec.OK, b""
        if pdu.command == codec.BIND_TRANSCEIVER:
            bind = codec.read_bind(pdu.body)
            self.binds += 1
            status = (
                codec.OK if (bind.system_id, bind.password) == (SYSTEM_ID, self._password) else _RINVPASWD
            )
            body = codec.id_body("SMSC") if status == codec.OK else b""
        elif pdu.command == codec.ENQUIRE_LINK:
            self.enquiries += 1
        elif pdu.command == codec.UNBIND:
            self.goodbyes += 1
        elif pdu.command == codec.SUBMIT_SM:
            await self.submitted(pdu, writer)
            return
        await self.reply(pdu, writer, status, body)
        if pdu.command == codec.BIND_TRANSCEIVER and status == codec.OK:
            self.bound.set()

    async def submitted(self, pdu: Pdu, writer: asyncio.StreamWriter) -> None:
        """What this centre does with a message."""
        await self.reply(pdu, writer, codec.OK, codec.id_body(self.keep(pdu)))

    def keep(self, pdu: Pdu) -> str:
        """Takes a message and names it."""
        name = f"m{len(self.taken) + 1}"
        self.taken.append((name, codec.read_message(pdu.body)))
        return name

    async def reply(self, pdu: Pdu, writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
        """Answers a request."""
        answer = Pdu(command=pdu.command | codec.RESPONSE, status=status, sequence=pdu.sequence, body=body)
        writer.write(codec.encode(answer))
        await writer.drain()


class RefusingSmsc(Smsc):
    """Refuses every message with the same status."""

    def __init__(self, status: int = 0x0B) -> None:
        super().__init__()
        self._status = status

    async def submitted(self, pdu: Pdu, writer: asyncio.StreamWriter) -> None:
        await self.reply(pdu, writer, self._status, b"")


class BusySmsc(Smsc):
    """Throttles the first message and takes the next."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = False

    async def submitted(self, pdu: Pdu, writer: asyncio.StreamWriter) -> None:
        if self._asked:
            await super().submitted(pdu, writer)
            return
        self._asked = True
        await self.reply(pdu, writer, codec.RTHROTTLED, b"")


class SlowSmsc(Smsc):
    """Takes messages and never answers."""

    async def submitted(self, pdu: Pdu, writer: asyncio.StreamWriter) -> None:
        self.keep(pdu)


class DeafSmsc(Smsc):
    """Takes the first message and cuts the line instead of answering."""

    async def submitted(self, pdu: Pdu, writer: asyncio.StreamWriter) -> None:
        if self.taken:
            await super().submitted(pdu, writer)
            return
        self.keep(pdu)
        self.cut()


class CrumblingSmsc(Smsc):
    """Answers one octet at a time, as a bad line does."""

    async def reply(self, pdu: Pdu, writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
        answer = Pdu(command=pdu.command | codec.RESPONSE, status=status, sequence=pdu.sequence, body=body)
        for octet in codec.encode(answer):
            writer.write(bytes((octet,)))
            await writer.drain()


class GarbledSmsc(Smsc):
    """Answers the first message with octets that are no PDU."""

    async def submitted(self, pdu: Pdu, writer: asyncio.StreamWriter) -> None:
        if self.taken:
            await super().submitted(pdu, writer)
            return
        self.keep(pdu)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
