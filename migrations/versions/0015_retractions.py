"""Visits can be taken back: they are marked, and snapshots that may hold them withdrawn."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from profiler_server.kit.sql.states import allow_states

revision = "0015"
down_revision = "0014"
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
)


def upgrade() -> None:
    allow_states("events", "kind", _EVENT_KINDS, (*_EVENT_KINDS, "visits_retracted"))
    op.create_table(
        "retractions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("token_id", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("choice", sa.Text(), nullable=False),
        sa.Column("visits", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name=op.f("fk_retractions_token_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retractions")),
    )
    op.add_column("visits", sa.Column("retraction_id", sa.String(length=64), nullable=True))
    op.add_column("snapshots", sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    # The schema before knows another way to keep a visit out of its entry.
    op.execute(
        "UPDATE visits SET rejected = (SELECT substr('taken back: ' || reason, 1, 500)"
        " FROM retractions WHERE retractions.id = visits.retraction_id)"
        " WHERE retraction_id IS NOT NULL"
    )
    op.drop_column("snapshots", "withdrawn_at")
    op.drop_column("visits", "retraction_id")
    op.drop_table("retractions")
    op.execute("DELETE FROM events WHERE kind = 'visits_retracted'")
    allow_states("events", "kind", (*_EVENT_KINDS, "visits_retracted"), _EVENT_KINDS)
