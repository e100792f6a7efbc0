"""Receipts of notices: what became of each on each channel."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)

POSTGRES = (
    "ALTER TABLE receipt ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE receipt FORCE ROW LEVEL SECURITY",
    """CREATE POLICY scope ON receipt USING ((SELECT current_setting('liandong.scope', true)) = '*' OR EXISTS (SELECT 1 FROM stream WHERE stream.id = stream_id)) WITH CHECK ((SELECT current_setting('liandong.scope', true)) = '*')""",
)


def upgrade() -> None:
    op.create_table(
        "receipt",
        sa.Column("key", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("stream_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("sent_at", INSTANT, nullable=True),
        sa.Column("until", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("key", "channel", name="pk_receipt"),
    )
    op.create_index("ix_receipt_address", "receipt", ["channel", "address", "sent_at"], unique=False)
    op.create_index(
        "ix_receipt_reference",
        "receipt",
        ["channel", "reference"],
        unique=False,
        postgresql_where=sa.text("reference <> ''"),
        sqlite_where=sa.text("reference <> ''"),
    )
    op.create_index("ix_receipt_stream", "receipt", ["stream_id"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        for statement in POSTGRES:
            op.execute(sa.text(statement))
