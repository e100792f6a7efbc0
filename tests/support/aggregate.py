"""A small honest aggregate for tests of the store: jars of coins with two clocks. Nothing in it is a mock.

It can also misbehave on request, as a faulty domain would: raise, encode nonsense, write what a database refuses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from dispatcher.domain.errors import AgainstRule, AlreadyThere, NotFound
from dispatcher.domain.stream import (
    SYSTEM,
    Actor,
    Change,
    Command,
    DeadlineChange,
    DeadlineState,
    Effect,
    Erasure,
    Event,
    Planned,
    Recorded,
    Role,
    Sealed,
    StreamRef,
    StreamRow,
    Submission,
    Text,
)
from dispatcher.store.codec import Codec

START = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
AGENT = Actor(id="agent-1", roles=(Role.AGENT_12345,), platform="12345-630100", division="630100")
KIND = "jar"
LONG = "".join(hashlib.sha256(bytes([n])).hexdigest() for n in range(250))
"""Longer than PostgreSQL's indexes take, and not to be compressed."""


def name(word: str) -> UUID:
    """The same id for the same word, in every run."""
    return uuid5(NAMESPACE_URL, word)


def jar(word: str) -> StreamRef:
    """The stream of the jar called so."""
    return StreamRef(KIND, name(word))


# Commands


class OpenJar(Command, frozen=True, kw_only=True):
    ref: StreamRef
    number: str = ""
    words: str = ""
    secret: bytes = b""
    platform: str = "12345-630100"
    division: str = "630102"
    minutes: int = 60

    def streams(self) -> tuple[StreamRef, ...]:
        return (self.ref,)


class PutCoin(Command, frozen=True, kw_only=True):
    ref: StreamRef
    coins: int = 1

    def streams(self) -> tuple[StreamRef, ...]:
        return (self.ref,)


class MoveCoins(Command, frozen=True, kw_only=True):
    source: StreamRef
    target: StreamRef
    coins: int

    def streams(self) -> tuple[StreamRef, ...]:
        return (self.source, self.target)


class CarryAway(Command, frozen=True, kw_only=True):
    """The jar goes to another platform and place."""

    ref: StreamRef
    platform: str
    division: str

    def streams(self) -> tuple[StreamRef, ...]:
        return (self.ref,)


class EmptyJar(Command, frozen=True, kw_only=True):
    ref: StreamRef

    def streams(self) -> tuple[StreamRef, ...]:
        return (self.ref,)


class WriteNote(Command, frozen=True, kw_only=True):
    ref: StreamRef
    words: str

    def streams(self) -> tuple[StreamRef, ...]:
        return (self.ref,)


class ShareJar(Command, frozen=True, kw_only=True):
    """Units beside the jar's own may use it; they replace those before."""

    ref: StreamRef
    units: tuple[str, ...]

    def streams(self) -> tuple[StreamRef, ...]:
        return (self.ref,)


class ForgetJar(Command, frozen=True, kw_only=True):
    ref: StreamRef

    def streams(self) -> tuple[StreamRef, ...]:
        return (self.ref,)


class Ring(Command, frozen=True, kw_only=True):
    """What settles a due deadline."""

    ref: StreamRef
    clock: str
    milestone: str

    def streams(self) -> tuple[StreamRef, ...]:
        return (self.ref,)


class Explode(Command, frozen=True, kw_only=True):
    """A fault of the domain: raises, or (``how``) breaks another promise."""

    ref: StreamRef
    how: str = "raise"

    def streams(self) -> tuple[StreamRef, ...]:
        if self.how == "nameless":
            raise ZeroDivisionError("streams")
        return (self.ref,)


# Events


class JarOpened(Event, frozen=True, kw_only=True, tag="jar-opened.2"):
    number: str
    platform: str
    division: str
    seal_by: datetime
    fill_by: datetime


class CoinPut(Event, frozen=True, kw_only=True, tag="coin-put.1"):
    coins: int


