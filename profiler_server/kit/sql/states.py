"""Changing, in a migration, which states a text column may hold."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op


def allow_states(table: str, column: str, before: Sequence[str], after: Sequence[str]) -> None:
    """Replaces the CHECK of a column made by `orm.one_of`.

    Args:
        table: whose column it is.
        column: its name, and that of its constraint.
        before: what it may hold.
        after: what it may hold from now on; rows with anything else must be gone.
    """
    if op.get_bind().dialect.name == "sqlite":
        # The table is made anew, and its CHECK with it.
        with op.batch_alter_table(table) as batch_op:
            batch_op.alter_column(
                column,
                existing_type=_states(column, before),
                type_=_states(column, after),
                existing_nullable=False,
            )
        return
    name = op.f(f"ck_{table}_{column}")
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, sa.column(column).in_(after))


def _states(name: str, values: Sequence[str]) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)
