"""One command of each kind, with what must have happened before it: what the power is cut in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import delete

from dispatcher.domain import commands as c
from dispatcher.domain.effects import AnyEffect
from dispatcher.domain.product import LiandongProduct
from dispatcher.domain.stream import Actor, Command, Role, Submission
from dispatcher.domain.values import Personal, Result
from dispatcher.ports import Delivery
from dispatcher.runtime.auditor import Auditor
from dispatcher.runtime.clock import ManualClock, jitter
from dispatcher.runtime.relay import Patience, Relay
from dispatcher.runtime.switch import Switches
from dispatcher.runtime.telemetry import Telemetry
from dispatcher.store.database import Database
from dispatcher.store.expectations import Ledger
from dispatcher.store.leases import Leases
from dispatcher.store.outbox import Outbox
from dispatcher.store.tables import Table
from dispatcher.store.vault import Vault
from dispatcher.store.writer import Writer
from dispatcher.wiring import CODEC, EFFECTS
from tests.support.cases import KNIFE, LAMP, LIGHTING
from tests.support.library import AGENT, HOTLINE, LEADER, at, clerk, library

BEGAN = at("2026-11-02 10:00")
"""A Monday."""

AUDITOR = Actor(id="auditor", roles=(Role.AUDIT_ADMIN, Role.SYSTEM), division="630000")
ATTEMPT = timedelta(seconds=15)
VAULT = Vault(b"the master key of fault tests".ljust(32, b"."))


class Receiver:
    """A receiver that honours keys: what comes again under a known key is known already."""

    def __init__(self) -> None:
        self.taken: dict[UUID, AnyEffect] = {}

    async def deliver(self, delivery: Delivery) -> None:
        """Takes it; a second content under the same key would be a fault of ours."""
        effect = cast("AnyEffect", delivery.effect)
        assert self.taken.setdefault(delivery.key, effect) == effect, "one key stands for two effects"


class Desk:
    """A writer and a relay over a database, as one process has them."""

    def __init__(self, url: str, now: datetime, receiver: Receiver) -> None:
        self.clock = ManualClock(now)
        self.database = Database(url, pool=1)
        self.product = LiandongProduct(library())
        self.writer = Writer(self.database, self.product, self.clock, VAULT)
        self.relay = Relay(
            Outbox(self.database, CODEC),
            dict.fromkeys(EFFECTS, receiver),
            self.writer,
            self.clock,
            Telemetry(),
            failure_of=lambda _delivery, _why: None,
            patience=Patience(
                attempt=ATTEMPT, backoff=ATTEMPT, cap=timedelta(minutes=5), total=timedelta(hours=6)
            ),
            lanes=32,
            look_ahead=timedelta(seconds=5),
            chance=jitter(1),
        )

    async def __aenter__(self) -> Desk:
        await self.writer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.writer.close()
        await self.database.close()

    def wait(self, length: timedelta) -> None:
        """Time passes; nothing is settled on the way."""
        self.clock.set(self.clock.now() + length)


Act = Callable[[Desk], Awaitable[object]]


class Cast:
    """The cases and messages of one run. Runs differ in their ``prefix`` only, so that many fit into one database."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.cases: dict[UUID, str] = {}
        self.messages: dict[UUID, str] = {}

    def case(self, word: str) -> UUID:
        """The id of the case called so."""
        id_ = uuid5(NAMESPACE_URL, f"case/{self._prefix}/{word}")
        self.cases[id_] = word
        return id_

    def number(self, word: str) -> str:
        """Its number."""
        return f"{HOTLINE}-2026-{self._prefix}{word}"

    def plain(self, stored: object) -> str:
        """What was stored, in words that are the same in every run."""
        words = repr(stored)
        for id_, word in (*self.cases.items(), *self.messages.items()):
            words = words.replace(str(id_), f"<{word}>").replace(id_.hex, f"<{word}>")
        for word in self.cases.values():
            words = words.replace(self.number(word), f"<number of {word}>")
        return words

    def say(self, command: Command, by: Actor) -> Act:
        """Send a command under a message id of its own; done again it is the same message."""
        word = f"{type(command).__name__}/{self.cases[command.streams()[0].id]}"
        id_ = uuid5(NAMESPACE_URL, f"message/{self._prefix}/{word}")
        self.messages[id_] = word
        sent = Submission(message_id=id_, command=command, actor=by)

        async def act(desk: Desk) -> object:
            return await desk.writer.submit(sent)

        return act

    def register(self, word: str, words: str = LAMP) -> Act:
        """A citizen calls the hotline."""
        command = c.RegisterCase(
            case=self.case(word),
            platform=HOTLINE,
            number=self.number(word),
            title=words[:8],
            words=words,
            division="630102",
            personal=Personal(caller="13900000000", name="测试"),
            caller_mac=b"mac of the caller",
        )
        return self.say(command, AGENT)

    def assign(self, word: str) -> Act:
        """The desk assigns it."""
        return self.say(c.AssignCase(case=self.case(word), lead=LIGHTING), AGENT)

    def assigned(self, word: str) -> tuple[Act, ...]:
        """Registered and assigned."""
        return self.register(word), self.assign(word)

    def signed(self, word: str) -> tuple[Act, ...]:
        """Assigned and signed for."""
        return *self.assigned(word), self.say(c.SignFor(case=self.case(word)), clerk(LIGHTING))

    def reply(self, word: str) -> Act:
        """The unit replies."""
        command = c.ReplyCase(case=self.case(word), words="已经修好,亮了。", result=Result.SOLVED)
        return self.say(command, clerk(LIGHTING))

    def delivered(self, word: str) -> tuple[Act, ...]:
        """Replied to, approved, and the citizen told."""
        id_ = self.case(word)
        return (
            *self.signed(word),
            self.reply(word),
            self.say(c.ApproveReply(case=id_), LEADER),
            self.say(c.DeliverReply(case=id_), AGENT),
        )

    def close(self, word: str) -> Act:
        """The desk closes it."""
        return self.say(c.CloseCase(case=self.case(word), result=Result.SOLVED), AGENT)

    def attach(self, word: str, other: str) -> Act:
        """One case follows another."""
        command = c.AttachFollower(case=self.case(word), other=self.case(other), reason="同一路灯")
        return self.say(command, AGENT)

    def withdraw(self, word: str) -> Act:
        """The citizen takes it back."""
        return self.say(c.WithdrawCase(case=self.case(word), words="已经好了"), AGENT)

    def erase(self, word: str) -> Act:
        """Its retention is over."""
        return self.say(c.EraseCase(case=self.case(word), basis="retention"), AUDITOR)


