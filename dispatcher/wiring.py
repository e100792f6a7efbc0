"""The composition root: settings become a store, a product, a runtime and adapters. Knows everybody; decides nothing.

`build_core` is enough for commands that write without serving; `build_service` puts HTTP, adapters and pages on top.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import get_args
from uuid import uuid5

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from adapters.http_api.app import PREFIX
from adapters.http_api.app import build as build_api
from adapters.http_api.identity import KeptTokens
from adapters.http_api.intake import case_number
from adapters.http_api.queries import plain_number
from adapters.http_api.services import Services
from adapters.linkage.inbound import LocalLink, served_by
from adapters.linkage.outbound import LinkageCarrier
from adapters.notice.connect import NOTHING, connect, unreachable
from adapters.notice.post import CARRIED, Post
from adapters.notice.reports import Reports
from dashboards.live import Live
from dashboards.page import LivePage
from dispatcher.domain.commands import EraseCase
from dispatcher.domain.effects import AnyEffect, PassOrder, ReturnResult
from dispatcher.domain.events import AnyEvent
from dispatcher.domain.exports import AnyExportEvent
from dispatcher.domain.failures import failure_of
from dispatcher.domain.library import Library
from dispatcher.domain.product import LiandongProduct
from dispatcher.domain.stream import LIVE, SYSTEM, Actor, Effect, StreamRef, Submission
from dispatcher.domain.worktime import LEGAL_ZONE
from dispatcher.list_shelf import ListShelf
from dispatcher.ports import Caller, Carrier, Inbox
from dispatcher.releases import build_library
from dispatcher.runtime.auditor import Auditor
from dispatcher.runtime.clock import SteadyClock, SystemClock, jitter, new_id
from dispatcher.runtime.feed import Feed
from dispatcher.runtime.gathering import Gathering
from dispatcher.runtime.handling import CountedInbox, Reloadable
from dispatcher.runtime.hands import Hands
from dispatcher.runtime.housekeeping import Chore, Housekeeping
from dispatcher.runtime.moving import ReleaseWatch
from dispatcher.runtime.relay import Patience, Relay
from dispatcher.runtime.service import Attached, Parts, Service
from dispatcher.runtime.switch import FileSwitch, Switches, UrlSwitch
from dispatcher.runtime.telemetry import Telemetry
from dispatcher.runtime.timers import Sweep
from dispatcher.setting_checks import is_loopback
from dispatcher.settings import Settings
from dispatcher.shelf import Shelf
from dispatcher.store import partitions, schema
from dispatcher.store.accounts import Accounts
from dispatcher.store.batches import Batches
from dispatcher.store.codec import Codec
from dispatcher.store.database import ALL, Database
from dispatcher.store.erasures import journal_of, keep_journal, read_journal, repeat_erasures
from dispatcher.store.expectations import Ledger
from dispatcher.store.leases import Leases
from dispatcher.store.listen import Listener
from dispatcher.store.merkle import anchor, write_anchor
from dispatcher.store.numbers import Numbers
from dispatcher.store.outbox import Outbox
from dispatcher.store.receipts import Receipts
from dispatcher.store.rows import BatchSeen
from dispatcher.store.tables import Deadlines
from dispatcher.store.vault import Vault
from dispatcher.store.writer import Writer
from dispatcher.views.board import Board
from dispatcher.views.outgoing import OutgoingCases

EFFECTS: tuple[type[Effect], ...] = get_args(AnyEffect)
CODEC = Codec(events=(*get_args(AnyEvent), *get_args(AnyExportEvent)), effects=EFFECTS)

_INBOX_KEPT = timedelta(
    days=31
)  # message ids live at least 30 days: a peer's repeat of last month is still known


class Holder:
    """The library in force. A reload puts another in its place."""

    def __init__(self, library: Library) -> None:
        self.library = library

    def __call__(self) -> Library:
        """The library in force now."""
        return self.library


@dataclass(frozen=True, kw_only=True)
class Core:
    """What every writing process is made of. ``inbox`` is how commands come in; ``library`` tells the one in force.

    ``caller`` is the switch, once an adapter named before the notices has brought one. ``fits`` say what a library
    asks of this deployment that it has not got; adapters add them.
    """

    settings: Settings
    database: Database
    vault: Vault
    clock: SteadyClock
    telemetry: Telemetry
    library: Holder
    product: Reloadable
    writer: Writer
    inbox: Inbox
    outbox: Outbox
    accounts: Accounts
    listener: Listener
    feed: Feed
    sweep: Sweep
    relay: Relay
    shelf: Shelf
    watch: ReleaseWatch
    enforce: Callable[[Library], None]
    caller: Caller | None = None
    fits: list[Callable[[Library], Sequence[str]]] = dataclasses.field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Built:
    """An adapter, made: what the service runs of it, who carries its effects, and the switch if it has one."""

    attached: Attached
    carrier: Carrier | None = None
    caller: Caller | None = None


@dataclass(frozen=True, kw_only=True)
class AdapterSpec:
    """An adapter to be made: which effects it carries, and how to make it."""

    kind: str
    carries: frozenset[type[Effect]]
    build: Callable[[Core], Built]


class WiringFault(Exception):
    """Effects without a carrier or with two: nothing starts."""


def _linkage(core: Core) -> Built:
    reads = OutgoingCases(core.database, core.vault)
    numbers = Numbers(core.database)

    async def draw(platform: str) -> str:
        year = core.clock.now().astimezone(LEGAL_ZONE).year
        return case_number(platform, year, await numbers.take(platform, year))

    link = LocalLink(
        core.inbox,
        reads,
        draw=draw,
        digest=lambda number: core.vault.number_digest(plain_number(number)),
        serves=served_by(core.settings.deployment.platforms),
    )
    return Built(attached=Attached(kind="linkage"), carrier=LinkageCarrier(link, reads, core.inbox))


def _notice(core: Core) -> Built:
    # What is only rehearsed on another clock tells nobody outside.
    outside = isinstance(core.clock, SystemClock)
    receipts = Receipts(core.database)
    reports = Reports(receipts, core.outbox, core.clock, core.relay.committed)
    connected = connect(core.settings, core.clock, reports, core.caller) if outside else NOTHING
    if connected.lines:
        core.telemetry.watch(
            "liandong_sms_line_up",
            "0 while a line to the short message centre is down",
            lambda: all(line.is_up for line in connected.lines),
        )
    if outside:
        core.fits.append(lambda library: unreachable(library, connected.channels))
        _check_fit(core, core.library())
    post = Post(
        connected.channels,
        OutgoingCases(core.database, core.vault),
        receipts,
        core.inbox,
        core.library,
        core.clock,
        digest=core.vault.number_digest,
        voice=connected.voice,
        base=core.settings.http.base,
    )
    attached = Attached(kind="notice", routes=connected.routes, lines=connected.lines)
    return Built(attached=attached, carrier=post)


def _live_page(core: Core) -> Built:
    async def who_is(token: str) -> Actor | None:
        return await core.accounts.actor_of(token, core.clock.now())

    live = Live(Board(core.database), core.feed, core.clock, core.library)
    page = LivePage(live, core.library, open_on_loopback=is_loopback(core.settings.http.host), who_is=who_is)
    return Built(attached=Attached(kind="live-page", routes=page.routes()))


def _http_api(core: Core) -> Built:
    services = Services(
        inbox=core.inbox,
        database=core.database,
        codec=CODEC,
        vault=core.vault,
        clock=core.clock,
        library=core.library,
        accounts=KeptTokens(core.accounts),
        numbers=Numbers(core.database),
        letters=core.outbox,
        new_id=new_id,
        body_limit=core.settings.http.body_limit,
    )
    return Built(attached=Attached(kind="http-api", mounts=((PREFIX, build_api(services)),)))


SPECS: tuple[AdapterSpec, ...] = (
    AdapterSpec(kind="http-api", carries=frozenset(), build=_http_api),
    AdapterSpec(kind="linkage", carries=frozenset({PassOrder, ReturnResult}), build=_linkage),
    AdapterSpec(kind="live-page", carries=frozenset(), build=_live_page),
    AdapterSpec(kind="notice", carries=CARRIED, build=_notice),
)


def carriers_of(specs: Iterable[AdapterSpec], effects: Iterable[type[Effect]]) -> dict[type[Effect], str]:
    """Which adapter carries which effect.

    Raises:
        WiringFault: an effect has no carrier, or two; all of them are named.
    """
    found: dict[type[Effect], list[str]] = {effect: [] for effect in effects}
    for spec in specs:
        for effect in spec.carries:
            found.setdefault(effect, []).append(spec.kind)
    faults = [
        f"{effect.__name__}: {' and '.join(kinds) if kinds else 'nobody'}"
        for effect, kinds in found.items()
        if len(kinds) != 1
    ]
    if faults:
        raise WiringFault("each effect needs exactly one carrier; " + "; ".join(sorted(faults)))
    return {effect: kinds[0] for effect, kinds in found.items()}


def build_core(
    settings: Settings,
    *,
    clock: SteadyClock | None = None,
    hands: Hands | None = None,
    carriers: Mapping[type[Effect], Carrier] | None = None,
    lasting: bool = True,
) -> Core:
    """Everything between settings and adapters; nothing is opened yet, except that the vault's key is read.

    Args:
        clock: replay hands in a manual one; without it the system's, by database time on PostgreSQL.
        hands: of the system's clock, instead of the machine's (tests).
        carriers: filled later by whoever builds adapters.
        lasting: commits outlive a power cut (`Database`).

    Raises:
        ExceptionGroup: the lists have faults. StoreError: the database address or the vault's key cannot be used.
    """
    telemetry = Telemetry()
    database = Database(settings.database.url, pool=settings.database.pool, lasting=lasting)
    vault = Vault.open(settings.vault.key_file)
    library = Holder(build_library(settings.data, settings.deployment.division))
    product = Reloadable(LiandongProduct(library.library), telemetry)
    time = clock or _system_clock(settings, database, hands)
    listener = Listener(database)
    writer = Writer(database, product, time, vault, observe=lambda seen: committed(seen))
    inbox = CountedInbox(writer, telemetry)
    outbox = Outbox(database, CODEC)
    limits = settings.runtime
    sweep = Sweep(writer, time, telemetry, limit=limits.sweep_limit, look_ahead=limits.look_ahead)
    relay = Relay(
        outbox,
        carriers if carriers is not None else {},
        inbox,
        time,
        telemetry,
        failure_of=lambda delivery, why: failure_of(delivery.key, delivery.effect, why),
        patience=Patience(
            attempt=limits.relay_attempt,
            backoff=limits.relay_backoff,
            cap=limits.relay_cap,
            total=limits.relay_patience,
        ),
        lanes=limits.relay_lanes,
        look_ahead=limits.look_ahead,
        chance=jitter(new_id().int),
    )

    def enforce(fresh: Library) -> None:
        library.library = fresh
        product.current = LiandongProduct(fresh)

    lists = ListShelf(
        database,
        settings.data,
        time,
        signer=lambda: vault.signer,
        taken=lambda whether: telemetry.reloaded(taken=whether),
    )
    shelf = Shelf(database, settings.data, time, lists, library=library, enforce=enforce)
    watch = ReleaseWatch(
        shelf.take, Batches(database), Leases(database, _node_name()), library, inbox, time, telemetry
    )

    def committed(seen: BatchSeen) -> None:
        telemetry.commit(seen.commands, timedelta(seconds=seen.seconds))
        if seen.events:
            listener.hint()
            relay.committed()
            if seen.what == "batch":
                sweep.committed()

    return Core(
        settings=settings,
        database=database,
        vault=vault,
        clock=time,
        telemetry=telemetry,
        library=library,
        product=product,
        writer=writer,
        inbox=inbox,
        outbox=outbox,
        accounts=Accounts(database),
        listener=listener,
        feed=Feed(listener.beyond, telemetry, sweep.committed),
        sweep=sweep,
        relay=relay,
        shelf=shelf,
        watch=watch,
        enforce=enforce,
    )


@contextlib.asynccontextmanager
async def writing(settings: Settings, *, clock: SteadyClock | None = None) -> AsyncIterator[Core]:
    """A core that takes commands inside the block, without HTTP, sweep or relay (replay, import, benchmarks).

    Raises:
        ExceptionGroup: the lists have faults. StoreError: the database cannot be used.
    """
    core = build_core(settings, clock=clock)
    store = OpenStore(core, serving=False)
    try:
        await store.open()
        if isinstance(core.clock, SystemClock):
            await core.clock.refresh()
        yield core
    finally:
        await store.drain()
        await store.close()


def build_service(
    settings: Settings,
    *,
    specs: Sequence[AdapterSpec] = SPECS,
    listening: socket.socket | None = None,
    hands: Hands | None = None,
) -> tuple[Service, Core]:
    """A whole process, ready to be started on the running loop.

    Args:
        specs: the adapters; the demonstration adds one that plays the citizens and the departments.
        listening: a socket that listens already, instead of the address in the settings.
        hands: of the clock, instead of the machine's (tests).

    Raises:
        WiringFault: an effect has no carrier, or two; the deployment names a platform or a division that is none.
        ExceptionGroup: the lists have faults. StoreError: the database address or the vault's key cannot be used.
    """
    who = carriers_of(specs, EFFECTS)
    carriers: dict[type[Effect], Carrier] = {}
    core = build_core(settings, hands=hands, carriers=carriers)
    _known_deployment(settings, core.library())
    attached: list[Attached] = [
        Attached(kind="releases", start=core.watch.start, stop_taking=core.watch.stop)
    ]
    gathering = build_gathering(core, Leases(core.database, _node_name()))
    attached.append(Attached(kind="gathering", start=gathering.start, stop_taking=gathering.stop))
    for spec in specs:
        built = spec.build(core)
        attached.append(built.attached)
        if built.caller is not None:
            core = dataclasses.replace(core, caller=built.caller)
        if spec.carries and built.carrier is None:
            raise WiringFault(f"{spec.kind} says that it carries effects and has no carrier")
        if built.carrier is not None:
            carriers.update({effect: built.carrier for effect, kind in who.items() if kind == spec.kind})
    if not isinstance(core.clock, SystemClock):
        raise WiringFault("a service runs by the system clock")
    clock = core.clock
    core.telemetry.watch(
        "liandong_clock_offset_seconds",
        "How far our clock is ahead of this machine's",
        lambda: clock.offset.total_seconds(),
    )
    core.telemetry.watch(
        "liandong_clock_steady", "0 while clocks part and nothing fires", lambda: clock.steady
    )
    leases = Leases(core.database, _node_name())
    auditor = build_auditor(core, leases)
    rounds = Chore(name="audit", when=settings.auditor.every, do=auditor.once, alone=False)
    housekeeping = Housekeeping((*chores(core), rounds), leases, core.telemetry)
    return Service(
        settings,
        Parts(
            store=OpenStore(core, serving=True),
            clock=clock,
            telemetry=core.telemetry,
            sweep=core.sweep,
            relay=core.relay,
            feed=core.feed,
            housekeeping=housekeeping,
            auditor=auditor,
            attached=tuple(attached),
            reload=lambda: reload_lists(core),
        ),
        listening=listening,
    ), core


def build_auditor(core: Core, leases: Leases) -> Auditor:
    """The auditor of one node, with the switches that are configured. It holds a lease of its own while it leads."""
    chosen = core.settings.auditor
    switches = (
        *((FileSwitch(chosen.switch_file),) if chosen.switch_file else ()),
        *((UrlSwitch(chosen.switch_url),) if chosen.switch_url else ()),
    )
    return Auditor(
        Ledger(core.database),
        core.inbox,
        leases,
        core.clock,
        core.telemetry,
        Switches(switches, chosen.switch_every),
        every=chosen.every,
        grace=chosen.grace,
    )


def build_gathering(core: Core, leases: Leases) -> Gathering:
    """The watcher of repeats and surges, of one node."""
    return Gathering(core.database, core.inbox, leases, core.feed, core.clock, core.telemetry, core.library)


def _known_deployment(settings: Settings, library: Library) -> None:
    """Nobody could ever pass anything to a platform that the directory does not know."""
    deployment = settings.deployment
    faults = [
        f"deployment.platforms = {platform}: 目录中没有这个平台 / the directory has no such platform"
        for platform in deployment.platforms
        if library.directory.platform(platform) is None
    ]
    if not library.places.knows(deployment.division):
        faults.append(
            f"deployment.division = {deployment.division}: 没有这个区划 / no such division of GB/T 2260"
        )
    if faults:
        raise WiringFault("\n  ".join(faults))


class OpenStore:
    """The store while it is open: a fitting schema, releases kept, the writer running.

    Args:
        serving: also hold the right to serve the embedded database. Without it a command may write beside a server.
    """

    def __init__(self, core: Core, *, serving: bool) -> None:
        self._core = core
        self._serving = serving
        self._held = contextlib.ExitStack()
        self._opened = False

    async def open(self) -> None:
        """Opens everything.

        Raises:
            StoreError: served by another process, a schema that does not fit, or a database that does not answer.
        """
        core = self._core
        if self._serving:
            self._held.enter_context(core.database.serving())
        self._opened = True
        await schema.check(core.database, core.clock.now())
        await core.shelf.keep()
        await core.writer.start()
        await core.listener.__aenter__()

    async def drain(self) -> None:
        """Finishes the commands that are queued; takes no more."""
        if self._opened:
            await self._core.writer.close()

    async def close(self) -> None:
        """Disconnects and gives the right to serve back."""
        if self._opened:
            self._opened = False
            await self._core.listener.__aexit__()
            await self._core.database.close()
        self._held.close()

    async def now(self) -> datetime:
        """Database time. Raises OSError when it cannot be had."""
        return await _database_now(self._core.database)


async def reload_lists(core: Core) -> None:
    """Reads all data folders again, and the lists of the release in force, and decides by them from the next command on.

    Raises:
        ExceptionGroup: they have faults; nothing changed.
        WiringFault: they ask for what is not connected here; nothing changed.
        ReleaseRefused: the release is not signed as it must be.
    """
    settings = core.settings
    fresh = await asyncio.to_thread(build_library, settings.data, settings.deployment.division)
    _check_fit(core, fresh)
    await core.shelf.keep(fresh)
    core.watch.look_now()


def erase_again(ref: StreamRef) -> Submission:
    """The command that repeats an erasure which the journal names and the database has lost."""
    command = EraseCase(case=ref.id, basis="到期销毁(恢复备份后重复)/ repeated after a restore")
    return Submission(message_id=uuid5(ref.id, "erased-again"), command=command, actor=SYSTEM)


def _check_fit(core: Core, library: Library) -> None:
    faults = [fault for fit in core.fits for fault in fit(library)]
    if faults:
        raise WiringFault("\n  ".join(faults))


def chores(core: Core) -> tuple[Chore, ...]:
    """What is done by the calendar. Each bears being done twice."""

    async def make_partitions() -> None:
        await partitions.ensure_months(core.database, core.clock.now())

    async def forget_messages() -> None:
        await partitions.forget_messages(core.database, core.clock.now() - _INBOX_KEPT)

    async def anchor_heads() -> None:
        made = await anchor(core.database, core.clock.now(), core.vault)
        await asyncio.to_thread(write_anchor, core.settings.database.anchor_file, made)

    async def journal_erasures() -> None:
        path = journal_of(core.settings.database.anchor_file)
        await keep_journal(core.database, path, core.vault)
        repeated = await repeat_erasures(
            core.database, core.inbox, read_journal(path, core.vault.signer), erase_again
        )
        for case, why in repeated.refused.items():
            logging.getLogger("liandong.retention").error(
                "an erasure of the journal cannot be repeated", extra={"case": case, "why": why}
            )

    async def measure() -> None:
        await measure_backlog(core)

    return (
        Chore(name="partitions", when="20 0 * * *", do=make_partitions),
        Chore(name="anchor", when="5 0 * * *", do=anchor_heads),
        Chore(name="erasures", when="*/10 * * * *", do=journal_erasures),
        Chore(name="forget-messages", when="10 3 * * *", do=forget_messages),
        Chore(name="measure", when="* * * * *", do=measure, alone=False),
    )


async def measure_backlog(core: Core) -> None:
    """Counts what waits in the database, for /metrics."""
    depth = await core.outbox.depth()
    async with core.database.reading(ALL) as connection:
        armed = await connection.execute(
            select(func.count()).select_from(Deadlines).where(col(Deadlines.state).in_(LIVE))
        )
        count = int(armed.scalar_one())
    oldest = core.clock.now() - depth.oldest if depth.oldest else timedelta()
    core.telemetry.backlog(
        armed=count,
        outbox={"ready": depth.ready, "dead": depth.dead},
        oldest=oldest,
        paused=core.relay.is_paused,
    )


def _system_clock(settings: Settings, database: Database, hands: Hands | None) -> SystemClock:
    return SystemClock(
        reference=(lambda: _database_now(database)) if database.is_postgres else None,
        tolerance=settings.runtime.clock_tolerance,
        agreement=settings.runtime.clock_agreement,
        hands=hands,
    )


async def _database_now(database: Database) -> datetime:
    try:
        return await database.now()
    except SQLAlchemyError as error:
        raise OSError(f"the database does not answer ({type(error).__name__})") from error


def _node_name() -> str:
    return f"{socket.gethostname()}/{os.getpid()}/{new_id().hex[:8]}"
