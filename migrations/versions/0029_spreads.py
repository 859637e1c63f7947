"""Entries have the median, 95th percentile and standard deviation of runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_COLUMNS = ("median_ms", "p95_ms", "std_ms")


def upgrade() -> None:
    # Empty of what is stored: the next visit of a subject fills it, or `profiler-server rederive`.
    for name in _COLUMNS:
        op.add_column("entries", sa.Column(name, sa.Double(), nullable=True))
    op.add_column("device_estimates", sa.Column("spreads_us", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("device_estimates", "spreads_us")
    for name in _COLUMNS:
        op.drop_column("entries", name)