async def settle(desk: Desk) -> None:
    """Settle all that is due now."""
    while (await desk.writer.settle_due(desk.clock.now())).more:
        pass


async def flush(desk: Desk) -> None:
    """Send what the outbox holds."""
    await desk.relay.flush()


async def audit(desk: Desk) -> None:
    """One round of the auditor."""
    auditor = Auditor(
        Ledger(desk.database),
        desk.writer,
        Leases(desk.database, "node-1"),
        desk.clock,
        Telemetry(),
        Switches((), timedelta()),
        every=timedelta(seconds=5),
        grace=timedelta(minutes=1),
    )
    await auditor.once()


def deleted(case: UUID) -> Act:
    """A hand deletes the case's deadline rows."""
    table = Table.metadata.tables["deadline"]

    async def act(desk: Desk) -> None:
        async with desk.database.writing() as connection:
            await connection.execute(delete(table).where(table.c.stream_id == case))

    return act


@dataclass(frozen=True, kw_only=True)
class Deed:
    """``given`` leads up to it; ``later``, ``when`` is done while the power is cut, and again after the restart."""

    name: str
    given: Callable[[Cast], tuple[Act, ...]] = lambda _: ()
    later: timedelta = timedelta()
    when: Callable[[Cast], Act]

    @property
    def at(self) -> datetime:
        """When it is done."""
        return BEGAN + self.later


DEEDS: tuple[Deed, ...] = (
    Deed(name="register", when=lambda a: a.register("a")),
    Deed(name="register-danger", when=lambda a: a.register("a", KNIFE)),
    Deed(name="assign", given=lambda a: (a.register("a"),), when=lambda a: a.assign("a")),
    Deed(name="reply", given=lambda a: a.signed("a"), when=lambda a: a.reply("a")),
    Deed(name="close", given=lambda a: a.delivered("a"), when=lambda a: a.close("a")),
    Deed(
        name="attach",
        given=lambda a: (a.register("a"), a.register("b")),
        when=lambda a: a.attach("a", "b"),
    ),
    Deed(
        name="erase",
        given=lambda a: (a.register("a"), a.withdraw("a")),
        later=timedelta(days=1500),
        when=lambda a: a.erase("a"),
    ),
    Deed(
        name="settle-due",
        given=lambda a: (*a.assigned("a"), *a.assigned("b"), a.register("c", KNIFE)),
        later=timedelta(days=2),
        when=lambda _: settle,
    ),
    Deed(
        name="audit",
        given=lambda a: (a.register("a"), audit, deleted(a.case("a"))),
        when=lambda _: audit,
    ),
    Deed(
        name="relay",
        given=lambda a: (a.register("a", KNIFE), *a.assigned("b")),
        when=lambda _: flush,
    ),
)
