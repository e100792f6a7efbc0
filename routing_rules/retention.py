"""How long personal data are kept, by line and platform, as data; counted in calendar days from the last event."""

from collections.abc import Mapping
from datetime import timedelta

import msgspec

from routing_rules.directory import LINES
from routing_rules.strict import DataFault, read_row, refuse, tables_of

SCHEMA = "retention-1"
LEAST_DAYS = 30
"""Less is a slip of the pen: a case may still be called back, rated and redone."""


class Keep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One period. ``platform`` narrows it to one platform and wins over its line; ``basis`` goes into the erasure."""

    line: str
    days: int
    basis: str
    platform: str = ""

    @property
    def period(self) -> timedelta:
        """How long after the last event."""
        return timedelta(days=self.days)


class Retention(msgspec.Struct, frozen=True):
    """All periods."""

    rows: tuple[Keep, ...]

    def of(self, platform: str) -> Keep | None:
        """The period of a platform ("12345-630100"); None: nobody decided, so nothing is erased."""
        line = platform.partition("-")[0]
        named = next((row for row in self.rows if row.platform == platform), None)
        return named or next((row for row in self.rows if row.line == line and not row.platform), None)


def compile_retention(files: Mapping[str, bytes]) -> Retention:
    """Compile retention files (name → TOML bytes). Raises ExceptionGroup of DataFault with every fault at once."""
    faults: list[DataFault] = []
    rows: list[Keep] = []
    seen: set[tuple[str, str]] = set()
    for name in sorted(files):
        tables = tables_of(name, files[name], {"schema": str, "keep": list}, faults)
        if [value for _, value in tables["schema"]] != [SCHEMA]:
            faults.append(DataFault(name, "schema", None, f'write schema = "{SCHEMA}"'))
        for where, raw in tables["keep"]:
            if (row := read_row(Keep, raw, where, faults)) is None:
                continue
            if row.line not in LINES:
                faults.append(DataFault(where, "line", row.line, f"is one of {', '.join(LINES)}"))
            if row.platform and row.platform.partition("-")[0] != row.line:
                faults.append(
                    DataFault(where, "platform", row.platform, f"is no platform of line {row.line}")
                )
            if row.days < LEAST_DAYS:
                faults.append(DataFault(where, "days", row.days, f"at least {LEAST_DAYS}"))
            if not row.basis.strip():
                faults.append(DataFault(where, "basis", row.basis, "say which rule sets the period"))
            if (row.line, row.platform) in seen:
                faults.append(DataFault(where, "line", row.line, "is listed twice; one row for each"))
            seen.add((row.line, row.platform))
            rows.append(row)
    refuse("retention", faults)
    return Retention(tuple(rows))
