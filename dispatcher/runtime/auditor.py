"""The auditor: reads the log for itself, compares it with what the engine keeps and did, repairs, and raises the alarm.

It shares no code with the engine that fires. One node leads under a lease; the others show what it found.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import NAMESPACE_URL, uuid5

from dispatcher.domain import commands as c
from dispatcher.domain.errors import Refused
from dispatcher.domain.stream import Actor, Role, Submission
from dispatcher.ports import Inbox
from dispatcher.runtime.clock import SteadyClock
from dispatcher.runtime.switch import Switches
from dispatcher.runtime.telemetry import Telemetry
from dispatcher.store.errors import Failed, Unavailable
from dispatcher.store.expectations import Account, Finding, Overtaken
from dispatcher.store.leases import Lease

_log = logging.getLogger("liandong.auditor")

AUDITOR = Actor(id="auditor", roles=(Role.SYSTEM,))
LEASE = "auditor"
HOLDS = timedelta(seconds=15)
"""A leader that dies is followed by another node after this time."""
TURN = timedelta(seconds=30)
"""A turn over everything that is expected takes about this long, however large it is (`expectations.LARGEST_LOOK`)."""
STRETCHES = 50
"""Most stretches of the log read in one round."""
_REMEMBERED = 10_000


class Ledger(Protocol):
    """The store's side."""

    async def account(self) -> Account: ...

    async def read(self, now: datetime) -> int: ...

    async def look(
        self, now: datetime, *, grace: timedelta, rounds: int
    ) -> tuple[Account, list[Finding]]: ...


class Leases(Protocol):
    """The store's leases, for one node."""

    async def take(self, name: str, expires: timedelta) -> Lease | None: ...


class Auditor:
    """Checks in rounds; housekeeping's alarm clock rings for each.

    Args:
        every: time between two rounds.
        grace: how late a deadline may be settled before it is an alarm.
        holds: after how long another node follows a leader that died.
    """

    def __init__(
        self,
        ledger: Ledger,
        inbox: Inbox,
        leases: Leases,
        clock: SteadyClock,
        telemetry: Telemetry,
        switches: Switches,
        *,
        every: timedelta,
        grace: timedelta,
        holds: timedelta = HOLDS,
    ) -> None:
        self._holds = holds
        self._ledger = ledger
        self._inbox = inbox
        self._leases = leases
        self._clock = clock
        self._telemetry = telemetry
        self._switches = switches
        self._grace = grace
        self._rounds = max(1, TURN // every)
        self._told: dict[str, None] = {}
        self.account: Account | None = None

    async def once(self) -> Account:
        """One round: lead and check, or show what the leader found."""
        if await self._leases.take(LEASE, self._holds) is None:
            return self._show(await self._ledger.account())
        if not self._clock.steady:
            # What is late by a clock that may be wrong is no finding, and nobody outside is told that all is well.
            return self._show(await self._ledger.account())
        now = self._clock.now()
        try:
            for _ in range(STRETCHES):
                if not await self._ledger.read(now):
                    break
        except Overtaken:  # we did not lead after all: we were frozen, and another node took over
            return self._show(await self._ledger.account())
        account, findings = await self._ledger.look(now, grace=self._grace, rounds=self._rounds)
        self._show(account)
        await self._act(findings)
        if account.overdue:
            _log.error(
                "deadlines are due and not settled",
                extra={"overdue": account.overdue, "late_max_s": account.late_max.total_seconds()},
            )
        if account.clean and self._clock.steady:
            await self._switches.tell(now)
        return account

    @property
    def alarms(self) -> tuple[str, ...]:
        """What a person must know, in words for /readyz; empty while all is well."""
        account = self.account
        if account is None:
            return ()
        said = (
            (account.absent, "deadline rows missing or altered"),
            (account.overdue, "deadlines overdue"),
            (account.quarantined, "deadlines quarantined"),
        )
        return tuple(f"{number} {words}" for number, words in said if number)

    def _show(self, account: Account) -> Account:
        self.account = account
        self._telemetry.audited(
            expected=account.expected,
            fired=account.fired,
            missing=account.missing,
            repaired=account.repaired,
            late_max=account.late_max,
            clean=account.clean,
        )
        return account

    async def _act(self, findings: Sequence[Finding]) -> None:
        for one in findings:
            sent = _command_for(one)
            if sent.message_id.hex in self._told:
                continue
            _log.error(
                "a deadline row is not what the log says"
                if one.found != "quarantined"
                else "a deadline was set aside",
                extra={
                    "stream": str(one.stream_id),
                    "clock": one.clock,
                    "milestone": one.milestone,
                    "due": one.due.isoformat(),
                    "found": one.found,
                },
            )
            try:
                await self._inbox.submit(sent)
            except (Refused, Failed) as error:
                _log.error(
                    "the case does not take the auditor's finding; run: liandong verify",
                    extra={"stream": str(one.stream_id), "error": type(error).__name__},
                )
            except Unavailable as error:
                _log.warning("a finding could not be stored yet", extra={"error": str(error)[:200]})
                continue
            self._told[sent.message_id.hex] = None
            while len(self._told) > _REMEMBERED:
                del self._told[next(iter(self._told))]


async def put_back(inbox: Inbox, findings: Sequence[Finding]) -> int:
    """Arm again what was set aside, once a person has mended what kept it from being settled; how many.

    Raises:
        Refused, Failed, Unavailable: the first that cannot be put back.
    """
    for one in findings:
        command = c.RepairDeadline(
            case=one.stream_id, clock=one.clock, milestone=one.milestone, due=one.due, found=one.found
        )
        id_ = uuid5(NAMESPACE_URL, f"urn:liandong:audit/put-back/{_key(one)}")
        await inbox.submit(Submission(message_id=id_, command=command, actor=AUDITOR))
    return len(findings)


def _key(one: Finding) -> str:
    return f"{one.found}/{one.stream_id}/{one.clock}/{one.milestone}/{one.due.timestamp():.6f}/{one.position}"


def _command_for(one: Finding) -> Submission:
    """The command for a finding; found again before it is mended, it is the same message."""
    command: c.AnyCommand
    if one.found == "quarantined":
        command = c.ReportQuarantined(
            case=one.stream_id, clock=one.clock, milestone=one.milestone, due=one.due
        )
    else:
        command = c.RepairDeadline(
            case=one.stream_id, clock=one.clock, milestone=one.milestone, due=one.due, found=one.found
        )
    return Submission(
        message_id=uuid5(NAMESPACE_URL, f"urn:liandong:audit/{_key(one)}"), command=command, actor=AUDITOR
    )
