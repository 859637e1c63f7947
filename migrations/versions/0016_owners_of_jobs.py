"""A job belongs to the token that has filed it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs") as batch_op:
        batch_op.add_column(sa.Column("token_id", sa.String(length=64), nullable=True))
        batch_op.create_foreign_key(batch_op.f("fk_jobs_token_id"), "tokens", ["token_id"], ["id"])


def downgrade() -> None:
    with op.batch_alter_table("jobs") as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_jobs_token_id"), type_="foreignkey")
        batch_op.drop_column("token_id")
