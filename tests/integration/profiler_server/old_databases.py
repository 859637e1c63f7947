"""Databases that an earlier version has filled, on either kind of database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Column, DateTime, MetaData, Uuid, insert, inspect, select, text

from profiler_server.kit.sql import schema
from profiler_server.kit.sql.database import Database

#: written by the version of that schema, with a job that is done and one that is not
DUMP = Path(__file__).with_name("databases") / "version-0012.sql"
REVISION = "0012"

#: by table, the rows in the order of their texts, each a value by column
Content = dict[str, list[dict[str, Any]]]


def fill(database: Database, scratch: Path) -> None:
    """Makes an empty database one of that version.

    Args:
        database: without tables.
        scratch: a file that does not exist yet.
    """
    with closing(sqlite3.connect(scratch)) as connection:
        connection.executescript(DUMP.read_text(encoding="utf-8"))
    schema.upgrade(database, REVISION)
    tables = MetaData()
    with database.migration() as connection:
        tables.reflect(connection)
        with closing(sqlite3.connect(scratch)) as dumped:
            dumped.row_factory = sqlite3.Row
            for table in tables.sorted_tables:
                if table.name == "alembic_version":
                    continue
                connection.execute(table.delete())
                rows = dumped.execute(f'SELECT * FROM "{table.name}"').fetchall()  # noqa: S608
                for row in rows:
                    values = {name: _value(table.c[name], row[name]) for name in row.keys()}  # noqa: SIM118
                    connection.execute(insert(table).values(values))
        if not database.is_sqlite:
            for name, column in (("events", "id"), ("leases", "fence"), ("task_failures", "id")):
                connection.execute(
                    text(
                        f"SELECT setval(pg_get_serial_sequence('{name}', '{column}'),"  # noqa: S608
                        f" coalesce(max({column}), 1)) FROM {name}"
                    )
                )


def _value(column: Column[Any], stored: Any) -> Any:
    """A value of the dump, as the column's type takes it."""
    if stored is None or not isinstance(stored, (str, int)):
        return stored
    if isinstance(column.type, DateTime):
        read = datetime.fromisoformat(str(stored))
        return read if column.type.timezone is False else read.replace(tzinfo=UTC)
    if isinstance(column.type, Uuid) and isinstance(stored, str):
        return UUID(stored)
    return bool(stored) if isinstance(column.type, Boolean) else stored


def content(database: Database, columns: Content | None = None) -> Content:
    """Everything in a database; with `columns`, only the tables and columns that these rows have.

    Partitions are not tables of their own.
    """
    tables = MetaData()
    found: Content = {}
    with database.engine.connect() as connection:
        names = [
            name
            for name in inspect(connection).get_table_names()
            if name != "alembic_version" and not name.startswith("visits_")
        ]
        tables.reflect(connection, only=names)
        for name, table in sorted(tables.tables.items()):
            if columns is not None and name not in columns:
                continue
            rows = [dict(row) for row in connection.execute(select(table)).mappings()]
            if columns is not None:
                wanted = list(columns[name][0]) if columns[name] else []
                rows = [{one: row[one] for one in wanted} for row in rows]
            found[name] = sorted(rows, key=_text)
    return found


def _text(row: dict[str, Any]) -> list[str]:
    return [f"{name}={row[name]!r}" for name in sorted(row)]
