"""On PostgreSQL, visits lie in a partition for each month in which they were stored."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from alembic import op

from profiler_server.kit.months import Month

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

#: months after the present one that have a partition; a server makes those that come later
_AHEAD = 2
_COLUMNS = (
    *("id", "digest", "task_id", "device_id", "target_id", "subject_hash", "round"),
    *("started_at", "stored_at", "count", "min_us", "p5_us", "median_us", "p95_us", "mean_us"),
    *("std_us", "before", "after", "rejected", "raw", "profile", "lease_id", "token_id"),
    "retraction_id",
)
_FOREIGN_KEYS = {
    "device_id": "devices (id)",
    "subject_hash": "subjects (hash)",
    "target_id": "targets (id)",
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        return
    first, now = (
        op.get_bind().execute(sa.text("SELECT min(stored_at), clock_timestamp() FROM visits")).one()
    )
    _set_aside()
    op.execute(
        "CREATE TABLE visits (LIKE visits_before INCLUDING DEFAULTS) PARTITION BY RANGE (stored_at)"
    )
    # What no month has a partition for, as after a server's clock was wrong.
    op.execute("CREATE TABLE visits_default PARTITION OF visits DEFAULT")
    for month in _months(first or now, now):
        name = f"visits_{month.year:04d}_{month.number:02d}"
        bounds = f"FROM ('{month.start.isoformat()}') TO ('{month.end.isoformat()}')"
        op.execute(f"CREATE TABLE {name} PARTITION OF visits FOR VALUES {bounds}")
    _fill_and_constrain("id, stored_at")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        return
    _set_aside()
    op.execute("CREATE TABLE visits (LIKE visits_before INCLUDING DEFAULTS)")
    _fill_and_constrain("id")


def _months(first: datetime, now: datetime) -> Iterable[Month]:
    month, last = Month.of(first), Month.of(now).plus(_AHEAD)
    while month <= last:
        yield month
        month = month.plus(1)


def _set_aside() -> None:
    op.execute("ALTER TABLE visits RENAME TO visits_before")
    # Names of indexes are the schema's; the table's go with it.
    op.execute("ALTER TABLE visits_before RENAME CONSTRAINT pk_visits TO pk_visits_before")


def _fill_and_constrain(key: str) -> None:
    columns = ", ".join(f'"{name}"' for name in _COLUMNS)
    op.execute(f"INSERT INTO visits ({columns}) SELECT {columns} FROM visits_before")  # noqa: S608
    op.execute("DROP TABLE visits_before")
    op.execute(f"ALTER TABLE visits ADD CONSTRAINT pk_visits PRIMARY KEY ({key})")
    for column, other in _FOREIGN_KEYS.items():
        op.execute(
            f"ALTER TABLE visits ADD CONSTRAINT fk_visits_{column}"
            f" FOREIGN KEY ({column}) REFERENCES {other}"
        )
    op.create_index("ix_visits_subject", "visits", ["target_id", "subject_hash", "stored_at"])
    op.create_index("ix_visits_task_id", "visits", ["task_id"])
    op.create_index("ix_visits_device_id", "visits", ["device_id", "started_at"])
    op.create_index(
        "ix_visits_profiled",
        "visits",
        ["target_id"],
        postgresql_where=sa.text("profile IS NOT NULL"),
    )
