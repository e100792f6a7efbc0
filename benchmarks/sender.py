"""Senders over HTTP in a process of their own, so that they do not take the server's time: 64 kept connections.

Bare sockets, because a client library would be most of what is measured. Run by `benchmarks.intake`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import uvloop

from benchmarks.ground import submissions
from dispatcher.domain.commands import RegisterCase


def bodies(count: int, first: int) -> list[bytes]:
    """The same cases as at the inbox, as a desk would post them."""
    made = []
    for sent in submissions(count, first=first):
        command = sent.command
        assert isinstance(command, RegisterCase)
        made.append(
            msgspec.json.encode(
                {
                    "platform": command.platform,
                    "title": command.title,
                    "words": command.words,
                    "division": command.division,
                    "personal": {"caller": command.personal.caller, "name": command.personal.name},
                }
            )
        )
    return made


async def send_all(
    host: str, port: int, headers: Mapping[str, str], work: Sequence[bytes], first: int, senders: int
) -> tuple[float, list[float]]:
    """Seconds for all and each one's latency; every sender waits for its answer before it sends again.

    Raises:
        RuntimeError: an answer was not 201.
    """
    waiting: Iterator[tuple[int, bytes]] = iter(enumerate(work, first))
    latencies: list[float] = []
    shared = "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    async def sender() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        for number, body in waiting:
            began = time.perf_counter()
            head = (
                f"POST /api/v1/messages HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
                f"Idempotency-Key: bench-{number}\r\nContent-Length: {len(body)}\r\n{shared}\r\n"
            )
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            told = await reader.readexactly(length)
            if not answer.startswith(b"HTTP/1.1 201"):
                raise RuntimeError(f"{answer.splitlines()[0]!r}: {told[:200]!r}")
            latencies.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(sender() for _ in range(senders)))
    return time.perf_counter() - began, latencies


def main() -> None:
    """Arguments: host, port, token, count, first, senders. Says it is ready, waits for a line, sends, tells."""
    host, port, token, count, first, senders = sys.argv[1:]
    work = bodies(int(count), int(first))
    print("ready", flush=True)
    sys.stdin.readline()
    headers = {"Authorization": f"Bearer {token}"}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        seconds, latencies = runner.run(send_all(host, int(port), headers, work, int(first), int(senders)))
    print(json.dumps({"seconds": seconds, "latencies": latencies}))
