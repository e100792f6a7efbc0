"""Checksums of rows that no event tells of; the units that have a part in a stream; from where on the chain proves all.

Only adds (expand): an older Liandong reads on. Events that it wrote prove neither titles nor effects; their last
position goes into the flag ``proofs-after``, up to which `verify` does not ask for these proofs. Stop older nodes
before upgrading PostgreSQL, for what they write after it lacks proofs that are asked for.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
PACK = msgspec.msgpack.Encoder(uuid_format="bytes").encode

# As they were when this revision was released: the columns that the checksum covers, in order; keys first.
CHECKED: dict[str, tuple[tuple[str, Any], ...]] = {
    "account": (
        ("id", sa.String()),
        ("name", sa.String()),
        ("password", sa.String()),
        ("roles", sa.String()),
        ("platform", sa.String()),
        ("unit", sa.String()),
        ("division", sa.String()),
        ("created", INSTANT),
        ("disabled", INSTANT),
    ),
    "token": (
        ("hash", sa.LargeBinary()),
        ("account_id", sa.String()),
        ("label", sa.String()),
        ("created", INSTANT),
        ("expires", INSTANT),
        ("revoked", INSTANT),
    ),
    "release": (
        ("digest", sa.String()),
        ("kind", sa.String()),
        ("content", sa.LargeBinary()),
        ("signers", sa.String()),
        ("effective_from", INSTANT),
        ("created", INSTANT),
    ),
    "flag": (("name", sa.String()), ("value", sa.String()), ("by", sa.String()), ("at", INSTANT)),
    "receipt": (
        ("key", sa.Uuid()),
        ("channel", sa.String()),
        ("stream_id", sa.Uuid()),
        ("role", sa.String()),
        ("name", sa.String()),
        ("address", sa.LargeBinary()),
        ("state", sa.String()),
        ("why", sa.String()),
        ("tries", sa.Integer()),
        ("parts", sa.Integer()),
        ("reference", sa.String()),
        ("at", INSTANT),
        ("sent_at", INSTANT),
        ("until", INSTANT),
    ),
    "number_block": (("platform", sa.String()), ("year", sa.Integer()), ("next", sa.BigInteger())),
}
ALL = "(SELECT current_setting('liandong.scope', true)) = '*'"
PLATFORMS = "(SELECT current_setting('liandong.platforms', true))"
DIVISIONS = "(SELECT current_setting('liandong.divisions', true))"
UNIT = "coalesce((SELECT current_setting('liandong.unit', true)), '')"
OWN = f"""{ALL} OR (
    ({PLATFORMS} = '*' OR platform = ANY ((SELECT string_to_array({PLATFORMS}, ','))::text[]))
    AND division LIKE ANY ((SELECT string_to_array({DIVISIONS}, ','))::text[])
    AND ({UNIT} = '' OR liandong_has_part(%s))
)"""
# A function, because a subquery in the policy puts the price of reading all parties before every single row, in the
# planner's eyes, and makes it walk whole tables where a key would do: settling took thirty times as long.
HAS_PART = f"""
CREATE OR REPLACE FUNCTION liandong_has_part(stream uuid) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE COST 5 AS
$$ SELECT EXISTS (SELECT 1 FROM party WHERE party.unit = {UNIT} AND party.stream_id = stream) $$
"""
POSTGRES = (
    HAS_PART,
    "ALTER TABLE party ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE party FORCE ROW LEVEL SECURITY",
    f"CREATE POLICY scope ON party USING ({ALL} OR unit = {UNIT}) WITH CHECK ({ALL})",
    f"ALTER POLICY scope ON stream USING ({OWN % 'id'})",
    f"ALTER POLICY scope ON event USING ({OWN % 'event.stream_id'})",
    f"ALTER POLICY scope ON deadline USING ({OWN % 'deadline.stream_id'})",
)
KEYS = {"number_block": 2, "receipt": 2}
CHUNK = 1000


def upgrade() -> None:
    for table in (*CHECKED, "inbox"):
        op.add_column(table, sa.Column("checksum", sa.LargeBinary(), nullable=True))
    op.create_table(
        "party",
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("stream_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "stream_id", name="pk_party"),
    )
    op.create_index("ix_party_stream_id", "party", ["stream_id"], unique=False)
    there = sa.text("erased IS NOT NULL")
    op.create_index(
        "ix_stream_erased", "stream", ["erased"], postgresql_where=there, sqlite_where=there
    )
    bind = op.get_bind()
    position = bind.execute(sa.text("SELECT value FROM position WHERE id = 1")).scalar_one()
    if position:
        flag = sa.table("flag", *(sa.column(name, kind) for name, kind in CHECKED["flag"]))
        event = sa.table("event", sa.column("position", sa.BigInteger()), sa.column("at", INSTANT))
        newest = bind.execute(sa.select(event.c.at).where(event.c.position == position)).scalar_one()
        bind.execute(
            sa.insert(flag).values(name="proofs-after", value=str(position), by="db upgrade", at=newest)
        )
    for name, columns in CHECKED.items():
        _check(bind, name, columns)
    _parties(bind)
    if bind.dialect.name == "postgresql":
        for statement in POSTGRES:
            op.execute(sa.text(statement))


def _check(bind: Any, name: str, columns: tuple[tuple[str, Any], ...]) -> None:
    """Give every row of a small table its checksum."""
    table = sa.table(name, *(sa.column(n, k) for n, k in columns), sa.column("checksum", sa.LargeBinary()))
    keys = [table.c[n] for n, _ in columns[: KEYS.get(name, 1)]]
    for row in bind.execute(sa.select(*(table.c[n] for n, _ in columns))).all():
        packed = PACK((name, *(_plain(value) for value in row)))
        digest = hashlib.blake2b(packed, digest_size=16).digest()
        same = sa.and_(*(key == value for key, value in zip(keys, row, strict=False)))
        bind.execute(sa.update(table).where(same).values(checksum=digest))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):  # SQLite gives UTC without saying so
        aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return aware.isoformat(" ", "microseconds")
    return value


def _parties(bind: Any) -> None:
    """The units that have a part in a case, from the folded states."""
    stream = sa.table(
        "stream",
        sa.column("id", sa.Uuid()),
        sa.column("stream_kind", sa.String()),
        sa.column("state", sa.LargeBinary()),
    )
    party = sa.table("party", sa.column("unit", sa.String()), sa.column("stream_id", sa.Uuid()))
    last = None
    while True:
        page = sa.select(stream.c.id, stream.c.state).where(stream.c.stream_kind == "case")
        if last is not None:
            page = page.where(stream.c.id > last)
        rows = bind.execute(page.order_by(stream.c.id).limit(CHUNK)).all()
        if not rows:
            return
        last = rows[-1].id
        found = [
            {"unit": unit, "stream_id": row.id}
            for row in rows
            for unit in sorted(_units(msgspec.msgpack.decode(row.state)))
        ]
        if found:
            bind.execute(sa.insert(party), found)


def _units(state: dict[str, Any]) -> set[str]:
    tiers = (tier.get("unit", "") for tier in state.get("tiers", ()))
    named = (state.get("lead", ""), *state.get("co", ()), *state.get("offered", ()), *tiers)
    return {unit for unit in named if unit}
