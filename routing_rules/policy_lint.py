"""What a deadline policy may not be: ladders that go round, rungs and limits that can never come to anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from msgspec.structs import replace

from routing_rules.policy import AtLimit, Clock, Ladder, Limit, When
from routing_rules.strict import DataFault


def join_ladders(ladders: Sequence[Ladder], then: Mapping[str, str], faults: list[DataFault]) -> list[Ladder]:
    """Each ladder with the rungs of the one it goes on with at its end; times and levels must grow all the way.

    A chain that comes back to itself is a fault that names the way round.
    """
    by_id = {ladder.id: ladder for ladder in ladders}
    joined = []
    for ladder in ladders:
        whole, way = ladder, [ladder.id]
        while following := then.get(way[-1]):
            where = f"ladder {ladder.id}"
            if following not in by_id:
                faults.append(DataFault(where, "then", following, "no such ladder"))
                break
            if following in way:
                remedy = f"goes round: {' → '.join([*way, following])}; a ladder ends"
                faults.append(DataFault(where, "then", following, remedy))
                break
            if whole.repeat_last is not None:
                remedy = f"its last rung repeats for ever: {following} can never fire"
                faults.append(DataFault(where, "then", following, remedy))
            following_ladder = by_id[following]
            whole = replace(
                whole,
                rungs=(*whole.rungs, *following_ladder.rungs),
                repeat_last=following_ladder.repeat_last,
            )
            way.append(following)
        faults.extend(_backwards(whole))
        joined.append(whole)
    return joined


def _backwards(ladder: Ladder) -> Iterator[DataFault]:
    """Rungs must neither go back in time nor down in level, and no two may have one name."""
    where = f"ladder {ladder.id}"
    for kind in ("after", "after_days"):
        steps = [getattr(rung, kind) for rung in ladder.rungs if getattr(rung, kind) is not None]
        if steps != sorted(steps):
            yield DataFault(where, kind, [str(step) for step in steps], "rungs must not go back in time")
    levels = [rung.level for rung in ladder.rungs]
    if levels != sorted(set(levels)) or any(level < 1 for level in levels):
        remedy = "levels must grow from rung to rung, from 1; they say how far it has climbed"
        yield DataFault(where, "level", levels, remedy)
    ids = [rung.id for rung in ladder.rungs]
    for twice in sorted({one for one in ids if ids.count(one) > 1}):
        yield DataFault(where, "id", twice, "stands twice on the way up this ladder")


def never_fires(
    clocks: Sequence[Clock], ladders: Sequence[Ladder], continued: frozenset[str]
) -> Iterator[DataFault]:
    """Limits that no case can reach, and rungs that no instant can reach."""
    by_id = {ladder.id: ladder for ladder in ladders}
    named = {limit.ladder for clock in clocks for limit in clock.limits}
    for ladder in ladders:
        if ladder.id not in named and ladder.id not in continued:
            remedy = "no limit names this ladder: its rungs can never fire; use it or take it out"
            yield DataFault(f"ladder {ladder.id}", "id", ladder.id, remedy)
    for clock in clocks:
        for number, limit in enumerate(clock.limits, start=1):
            where = f"clock {clock.id} limit {number}"
            earlier = enumerate(clock.limits[: number - 1], start=1)
            before = next((n for n, other in earlier if _covers(other.when, limit.when)), 0)
            if before:
                remedy = (
                    f"limit {before} holds for all of these first: this one can never; put it before that one"
                )
                yield DataFault(where, "when", _words(limit.when), remedy)
            ladder_ = by_id.get(limit.ladder)
            if ladder_ is not None:
                yield from _out_of_reach(where, limit, ladder_)


def _out_of_reach(where: str, limit: Limit, ladder: Ladder) -> Iterator[DataFault]:
    if limit.at_limit is AtLimit.CLOSE_WINDOW and ladder.anchor == "limit" and ladder.rungs:
        remedy = "nobody is late when a window closes: no rung after it can ever fire"
        yield DataFault(where, "ladder", ladder.id, remedy)
    days = limit.working_days if limit.working_days is not None else limit.natural_days
    for rung in ladder.early:
        if limit.meeting:
            continue
        if rung.before_days is not None:
            never = days is None or rung.before_days >= days
        else:
            ahead = rung.before or rung.left or timedelta()
            # the longest rest there was is nine days: so far ahead of its limit a clock may still have begun
            never = ahead >= (limit.natural or timedelta(days=2 * (days or 0) + 10))
        if never:
            remedy = f"comes before the clock of ladder {ladder.id} begins: it can never fire; place it nearer the limit"
            yield DataFault(where, "rung", rung.id, remedy)


def _covers(first: When, second: When) -> bool:
    """Whether every case that the second is for is one that the first is for."""
    if first.urgency and not (second.urgency and set(second.urgency) <= set(first.urgency)):
        return False
    if first.line and first.line != second.line:
        return False
    return all(
        getattr(first, field) is None or getattr(first, field) == getattr(second, field)
        for field in ("danger", "utility", "handed_in", "redo", "consult")
    )


def _words(when: When) -> str:
    return str(when).removeprefix("When") if when != When() else "(everything)"
