"""The auditor's own ledger, and deadline rows it has put back (``repaired``) in the sweep's index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
LIVE = sa.text("state IN ('armed', 'repaired')")
SCOPE = "(SELECT current_setting('liandong.scope', true)) = '*'"


def upgrade() -> None:
    op.drop_index("ix_deadline_due", table_name="deadline")
    op.create_index(
        "ix_deadline_due", "deadline", ["due", "stream_id"], postgresql_where=LIVE, sqlite_where=LIVE
    )
    op.create_table(
        "expectation",
        sa.Column("stream_id", sa.Uuid(), nullable=False),
        sa.Column("clock", sa.String(), nullable=False),
        sa.Column("milestone", sa.String(), nullable=False),
        sa.Column("due", INSTANT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("stream_id", "clock", "milestone", name="pk_expectation"),
    )
    op.create_index("ix_expectation_due", "expectation", ["due", "stream_id"])
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("fired", sa.BigInteger(), nullable=False),
        sa.Column("late_max", sa.BigInteger(), nullable=False),
        sa.Column("late_day", sa.String(), nullable=False),
        sa.Column("turn", sa.Uuid(), nullable=True),
        sa.Column("turn_rows", sa.BigInteger(), nullable=False),
        sa.Column("turn_size", sa.BigInteger(), nullable=False),
        sa.Column("turned", INSTANT, nullable=True),
        sa.Column("at", INSTANT, nullable=True),
        sa.Column("expected", sa.BigInteger(), nullable=False),
        sa.Column("absent", sa.BigInteger(), nullable=False),
        sa.Column("overdue", sa.BigInteger(), nullable=False),
        sa.Column("quarantined", sa.BigInteger(), nullable=False),
        sa.Column("behind", sa.BigInteger(), nullable=False),
        sa.Column("repaired", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in ("expectation", "audit"):
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
            op.execute(f"CREATE POLICY scope ON {table} USING ({SCOPE}) WITH CHECK ({SCOPE})")

