"""SMPP 3.4 on the wire: the PDUs that a sender of text messages speaks, and not one more. Total: bad octets are `BadPdu`.

Section numbers are those of "Short Message Peer to Peer Protocol Specification v3.4", issue 1.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

HEADER: Final = 16
LONGEST: Final = 70_000
"""A PDU of ours has at most a message_payload of 64 KiB; a longer length is no PDU but a lost place in the stream."""

GENERIC_NACK: Final = 0x80000000
SUBMIT_SM: Final = 0x00000004
DELIVER_SM: Final = 0x00000005
UNBIND: Final = 0x00000006
BIND_TRANSCEIVER: Final = 0x00000009
ENQUIRE_LINK: Final = 0x00000015
RESPONSE: Final = 0x80000000

OK: Final = 0x00
RINVCMDID: Final = 0x03
RSYSERR: Final = 0x08
RMSGQFUL: Final = 0x14
RTHROTTLED: Final = 0x58
RX_T_APPN: Final = 0x64
RX_P_APPN: Final = 0x65

STATUS: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x00: "ROK", 0x01: "RINVMSGLEN", 0x02: "RINVCMDLEN", 0x03: "RINVCMDID", 0x04: "RINVBNDSTS", 0x05: "RALYBND",
        0x08: "RSYSERR", 0x0A: "RINVSRCADR", 0x0B: "RINVDSTADR", 0x0C: "RINVMSGID", 0x0D: "RBINDFAIL",
        0x0E: "RINVPASWD", 0x0F: "RINVSYSID", 0x14: "RMSGQFUL", 0x45: "RSUBMITFAIL", 0x58: "RTHROTTLED",
        0x61: "RINVSCHED", 0x64: "RX_T_APPN", 0x65: "RX_P_APPN", 0x66: "RX_R_APPN", 0xFF: "RUNKNOWNERR",
    }
)  # fmt: skip
"""Names of the answers we may meet (5.1.3)."""

PASSING: Final = frozenset({RSYSERR, RMSGQFUL, 0x45, RTHROTTLED, RX_T_APPN})
"""Answers that mean "not now"."""

RECEIPTED_MESSAGE_ID: Final = 0x001E
USER_MESSAGE_REFERENCE: Final = 0x0204
MESSAGE_PAYLOAD: Final = 0x0424
MESSAGE_STATE: Final = 0x0427

UDHI: Final = 0x40
"""esm_class: the text begins with a user data header (5.2.12)."""
RECEIPT: Final = 0x04
"""esm_class of a deliver_sm: a delivery receipt."""
GSM7: Final = 0x00
UCS2: Final = 0x08


class BadPdu(ValueError):
    """Octets that are no PDU of SMPP 3.4. After one the place in the stream is lost."""


class Pdu(msgspec.Struct, frozen=True, kw_only=True):
    """A PDU with its body still in octets."""

    command: int
    status: int = OK
    sequence: int
    body: bytes = b""


class Bind(msgspec.Struct, frozen=True, kw_only=True):
    """bind_transceiver (4.1.5)."""

    system_id: str
    password: str
    system_type: str = ""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """submit_sm (4.4.1) and deliver_sm (4.6.1), whose bodies have the same fields; those left out are sent as null."""

    source: str = ""
    source_ton: int = 0
    source_npi: int = 0
    destination: str
    destination_ton: int = 1
    destination_npi: int = 1
    esm_class: int = 0
    registered_delivery: int = 0
    data_coding: int = GSM7
    text: bytes = b""
    tlvs: dict[int, bytes] = {}


def frames(buffer: bytearray) -> list[Pdu]:
    """Take the whole PDUs out of the front of ``buffer``; what is there of the next stays.

    Raises:
        BadPdu: the length of the next PDU is none.
    """
    found = []
    while len(buffer) >= 4:
        length = int.from_bytes(buffer[:4], "big")
        if not HEADER <= length <= LONGEST:
            raise BadPdu(f"command_length {length}")
        if len(buffer) < length:
            break
        octets = bytes(buffer[:length])
        del buffer[:length]
        found.append(
            Pdu(
                command=int.from_bytes(octets[4:8], "big"),
                status=int.from_bytes(octets[8:12], "big"),
                sequence=int.from_bytes(octets[12:16], "big"),
                body=octets[HEADER:],
            )
        )
    return found


def encode(pdu: Pdu) -> bytes:
    """A PDU in octets."""
    head = (HEADER + len(pdu.body), pdu.command, pdu.status, pdu.sequence)
    return b"".join(number.to_bytes(4, "big") for number in head) + pdu.body


def bind_body(bind: Bind) -> bytes:
    """The body of a bind_transceiver; interface_version 3.4, no address range. Raises ValueError for too long fields."""
    return (
        _cstring(bind.system_id, 16)
        + _cstring(bind.password, 9)
        + _cstring(bind.system_type, 13)
        + bytes((0x34, 0, 0))
        + _cstring("", 41)
    )


def read_bind(body: bytes) -> Bind:
    """Raises BadPdu."""
    reader = _Reader(body)
    return Bind(system_id=reader.cstring(16), password=reader.cstring(9), system_type=reader.cstring(13))


def message_body(message: Message) -> bytes:
    """The body of a submit_sm or deliver_sm. Raises ValueError for fields that are too long."""
    if len(message.text) > 254:
        raise ValueError("short_message holds 254 octets; put the text into message_payload")
    fields = (
        _cstring("", 6),  # service_type
        bytes((message.source_ton, message.source_npi)),
        _cstring(message.source, 21),
        bytes((message.destination_ton, message.destination_npi)),
        _cstring(message.destination, 21),
        bytes((message.esm_class, 0, 0)),  # protocol_id, priority_flag
        _cstring("", 17) + _cstring("", 17),  # at once, and for as long as the centre keeps messages
        bytes((message.registered_delivery, 0, message.data_coding, 0, len(message.text))),
        message.text,
        *(
            tag.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value
            for tag, value in message.tlvs.items()
        ),
    )
    return b"".join(fields)


def read_message(body: bytes) -> Message:
    """Raises BadPdu."""
    reader = _Reader(body)
    reader.cstring(6)
    source_ton, source_npi = reader.octet(), reader.octet()
    source = reader.cstring(65)
    destination_ton, destination_npi = reader.octet(), reader.octet()
    destination = reader.cstring(65)
    esm_class = reader.octet()
    reader.take(2)
    reader.cstring(17)
    reader.cstring(17)
    registered_delivery = reader.octet()
    reader.octet()
    data_coding = reader.octet()
    reader.octet()
    text = reader.take(reader.octet())
    return Message(
        source=source,
        source_ton=source_ton,
        source_npi=source_npi,
        destination=destination,
        destination_ton=destination_ton,
        destination_npi=destination_npi,
        esm_class=esm_class,
        registered_delivery=registered_delivery,
        data_coding=data_coding,
        text=text,
        tlvs=reader.tlvs(),
    )


def id_body(id_: str) -> bytes:
    """The body of a submit_sm_resp, a deliver_sm_resp or a bind_transceiver_resp: one name."""
    return _cstring(id_, 65)


def read_id(body: bytes) -> str:
    """The name in an answer's body; an answer that refuses may leave the body out (4.4.2). Raises BadPdu."""
    return _Reader(body).cstring(65) if body else ""


