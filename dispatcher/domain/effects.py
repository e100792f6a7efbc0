"""What a case wants done outside, after the commit. Ids and codes only; carriers read words at send time."""

from __future__ import annotations

from uuid import UUID

from dispatcher.domain.stream import Effect
from dispatcher.domain.values import Record


class Recipient(Record, frozen=True, kw_only=True):
    """A role at a unit or a platform ("unit-lead" of a GB 32100 code, "platform-supervisor" of a platform id)."""

    role: str
    unit: str = ""
    platform: str = ""


class Notify(Effect, frozen=True, kw_only=True, tag="notify.1"):
    """Tell a person of a unit or platform something about a case. ``template`` names the words.

    ``channels`` are those that the policy's rung asks for, in that order (empty: the receiver's own); ``text`` is the
    rung's own wording, empty for the template's.
    """

    case: UUID
    number: str
    to: Recipient
    template: str
    clock: str = ""
    milestone: str = ""
    level: int = 0
    channels: tuple[str, ...] = ()
    text: str = ""

    def receiver(self) -> str:
        return f"{self.to.unit or self.to.platform}/{self.to.role}"


class TellCitizen(Effect, frozen=True, kw_only=True, tag="tell-citizen.1"):
    """A message to the citizen. Safe contact was checked when it was planned and is checked again when it leaves."""

    case: UUID
    number: str
    template: str
    said: int | None = None

    def receiver(self) -> str:
        return "citizen"


class PassOrder(Effect, frozen=True, kw_only=True, tag="pass-order.1"):
    """The case's data to the platform ``to``: ahead of a transferred call, or as a hand-over order."""

    case: UUID
    number: str
    origin: str
    to: str
    kind: str  # "transfer" or "hand-over"
    danger: bool = False
    remainder: bool = False

    def receiver(self) -> str:
        return self.to


class ReturnResult(Effect, frozen=True, kw_only=True, tag="return-result.1"):
    """The result back to the platform that passed the case to us."""

    case: UUID
    number: str
    to: str
    peer_case: UUID | None
    peer_number: str
    result: str
    said: int | None = None

    def receiver(self) -> str:
        return self.to


class AlertLine(Effect, frozen=True, kw_only=True, tag="alert-line.1"):
    """Tell a further line (119, 120, 122, 110) or a utility's duty desk in parallel (双派)."""

    case: UUID
    number: str
    line: str
    target: str = ""

    def receiver(self) -> str:
        # Not the platform itself: an alert that nobody takes must not stand in the lane before the order.
        return f"{self.target or self.line}/duty-desk"


AnyEffect = Notify | TellCitizen | PassOrder | ReturnResult | AlertLine
