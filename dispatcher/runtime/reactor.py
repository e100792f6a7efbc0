"""Twisted's reactor on our loop: installed first, never run, never stopped, its threads put away at the end.

Only long-lived line links (adapters) use it. A Deferred never crosses a port.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from typing import Protocol


class Line(Protocol):
    """A Twisted service (`twisted.application.service.IService`)."""

    def startService(self) -> object: ...

    def stopService(self) -> object: ...


def install_reactor() -> None:
    """Makes the running loop Twisted's; must come before anything imports the global reactor.

    A second call on the same loop does nothing.

    Raises:
        RuntimeError: another reactor, or one on another loop, is installed already.
    """
    loop = asyncio.get_running_loop()
    if "twisted.internet.reactor" in sys.modules:
        from twisted.internet import reactor

        if getattr(reactor, "_asyncioEventloop", None) is not loop:
            raise RuntimeError(
                "another Twisted reactor is installed; import adapters only after install_reactor()"
            )
        return
    from twisted.internet import asyncioreactor

    asyncioreactor.install(loop)  # type: ignore[no-untyped-call]
    from twisted.internet import reactor

    # The loop is already running and handles signals itself.
    reactor.startRunning(installSignalHandlers=False)


async def stop_lines(lines: Iterable[Line]) -> None:
    """Stops services, all at once, and waits until each says so. Services that fail to stop are reported together.

    Raises:
        ExceptionGroup: some did not stop cleanly.
    """
    from twisted.internet.defer import maybeDeferred

    loop = asyncio.get_running_loop()
    stopping = [maybeDeferred(line.stopService).asFuture(loop) for line in lines]
    ended = await asyncio.gather(*stopping, return_exceptions=True)
    faults = [fault for fault in ended if isinstance(fault, Exception)]
    if faults:
        raise ExceptionGroup("line services did not stop cleanly", faults)


async def put_away_reactor() -> None:
    """Ends the reactor's threads, which would keep the process alive. The loop itself stays ours."""
    if "twisted.internet.reactor" not in sys.modules:
        return
    from twisted.internet import reactor

    pool = getattr(reactor, "threadpool", None)
    if pool is not None and pool.started:
        await asyncio.get_running_loop().run_in_executor(None, pool.stop)
