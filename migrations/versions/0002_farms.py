"""What a farm needs: labels, quarantine, retries, devices' shares of entries, an identity."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_LEASE_STATES = ("live", "released", "expired")
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
)
_NEW_EVENT_KINDS = (
    "lease_superseded",
    "job_retried",
    "device_labelled",
    "device_quarantined",
    "device_released",
)


def upgrade() -> None:
    _allow("leases", "state", _LEASE_STATES, (*_LEASE_STATES, "superseded"))
    _allow("events", "kind", _EVENT_KINDS, (*_EVENT_KINDS, *_NEW_EVENT_KINDS))
    _upgrade_events()
    _upgrade_devices()
    _upgrade_tasks()
    _upgrade_entries()
    server = op.create_table(
        "server",
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.CheckConstraint("one = 1", name=op.f("ck_server_one_row")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_server")),
    )
    op.bulk_insert(server, [{"one": 1, "id": f"server_{secrets.token_hex(8)}"}])


def _allow(table: str, column: str, before: tuple[str, ...], after: tuple[str, ...]) -> None:
    """Changes what a text column of states may hold."""
    if op.get_bind().dialect.name == "sqlite":
        # The table is made anew, and its CHECK with it.
        with op.batch_alter_table(table) as batch_op:
            batch_op.alter_column(
                column,
                existing_type=_states(column, before),
                type_=_states(column, after),
                existing_nullable=False,
            )
        return
    name = op.f(f"ck_{table}_{column}")
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, sa.column(column).in_(after))


def _states(name: str, values: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)


def _upgrade_events() -> None:
    with op.batch_alter_table("events") as batch_op:
        batch_op.add_column(sa.Column("job_id", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("device_id", sa.String(length=64), nullable=True))
        batch_op.create_index("ix_events_job_id", ["job_id", "id"], unique=False)
        batch_op.create_index("ix_events_device_id", ["device_id", "id"], unique=False)
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    member = "json_extract(data, '$.{}')" if is_sqlite else "data::json ->> '{}'"
    job_id, device_id = (member.format(name) for name in ("job_id", "device_id"))
    op.execute(f"UPDATE events SET job_id = {job_id}, device_id = {device_id}")  # noqa: S608


def _upgrade_devices() -> None:
    with op.batch_alter_table("devices") as batch_op:
        batch_op.add_column(sa.Column("labels", sa.Text(), server_default="{}", nullable=False))
        batch_op.add_column(sa.Column("quarantined_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(
            sa.Column(
                "quarantine_reason", sa.String(length=2000), server_default="", nullable=False
            )
        )
        batch_op.add_column(
            sa.Column("fruitless", sa.Integer(), server_default="0", nullable=False)
        )
        batch_op.add_column(sa.Column("rests_until", sa.DateTime(timezone=True), nullable=True))


def _upgrade_tasks() -> None:
    with op.batch_alter_table("tasks") as batch_op:
        batch_op.add_column(sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.drop_constraint(batch_op.f("uq_tasks_job_id_subject_hash"), type_="unique")
        batch_op.create_unique_constraint(
            batch_op.f("uq_tasks_job_id_target_id_subject_hash"),
            ["job_id", "target_id", "subject_hash"],
        )
    op.create_table(
        "task_failures",
        sa.Column("id", _COUNTER, nullable=False),
        sa.Column("task_id", sa.String(length=64), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_task_failures_device_id")
        ),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_task_failures_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_failures")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_task_failures_task_id", "task_failures", ["task_id"], unique=False)


def _upgrade_entries() -> None:
    with op.batch_alter_table("entries") as batch_op:
        batch_op.add_column(sa.Column("devices", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("disagreement_percent", sa.Double(), nullable=True))
    op.create_table(
        "device_estimates",
        sa.Column("target_id", sa.String(length=16), nullable=False),
        sa.Column("subject_hash", sa.String(length=64), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("value_ms", sa.Double(), nullable=False),
        sa.Column("low_ms", sa.Double(), nullable=False),
        sa.Column("high_ms", sa.Double(), nullable=False),
        sa.Column("visits", sa.Integer(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("p5_us", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_device_estimates_device_id")
        ),
        sa.ForeignKeyConstraint(
            ["subject_hash"], ["subjects.hash"], name=op.f("fk_device_estimates_subject_hash")
        ),
        sa.ForeignKeyConstraint(
            ["target_id"], ["targets.id"], name=op.f("fk_device_estimates_target_id")
        ),
        sa.PrimaryKeyConstraint(
            "target_id", "subject_hash", "device_id", name=op.f("pk_device_estimates")
        ),
    )


def downgrade() -> None:
    op.drop_table("server")
    op.drop_table("device_estimates")
    with op.batch_alter_table("entries") as batch_op:
        batch_op.drop_column("disagreement_percent")
        batch_op.drop_column("devices")
    op.drop_index("ix_task_failures_task_id", table_name="task_failures")
    op.drop_table("task_failures")
    # What the schema before cannot hold is told as the nearest that it can.
    op.execute("UPDATE leases SET state = 'expired' WHERE state = 'superseded'")
    op.execute("UPDATE events SET kind = 'lease_expired' WHERE kind = 'lease_superseded'")
    new = ", ".join(f"'{kind}'" for kind in _NEW_EVENT_KINDS)
    op.execute(f"DELETE FROM events WHERE kind IN ({new})")  # noqa: S608
    _downgrade_tasks()
    with op.batch_alter_table("devices") as batch_op:
        for name in ("rests_until", "fruitless", "quarantine_reason", "quarantined_at", "labels"):
            batch_op.drop_column(name)
    with op.batch_alter_table("events") as batch_op:
        batch_op.drop_index("ix_events_device_id")
        batch_op.drop_index("ix_events_job_id")
        batch_op.drop_column("device_id")
        batch_op.drop_column("job_id")
    _allow("events", "kind", (*_EVENT_KINDS, *_NEW_EVENT_KINDS), _EVENT_KINDS)
    _allow("leases", "state", (*_LEASE_STATES, "superseded"), _LEASE_STATES)


def _downgrade_tasks() -> None:
    # Tasks of a job's other targets have no place in the schema before.
    op.execute(
        "DELETE FROM tasks WHERE target_id <> (SELECT target_id FROM jobs WHERE id = tasks.job_id)"
    )
    with op.batch_alter_table("tasks") as batch_op:
        batch_op.drop_constraint(
            batch_op.f("uq_tasks_job_id_target_id_subject_hash"), type_="unique"
        )
        batch_op.create_unique_constraint(
            batch_op.f("uq_tasks_job_id_subject_hash"), ["job_id", "subject_hash"]
        )
        batch_op.drop_column("retry_at")
