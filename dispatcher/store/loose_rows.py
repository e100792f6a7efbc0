"""Verify, the rows that belong to no stream: accounts, tokens, releases, switches, number blocks, receipts, stored answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, DateTime, Uuid, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.store.checksums import CHECKED, COLUMN, answer_checksum, checksum, utc_text
from dispatcher.store.findings import Findings, instant_of, name_of, uuid_of
from dispatcher.store.schema import EXPECTED
from dispatcher.store.tables import Instant, Table

CHUNK = 1000
FREE = {
    "lease": frozenset({"name", "holder", "epoch", "until"}),
    "expectation": frozenset({"stream_id", "clock", "milestone", "due", "position"}),
    "audit": frozenset(column.name for column in Table.metadata.tables["audit"].columns),
    "outbox": frozenset({"attempts", "next_try", "last_error", "sent_at"}),
}
"""Columns that no proof covers, because they change all the time and nothing is decided by what they held before.

A lease says who leads for the next two seconds; a damaged one runs out. An outbox row's ``attempts``, ``next_try``,
``last_error`` and ``sent_at`` are the relay's notes: when to try again and how it went. What is sent, to whom, in
which order and whether it still waits is proved. The auditor's ledger is read from the log again at any time and is compared
with the deadline rows in every round: where it is damaged the auditor itself says that the two differ.
"""


async def prove_loose_rows(connection: AsyncConnection, findings: Findings, *, proofs_after: int) -> None:
    """Hold every row with a checksum against it, and every stored answer against the log as well."""
    found = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars().all()
    if list(found) != [EXPECTED]:
        said = ascii(found[0]) if found else "nothing"
        findings.add(
            "schema",
            f"the version says {said}, {EXPECTED!r} expected",
            table="alembic_version",
            row=said,
            column="version_num",
        )
    for table in CHECKED:
        rows = (await connection.execute(text(f'SELECT * FROM "{table}"'))).mappings()
        for row in rows.all():
            _checked(findings, table, dict(row))
    await _answers(connection, findings, proofs_after)
    await _positions(connection, findings)


def _checked(findings: Findings, table: str, row: Mapping[str, Any]) -> None:
    columns = Table.metadata.tables[table].columns

    def good(one: Mapping[str, Any]) -> bool:
        read = {name: _read(columns[name], value) for name, value in one.items()}
        return bool(checksum(table, read) == read[COLUMN])

    if table == "receipt" and row[COLUMN] is None and row["address"] is None and not row["reference"]:
        return  # emptied with its case's personal data
    if row[COLUMN] is None:
        findings.add(table, "its checksum is missing", table=table, row=_key(table, row), column=COLUMN)
        return
    try:
        if good(row):
            return
    except (ValueError, TypeError):
        pass  # a column that cannot even be read; the search names it
    column = findings.search(row, row.keys(), good)
    findings.add(
        table,
        f"column {column} was changed" if column else "it does not fit its checksum",
        table=table,
        row=_key(table, row),
        column=column,
    )


def _read(column: Column[Any], value: Any) -> Any:
    """A value as the checksum was taken of it. Raises ValueError."""
    if value is None:
        return None
    if isinstance(column.type, Instant | DateTime):
        return instant_of(value)
    if isinstance(column.type, Uuid):
        return uuid_of(value)
    return value


def _key(table: str, row: Mapping[str, Any]) -> str:
    names = [column.name for column in Table.metadata.tables[table].primary_key.columns]
    return "/".join(v.hex()[:16] if isinstance(v := row[n], bytes) else ascii(v).strip("'") for n in names)


async def _answers(connection: AsyncConnection, findings: Findings, proofs_after: int) -> None:
    last: Any = None
    while True:
        after = "" if last is None else " WHERE message_id > :last"
        asked = {} if last is None else {"last": last}
        page = text(
            f"SELECT message_id, at, digest, answer, position, checksum FROM inbox{after}"
            f" ORDER BY message_id LIMIT {CHUNK}"
        )
        rows = (await connection.execute(page, asked)).mappings().all()
        for row in rows:
            _answer(findings, dict(row), proofs_after)
        if len(rows) < CHUNK or findings.full:
            return
        last = rows[-1]["message_id"]


def _answer(findings: Findings, row: Mapping[str, Any], proofs_after: int) -> None:
    def good(one: Mapping[str, Any]) -> bool:
        at = utc_text(instant_of(one["at"]))
        said = answer_checksum(uuid_of(one["message_id"]), at, one["digest"], one["answer"])
        return bool(said == one["checksum"])

    if row["checksum"] is None and row["position"] <= proofs_after:
        findings.unproved += 1
        return
    try:
        if good(row):
            return
    except (ValueError, TypeError):
        pass
    column = findings.search(row, ("message_id", "at", "digest", "answer", "checksum"), good)
    findings.add(
        "inbox",
        f"column {column} was changed" if column else "it does not fit its checksum",
        table="inbox",
        row=name_of(row["message_id"]),
        column=column,
    )


_POSITIONS = """
SELECT i.message_id, i.position, e.newest FROM inbox i
LEFT JOIN (SELECT message_id, max(position) AS newest FROM event GROUP BY message_id) e
ON e.message_id = i.message_id
WHERE i.checksum IS NOT NULL AND i.position <> coalesce(e.newest, 0) LIMIT 20
"""


async def _positions(connection: AsyncConnection, findings: Findings) -> None:
    """A stored answer names the last event of its command, or 0 where there is none."""
    for message_id, position, newest in (await connection.execute(text(_POSITIONS))).all():
        findings.add(
            "inbox",
            f"it names position {position}, the log has {newest or 'no event of this message'}",
            table="inbox",
            row=name_of(message_id),
            column="position",
        )
