"""A target that was deleted is an event."""

from __future__ import annotations

from alembic import op

from profiler_server.kit.sql.states import allow_states

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_EVENT_KINDS = (
    "job_created",
    "job_cancelled",
    "lease_claimed",
    "lease_expired",
    "lease_released",
    "task_failed",
    "snapshot_published",
    "token_created",
    "token_revoked",
    "lease_superseded",
    "job_retried",
    "device_labelled",
    "device_quarantined",
    "device_released",
    "target_drifted",
    "transfer_offered",
    "visits_retracted",
)


def upgrade() -> None:
    allow_states("events", "kind", _EVENT_KINDS, (*_EVENT_KINDS, "target_deleted"))


def downgrade() -> None:
    op.execute("DELETE FROM events WHERE kind = 'target_deleted'")
    allow_states("events", "kind", (*_EVENT_KINDS, "target_deleted"), _EVENT_KINDS)
