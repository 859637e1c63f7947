"""Whose token a device belongs to, and what repeated requests were answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "device_owners",
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("token_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_device_owners_device_id")
        ),
        sa.ForeignKeyConstraint(
            ["token_id"], ["tokens.id"], name=op.f("fk_device_owners_token_id")
        ),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_device_owners")),
    )
    op.create_table(
        "repeats",
        sa.Column("token_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("token_id", "key", name=op.f("pk_repeats")),
    )
    with op.batch_alter_table("repeats", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_repeats_created_at"), ["created_at"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("repeats", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_repeats_created_at"))

    op.drop_table("repeats")
    op.drop_table("device_owners")
