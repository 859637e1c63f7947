"""Entries changed since a snapshot, and measured networks by name, are found by indexes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_NO_OPERATOR = "shape IS NULL"
_WHOLE = "kind IN ('network', 'model')"


def upgrade() -> None:
    # Empty of what is stored: that may have changed at any time.
    column = sa.Column("written_at", sa.DateTime(timezone=True), nullable=True)
    op.add_column("entries", column)
    op.create_index(
        op.f("ix_entries_written"), "entries", ["written_at", "target_id"], unique=False
    )
    op.create_index(
        op.f("ix_entries_whole"),
        "entries",
        ["subject_hash"],
        unique=False,
        postgresql_where=sa.text(_NO_OPERATOR),
        sqlite_where=sa.text(_NO_OPERATOR),
    )
    op.create_index(
        op.f("ix_subjects_whole"),
        "subjects",
        ["name", "hash"],
        unique=False,
        postgresql_where=sa.text(_WHOLE),
        sqlite_where=sa.text(_WHOLE),
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_subjects_whole"), table_name="subjects")
    op.drop_index(op.f("ix_entries_whole"), table_name="entries")
    op.drop_index(op.f("ix_entries_written"), table_name="entries")
    op.drop_column("entries", "written_at")
