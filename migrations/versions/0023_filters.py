"""What lists are filtered by has indexes."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_INDEXES = (
    ("ix_tasks_job_id_state", "tasks", ["job_id", "state"]),
    ("ix_jobs_token_id", "jobs", ["token_id"]),
    ("ix_events_kind", "events", ["kind", "id"]),
    ("ix_events_at", "events", ["at", "id"]),
)


def upgrade() -> None:
    for name, table, columns in _INDEXES:
        op.create_index(op.f(name), table, columns, unique=False)


def downgrade() -> None:
    for name, table, _ in _INDEXES:
        op.drop_index(op.f(name), table_name=table)
