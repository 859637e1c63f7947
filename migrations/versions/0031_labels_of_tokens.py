"""Tokens may be limited to devices, and their targets, that have labels."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tokens", sa.Column("labels", sa.Text(), server_default="{}", nullable=False))


def downgrade() -> None:
    # The version before would let them see everything.
    limited = "labels <> '{}' AND revoked_at IS NULL"
    op.execute(f"UPDATE tokens SET revoked_at = created_at WHERE {limited}")  # noqa: S608
    with op.batch_alter_table("tokens") as batch_op:
        batch_op.drop_column("labels")
