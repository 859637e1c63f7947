"""Writing many rows at once.

On PostgreSQL, all rows go in one parameter of one statement, as JSON: a statement a row costs more
than the row. SQLite has no way to the server, and runs a statement a row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any, cast

from pydantic_core import to_json
from sqlalchemy import (
    JSON,
    Executable,
    Table,
    TableValuedAlias,
    Text,
    bindparam,
    column,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from profiler_server.kit.sql.database import row_count
from profiler_server.kit.sql.orm import Base

Row = dict[str, Any]

#: from so many rows on, one statement for all is the faster way
_MANY = 4


def insert_absent(session: Session, table: type[Base], rows: Sequence[Row]) -> int:
    """Inserts the rows whose unique keys are not there yet; how many those were."""
    if not rows:
        return 0
    names = tuple(rows[0])
    if _one_by_one(session, rows):
        insert = _insert(session, table).on_conflict_do_nothing()
        counted = insert.execution_options(preserve_rowcount=True)
        return row_count(session.connection().execute(counted, list(rows)))
    return _execute(session, _insert_absent(table, names), rows)


def insert_or_replace(
    session: Session, table: type[Base], rows: Sequence[Row], key: Sequence[str]
) -> None:
    """Inserts rows; where a row with the same key is there, its other columns are replaced."""
    if not rows:
        return
    names = tuple(rows[0])
    if _one_by_one(session, rows):
        insert = _insert(session, table)
        others = {name: insert.excluded[name] for name in names if name not in key}
        upsert = insert.on_conflict_do_update(index_elements=key, set_=others)
        session.connection().execute(upsert, list(rows))
        return
    _execute(session, _insert_or_replace(table, names, tuple(key)), rows)


def update_each(session: Session, table: type[Base], rows: Sequence[Row], key: str) -> None:
    """Updates the row with each key to the other values."""
    if not rows:
        return
    names = tuple(rows[0])
    if _one_by_one(session, rows):
        made = _table(table)
        change = (
            update(made)
            .where(made.c[key] == bindparam(f"_{key}"))
            .values({name: bindparam(f"_{name}") for name in names if name != key})
        )
        marked = [{f"_{name}": value for name, value in row.items()} for row in rows]
        session.connection().execute(change, marked)
        return
    _execute(session, _update_each(table, names, key), rows)


def _one_by_one(session: Session, rows: Collection[Row]) -> bool:
    return len(rows) < _MANY or session.get_bind().dialect.name == "sqlite"


def _insert(session: Session, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    # The two dialects write the same clause, but SQLAlchemy has no common spelling of it.
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    return sqlite.insert(_table(table)) if is_sqlite else postgresql.insert(_table(table))


def _table(table: type[Base]) -> Table:
    return cast("Table", table.__table__)


def _execute(session: Session, statement: Executable, rows: Sequence[Row]) -> int:
    # Rows are alike: what is bytes in one is bytes in all.
    binary = [name for name, value in rows[0].items() if isinstance(value, bytes)]
    if binary:
        rows = [{**row, **{name: f"\\x{row[name].hex()}" for name in binary}} for row in rows]
    parameters = {"rows": to_json(rows).decode()}
    # Where the driver would be asked for the keys it made, it is asked for their number as well.
    options = {"preserve_rowcount": True}
    result = session.connection().execute(statement, parameters, execution_options=options)
    return row_count(result)


def _records(table: type[Base], names: Sequence[str]) -> TableValuedAlias:
    """The parameter `rows`, as rows with the types of the table's columns."""
    typed = [column(name, _table(table).c[name].type) for name in names]
    rows = bindparam("rows", type_=Text).cast(JSON)
    records = func.json_to_recordset(rows).table_valued(*typed)
    return records.render_derived(name="records", with_types=True)


@lru_cache(maxsize=64)
def _insert_absent(table: type[Base], names: tuple[str, ...]) -> Executable:
    records = select(*_records(table, names).c)
    return postgresql.insert(_table(table)).from_select(names, records).on_conflict_do_nothing()


@lru_cache(maxsize=64)
def _insert_or_replace(
    table: type[Base], names: tuple[str, ...], key: tuple[str, ...]
) -> Executable:
    insert = postgresql.insert(_table(table)).from_select(names, select(*_records(table, names).c))
    others = {name: insert.excluded[name] for name in names if name not in key}
    return insert.on_conflict_do_update(index_elements=key, set_=others)


@lru_cache(maxsize=64)
def _update_each(table: type[Base], names: tuple[str, ...], key: str) -> Executable:
    records = _records(table, names)
    others = {name: records.c[name] for name in names if name != key}
    return update(_table(table)).where(_table(table).c[key] == records.c[key]).values(others)
