"""The initial schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "devices",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.Column("serial", sa.String(length=200), nullable=False),
        sa.Column("protocol", sa.Text(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_devices")),
        sa.UniqueConstraint("agent", "serial", name=op.f("uq_devices_agent_serial")),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "job_created",
                "job_cancelled",
                "lease_claimed",
                "lease_expired",
                "lease_released",
                "task_failed",
                "snapshot_published",
                "token_created",
                "token_revoked",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "models",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_models")),
    )
    op.create_table(
        "subjects",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("precision", sa.String(length=16), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_subjects")),
    )
    op.create_table(
        "targets",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_targets")),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
    )
    op.create_table(
        "device_targets",
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("target_id", sa.String(length=16), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_device_targets_device_id")
        ),
        sa.ForeignKeyConstraint(
            ["target_id"], ["targets.id"], name=op.f("fk_device_targets_target_id")
        ),
        sa.PrimaryKeyConstraint("device_id", "target_id", name=op.f("pk_device_targets")),
    )
    with op.batch_alter_table("device_targets", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_device_targets_target_id"), ["target_id"], unique=False
        )

    op.create_table(
        "entries",
        sa.Column("target_id", sa.String(length=16), nullable=False),
        sa.Column("subject_hash", sa.String(length=64), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("value_ms", sa.Double(), nullable=False),
        sa.Column("low_ms", sa.Double(), nullable=False),
        sa.Column("high_ms", sa.Double(), nullable=False),
        sa.Column("visits", sa.Integer(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_hash"], ["subjects.hash"], name=op.f("fk_entries_subject_hash")
        ),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_entries_target_id")),
        sa.PrimaryKeyConstraint("target_id", "subject_hash", name=op.f("pk_entries")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("target_id", sa.String(length=16), nullable=False),
        sa.Column("rounds", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("visits_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("visits_at_start", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_jobs_target_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_target_id"), ["target_id"], unique=False)

    op.create_table(
        "leases",
        sa.Column("fence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("target_id", sa.String(length=16), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "live",
                "released",
                "expired",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_leases_device_id")),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_leases_target_id")),
        sa.PrimaryKeyConstraint("fence", name=op.f("pk_leases")),
        sa.UniqueConstraint("id", name=op.f("uq_leases_id")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("leases", schema=None) as batch_op:
        batch_op.create_index(
            "uq_leases_live_device",
            ["device_id"],
            unique=True,
            postgresql_where=sa.text("state = 'live'"),
            sqlite_where=sa.text("state = 'live'"),
        )

    op.create_table(
        "snapshots",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("target_id", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_snapshots_target_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshots")),
    )
    with op.batch_alter_table("snapshots", schema=None) as batch_op:
        batch_op.create_index("ix_snapshots_latest", ["target_id", "published_at"], unique=False)

    op.create_table(
        "visits",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("task_id", sa.String(length=200), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("target_id", sa.String(length=16), nullable=False),
        sa.Column("subject_hash", sa.String(length=64), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("min_us", sa.Double(), nullable=False),
        sa.Column("p5_us", sa.Double(), nullable=False),
        sa.Column("median_us", sa.Double(), nullable=False),
        sa.Column("p95_us", sa.Double(), nullable=False),
        sa.Column("mean_us", sa.Double(), nullable=False),
        sa.Column("std_us", sa.Double(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("rejected", sa.String(length=500), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_visits_device_id")),
        sa.ForeignKeyConstraint(
            ["subject_hash"], ["subjects.hash"], name=op.f("fk_visits_subject_hash")
        ),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_visits_target_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visits")),
    )
    with op.batch_alter_table("visits", schema=None) as batch_op:
        batch_op.create_index(
            "ix_visits_subject", ["target_id", "subject_hash", "stored_at"], unique=False
        )
        batch_op.create_index("ix_visits_task_id", ["task_id"], unique=False)

    op.create_table(
        "tasks",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("target_id", sa.String(length=16), nullable=False),
        sa.Column("subject_hash", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "queued",
                "leased",
                "done",
                "failed",
                "cancelled",
                "reused",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("lease_id", sa.String(length=64), nullable=True),
        sa.Column("visits_done", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_tasks_job_id")),
        sa.ForeignKeyConstraint(["lease_id"], ["leases.id"], name=op.f("fk_tasks_lease_id")),
        sa.ForeignKeyConstraint(
            ["subject_hash"], ["subjects.hash"], name=op.f("fk_tasks_subject_hash")
        ),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_tasks_target_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("job_id", "subject_hash", name=op.f("uq_tasks_job_id_subject_hash")),
    )
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tasks_lease_id"), ["lease_id"], unique=False)
        batch_op.create_index(
            "ix_tasks_open_subject",
            ["target_id", "subject_hash"],
            unique=False,
            postgresql_where=sa.text("state IN ('queued', 'leased')"),
            sqlite_where=sa.text("state IN ('queued', 'leased')"),
        )
        batch_op.create_index("ix_tasks_target_id_state", ["target_id", "state"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.drop_index("ix_tasks_target_id_state")
        batch_op.drop_index(
            "ix_tasks_open_subject",
            postgresql_where=sa.text("state IN ('queued', 'leased')"),
            sqlite_where=sa.text("state IN ('queued', 'leased')"),
        )
        batch_op.drop_index(batch_op.f("ix_tasks_lease_id"))

    op.drop_table("tasks")
    with op.batch_alter_table("visits", schema=None) as batch_op:
        batch_op.drop_index("ix_visits_task_id")
        batch_op.drop_index("ix_visits_subject")

    op.drop_table("visits")
    with op.batch_alter_table("snapshots", schema=None) as batch_op:
        batch_op.drop_index("ix_snapshots_latest")

    op.drop_table("snapshots")
    with op.batch_alter_table("leases", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_leases_live_device",
            postgresql_where=sa.text("state = 'live'"),
            sqlite_where=sa.text("state = 'live'"),
        )

    op.drop_table("leases")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_target_id"))
        batch_op.drop_index(batch_op.f("ix_jobs_created_at"))

    op.drop_table("jobs")
    op.drop_table("entries")
    with op.batch_alter_table("device_targets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_device_targets_target_id"))

    op.drop_table("device_targets")
    op.drop_table("tokens")
    op.drop_table("targets")
    op.drop_table("subjects")
    op.drop_table("models")
    op.drop_table("events")
    op.drop_table("devices")
