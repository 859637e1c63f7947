"""What a database holds and how fast it grows: rows and bytes of each table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table, func, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from profiler_server.kit.sql.metadata import metadata

#: the time by which a table's growth is seen, where a row has one
_TIMES = ("stored_at", "at", "claimed_at", "created_at", "registered_at", "began_at")
#: days that are looked at
MONTH_DAYS = 30


@dataclass(frozen=True)
class TableGrowth:
    """One table."""

    name: str
    rows: int
    #: with indexes; None: this SQLite cannot tell
    size: int | None
    #: of the last 30 days; None: its rows have no time
    new_rows: int | None

    @property
    def new_size(self) -> int | None:
        """Bytes that the last 30 days have brought, if new rows are as large as the others."""
        if self.size is None or self.new_rows is None or self.rows == 0:
            return None
        return round(self.size * self.new_rows / self.rows)


def tables(session: Session, now: datetime) -> list[TableGrowth]:
    """Every table, the largest first.

    Args:
        session: a transaction.
        now: by the database's clock.
    """
    sizes = _sizes(session)
    since = now - timedelta(days=MONTH_DAYS)
    found = [
        TableGrowth(
            name=table.name,
            rows=session.scalar(select(func.count()).select_from(table)) or 0,
            size=None if sizes is None else sizes.get(table.name, 0),
            new_rows=_newer(session, table, since),
        )
        for table in metadata().sorted_tables
    ]
    return sorted(found, key=lambda one: (-(one.size or 0), -one.rows, one.name))


def _newer(session: Session, table: Table, since: datetime) -> int | None:
    time = next((table.c[name] for name in _TIMES if name in table.c), None)
    if time is None:
        return None
    return session.scalar(select(func.count()).select_from(table).where(time >= since))


def _sizes(session: Session) -> dict[str, int] | None:
    """Bytes of each table with its indexes; None: not known."""
    if session.get_bind().dialect.name != "sqlite":
        # A partitioned table is its partitions.
        rows: Sequence[Any] = session.execute(
            text(
                "SELECT tables.relname, sum(pg_total_relation_size(parts.relid))"
                " FROM pg_class AS tables CROSS JOIN LATERAL pg_partition_tree(tables.oid) AS parts"
                " WHERE tables.relkind IN ('r', 'p') AND NOT tables.relispartition"
                " AND tables.relnamespace = current_schema()::regnamespace"
                " GROUP BY tables.relname"
            )
        ).all()
        return {name: int(size) for name, size in rows}
    try:
        rows = session.execute(
            text(
                "SELECT tables.tbl_name, sum(pages.pgsize) FROM dbstat AS pages"
                " JOIN sqlite_master AS tables ON tables.name = pages.name"
                " WHERE pages.aggregate = TRUE GROUP BY tables.tbl_name"
            )
        ).all()
    except OperationalError:
        # Python's SQLite may be built without it.
        return None
    return {name: int(size) for name, size in rows}


def free_bytes(session: Session) -> int:
    """Bytes of an SQLite file that are free for new rows; PostgreSQL keeps no such number."""
    if session.get_bind().dialect.name != "sqlite":
        return 0
    pages = session.execute(text("PRAGMA freelist_count")).scalar_one()
    return int(pages) * int(session.execute(text("PRAGMA page_size")).scalar_one())
