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
_SUBJECTS = sa.table(
    "subjects",
    *(sa.column(name) for name in ("hash", "kind", "document", "shape", "kernel", "expand")),
)
# As of this revision; the code may know more one day.
_PRECISIONS = ("float32", "int8")
_KINDS = ("mbconv", "stem", "head", "classifier", "convert")
_ACTIVATIONS = ("relu6", "relu")


def upgrade() -> None:
    op.add_column("subjects", sa.Column("shape", sa.String(length=19), nullable=True))
    op.add_column("subjects", sa.Column("kernel", sa.Integer(), nullable=True))
    op.add_column("subjects", sa.Column("expand", sa.Integer(), nullable=True))
    connection = op.get_bind()
    place = (
        sa.update(_SUBJECTS)
        .where(_SUBJECTS.c.hash == sa.bindparam("of"))
        .values({name: sa.bindparam(f"its_{name}") for name in ("shape", "kernel", "expand")})
    )
    for rows in _chunks(connection):
        places = [{"of": row.hash, **_place(json.loads(row.document)["operator"])} for row in rows]
        connection.execute(place, places)
    op.create_index(
        "ix_subjects_shape", "subjects", ["shape", "kernel", "expand", "hash"], unique=False
    )


def downgrade() -> None:
    op.drop_index("ix_subjects_shape", table_name="subjects")
    for name in ("expand", "kernel", "shape"):
        op.drop_column("subjects", name)


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
