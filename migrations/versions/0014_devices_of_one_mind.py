"""Entries whose devices are not of one mind are held back; profiles are kept by device."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # `profiler-server rederive` derives all of it anew, else each target's next upload its part.
    for table in ("entries", "in_network_estimates"):
        op.add_column(
            table,
            sa.Column("held_back", sa.Boolean(), server_default=sa.false(), nullable=False),
        )
    op.drop_table("profiled_networks")
    _profiled_networks("device_id")


def downgrade() -> None:
    op.drop_table("profiled_networks")
    _profiled_networks()
    for table in ("in_network_estimates", "entries"):
        op.drop_column(table, "held_back")


def _profiled_networks(*more_of_key: str) -> None:
    """Makes the table empty: it is filled again when it is found so."""
    devices = [] if more_of_key else [sa.Column("devices", sa.Text(), nullable=False)]
    op.create_table(
        "profiled_networks",
        sa.Column("target_id", sa.String(length=16), nullable=False),
        sa.Column("subject_hash", sa.String(length=64), nullable=False),
        *(sa.Column(name, sa.String(length=64), nullable=False) for name in more_of_key),
        sa.Column("operators", sa.Text(), nullable=False),
        sa.Column("operators_us", sa.LargeBinary(), nullable=False),
        sa.Column("places_ms", sa.LargeBinary(), nullable=False),
        sa.Column("visits", sa.Integer(), nullable=False),
        *devices,
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        *(
            sa.ForeignKeyConstraint(
                [name], ["devices.id"], name=op.f(f"fk_profiled_networks_{name}")
            )
            for name in more_of_key
        ),
        sa.ForeignKeyConstraint(
            ["subject_hash"], ["subjects.hash"], name=op.f("fk_profiled_networks_subject_hash")
        ),
        sa.ForeignKeyConstraint(
            ["target_id"], ["targets.id"], name=op.f("fk_profiled_networks_target_id")
        ),
        sa.PrimaryKeyConstraint(
            "target_id", "subject_hash", *more_of_key, name=op.f("pk_profiled_networks")
        ),
    )
