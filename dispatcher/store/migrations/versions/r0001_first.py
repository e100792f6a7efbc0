"""The first schema: streams, log, deadlines, outbox, inbox, vault, releases, accounts; partitions and policies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)

# As they were when this revision was released; later revisions change them with statements of their own.
POSTGRES = (
    "CREATE TABLE event_default PARTITION OF event DEFAULT",
    "ALTER TABLE event_default ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE event_default FORCE ROW LEVEL SECURITY",
    "CREATE TABLE outbox_default PARTITION OF outbox DEFAULT",
    "ALTER TABLE outbox_default ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE outbox_default FORCE ROW LEVEL SECURITY",
    "CREATE TABLE inbox_default PARTITION OF inbox DEFAULT",
    "ALTER TABLE inbox_default ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE inbox_default FORCE ROW LEVEL SECURITY",
    "ALTER TABLE stream ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE stream FORCE ROW LEVEL SECURITY",
    """CREATE POLICY scope ON stream USING ((SELECT current_setting('liandong.scope', true)) = '*' OR (
    ((SELECT current_setting('liandong.platforms', true)) = '*' OR platform = ANY ((SELECT string_to_array((SELECT current_setting('liandong.platforms', true)), ','))::text[]))
    AND division LIKE ANY ((SELECT string_to_array((SELECT current_setting('liandong.divisions', true)), ','))::text[])
)) WITH CHECK ((SELECT current_setting('liandong.scope', true)) = '*')""",
    "ALTER TABLE event ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE event FORCE ROW LEVEL SECURITY",
    """CREATE POLICY scope ON event USING ((SELECT current_setting('liandong.scope', true)) = '*' OR (
    ((SELECT current_setting('liandong.platforms', true)) = '*' OR platform = ANY ((SELECT string_to_array((SELECT current_setting('liandong.platforms', true)), ','))::text[]))
    AND division LIKE ANY ((SELECT string_to_array((SELECT current_setting('liandong.divisions', true)), ','))::text[])
)) WITH CHECK ((SELECT current_setting('liandong.scope', true)) = '*')""",
    "ALTER TABLE deadline ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE deadline FORCE ROW LEVEL SECURITY",
    """CREATE POLICY scope ON deadline USING ((SELECT current_setting('liandong.scope', true)) = '*' OR (
    ((SELECT current_setting('liandong.platforms', true)) = '*' OR platform = ANY ((SELECT string_to_array((SELECT current_setting('liandong.platforms', true)), ','))::text[]))
    AND division LIKE ANY ((SELECT string_to_array((SELECT current_setting('liandong.divisions', true)), ','))::text[])
)) WITH CHECK ((SELECT current_setting('liandong.scope', true)) = '*')""",
    "ALTER TABLE outbox ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE outbox FORCE ROW LEVEL SECURITY",
    "CREATE POLICY scope ON outbox USING ((SELECT current_setting('liandong.scope', true)) = '*' OR EXISTS (SELECT 1 FROM stream WHERE stream.id = stream_id)) WITH CHECK ((SELECT current_setting('liandong.scope', true)) = '*')",
    "ALTER TABLE text ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE text FORCE ROW LEVEL SECURITY",
    "CREATE POLICY scope ON text USING ((SELECT current_setting('liandong.scope', true)) = '*' OR EXISTS (SELECT 1 FROM stream WHERE stream.id = stream_id)) WITH CHECK ((SELECT current_setting('liandong.scope', true)) = '*')",
    "ALTER TABLE vault ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE vault FORCE ROW LEVEL SECURITY",
    "CREATE POLICY scope ON vault USING ((SELECT current_setting('liandong.scope', true)) = '*' OR EXISTS (SELECT 1 FROM stream WHERE stream.id = stream_id)) WITH CHECK ((SELECT current_setting('liandong.scope', true)) = '*')",
    "ALTER TABLE vault_key ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE vault_key FORCE ROW LEVEL SECURITY",
    "CREATE POLICY scope ON vault_key USING ((SELECT current_setting('liandong.scope', true)) = '*') WITH CHECK ((SELECT current_setting('liandong.scope', true)) = '*')",
    "ALTER TABLE inbox ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE inbox FORCE ROW LEVEL SECURITY",
    "CREATE POLICY scope ON inbox USING ((SELECT current_setting('liandong.scope', true)) = '*') WITH CHECK ((SELECT current_setting('liandong.scope', true)) = '*')",
    "ALTER TABLE account ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE account FORCE ROW LEVEL SECURITY",
    "CREATE POLICY scope ON account USING ((SELECT current_setting('liandong.scope', true)) = '*') WITH CHECK ((SELECT current_setting('liandong.scope', true)) = '*')",
    "ALTER TABLE token ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE token FORCE ROW LEVEL SECURITY",
    "CREATE POLICY scope ON token USING ((SELECT current_setting('liandong.scope', true)) = '*') WITH CHECK ((SELECT current_setting('liandong.scope', true)) = '*')",
    "ALTER TABLE stream SET (fillfactor = 80)",
)


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password", sa.String(), server_default="", nullable=False),
        sa.Column("roles", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("division", sa.String(), nullable=False),
        sa.Column("created", INSTANT, nullable=False),
        sa.Column("disabled", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
    )
    op.create_table(
        "deadline",
        sa.Column("stream_id", sa.Uuid(), nullable=False),
        sa.Column("clock", sa.String(), nullable=False),
        sa.Column("milestone", sa.String(), nullable=False),
        sa.Column("due", INSTANT, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("division", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("stream_id", "clock", "milestone", name="pk_deadline"),
    )
    op.create_index(
        "ix_deadline_due",
        "deadline",
        ["due", "stream_id"],
        unique=False,
        postgresql_where=sa.text("state = 'armed'"),
        sqlite_where=sa.text("state = 'armed'"),
    )
    op.create_index(
        "ix_deadline_quarantined",
        "deadline",
        ["due"],
        unique=False,
        postgresql_where=sa.text("state = 'quarantined'"),
        sqlite_where=sa.text("state = 'quarantined'"),
    )
    op.create_table(
        "event",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("stream_kind", sa.String(), nullable=False),
        sa.Column("stream_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("versions", sa.String(), nullable=False),
        sa.Column("digests", sa.LargeBinary(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("division", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("position", "at", name="pk_event"),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index("ix_event_stream", "event", ["stream_id", "version"], unique=False)
    op.create_table(
        "flag",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_flag"),
    )
    op.create_table(
        "inbox",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "at", name="pk_inbox"),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_lease"),
    )
    op.create_table(
        "number_block",
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("platform", "year", name="pk_number_block"),
    )
    op.create_table(
        "outbox",
        sa.Column("key", sa.Uuid(), nullable=False),
        sa.Column("created", INSTANT, nullable=False),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("no", sa.BigInteger(), nullable=False),
        sa.Column("stream_kind", sa.String(), nullable=False),
        sa.Column("stream_id", sa.Uuid(), nullable=False),
        sa.Column("receiver", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try", INSTANT, nullable=False),
        sa.Column("last_error", sa.String(), nullable=False),
        sa.Column("sent_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("key", "created", name="pk_outbox"),
        postgresql_partition_by="RANGE (created)",
    )
    op.create_index(
        "ix_outbox_lane",
        "outbox",
        ["lane", "no"],
        unique=False,
        postgresql_where=sa.text("state IN ('ready', 'dead')"),
        sqlite_where=sa.text("state IN ('ready', 'dead')"),
    )
    op.create_index(
        "ix_outbox_next_try",
        "outbox",
        ["next_try"],
        unique=False,
        postgresql_where=sa.text("state = 'ready'"),
        sqlite_where=sa.text("state = 'ready'"),
    )
    op.create_index("ix_outbox_stream", "outbox", ["stream_id", "no"], unique=False)
    op.create_table(
        "position",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_position"),
    )
    op.create_table(
        "release",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("signers", sa.String(), nullable=False),
        sa.Column("effective_from", INSTANT, nullable=False),
        sa.Column("created", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_release"),
    )
    op.create_index("ix_release_kind", "release", ["kind"], unique=False)
    op.create_table(
        "stream",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("stream_kind", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("last_at", INSTANT, nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("division", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("urgency", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("item", sa.String(), nullable=False),
        sa.Column("lamp", sa.String(), nullable=False),
        sa.Column("danger", sa.Boolean(), nullable=False),
        sa.Column("received", INSTANT, nullable=True),
        sa.Column("due", INSTANT, nullable=True),
        sa.Column("title", sa.String(), nullable=True),
        sa.Column("caller_mac", sa.LargeBinary(), nullable=True),
        sa.Column("erased", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_stream"),
    )
    op.create_index(
        "ix_stream_caller_mac",
        "stream",
        ["caller_mac"],
        unique=False,
        postgresql_where=sa.text("caller_mac IS NOT NULL"),
        sqlite_where=sa.text("caller_mac IS NOT NULL"),
    )
    op.create_index(
        "ix_stream_division",
        "stream",
        ["division", "received", "id"],
        unique=False,
        postgresql_ops={"division": "text_pattern_ops"},
    )
    op.create_index(
        "ix_stream_due",
        "stream",
        ["stream_kind", "due", "id"],
        unique=False,
        postgresql_where=sa.text("open"),
        sqlite_where=sa.text("open"),
    )
    op.create_index(
        "ix_stream_number",
        "stream",
        ["number"],
        unique=False,
        postgresql_where=sa.text("number <> ''"),
        sqlite_where=sa.text("number <> ''"),
    )
    op.create_index("ix_stream_platform_stage", "stream", ["platform", "stage", "id"], unique=False)
    op.create_index("ix_stream_received", "stream", ["received", "id"], unique=False)
    op.create_index(
        "ix_stream_unit_due",
        "stream",
        ["unit", "due", "id"],
        unique=False,
        postgresql_where=sa.text("open AND unit <> ''"),
        sqlite_where=sa.text("open AND unit <> ''"),
    )
    op.create_table(
        "text",
        sa.Column("stream_id", sa.Uuid(), nullable=False),
        sa.Column("no", sa.Integer(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("stream_id", "no", name="pk_text"),
    )
    op.create_table(
        "token",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("created", INSTANT, nullable=False),
        sa.Column("expires", INSTANT, nullable=True),
        sa.Column("revoked", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("hash", name="pk_token"),
    )
    op.create_index("ix_token_account_id", "token", ["account_id"], unique=False)
    op.create_table(
        "vault",
        sa.Column("stream_id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("stream_id", name="pk_vault"),
    )
    op.create_table(
        "vault_key",
        sa.Column("stream_id", sa.Uuid(), nullable=False),
        sa.Column("master", sa.String(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("stream_id", name="pk_vault_key"),
    )
    op.execute("INSERT INTO position (id, value) VALUES (1, 0)")
    if op.get_bind().dialect.name == "postgresql":
        for statement in POSTGRES:
            op.execute(sa.text(statement))
