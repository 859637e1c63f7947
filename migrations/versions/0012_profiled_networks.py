"""Networks' profiles are kept as estimates take them, so that uploads need not read visits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Filled by a target's next upload with a profile, or by `profiler-server rederive`.
    op.create_table(
        "profiled_networks",
        sa.Column("target_id", sa.String(length=16), nullable=False),
        sa.Column("subject_hash", sa.String(length=64), nullable=False),
        sa.Column("operators", sa.Text(), nullable=False),
        sa.Column("operators_us", sa.LargeBinary(), nullable=False),
        sa.Column("places_ms", sa.LargeBinary(), nullable=False),
        sa.Column("visits", sa.Integer(), nullable=False),
        sa.Column("devices", sa.Text(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_hash"], ["subjects.hash"], name=op.f("fk_profiled_networks_subject_hash")
        ),
        sa.ForeignKeyConstraint(
            ["target_id"], ["targets.id"], name=op.f("fk_profiled_networks_target_id")
        ),
        sa.PrimaryKeyConstraint("target_id", "subject_hash", name=op.f("pk_profiled_networks")),
    )


def downgrade() -> None:
    op.drop_table("profiled_networks")