class CoinsTaken(Event, frozen=True, kw_only=True, tag="coins-taken.1"):
    coins: int


class JarCarried(Event, frozen=True, kw_only=True, tag="jar-carried.1"):
    platform: str
    division: str


class JarEmptied(Event, frozen=True, kw_only=True, tag="jar-emptied.1"):
    pass


class NoteWritten(Event, frozen=True, kw_only=True, tag="note-written.1"):
    no: int


class JarShared(Event, frozen=True, kw_only=True, tag="jar-shared.1"):
    units: tuple[str, ...]


class JarForgotten(Event, frozen=True, kw_only=True, tag="jar-forgotten.1"):
    pass


class Rang(Event, frozen=True, kw_only=True, tag="rang.1"):
    clock: str
    milestone: str


class NumberSpoilt(Event, frozen=True, kw_only=True, tag="number-spoilt.1"):
    number: str


EVENTS: tuple[type[Event], ...] = (
    JarOpened,
    CoinPut,
    CoinsTaken,
    JarCarried,
    JarEmptied,
    NoteWritten,
    JarShared,
    JarForgotten,
    Rang,
    NumberSpoilt,
)


class Tell(Effect, frozen=True, kw_only=True, tag="tell"):
    whom: str
    what: str

    def receiver(self) -> str:
        return self.whom


EFFECTS: tuple[type[Effect], ...] = (Tell,)


def upcast_jar_opened_1(body: dict[str, object]) -> dict[str, object]:
    """Version 1 knew no platform: every jar stood in Xining's hotline."""
    return {**body, "kind": "jar-opened.2", "platform": "12345-630100"}


UPCASTS = {"jar-opened.1": upcast_jar_opened_1}
CODEC = Codec(events=EVENTS, effects=EFFECTS, upcasts=UPCASTS)


class Jar(msgspec.Struct, frozen=True, kw_only=True):
    number: str
    platform: str
    division: str
    seal_by: datetime
    fill_by: datetime
    coins: int = 0
    notes: int = 0
    open: bool = True
    armed: frozenset[str] = frozenset()
    rang: tuple[str, ...] = ()
    units: tuple[str, ...] = ()


