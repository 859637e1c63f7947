"""Pages of a target find what tables leave out, and what was measured again, by indexes alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_TAKEN_BACK = "retraction_id IS NOT NULL"
_DONE = "state = 'done'"


def upgrade() -> None:
    op.create_index(
        op.f("ix_visits_taken_back"),
        "visits",
        ["target_id", "retraction_id", "subject_hash"],
        unique=False,
        postgresql_where=sa.text(_TAKEN_BACK),
        sqlite_where=sa.text(_TAKEN_BACK),
    )
    op.create_index(
        op.f("ix_entries_held_back"),
        "entries",
        ["target_id"],
        unique=False,
        postgresql_where=sa.text("held_back"),
        sqlite_where=sa.text("held_back = 1"),
    )
    op.create_index(
        op.f("ix_tasks_done_subject"),
        "tasks",
        ["target_id", "subject_hash"],
        unique=False,
        postgresql_where=sa.text(_DONE),
        sqlite_where=sa.text(_DONE),
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_tasks_done_subject"), table_name="tasks")
    op.drop_index(op.f("ix_entries_held_back"), table_name="entries")
    op.drop_index(op.f("ix_visits_taken_back"), table_name="visits")
