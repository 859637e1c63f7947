"""Entries have the time at which they were written last, so that the changed ones are found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Empty of what is stored: that may have changed at any time.
    column = sa.Column("written_at", sa.DateTime(timezone=True), nullable=True)
    op.add_column("entries", column)
    op.create_index(
        op.f("ix_entries_written"), "entries", ["target_id", "written_at"], unique=False
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_entries_written"), table_name="entries")
    op.drop_column("entries", "written_at")
