"""Entries say which target they were filled in from; new targets are offered old ones' entries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_EVENT_KINDS = (
    "job_created",
    "job_cancelled",
    "lease_claimed",
    "lease_expired",
    "lease_released",
    "task_failed",
    "snapshot_published",
    "token_created",
    "token_revoked",
    "lease_superseded",
    "job_retried",
    "device_labelled",
    "device_quarantined",
    "device_released",
    "target_drifted",
)
_WITH_OFFERS = (*_EVENT_KINDS, "transfer_offered")


def upgrade() -> None:
    op.add_column("entries", sa.Column("fitted_from", sa.String(length=16), nullable=True))
    _allow(_EVENT_KINDS, _WITH_OFFERS)


def downgrade() -> None:
    op.execute("DELETE FROM events WHERE kind = 'transfer_offered'")
    _allow(_WITH_OFFERS, _EVENT_KINDS)
    op.drop_column("entries", "fitted_from")


def _allow(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    """Changes which kinds of events there may be."""
    if op.get_bind().dialect.name == "sqlite":
        # The table is made anew, and its CHECK with it.
        with op.batch_alter_table("events") as batch_op:
            batch_op.alter_column(
                "kind",
                existing_type=_kinds(before),
                type_=_kinds(after),
                existing_nullable=False,
            )
        return
    name = op.f("ck_events_kind")
    op.drop_constraint(name, "events", type_="check")
    op.create_check_constraint(name, "events", sa.column("kind").in_(after))


def _kinds(values: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*values, name="kind", native_enum=False, create_constraint=True, length=32)
