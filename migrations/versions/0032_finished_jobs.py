"""An event tells that a job is over."""

from __future__ import annotations

from alembic import op

from profiler_server.kit.sql.states import allow_states

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_BEFORE = (
    "job_created",
    "job_cancelled",
    "lease_claimed",
    "lease_expired",
    "lease_superseded",
    "lease_released",
    "task_failed",
    "job_retried",
    "device_labelled",
    "device_quarantined",
    "device_released",
    "target_drifted",
    "transfer_offered",
    "visits_retracted",
    "target_deleted",
    "job_deleted",
    "model_deleted",
    "raw_archived",
    "snapshot_published",
    "token_created",
    "token_revoked",
    "token_rotated",
    "webhook_created",
    "webhook_deleted",
    "webhook_disabled",
    "webhook_enabled",
    "webhook_rotated",
    "webhook_tested",
)
_NEW = "job_finished"


def upgrade() -> None:
    allow_states("events", "kind", _BEFORE, (*_BEFORE, _NEW))


def downgrade() -> None:
    new = f"kind = '{_NEW}'"
    owed = f"event_id IN (SELECT id FROM events WHERE {new})"  # noqa: S608
    op.execute(f"DELETE FROM webhook_deliveries WHERE {owed}")  # noqa: S608
    op.execute(f"DELETE FROM events WHERE {new}")  # noqa: S608
    allow_states("events", "kind", (*_BEFORE, _NEW), _BEFORE)