class Jars:
    """The product: implements `dispatcher.domain.stream.Product`."""

    def handle(
        self, states: Mapping[StreamRef, msgspec.Struct | None], sent: Submission, *, now: datetime
    ) -> Change:
        happened: list[tuple[StreamRef, Event]] = []
        effects: list[Planned] = []
        texts: list[Text] = []
        sealed: list[Sealed] = []
        erased: list[Erasure] = []
        title: str | None = None
        mac: bytes | None = None
        command = sent.command
        match command:
            case OpenJar(ref=ref):
                if states[ref] is not None:
                    raise AlreadyThere("the jar is there", field="ref", value=str(ref.id))
                opened = JarOpened(
                    number=command.number,
                    platform=command.platform,
                    division=command.division,
                    seal_by=now + timedelta(minutes=command.minutes),
                    fill_by=now + timedelta(minutes=2 * command.minutes),
                )
                happened.append((ref, opened))
                effects.append(Planned(ref=ref, effect=Tell(whom="desk", what="opened")))
                if command.words:
                    texts.append(Text(ref=ref, no=0, field="narrative", words=command.words))
                    title = command.words[:20]
                if command.secret:
                    sealed.append(Sealed(ref=ref, plain=command.secret))
                    mac = b"mac-of-" + command.secret
            case PutCoin(ref=ref, coins=coins):
                _there(states, ref)
                happened.append((ref, CoinPut(coins=coins)))
                if coins > 100:
                    effects.append(Planned(ref=ref, effect=Tell(whom="desk", what="rich")))
            case MoveCoins(source=source, target=target, coins=coins):
                _there(states, target)
                if _there(states, source).coins < coins:
                    raise AgainstRule("too few coins", field="coins", value=str(coins))
                happened += [(source, CoinsTaken(coins=coins)), (target, CoinPut(coins=coins))]
            case CarryAway(ref=ref):
                _there(states, ref)
                happened.append((ref, JarCarried(platform=command.platform, division=command.division)))
            case EmptyJar(ref=ref):
                _there(states, ref)
                happened.append((ref, JarEmptied()))
            case WriteNote(ref=ref, words=words):
                no = _there(states, ref).notes + 1
                happened.append((ref, NoteWritten(no=no)))
                texts.append(Text(ref=ref, no=no, field="note", words=words))
            case ShareJar(ref=ref, units=units):
                _there(states, ref)
                happened.append((ref, JarShared(units=units)))
            case ForgetJar(ref=ref):
                _there(states, ref)
                happened.append((ref, JarForgotten()))
                erased.append(Erasure(ref=ref))
            case Ring(ref=ref, clock=clock, milestone=milestone):
                state = _there(states, ref)
                if state.number == "poison" and clock == "seal":
                    raise ZeroDivisionError("a poisoned jar")
                if f"{clock}/{milestone}" in state.armed:
                    happened.append((ref, Rang(clock=clock, milestone=milestone)))
                    effects.append(Planned(ref=ref, effect=Tell(whom="supervisor", what=f"{clock} is late")))
                if state.number == "rotten" and clock == "fill":
                    happened.append((ref, NumberSpoilt(number=LONG)))
            case Explode(ref=ref, how=how):
                _there(states, ref)
                match how:
                    case "surrogate":
                        happened.append((ref, NumberSpoilt(number="\ud800")))
                    case "nul":
                        happened.append((ref, NumberSpoilt(number="a\x00b")))
                    case "huge":
                        happened.append((ref, CoinPut(coins=1)))
                        texts.append(Text(ref=ref, no=2**70, field="note", words="no such number"))
                    case "stranger":
                        happened.append((jar("never named"), CoinPut(coins=1)))
                    case "effect without event":
                        effects.append(Planned(ref=ref, effect=Tell(whom="desk", what="nothing happened")))
                    case _:
                        raise ZeroDivisionError("the domain has a fault")
            case _:
                raise AssertionError(f"unknown command {type(command).__name__}")
        return self._change(
            states, sent, happened, effects, texts, sealed, erased, title=title, mac=mac, now=now
        )

    def _change(
        self,
        states: Mapping[StreamRef, msgspec.Struct | None],
        sent: Submission,
        happened: Sequence[tuple[StreamRef, Event]],
        effects: Sequence[Planned],
        texts: Sequence[Text],
        sealed: Sequence[Sealed],
        erased: Sequence[Erasure],
        *,
        title: str | None,
        mac: bytes | None,
        now: datetime,
    ) -> Change:
        after: dict[StreamRef, msgspec.Struct] = {}
        deadlines: list[DeadlineChange] = []
        for ref, event in happened:
            before = after.get(ref) or states.get(ref)
            after[ref] = self.fold(before, event, ref, now)
            deadlines += self.deadlines(before, event, after[ref], ref, now)
        rows = {
            ref: msgspec.structs.replace(self.row(state), title=title, caller_mac=mac)
            for ref, state in after.items()
        }
        answer = msgspec.json.encode({ref.id.hex: _jar(state).coins for ref, state in after.items()})
        return Change(
            events=tuple(Recorded(ref=ref, event=event, by=sent.actor.id) for ref, event in happened),
            states=after,
            rows=rows,
            deadlines=tuple(deadlines),
            effects=tuple(effects),
            texts=tuple(texts),
            sealed=tuple(sealed),
            erased=tuple(erased),
            parties={
                ref: self.parties(state)
                for ref, state in after.items()
                if self.parties(state) != (() if (was := states[ref]) is None else self.parties(was))
            },
            answer=answer,
        )

    def expire(self, ref: StreamRef, clock: str, milestone: str, due: datetime) -> Submission:
        return Submission(
            message_id=uuid5(ref.id, f"{clock}/{milestone}/{due.isoformat()}"),
            command=Ring(ref=ref, clock=clock, milestone=milestone),
            actor=SYSTEM,
        )

    def fold(
        self, state: msgspec.Struct | None, event: Event, ref: StreamRef, at: datetime
    ) -> msgspec.Struct:
        if isinstance(event, JarOpened):
            return Jar(
                number=event.number,
                platform=event.platform,
                division=event.division,
                seal_by=event.seal_by,
                fill_by=event.fill_by,
                armed=frozenset({"seal/limit", "fill/limit"}),
            )
        jar_ = _jar(state)
        replace = msgspec.structs.replace
        match event:
            case CoinPut(coins=coins):
                return replace(jar_, coins=jar_.coins + coins)
            case CoinsTaken(coins=coins):
                return replace(jar_, coins=jar_.coins - coins)
            case JarCarried():
                return replace(jar_, platform=event.platform, division=event.division)
            case JarEmptied():
                return replace(jar_, coins=0, open=False, armed=frozenset())
            case NoteWritten(no=no):
                return replace(jar_, notes=no)
            case JarShared(units=units):
                return replace(jar_, units=units)
            case JarForgotten():
                return jar_
            case Rang():
                key = f"{event.clock}/{event.milestone}"
                return replace(jar_, armed=jar_.armed - {key}, rang=(*jar_.rang, key))
            case NumberSpoilt(number=number):
                return replace(jar_, number=number)
            case _:
                raise AssertionError(f"unknown event {type(event).__name__}")

    def row(self, state: msgspec.Struct) -> StreamRow:
        jar_ = _jar(state)
        return StreamRow(
            platform=jar_.platform,
            division=jar_.division,
            stage="open" if jar_.open else "emptied",
            open=jar_.open,
            number=jar_.number,
            received=jar_.seal_by if jar_.units else None,
            due=jar_.seal_by,
        )

    def parties(self, state: msgspec.Struct) -> tuple[str, ...]:
        return _jar(state).units

    def deadlines(
        self, before: msgspec.Struct | None, event: Event, after: msgspec.Struct, ref: StreamRef, at: datetime
    ) -> Sequence[DeadlineChange]:
        was = frozenset[str]() if before is None else _jar(before).armed
        is_ = _jar(after).armed
        rang = isinstance(event, Rang)
        changes: list[DeadlineChange] = []
        for key in sorted(was ^ is_):
            clock, milestone = key.split("/")
            state = DeadlineState.ARMED
            if key in was:
                state = DeadlineState.FIRED if rang else DeadlineState.CANCELLED
            changes.append(
                DeadlineChange(
                    ref=ref,
                    clock=clock,
                    milestone=milestone,
                    due=_jar(after).seal_by if clock == "seal" else _jar(after).fill_by,
                    state=state,
                )
            )
        return changes

    def state_type(self, kind: str) -> type[msgspec.Struct]:
        return {KIND: Jar}[kind]


def _jar(state: msgspec.Struct | None) -> Jar:
    assert isinstance(state, Jar)
    return state


def _there(states: Mapping[StreamRef, msgspec.Struct | None], ref: StreamRef) -> Jar:
    state = states[ref]
    if state is None:
        raise NotFound("no such jar", field="ref", value=str(ref.id))
    return _jar(state)


class ManualClock:
    """Stands still until somebody moves it."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        """Move on."""
        self._now += by

    async def sleep_until(self, instant: datetime) -> None:
        """Jump there: tests never wait."""
        self._now = max(self._now, instant)


def sent(command: Command, message: str | UUID, actor: Actor = AGENT) -> Submission:
    """A command on its way, under a message id made from a word."""
    return Submission(
        message_id=name(message) if isinstance(message, str) else message, command=command, actor=actor
    )