class _Reader:
    """Reads a body from front to back."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next octets, all of them or BadPdu."""
        taken = self._body[self._at : self._at + count]
        if len(taken) < count:
            raise BadPdu(f"{count} octets wanted at {self._at}, {len(taken)} there")
        self._at += count
        return taken

    def octet(self) -> int:
        """The next octet."""
        return self.take(1)[0]

    def cstring(self, most: int) -> str:
        """A null-terminated string of at most ``most`` octets with its null."""
        end = self._body.find(0, self._at, self._at + most)
        if end < 0:
            raise BadPdu(f"no null within {most} octets at {self._at}")
        text = self._body[self._at : end]
        self._at = end + 1
        return text.decode("latin-1")

    def tlvs(self) -> dict[int, bytes]:
        """The optional parameters that follow; of one given twice the first counts."""
        found: dict[int, bytes] = {}
        while self._at < len(self._body):
            tag = int.from_bytes(self.take(2), "big")
            found.setdefault(tag, self.take(int.from_bytes(self.take(2), "big")))
        return found


def _cstring(text: str, most: int) -> bytes:
    octets = text.encode("ascii")
    if len(octets) >= most or 0 in octets:
        raise ValueError(f"{text!r} does not fit {most - 1} octets")
    return octets + b"\0"
