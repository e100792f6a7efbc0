"""The wire of SMPP 3.4: whatever comes in is a PDU or a `BadPdu`; what goes out reads the same for us and for another."""

from __future__ import annotations

import smpp34
from hypothesis import given
from hypothesis import strategies as st

from adapters.notice.smpp import codec
from adapters.notice.smpp.codec import BadPdu, Bind, Message, Pdu
from adapters.notice.smpp.texts import messages_of, receipt_of, text_of
from adapters.notice.sms_text import GSM7_MANY, UCS2_MANY, from_gsm7, gsm7, split

TEXTS = st.text(max_size=600)
NUMBERS = st.text("0123456789+", max_size=20)
ALPHABET = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./09:;<=>?¡AZÄÖÑÜ§¿azäöñüà^{}\\[~]|€\f"
MESSAGES = st.builds(
    Message,
    source=NUMBERS,
    destination=NUMBERS,
    esm_class=st.integers(0, 255),
    registered_delivery=st.integers(0, 255),
    data_coding=st.integers(0, 255),
    text=st.binary(max_size=254),
    tlvs=st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=40), max_size=4),
)


@given(st.lists(st.binary(max_size=120), max_size=6))
def test_octets_are_pdus_or_bad_in_whatever_pieces_they_come(pieces: list[bytes]) -> None:
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        try:
            for pdu in codec.frames(buffer):
                assert len(pdu.body) + codec.HEADER <= codec.LONGEST
        except BadPdu:
            break


@given(st.binary(max_size=400))
def test_a_body_is_a_message_or_bad(body: bytes) -> None:
    for read in (codec.read_message, codec.read_bind, codec.read_id):
        try:
            made = read(body)
        except BadPdu:
            continue
        if isinstance(made, Message):
            text_of(made)
            receipt_of(made)


@given(MESSAGES)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    assert codec.read_message(codec.message_body(message)) == message


@given(
    st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), st.binary(max_size=60)), max_size=5), st.integers(1, 50)
)
def test_pdus_come_back_in_order_from_any_pieces(sent: list[tuple[int, bytes]], size: int) -> None:
    pdus = [Pdu(command=command, sequence=number, body=body) for number, (command, body) in enumerate(sent)]
    octets = b"".join(codec.encode(pdu) for pdu in pdus)
    buffer, found = bytearray(), []

    for at in range(0, len(octets), size):
        buffer += octets[at : at + size]
        found += codec.frames(buffer)

    assert found == pdus
    assert not buffer


@given(
    st.text("0123456789", min_size=1, max_size=15),
    st.text("0123456789", max_size=15),
    st.binary(max_size=140),
)
def test_another_implementation_reads_what_we_write(destination: str, source: str, text: bytes) -> None:
    ours = Message(
        source=source, destination=destination, data_coding=codec.UCS2, text=text, registered_delivery=1
    )

    read = smpp34.decode(
        codec.encode(Pdu(command=codec.SUBMIT_SM, sequence=3, body=codec.message_body(ours)))
    )

    assert isinstance(read, smpp34.SubmitSm)
    assert (read.source_addr, read.destination_addr) == (source, destination)
    assert bytes(read.short_message) == text


@given(
    st.text("0123456789", min_size=1, max_size=15),
    st.text("0123456789", max_size=15),
    st.binary(max_size=140),
)
def test_we_read_what_another_implementation_writes(destination: str, source: str, text: bytes) -> None:
    theirs = smpp34.SubmitSm(source_addr=source, destination_addr=destination, short_message=text)

    (pdu,) = codec.frames(bytearray(theirs.encode()))
    read = codec.read_message(pdu.body)

    assert pdu.command == codec.SUBMIT_SM
    assert (read.source, read.destination, read.text) == (source, destination, text)


@given(TEXTS)
def test_a_text_is_cut_without_losing_or_tearing_a_sign(text: str) -> None:
    parts = split(text)

    assert "".join(parts.texts) == text
    if len(parts.texts) > 1:
        for part in parts.texts:
            if parts.unicode:
                assert len(part.encode("utf-16-be")) // 2 <= UCS2_MANY
            else:
                assert len(gsm7(part)) <= GSM7_MANY


@given(TEXTS.filter(lambda text: len(text) < 500), st.integers(0, 255))
def test_parts_put_together_are_the_text(text: str, mark: int) -> None:
    made = messages_of(text, source="12345", destination="13800000000", mark=mark)

    assert "".join(text_of(part) for part in made) == text
    assert all(len(part.text) <= 160 for part in made)


@given(st.text(ALPHABET, max_size=200))
def test_the_seven_bit_alphabet_comes_back(text: str) -> None:
    assert from_gsm7(gsm7(text)) == text
    assert not split(text).unicode


def test_the_counts_of_the_air_interface() -> None:
    """3GPP TS 23.038 and 23.040: 70 Chinese signs are one message, 71 are two of at most 67."""
    assert [len(split("联" * number).texts) for number in (70, 71, 134, 135)] == [1, 2, 2, 3]
    assert [len(split("a" * number).texts) for number in (160, 161, 306, 307)] == [1, 2, 2, 3]
    assert len(split("€" * 80).texts) == 1
    assert len(split("€" * 81).texts) == 2


def test_a_password_too_long_for_the_wire_is_refused() -> None:
    try:
        codec.bind_body(Bind(system_id="liandong", password="123456789"))
    except ValueError as error:
        assert "8 octets" in str(error)
    else:
        raise AssertionError("nine signs fitted")
