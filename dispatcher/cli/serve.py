"""`liandong serve`: one node. Prints its address alone on a line once it really answers; SIGTERM drains and stops."""

from __future__ import annotations

import argparse
import asyncio
import gc
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.settings import Settings


def register(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "serve",
        help="启动服务 / serve",
        description="启动一个节点 / start one node; SIGHUP reads the lists again",
    )
    add_config(parser)
    parser.set_defaults(handler=handler)


def handler(arguments: argparse.Namespace) -> int:
    """Serves until told to stop."""
    return run_node(settings_of(arguments))


def run_node(
    settings: Settings, specs: Callable[[], Any] | None = None, *, listening: socket.socket | None = None
) -> int:
    """Runs a node to its end.

    Args:
        specs: makes the adapters once the reactor is installed; None for those of `dispatcher.wiring.SPECS`.
        listening: a socket that listens already and whose address has been told.
    """
    began = time.perf_counter()
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(_serve(settings, specs, began, listening))
    except KeyboardInterrupt:
        return 130


async def _serve(
    settings: Settings,
    specs: Callable[[], Any] | None,
    began: float,
    listening: socket.socket | None,
) -> int:
    from dispatcher.runtime.reactor import install_reactor

    install_reactor()  # before anything imports Twisted's global reactor
    import logging

    from dispatcher import wiring
    from dispatcher.runtime.logs import start_logging
    from dispatcher.store.errors import StoreError

    start_logging(settings.logging.level)
    imported = time.perf_counter()

    def started(address: str) -> None:
        if listening is None:
            print(f"Open {address}", flush=True)
        logging.getLogger("liandong.service").info(
            "ready",
            extra={
                "importing_s": round(imported - began, 3),
                "ready_s": round(time.perf_counter() - imported, 3),
            },
        )
        # Lists, places and code are never garbage. Looking through them for some would stop everything for 40 to 80 ms
        # now and then, deadlines too.
        gc.collect()
        gc.freeze()

    try:
        chosen = {} if specs is None else {"specs": specs()}
        service, _ = wiring.build_service(settings, listening=listening, **chosen)
        await service.run(started)
    except (StoreError, wiring.WiringFault, OSError) as fault:
        return refuse(f"不能启动 / cannot start: {fault}")
    except ExceptionGroup as faults:
        print("不能启动 / cannot start:", file=sys.stderr)
        for each in _leaves(faults):
            print(f"  {each}", file=sys.stderr)
        return 2
    return 0


def _leaves(fault: BaseException) -> Iterator[str]:
    if isinstance(fault, BaseExceptionGroup):
        for each in fault.exceptions:
            yield from _leaves(each)
    else:
        yield str(fault) or type(fault).__name__


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it installs."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
