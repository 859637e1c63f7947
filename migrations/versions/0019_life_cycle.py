"""Jobs and models can be deleted, tokens rotated; targets and models know who has made them.

A model's file may lie outside the database.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from profiler_server.kit.sql.states import allow_states

revision = "0019"
down_revision = "0018"
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
    "target_deleted",
)
_MORE_KINDS = ("job_deleted", "model_deleted", "token_rotated", "raw_archived")


def upgrade() -> None:
    allow_states("events", "kind", _EVENT_KINDS, (*_EVENT_KINDS, *_MORE_KINDS))
    op.add_column("targets", sa.Column("token_id", sa.String(length=64), nullable=True))
    op.add_column("tokens", sa.Column("previous_digest", sa.String(length=64), nullable=True))
    op.add_column("tokens", sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tokens", sa.Column("made_by", sa.String(length=64), nullable=True))
    op.create_index(op.f("ix_tokens_previous_digest"), "tokens", ["previous_digest"], unique=True)
    with op.batch_alter_table("models") as batch_op:
        batch_op.add_column(sa.Column("token_id", sa.String(length=64), nullable=True))
        batch_op.add_column(
            sa.Column("size", sa.Integer(), server_default=sa.text("0"), nullable=False)
        )
        batch_op.alter_column("content", existing_type=sa.LargeBinary(), nullable=True)
        batch_op.create_index(batch_op.f("ix_models_token_id"), ["token_id"], unique=False)
    op.execute("UPDATE models SET size = length(content)")


def downgrade() -> None:
    (outside,) = (
        op.get_bind().execute(sa.text("SELECT count(*) FROM models WHERE content IS NULL")).one()
    )
    if outside:
        # The schema before has no place for these.
        raise RuntimeError(
            f"{outside} models lie outside the database: delete them, or upload them again with "
            "PROFILER_MODEL_STORE=database, before going down"
        )
    with op.batch_alter_table("models") as batch_op:
        batch_op.drop_index(batch_op.f("ix_models_token_id"))
        batch_op.alter_column("content", existing_type=sa.LargeBinary(), nullable=False)
        batch_op.drop_column("size")
        batch_op.drop_column("token_id")
    op.drop_index(op.f("ix_tokens_previous_digest"), table_name="tokens")
    for column in ("made_by", "previous_until", "previous_digest"):
        op.drop_column("tokens", column)
    op.drop_column("targets", "token_id")
    more = ", ".join(f"'{kind}'" for kind in _MORE_KINDS)
    op.execute(f"DELETE FROM events WHERE kind IN ({more})")  # noqa: S608 - of this file
    allow_states("events", "kind", (*_EVENT_KINDS, *_MORE_KINDS), _EVENT_KINDS)
