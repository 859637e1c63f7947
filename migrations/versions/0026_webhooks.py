"""Webhooks, and what is owed to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from profiler_server.kit.sql.states import allow_states

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

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
)
_NEW = (
    "webhook_created",
    "webhook_deleted",
    "webhook_disabled",
    "webhook_enabled",
    "webhook_rotated",
    "webhook_tested",
)


def upgrade() -> None:
    allow_states("events", "kind", _BEFORE, (*_BEFORE, *_NEW))
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("token_id", sa.String(64), nullable=False),
        sa.Column("url", sa.String(2_000), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("kinds", sa.Text(), nullable=False),
        sa.Column("job_id", sa.String(64), nullable=True),
        sa.Column("target_id", sa.String(16), nullable=True),
        sa.Column("own_jobs_only", sa.Boolean(), nullable=False),
        sa.Column("salt", sa.String(64), nullable=False),
        sa.Column("previous_salt", sa.String(64), nullable=True),
        sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_reason", sa.String(500), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name=op.f("fk_webhooks_token_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index(op.f("ix_webhooks_token_id"), "webhooks", ["token_id"], unique=False)
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", _COUNTER, nullable=False),
        sa.Column("webhook_id", sa.String(64), nullable=False),
        sa.Column("event_id", _COUNTER, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "pending",
                "delivered",
                "failed",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.String(500), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name=op.f("fk_webhook_deliveries_event_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_webhook_deliveries_webhook_id"), "webhook_deliveries", ["webhook_id", "id"]
    )
    op.create_index(op.f("ix_webhook_deliveries_created_at"), "webhook_deliveries", ["created_at"])
    op.create_index(
        op.f("ix_webhook_deliveries_due"),
        "webhook_deliveries",
        ["next_at"],
        postgresql_where=sa.text("state = 'pending'"),
        sqlite_where=sa.text("state = 'pending'"),
    )


def downgrade() -> None:
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
    new = ", ".join(f"'{kind}'" for kind in _NEW)
    op.execute(f"DELETE FROM events WHERE kind IN ({new})")  # noqa: S608
    allow_states("events", "kind", (*_BEFORE, *_NEW), _BEFORE)
