"""Text messages as SMPP carries them: UCS-2 or the 7-bit alphabet, in parts with a user data header, and the receipts."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from adapters.notice.smpp import codec
from adapters.notice.sms_text import from_gsm7, gsm7, split
from dispatcher.store.receipts import ReceiptState

_FIELD: Final = re.compile(r"(id|stat|err):([^ ]*)", re.IGNORECASE)
_STATES: Final = {
    # Appendix B (text of a receipt) and 5.3.2.35 (message_state): what is final. Others are still on their way.
    "DELIVRD": ReceiptState.ARRIVED, "EXPIRED": ReceiptState.FAILED, "DELETED": ReceiptState.FAILED,
    "UNDELIV": ReceiptState.FAILED, "UNKNOWN": ReceiptState.FAILED, "REJECTD": ReceiptState.FAILED,
}  # fmt: skip
_STATE_NUMBERS: Final = {2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 7: "UNKNOWN", 8: "REJECTD"}


class ReceiptText(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery receipt says. ``state`` is None while the message is still on its way."""

    reference: str
    state: ReceiptState | None
    why: str


def messages_of(text: str, *, source: str, destination: str, mark: int) -> tuple[codec.Message, ...]:
    """The submit_sm bodies of one text. ``mark`` names the chain (0–255); a receipt is asked for with the last part.

    Raises:
        ValueError: the text takes more than 255 parts.
    """
    parts = split(text)
    many = len(parts.texts) > 1
    made = []
    for number, part in enumerate(parts.texts, start=1):
        octets = part.encode("utf-16-be") if parts.unicode else gsm7(part)
        header = bytes((5, 0, 3, mark, len(parts.texts), number)) if many else b""
        made.append(
            codec.Message(
                source=source,
                # An alphanumeric sender has a type of its own (5.2.5).
                source_ton=0 if source.isdigit() or not source else 5,
                destination=destination,
                destination_ton=1 if destination.startswith("+") else 0,
                esm_class=codec.UDHI if many else 0,
                registered_delivery=int(number == len(parts.texts)),
                data_coding=codec.UCS2 if parts.unicode else codec.GSM7,
                text=header + octets,
                tlvs={codec.USER_MESSAGE_REFERENCE: bytes((number & 0xFF, mark))},
            )
        )
    return tuple(made)


def text_of(message: codec.Message) -> str:
    """The text of a message, without its user data header; octets that are no text become replacement signs."""
    octets = message.tlvs.get(codec.MESSAGE_PAYLOAD, message.text)
    if message.esm_class & codec.UDHI and octets:
        octets = octets[octets[0] + 1 :]
    if message.data_coding == codec.UCS2:
        return octets.decode("utf-16-be", "replace")
    if message.data_coding == codec.GSM7:
        return from_gsm7(octets)
    return octets.decode("latin-1")


def receipt_of(message: codec.Message) -> ReceiptText | None:
    """What a delivery receipt says; None for a message that is none, or names no message."""
    if not message.esm_class & codec.RECEIPT:
        return None
    octets = message.tlvs.get(codec.MESSAGE_PAYLOAD, message.text)
    said = {name.lower(): value for name, value in _FIELD.findall(octets.decode("latin-1"))}
    by_tlv = message.tlvs.get(codec.RECEIPTED_MESSAGE_ID)
    reference = by_tlv.rstrip(b"\0").decode("latin-1") if by_tlv else said.get("id", "")
    state = message.tlvs.get(codec.MESSAGE_STATE, b"")
    word = _STATE_NUMBERS.get(state[0], "") if state else said.get("stat", "").upper()
    if not reference:
        return None
    error = said.get("err", "")
    why = f"the centre says {word or 'nothing final'}" + (f" (err {error[:10]})" if error.strip("0") else "")
    return ReceiptText(reference=reference, state=_STATES.get(word), why=why)
