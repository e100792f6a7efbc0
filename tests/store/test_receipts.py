"""Receipts on real databases: kept before and after, counted by address, and changed by a gateway's word only once."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid5

import msgspec

from dispatcher.store.database import Database
from dispatcher.store.receipts import Receipt, Receipts, ReceiptState
from tests.support.aggregate import START

KEY = UUID("3d0f7c7a-0000-4000-8000-000000000001")
ADDRESS = b"a keyed digest"
MINUTE = timedelta(minutes=1)


def receipt(key: UUID = KEY, **more: object) -> Receipt:
    given = Receipt(
        key=key,
        channel="sms",
        stream_id=KEY,
        role="unit-head",
        state=ReceiptState.TRYING,
        at=START,
        address=ADDRESS,
        tries=1,
        sent_at=START,
    )
    return msgspec.structs.replace(given, **more)


async def test_what_is_put_is_read_and_put_again_in_its_place(database: Database) -> None:
    receipts = Receipts(database)
    first = receipt()
    later = receipt(state=ReceiptState.TAKEN, reference="m1", parts=2, until=START + MINUTE, why="x" * 999)

    await receipts.put(first)
    assert await receipts.of(KEY) == {"sms": first}
    await receipts.put(later)

    (kept,) = (await receipts.of(KEY)).values()
    assert kept == msgspec.structs.replace(later, why="x" * 300)
    await receipts.forget(KEY)
    assert await receipts.of(KEY) == {}


async def test_what_went_to_an_address_lately_is_counted_but_for_the_one_that_asks(
    database: Database,
) -> None:
    receipts = Receipts(database)
    for number in range(4):
        await receipts.put(receipt(uuid5(KEY, str(number)), sent_at=START + number * MINUTE))
    await receipts.put(receipt(uuid5(KEY, "other"), address=b"another"))
    await receipts.put(receipt(uuid5(KEY, "never"), sent_at=None))

    counted = await receipts.lately("sms", ADDRESS, START, but=uuid5(KEY, "3"))

    assert counted == (2, START + MINUTE)
    assert await receipts.lately("email", ADDRESS, START - MINUTE, but=KEY) == (0, None)


async def test_a_gateways_word_changes_a_receipt_once(database: Database) -> None:
    receipts = Receipts(database)
    await receipts.put(receipt(reference="m1"))
    word = receipts.word

    early = await word("sms", "m1", ReceiptState.ARRIVED, "", START)
    assert early is None, "its carrier has not heard the gateway's answer yet"
    await receipts.put(receipt(reference="m1", state=ReceiptState.TAKEN))
    said = await word("sms", "m1", ReceiptState.ARRIVED, "at last", START + MINUTE)
    again = await word("sms", "m1", ReceiptState.FAILED, "no", START + 2 * MINUTE)

    assert said is not None and again is not None
    assert (said.before.state, said.after.state) == (ReceiptState.TAKEN, ReceiptState.ARRIVED)
    assert again.before == again.after == (await receipts.of(KEY))["sms"]
    assert (again.after.why, again.after.at) == ("at last", START + MINUTE)
    assert await word("phone", "m1", ReceiptState.ARRIVED, "", START) is None
