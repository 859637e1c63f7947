"""Silent devices are known after two missed renewals; jobs know when they ended.

`closed_at` is set by a trigger of the counts, in the transaction of whoever closes the last open
task of a job on a target.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_REJECTED = "rejected <> ''"
_CLOSES = "new.open_tasks = 0 AND old.open_tasks > 0"


def upgrade() -> None:
    op.add_column("devices", sa.Column("heard_until", _TIME, nullable=True))
    op.add_column("job_targets", sa.Column("closed_at", _TIME, nullable=True))
    op.create_index(
        op.f("ix_visits_rejected"),
        "visits",
        ["device_id", "started_at"],
        unique=False,
        postgresql_where=sa.text(_REJECTED),
        sqlite_where=sa.text(_REJECTED),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE TRIGGER job_targets_closed AFTER UPDATE OF open_tasks ON job_targets "  # noqa: S608
            f"WHEN {_CLOSES} BEGIN "
            "UPDATE job_targets SET closed_at = strftime('%Y-%m-%d %H:%M:%f000', 'now') "
            "WHERE job_id = new.job_id AND target_id = new.target_id; END"
        )
        return
    op.execute(
        "CREATE FUNCTION close_job_target() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "new.closed_at = clock_timestamp(); RETURN new; END $$"
    )
    op.execute(
        "CREATE TRIGGER job_targets_closed BEFORE UPDATE ON job_targets FOR EACH ROW "
        f"WHEN ({_CLOSES}) EXECUTE FUNCTION close_job_target()"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER job_targets_closed")
    else:
        op.execute("DROP TRIGGER job_targets_closed ON job_targets")
        op.execute("DROP FUNCTION close_job_target()")
    op.drop_index(op.f("ix_visits_rejected"), table_name="visits")
    op.drop_column("job_targets", "closed_at")
    op.drop_column("devices", "heard_until")
