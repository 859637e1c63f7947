"""What the last recheck of a target has found is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "drift_verdicts",
        sa.Column("target_id", sa.String(length=16), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_alarming", sa.Boolean(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_drift_verdicts_job_id")),
        sa.ForeignKeyConstraint(
            ["target_id"], ["targets.id"], name=op.f("fk_drift_verdicts_target_id")
        ),
        sa.PrimaryKeyConstraint("target_id", name=op.f("pk_drift_verdicts")),
    )


def downgrade() -> None:
    op.drop_table("drift_verdicts")
