"""Pages read calibrations and numbers of entries without all that lies beside them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "snapshot_calibrations",
        sa.Column("snapshot_id", sa.String(length=64), nullable=False),
        sa.Column("calibrations", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["snapshot_id"], ["snapshots.id"], name=op.f("fk_snapshot_calibrations_snapshot_id")
        ),
        sa.PrimaryKeyConstraint("snapshot_id", name=op.f("pk_snapshot_calibrations")),
    )
    op.execute("INSERT INTO snapshot_calibrations SELECT id, calibrations FROM snapshots")
    op.drop_column("snapshots", "calibrations")
    op.add_column("targets", sa.Column("entries", sa.Integer(), server_default="0", nullable=False))
    op.execute(
        "UPDATE targets SET entries ="
        " (SELECT count(*) FROM entries WHERE entries.target_id = targets.id)"
    )


def downgrade() -> None:
    op.drop_column("targets", "entries")
    op.add_column(
        "snapshots", sa.Column("calibrations", sa.Text(), server_default="[]", nullable=False)
    )
    op.execute(
        "UPDATE snapshots SET calibrations = (SELECT kept.calibrations"
        " FROM snapshot_calibrations AS kept WHERE kept.snapshot_id = snapshots.id)"
    )
    op.drop_table("snapshot_calibrations")
