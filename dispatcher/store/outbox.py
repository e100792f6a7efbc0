"""The outbox as the relay sees it: claim lane heads, mark what became of them, dead letters, the pause switch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import Integer, Update, bindparam, delete, func, insert, select, tuple_, update
from sqlalchemy.sql.dml import UpdateBase

from dispatcher.domain.stream import StreamRef
from dispatcher.ports import Delivery
from dispatcher.store.checksums import with_checksum
from dispatcher.store.codec import Codec
from dispatcher.store.database import Database
from dispatcher.store.errors import Unreadable
from dispatcher.store.tables import Instant, Table

READY, SENT, DEAD, SKIPPED = "ready", "sent", "dead", "skipped"
PAUSED = "relay-paused"
_outbox = Table.metadata.tables["outbox"]
_flag = Table.metadata.tables["flag"]


def _claiming() -> UpdateBase:
    """Heads of lanes whose time has come (``now``), oldest first, at most ``most``, held until ``until``."""
    o, before = _outbox.alias("o"), _outbox.alias("before")
    blocked = (
        select(before.c.key)
        .where(before.c.lane == o.c.lane, before.c.no < o.c.no, before.c.state.in_((READY, DEAD)))
        .exists()
    )
    paused = select(_flag.c.name).where(_flag.c.name == PAUSED).exists()
    heads = (
        select(o.c.key)
        .where(o.c.state == READY, o.c.next_try <= bindparam("now", type_=Instant), ~blocked, ~paused)
        .order_by(o.c.next_try)
        .limit(bindparam("most", type_=Integer))
        .with_for_update(of=o, skip_locked=True)
        .cte("heads")
    )
    return (
        update(_outbox)
        .where(_outbox.c.key.in_(select(heads.c.key)))
        .values(attempts=_outbox.c.attempts + 1, next_try=bindparam("until", type_=Instant))
        .returning(
            _outbox.c.key, _outbox.c.stream_kind, _outbox.c.stream_id, _outbox.c.body, _outbox.c.attempts
        )
    )


def _marking_sent() -> Update:
    """The list of keys is for the index; the pairs guard the marks as `_mark` does."""
    ours = tuple_(_outbox.c.key, _outbox.c.attempts).in_(bindparam("pairs", expanding=True))
    named = _outbox.c.key.in_(bindparam("keys", expanding=True))
    return (
        update(_outbox)
        .where(named, ours, _outbox.c.state == READY)
        .values(state=SENT, sent_at=bindparam("now", type_=Instant))
    )


# Drawn up once: the relay asks all day, and drawing them up costs as much as asking.
_CLAIM = _claiming()
_SENT = _marking_sent()


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the outbox for people: no body, for it is the receiver's business."""

    key: UUID
    lane: str
    no: int
    ref: StreamRef
    receiver: str
    kind: str
    state: str
    attempts: int
    created: datetime
    next_try: datetime
    last_error: str


class Depth(msgspec.Struct, frozen=True, kw_only=True):
    """How full the outbox is. ``oldest`` is when the oldest effect not yet sent was created."""

    ready: int
    dead: int
    oldest: datetime | None


