"""`liandong demo`: everything on one node, with an invented organisation, a past of three weeks and live traffic."""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.cli.progress import progress
from dispatcher.cli.serve import loop_factory, run_node
from dispatcher.data_files import packaged_files
from dispatcher.settings import Settings

if TYPE_CHECKING:
    from adapters.rehearsal.callers import Arrival
    from dispatcher.wiring import AdapterSpec, Built, Core

_PAST = timedelta(days=21)
_ACTS_UNTIL = timedelta(seconds=1)
_SPEED = 60.0
_HOME = "630100"
_CASES = 150


def register(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "demo",
        help="演示 / the demonstration with live traffic",
        description="启动一个演示节点:虚构的组织、三周的历史与持续的来件;人物均由程序扮演。/ "
        "One node with an invented organisation, three weeks of history and live traffic.",
    )
    parser.add_argument(
        "--speed",
        type=float,
        default=_SPEED,
        metavar="N",
        help=f"各方办理比平常快多少倍 / how many times faster people act (default {_SPEED:g})",
    )
    parser.add_argument(
        "--history",
        type=int,
        default=_CASES,
        metavar="N",
        help=f"空库时先演完的历史件数,0 为不要 / cases of the past played first into an empty store (default {_CASES})",
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="种子 / seed of everybody's behaviour (default 1)"
    )
    add_config(parser)
    parser.set_defaults(handler=handler)


def handler(arguments: argparse.Namespace) -> int:
    """Plays until told to stop."""
    if arguments.speed <= 0 or arguments.history < 0:
        return refuse("--speed 须大于 0,--history 不得小于 0 / --speed above 0, --history 0 or more")
    settings = settings_of(arguments)
    try:
        listening = _listen(settings)
    except OSError as fault:
        return refuse(f"不能监听 / cannot listen on {settings.http.host}: {fault.strerror or fault}")
    with listening:
        # Whoever opens the page now waits the few seconds until the past is played.
        print(f"Open http://{_shown(settings.http.host)}:{listening.getsockname()[1]}/", flush=True)
        code = _play_past(settings, arguments) if arguments.history else None
        if code is not None:
            return code
        return run_node(settings, lambda: _specs(arguments), listening=listening)


def _listen(settings: Settings) -> socket.socket:
    """Listen on the configured port, or on any free one when somebody else has it."""
    host, port = settings.http.host, settings.http.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError:
        if port == 0:
            raise
        print(f"端口 {port} 已被占用,另选一个 / port {port} is taken, another is chosen", file=sys.stderr)
        return socket.create_server((host, 0), family=family, backlog=128)


def _shown(host: str) -> str:
    if host in ("0.0.0.0", "::", ""):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _play_past(settings: Settings, arguments: argparse.Namespace) -> int | None:
    """Fills an empty store with three weeks that end now. A store with cases is left as it is.

    Returns:
        The exit code when it ends here: stopped meanwhile (0), or refused (2). None: go on.
    """
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(_past(settings, arguments))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0


async def _past(settings: Settings, arguments: argparse.Namespace) -> int | None:
    from sqlalchemy.exc import SQLAlchemyError

    from dispatcher.cli.replay import has_cases
    from dispatcher.cli.simulation import Simulation, ground_of, simulated
    from dispatcher.cli.storing import leaves
    from dispatcher.runtime.clock import ManualClock
    from dispatcher.runtime.hands import Hands
    from dispatcher.runtime.logs import start_logging
    from dispatcher.store.errors import StoreError

    start_logging("warning")
    task = asyncio.current_task()
    assert task is not None, "a coroutine runs in a task"
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    now = Hands().wall()
    clock = ManualClock(now - _PAST)
    demo = packaged_files("demo")
    try:
        async with simulated(settings, clock) as core:
            if await has_cases(core):
                return None
            arrivals = _arrivals(demo["messages.toml"], now, arguments)
            simulation = Simulation(
                ground_of(core),
                clock,
                origin="demo/past",
                home=_HOME,
                seed=arguments.seed,
                behaviour=demo["behaviour.toml"],
                relay_every=_PAST,  # nobody reads the notices of a past that was never lived
            )
            with progress("三周历史 / three weeks", len(arrivals), "case") as bar:
                await simulation.run(arrivals, until=now - _ACTS_UNTIL, told=bar.update)
    except (StoreError, OSError) as fault:
        return refuse(f"不能启动 / cannot start: {fault}")
    except SQLAlchemyError as fault:
        # Its words may hold the address with the password; the class says enough.
        return refuse(f"数据库不可用 / the database cannot be used: {type(fault).__name__}")
    except ExceptionGroup as faults:
        return refuse("不能启动 / cannot start:\n" + "\n".join(leaves(faults)))
    return None


def _arrivals(messages: bytes, now: datetime, arguments: argparse.Namespace) -> list[Arrival]:
    """The sample's messages over the three weeks, more by day than by night."""
    from adapters.rehearsal.chance import Chances
    from adapters.rehearsal.live import arrival_of
    from dispatcher.runtime.clock import jitter
    from routing_rules.demo import demo_messages

    sample = demo_messages(messages)
    chances = Chances(arguments.seed, jitter)
    found = []
    for number in range(arguments.history):
        draw = chances.of("past", number)
        day = now - _PAST + timedelta(days=int(draw.fraction() * _PAST.days))
        at = day.replace(hour=0, minute=0, second=0, microsecond=0)  # midnight UTC is eight in the morning
        at += timedelta(hours=draw.fraction() * (11 if draw.happens(0.85) else 23.9))
        at = min(max(at, now - _PAST), now - timedelta(minutes=1))
        found.append(arrival_of(sample[number % len(sample)], at=at, name=str(number)))
    return sorted(found, key=lambda arrival: (arrival.at, arrival.id))


def _specs(arguments: argparse.Namespace) -> tuple[AdapterSpec, ...]:
    """The node's adapters, and the one that plays everybody."""
    from dispatcher.wiring import SPECS, AdapterSpec

    def build(core: Core) -> Built:
        return _played(core, arguments)

    return (*SPECS, AdapterSpec(kind="rehearsal", carries=frozenset(), build=build))


def _played(core: Core, arguments: argparse.Namespace) -> Built:
    from adapters.linkage.inbound import served_by
    from adapters.rehearsal.callers import Callers
    from adapters.rehearsal.cast import Cast
    from adapters.rehearsal.chance import Chances
    from adapters.rehearsal.live import LiveRehearsal
    from adapters.rehearsal.rehearsal import Rehearsal
    from adapters.rehearsal.watching import Witness
    from dispatcher.runtime.clock import jitter
    from dispatcher.runtime.service import Attached
    from dispatcher.store.numbers import Numbers
    from dispatcher.wiring import Built
    from routing_rules.demo import demo_behaviour, demo_messages

    demo = packaged_files("demo")
    library, seed = core.library(), arguments.seed
    chances = Chances(seed, jitter)
    cast = Cast(
        library,
        chances,
        served=served_by(core.settings.deployment.platforms),
        behaviours=demo_behaviour(demo["behaviour.toml"]),
        always_open=True,
    )
    live = LiveRehearsal(
        Rehearsal(cast, core.inbox, Witness(core.database), seed=seed, speed=arguments.speed),
        Callers(core.inbox, Numbers(core.database), library, origin="demo", home=_HOME, seed=seed),
        demo_messages(demo["messages.toml"]),
        core.clock,
        chances,
        rate=core.settings.demo.rate,
    )
    return Built(attached=Attached(kind="rehearsal", start=live.start, stop_taking=live.stop))
