"""Switches that place duty calls: one that behaves, and one class for each way not to. In memory: what they end is the
port, which the real switch will pass the same suite behind."""

from __future__ import annotations

from uuid import UUID

from dispatcher.ports import CallEnd, CallEnds, DutyCall, GiveUp, TryLater


class Switch:
    """Places calls. ``calls`` holds them by id; `end` tells how one ended."""

    def __init__(self) -> None:
        self.calls: dict[UUID, DutyCall] = {}
        self.rung: list[DutyCall] = []
        self.ends: CallEnds | None = None

    def name(self, id_: UUID) -> str:
        """This switch's own name for a call."""
        return f"call-{id_.hex[-6:]}"

    async def ring(self, call: DutyCall) -> str:
        """The same id is the same call."""
        if call.id not in self.calls:
            self.rung.append(call)
        self.calls[call.id] = call
        return self.name(call.id)

    async def end(self, id_: UUID, how: CallEnd) -> bool:
        """The call is over. False: whoever placed it does not know it (yet)."""
        assert self.ends is not None, "nobody hears how calls end"
        self.calls.pop(id_, None)
        return await self.ends.ended(self.name(id_), how)


class RefusingSwitch(Switch):
    """Places no call to this number."""

    async def ring(self, call: DutyCall) -> str:
        raise GiveUp("the switch refuses the number")


class BusySwitch(Switch):
    """Has no line free the first time."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: set[UUID] = set()

    async def ring(self, call: DutyCall) -> str:
        if call.id not in self._asked:
            self._asked.add(call.id)
            raise TryLater("all lines are busy")
        return await super().ring(call)


class DeafSwitch(Switch):
    """Places the call, and its answer is lost, the first time."""

    async def ring(self, call: DutyCall) -> str:
        known = call.id in self.calls
        name = await super().ring(call)
        if not known:
            raise TryLater("the switch did not answer")
        return name


class DeadSwitch(Switch):
    """Is not there."""

    async def ring(self, call: DutyCall) -> str:
        raise TryLater("the switch cannot be reached")