class Outbox:
    """Effects on their way out. Any node may claim; a claim ends by itself when its sender dies."""

    def __init__(self, database: Database, codec: Codec) -> None:
        self._database = database
        self._codec = codec

    async def claim(self, now: datetime, *, limit: int = 100, hold: timedelta) -> list[Delivery]:
        """Take heads of lanes whose time has come, oldest first; nobody else gets them until ``now + hold``.

        Each is one attempt. Behind a dead letter a lane stands still. Nothing is claimed while paused. An effect
        that cannot be read becomes a dead letter at once.
        """
        deliveries: list[Delivery] = []
        async with self._database.writing() as connection:
            claimed = await connection.execute(_CLAIM, {"now": now, "until": now + hold, "most": limit})
            for key, kind, id_, body, attempt in claimed.all():
                try:
                    effect = self._codec.effect(body)
                except Unreadable as err:
                    await connection.execute(
                        _mark(key, attempt).values(state=DEAD, last_error=str(err)[:500])
                    )
                    continue
                deliveries.append(Delivery(key=key, ref=StreamRef(kind, id_), effect=effect, attempt=attempt))
        return deliveries

    async def sent(self, deliveries: Sequence[Delivery], now: datetime) -> int:
        """The receivers have them. Returns how many were still ours to mark."""
        if not deliveries:
            return 0
        told = {
            "pairs": [(one.key, one.attempt) for one in deliveries],
            "keys": [one.key for one in deliveries],
            "now": now,
        }
        async with self._database.writing() as connection:
            return (await connection.execute(_SENT, told)).rowcount

    async def try_later(self, delivery: Delivery, next_try: datetime, error: str) -> bool:
        """Not known to have arrived: try again from ``next_try`` on. False: the claim was no longer ours."""
        change = _mark(delivery.key, delivery.attempt).values(next_try=next_try, last_error=error[:500])
        return bool(await self._marks([change]))

    async def hold(self, delivery: Delivery, until: datetime, why: str) -> bool:
        """Not its time yet: look again from ``until`` on, as if this attempt had not been. False: no longer ours."""
        change = _mark(delivery.key, delivery.attempt).values(
            next_try=until, attempts=delivery.attempt - 1, last_error=why[:500]
        )
        return bool(await self._marks([change]))

    async def look_again(self, key: UUID, now: datetime, *, sent: bool) -> bool:
        """Word came about what is held, or (``sent``) about what counted as sent: its carrier looks at it now.

        What counted as sent goes back to the head of its lane; its carrier knows what it did already. False: there is
        nothing to look at.
        """
        change = (
            update(_outbox)
            .where(_outbox.c.key == key, _outbox.c.state == (SENT if sent else READY))
            .values(state=READY, next_try=now)
        )
        return bool(await self._marks([change]))

    async def dead(self, delivery: Delivery, error: str) -> bool:
        """It never will arrive: a dead letter, which blocks its lane until a person resends or skips it."""
        change = _mark(delivery.key, delivery.attempt).values(state=DEAD, last_error=error[:500])
        return bool(await self._marks([change]))

    async def resend(self, key: UUID, now: datetime) -> bool:
        """Try a dead letter again at once, under its old key. False: it is no dead letter."""
        change = (
            update(_outbox)
            .where(_outbox.c.key == key, _outbox.c.state == DEAD)
            .values(state=READY, next_try=now, attempts=0)
        )
        return bool(await self._marks([change]))

    async def skip(self, key: UUID, reason: str, by: str, now: datetime) -> bool:
        """Give an effect up so that its lane moves on; who and why stay on the row. False: it is not waiting."""
        change = (
            update(_outbox)
            .where(_outbox.c.key == key, _outbox.c.state.in_((READY, DEAD)))
            .values(state=SKIPPED, last_error=f"skipped by {by} at {now.isoformat()}: {reason}"[:500])
        )
        return bool(await self._marks([change]))

    async def dead_letters(self, limit: int = 100) -> list[Letter]:
        """What waits for a person, oldest first."""
        c = _outbox.c
        statement = (
            select(
                c.key, c.lane, c.no, c.stream_kind, c.stream_id, c.receiver, c.kind, c.state, c.attempts,
                c.created, c.next_try, c.last_error,
            )
            .where(c.state == DEAD)
            .order_by(c.created)
            .limit(limit)
        )  # fmt: skip
        async with self._database.looking() as connection:
            found = (await connection.execute(statement)).all()
        return [
            Letter(
                key=row.key,
                lane=row.lane,
                no=row.no,
                ref=StreamRef(row.stream_kind, row.stream_id),
                receiver=row.receiver,
                kind=row.kind,
                state=row.state,
                attempts=row.attempts,
                created=row.created,
                next_try=row.next_try,
                last_error=row.last_error,
            )
            for row in found
        ]

    async def depth(self) -> Depth:
        """How many wait and how many are dead."""
        statement = (
            select(_outbox.c.state, func.count(), func.min(_outbox.c.created))
            .where(_outbox.c.state.in_((READY, DEAD)))
            .group_by(_outbox.c.state)
        )
        async with self._database.looking() as connection:
            found = {row[0]: (row[1], row[2]) for row in (await connection.execute(statement)).all()}
        return Depth(
            ready=found.get(READY, (0, None))[0],
            dead=found.get(DEAD, (0, None))[0],
            oldest=min((row[1] for row in found.values()), default=None),
        )

    async def next_try(self) -> datetime | None:
        """The earliest instant at which something may be claimed (a hint: its lane may be blocked)."""
        statement = select(func.min(_outbox.c.next_try)).where(_outbox.c.state == READY)
        async with self._database.looking() as connection:
            value: datetime | None = (await connection.execute(statement)).scalar()
        return value

    async def pause(self, by: str, now: datetime, why: str) -> None:
        """Send nothing until `resume`, on any node. A restore does this."""
        async with self._database.writing() as connection:
            await connection.execute(delete(_flag).where(_flag.c.name == PAUSED))
            await connection.execute(
                insert(_flag).values(
                    with_checksum("flag", {"name": PAUSED, "value": why, "by": by, "at": now})
                )
            )

    async def resume(self) -> None:
        """Send again."""
        async with self._database.writing() as connection:
            await connection.execute(delete(_flag).where(_flag.c.name == PAUSED))

    async def paused(self) -> str:
        """Why nothing is sent, or empty."""
        async with self._database.looking() as connection:
            value = (await connection.execute(select(_flag.c.value).where(_flag.c.name == PAUSED))).scalar()
        return "" if value is None else str(value) or PAUSED

    async def _marks(self, changes: Sequence[Update]) -> int:
        if not changes:
            return 0
        async with self._database.writing() as connection:
            return sum([(await connection.execute(change)).rowcount for change in changes])


def _mark(key: UUID, attempt: int) -> Update:
    # The attempt guards the mark: a sender that slept through its claim must not overrule its successor.
    return update(_outbox).where(
        _outbox.c.key == key, _outbox.c.attempts == attempt, _outbox.c.state == READY
    )
