"""The dead man's switch: something outside that notices our silence. It is told only while everything is well."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import aiohttp

_log = logging.getLogger("liandong.auditor")

_PATIENCE = aiohttp.ClientTimeout(total=5)


class Switch(Protocol):
    """Whoever raises the alarm when it has not been told for long."""

    async def tell(self, at: datetime) -> None:
        """All is well at this instant.

        Raises:
            OSError, TimeoutError: it could not be told; it will be old soon, as it should.
        """
        ...


class FileSwitch:
    """A file whose age is watched from outside (cron, systemd, node_exporter's textfile). Holds the instant, in UTC."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def tell(self, at: datetime) -> None:
        """Writes the file."""
        await asyncio.to_thread(self._path.write_text, f"{at.isoformat(timespec='seconds')}\n", "ascii")


class UrlSwitch:
    """An address that expects to be asked in time (healthchecks.io and the like). POST, without a body."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def tell(self, at: datetime) -> None:
        """Asks the address; only 2xx means that it has heard."""
        try:
            async with (
                aiohttp.ClientSession(timeout=_PATIENCE) as session,
                session.post(self._url, allow_redirects=False) as answer,
            ):
                status = answer.status
        except aiohttp.ClientError as error:
            raise OSError(type(error).__name__) from error
        if not 200 <= status < 300:
            raise OSError(f"HTTP {status}")


class Switches:
    """All that are configured, told at most once in ``every``. One that cannot be told keeps nothing from the others."""

    def __init__(self, switches: tuple[Switch, ...], every: timedelta) -> None:
        self._switches = switches
        self._every = every
        self._told: datetime | None = None

    async def tell(self, at: datetime) -> None:
        """All is well."""
        if not self._switches or (self._told is not None and self._told <= at < self._told + self._every):
            return
        self._told = at
        for switch in self._switches:
            try:
                await switch.tell(at)
            except (OSError, TimeoutError) as error:
                # The address may hold a token: it is not logged.
                _log.warning(
                    "the dead man's switch could not be told",
                    extra={"switch": type(switch).__name__, "error": str(error)[:200]},
                )
