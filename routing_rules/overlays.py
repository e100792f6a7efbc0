"""Overlays: a division's own items, and those that override or narrow an item of a wider list."""

from collections.abc import Iterator, Mapping
from typing import Any

from routing_rules.schema import Item, ListHead, RuleFault, Sheet

# What an overlay never takes from its base: its name, its proofs and its own time.
_OWN = frozenset(
    {"id", "base", "only", "unless", "words", "examples", "flips", "overrides", "since", "until"}
)


class Overlays:
    """Raw rows until every file has been read; then each overlay row is completed from its base."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Any]] = {}
        self._waiting: list[tuple[str, dict[str, Any], ListHead]] = []

    def take(self, rows: list[Any], where: str, head: ListHead) -> list[Any]:
        """Remembers the rows; gives back those that stand alone, keeps those with a base."""
        rest = []
        for raw in rows:
            if isinstance(raw, dict) and isinstance(raw.get("id"), str):
                self._rows.setdefault(raw["id"], raw)
                if raw.get("base"):
                    self._waiting.append((f"{where} {raw['id']}", raw, head))
                    continue
            rest.append(raw)
        return rest

    def resolved(self, faults: list[RuleFault]) -> Iterator[tuple[str, dict[str, Any], ListHead]]:
        """Each overlay row with what it takes from its base. A missing base and a circle are faults, named once."""
        for where, raw, head in self._waiting:
            chain = [raw]
            while base := chain[-1].get("base"):
                below = self._rows.get(base) if isinstance(base, str) else None
                if below is None:
                    faults.append(RuleFault(where, "base", base, "no item has this id"))
                    break
                if any(below is row for row in chain):
                    round_ = " → ".join(str(row["id"]) for row in (*chain, below))
                    faults.append(RuleFault(where, "base", base, f"leads round in a circle: {round_}"))
                    break
                chain.append(below)
            else:
                yield where, _completed(chain, head), head


def _completed(chain: list[dict[str, Any]], head: ListHead) -> dict[str, Any]:
    """The narrowest row over its bases; the list's own document is the source of what it changes."""
    whole = _conditions(chain[-1])
    for row in reversed(chain[:-1]):
        given = {key: value for key, value in row.items() if key != "only"}
        taken = {key: value for key, value in whole.items() if key not in _OWN - {"unless"}}
        given["unless"] = [*taken.get("unless", ()), *_lines(row, "unless")]
        if "basis" not in row:
            taken.pop("basis", None)
            given.setdefault("source", head.source)
        if "words" in row and "when" not in row:
            # Words of one's own stand in the place of the base's words.
            taken["when"] = [line for line in taken.get("when", ()) if not line.startswith("words/")]
        whole = {**taken, **given}
        if only := _lines(row, "only"):
            whole["when"] = [f"{line} {more}" for line in whole.get("when", ()) for more in only]
        whole["overrides"] = [*_lines(row, "overrides"), row["base"]]
        whole["only"] = only
    return whole


def _conditions(row: dict[str, Any]) -> dict[str, Any]:
    """A root's row with its words as the condition that they make."""
    when = _lines(row, "when")
    return {**row, "when": [*when, f"words/{row['id']}"] if row.get("words") else when}


def _lines(row: dict[str, Any], key: str) -> list[str]:
    value = row.get(key, [])
    return [str(line) for line in value] if isinstance(value, list) else []


def root_of(item: Item, by_id: Mapping[str, Item]) -> str:
    """The item at the bottom of an overlay's bases; an item without a base is its own."""
    walked = {item.id}
    while item.base and item.base in by_id and item.base not in walked:
        walked.add(item.base)
        item = by_id[item.base]
    return item.id


def overlay_faults(sheet: Sheet, by_id: Mapping[str, Item]) -> list[RuleFault]:
    """Overlays over the wrong division, and items that silence each other in a circle."""
    faults: list[RuleFault] = []
    for item in sheet.items:
        where = f"[[item]] {item.id}"
        for name in item.overrides:
            wider = by_id.get(name)
            if wider is None:
                continue  # named by the caller: no item has this id
            if not item.division.startswith(wider.division):
                faults.append(
                    RuleFault(where, "overrides", name, f"{wider.layer} {wider.division} is not above it")
                )
            elif item.base == name and item.division == wider.division:
                faults.append(
                    RuleFault(where, "base", name, "stands in the same division; edit that item instead")
                )
        if item.only and not item.base:
            faults.append(RuleFault(where, "only", item.only, "narrows a base; name it"))
    faults.extend(
        RuleFault(f"[[item]] {circle[0]}", "overrides", " → ".join(circle), "leads round in a circle")
        for circle in _circles({item.id: item.overrides for item in sheet.items})
    )
    return faults


def _circles(edges: Mapping[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Every circle once, from its first id."""
    done: set[str] = set()
    found: list[tuple[str, ...]] = []

    def walk(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            found.append((*path[path.index(name) :], name))
            return
        if name in done or name not in edges:
            return
        for other in edges[name]:
            walk(other, (*path, name))
        done.add(name)

    for name in sorted(edges):
        walk(name, ())
    return found
