"""Alembic's environment: runs on the connection that `kit.sql.schema` hands over."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from profiler_server.kit.sql.metadata import is_declared, metadata
from profiler_server.kit.sql.orm import UtcDateTime


def _render_item(_kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    # Revisions must stay true when the code's own types change.
    return "sa.DateTime(timezone=True)" if isinstance(item, UtcDateTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata(),
    # SQLite cannot alter most things in place
    render_as_batch=True,
    compare_server_default=True,
    render_item=_render_item,
    include_name=is_declared,
)
with context.begin_transaction():
    context.run_migrations()
