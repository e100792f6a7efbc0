"""Alembic's entry: migrate on the connection that `schema` hands over, in its transaction."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from dispatcher.store.tables import Table

connection: Connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Table.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
context.run_migrations()
