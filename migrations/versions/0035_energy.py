"""Energy of inferences: measurements, what they say, and what entries are told with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "energy_measurements",
        sa.Column("task_id", sa.String(length=64), nullable=False),
        sa.Column("lease_id", sa.String(length=64), nullable=False),
        sa.Column("token_id", sa.String(length=64), nullable=True),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("target_id", sa.String(length=16), nullable=False),
        sa.Column("subject_hash", sa.String(length=64), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("meter", sa.String(length=200), nullable=False),
        sa.Column("estimate", sa.Text(), nullable=False),
        sa.Column("windows", sa.Text(), nullable=False),
        sa.Column("retraction_id", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_energy_measurements_device_id")
        ),
        sa.ForeignKeyConstraint(
            ["target_id"], ["targets.id"], name=op.f("fk_energy_measurements_target_id")
        ),
        sa.ForeignKeyConstraint(
            ["subject_hash"], ["subjects.hash"], name=op.f("fk_energy_measurements_subject_hash")
        ),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_energy_measurements")),
    )
    op.create_index(
        "ix_energy_measurements_subject",
        "energy_measurements",
        ["target_id", "subject_hash", "stored_at"],
    )
    op.create_index(op.f("ix_energy_measurements_device_id"), "energy_measurements", ["device_id"])
    op.create_table(
        "energies",
        sa.Column("target_id", sa.String(length=16), nullable=False),
        sa.Column("subject_hash", sa.String(length=64), nullable=False),
        sa.Column("meter", sa.String(length=200), nullable=False),
        sa.Column("value_mj", sa.Double(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("served", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_energies_target_id")),
        sa.ForeignKeyConstraint(
            ["subject_hash"], ["subjects.hash"], name=op.f("fk_energies_subject_hash")
        ),
        sa.PrimaryKeyConstraint("target_id", "subject_hash", "meter", name=op.f("pk_energies")),
    )
    op.create_index(
        "ix_energies_served",
        "energies",
        ["target_id", "subject_hash"],
        postgresql_where=sa.text("served"),
        sqlite_where=sa.text("served = 1"),
    )
    op.add_column("entries", sa.Column("energy", sa.Text(), nullable=True))
    # The names of all methods have more characters than there was room for.
    with op.batch_alter_table("devices") as devices:
        devices.alter_column(
            "methods", existing_type=sa.String(length=40), type_=sa.String(length=100)
        )


def downgrade() -> None:
    # What an older server cannot name, no device offers.
    op.execute("UPDATE devices SET methods = replace(methods, ' energy', '')")
    with op.batch_alter_table("devices") as devices:
        devices.alter_column(
            "methods", existing_type=sa.String(length=100), type_=sa.String(length=40)
        )
    op.drop_column("entries", "energy")
    op.drop_table("energies")
    op.drop_table("energy_measurements")
