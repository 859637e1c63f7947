"""Load time, first inference and peak memory are kept of every visit, and in entries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def _columns() -> tuple[sa.Column[float], sa.Column[float], sa.Column[int]]:
    return (
        sa.Column("load_ms", sa.Double(), nullable=True),
        sa.Column("first_inference_ms", sa.Double(), nullable=True),
        sa.Column("peak_memory_bytes", sa.BigInteger(), nullable=True),
    )


def upgrade() -> None:
    # Empty of what is stored: `profiler-server read-launches` fills it, while servers run.
    for table in ("visits", "entries"):
        for column in _columns():
            op.add_column(table, column)
    op.add_column("device_estimates", sa.Column("launches", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("device_estimates", "launches")
    for table in ("entries", "visits"):
        for column in _columns():
            op.drop_column(table, column.name)
