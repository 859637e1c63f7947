"""Networks are profiled, and operators have estimates out of the profiles."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, width in (("devices", 40), ("tasks", 16)):
        name = "methods" if table == "devices" else "method"
        column = sa.Column(name, sa.String(length=width), server_default="isolated", nullable=False)
        op.add_column(table, column)
    op.add_column("visits", sa.Column("profile", sa.Text(), nullable=True))
    op.create_index(
        "ix_visits_profiled",
        "visits",
        ["target_id"],
        unique=False,
        postgresql_where=sa.text("profile IS NOT NULL"),
        sqlite_where=sa.text("profile IS NOT NULL"),
    )
    op.create_table(
        "in_network_estimates",
        sa.Column("target_id", sa.String(length=16), nullable=False),
        sa.Column("subject_hash", sa.String(length=64), nullable=False),
        sa.Column("value_ms", sa.Double(), nullable=False),
        sa.Column("low_ms", sa.Double(), nullable=False),
        sa.Column("high_ms", sa.Double(), nullable=False),
        sa.Column("visits", sa.Integer(), nullable=False),
        sa.Column("appearances", sa.Integer(), nullable=False),
        sa.Column("devices", sa.Integer(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_hash"], ["subjects.hash"], name=op.f("fk_in_network_estimates_subject_hash")
        ),
        sa.ForeignKeyConstraint(
            ["target_id"], ["targets.id"], name=op.f("fk_in_network_estimates_target_id")
        ),
        sa.PrimaryKeyConstraint("target_id", "subject_hash", name=op.f("pk_in_network_estimates")),
    )


def downgrade() -> None:
    # Merged entries come back as isolated ones with `profiler-server rederive`.
    op.drop_table("in_network_estimates")
    op.execute("DELETE FROM entries WHERE method = 'in_network'")
    op.drop_index("ix_visits_profiled", table_name="visits")
    op.drop_column("visits", "profile")
    op.drop_column("tasks", "method")
    op.drop_column("devices", "methods")
