"""Jobs with a budget go on by themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("plan", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("table_error_percent", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "table_error_percent")
    op.drop_column("jobs", "plan")
