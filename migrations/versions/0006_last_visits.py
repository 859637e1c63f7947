"""A device's last visit is found without reading all visits."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_visits_device_id", "visits", ["device_id", "started_at"])


def downgrade() -> None:
    op.drop_index("ix_visits_device_id", "visits")
