"""Operators have a row and a column in tables that people read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_CHUNK = 5_000
_PLACE = ("shape", "kernel", "expand")
_SUBJECTS = sa.table("subjects", *map(sa.column, ("hash", "kind", "document", *_PLACE)))
_ENTRIES = sa.table("entries", *map(sa.column, ("subject_hash", *_PLACE)))
_SNAPSHOTS = sa.table(
    "snapshots", *(sa.column(name) for name in ("id", "document", "calibrations"))
)
# As of this revision; the code may know more one day.
_PRECISIONS = ("float32", "int8")
_KINDS = ("mbconv", "stem", "head", "classifier", "convert")
_ACTIVATIONS = ("relu6", "relu")


def upgrade() -> None:
    for table in ("subjects", "entries"):
        op.add_column(table, sa.Column("shape", sa.String(length=19), nullable=True))
        op.add_column(table, sa.Column("kernel", sa.Integer(), nullable=True))
        op.add_column(table, sa.Column("expand", sa.Integer(), nullable=True))
    op.add_column(
        "snapshots", sa.Column("calibrations", sa.Text(), server_default="[]", nullable=False)
    )
    _fill(op.get_bind())
    op.create_index("ix_entries_shape", "entries", ["target_id", *_PLACE], unique=False)
    op.create_index(
        "ix_entries_disagreement",
        "entries",
        ["target_id", "disagreement_percent"],
        unique=False,
        postgresql_where=sa.text("disagreement_percent IS NOT NULL"),
        sqlite_where=sa.text("disagreement_percent IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_entries_disagreement", table_name="entries")
    op.drop_index("ix_entries_shape", table_name="entries")
    op.drop_column("snapshots", "calibrations")
    for table in ("entries", "subjects"):
        for name in reversed(_PLACE):
            op.drop_column(table, name)


def _fill(connection: sa.Connection) -> None:
    place = (
        sa.update(_SUBJECTS)
        .where(_SUBJECTS.c.hash == sa.bindparam("of"))
        .values({name: sa.bindparam(f"its_{name}") for name in _PLACE})
    )
    for rows in _chunks(connection):
        connection.execute(
            place,
            [{"of": row.hash, **_place(json.loads(row.document)["operator"])} for row in rows],
        )
    of_entry = _SUBJECTS.c.hash == _ENTRIES.c.subject_hash
    connection.execute(
        sa.update(_ENTRIES).values(
            {
                name: sa.select(_SUBJECTS.c[name]).where(of_entry).scalar_subquery()
                for name in _PLACE
            }
        )
    )
    snapshots = connection.execute(sa.select(_SNAPSHOTS.c.id)).scalars().all()
    for snapshot_id in snapshots:
        one = _SNAPSHOTS.c.id == snapshot_id
        document = connection.execute(sa.select(_SNAPSHOTS.c.document).where(one)).scalar_one()
        calibrations = json.dumps(json.loads(document)["calibrations"])
        connection.execute(sa.update(_SNAPSHOTS).where(one).values(calibrations=calibrations))


def _chunks(connection: sa.Connection) -> Iterator[Sequence[Any]]:
    last = ""
    while True:
        rows = connection.execute(
            sa.select(_SUBJECTS.c.hash, _SUBJECTS.c.document)
            .where(_SUBJECTS.c.kind == "operator", _SUBJECTS.c.hash > last)
            .order_by(_SUBJECTS.c.hash)
            .limit(_CHUNK)
        ).all()
        if not rows:
            return
        yield rows
        last = rows[-1].hash


def _place(operator: dict[str, Any]) -> dict[str, Any]:
    activation = operator.get("activation")
    shape = (
        f"{_PRECISIONS.index(operator['precision'])}{_KINDS.index(operator['kind'])}"
        f"{4096 - operator['input_size']:04d}{operator.get('stride', 1)}"
        f"{operator['in_channels']:05d}{operator['out_channels']:05d}"
        f"{int(operator.get('residual', False))}"
        f"{0 if activation is None else 1 + _ACTIVATIONS.index(activation)}"
    )
    return {
        "its_shape": shape,
        "its_kernel": operator.get("kernel"),
        "its_expand": operator.get("expand"),
    }
