"""Twisted on our loop: a line service answers beside asyncio, and is gone once it is stopped.

The reactor belongs to a whole process, so each claim is made in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys

_PROLOGUE = """
import asyncio, uvloop
from dispatcher.runtime.reactor import install_reactor, put_away_reactor, stop_lines

async def main():
    install_reactor()
    install_reactor()  # a second time does nothing
    from twisted.application.internet import StreamServerEndpointService
    from twisted.internet import endpoints, protocol, reactor, threads
    from twisted.protocols.basic import LineReceiver

    class Mirror(LineReceiver):
        def lineReceived(self, line):
            self.sendLine(line[::-1])

    class Service(StreamServerEndpointService):
        def __init__(self):
            factory = protocol.Factory.forProtocol(Mirror)
            super().__init__(endpoints.TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"), factory)

    service = Service()
    service.startService()
    await asyncio.sleep(0)
    port = service._waitingForPort.result.getHost().port
"""
_EPILOGUE = """
    await put_away_reactor()

with asyncio.Runner(loop_factory=LOOP) as runner:
    runner.run(main())
print("left")
"""


def _run(body: str, loop: str = "uvloop.new_event_loop") -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", _PROLOGUE + body + _EPILOGUE.replace("LOOP", loop)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


_TALK = """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"12345\\r\\n")
    print((await reader.readline()).decode().strip())
    writer.close()
    await stop_lines([service])
    try:
        await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        print("refused")
"""


def test_a_line_service_runs_in_our_loop_and_is_stopped() -> None:
    assert _run(_TALK) == ["54321", "refused", "left"]


def test_it_runs_on_the_standard_loop_too() -> None:
    assert _run(_TALK, "asyncio.new_event_loop") == ["54321", "refused", "left"]


def test_threads_of_the_reactor_do_not_keep_the_process_alive() -> None:
    body = """
    print(await threads.deferToThread(lambda: 110).asFuture(asyncio.get_running_loop()))
    await stop_lines([service])
"""

    assert _run(body) == ["110", "left"]


def test_a_service_that_fails_to_stop_is_named_and_the_others_are_stopped() -> None:
    body = """
    class Stubborn:
        def stopService(self):
            raise RuntimeError("the line is stuck")

    try:
        await stop_lines([Stubborn(), service])
    except* RuntimeError as group:
        print(str(group.exceptions[0]).replace(" ", "-"))
    try:
        await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        print("refused")
"""

    assert _run(body) == ["the-line-is-stuck", "refused", "left"]


def test_another_reactor_on_the_process_is_refused() -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            "import asyncio\nfrom twisted.internet import reactor\n"
            "from dispatcher.runtime.reactor import install_reactor\n"
            "async def main():\n    install_reactor()\nasyncio.run(main())",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ran.returncode != 0
    assert "another Twisted reactor" in ran.stderr
