"""A visit names the lease that covers it, and the token that it was uploaded with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nobody has kept what is not there: visits and leases of before say nothing.
    op.add_column("visits", sa.Column("lease_id", sa.String(length=64), nullable=True))
    op.add_column("visits", sa.Column("token_id", sa.String(length=64), nullable=True))
    op.add_column("leases", sa.Column("subjects", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("leases", "subjects")
    op.drop_column("visits", "token_id")
    op.drop_column("visits", "lease_id")
