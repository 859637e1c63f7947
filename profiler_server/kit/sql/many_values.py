"""Conditions on many values at once.

`IN` with a thousand values is a statement of a thousand parameters, which SQLAlchemy, the driver
and the database each read anew. Here all values are one parameter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, bindparam, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import QueryableAttribute, Session


def is_in(
    session: Session, column: QueryableAttribute[Any], values: Iterable[str | UUID]
) -> ColumnElement[bool]:
    """Whether a column of texts or UUIDs has one of the values."""
    if session.get_bind().dialect.name == "sqlite":
        # A UUID is kept as its hex digits there.
        texts = [value.hex if isinstance(value, UUID) else value for value in values]
        given = func.json_each(bindparam(None, json.dumps(texts), type_=Text)).table_valued("value")
        return column.in_(select(given.c.value))
    array = bindparam(None, list(values), type_=postgresql.ARRAY(column.type))
    return column == func.any(array)
