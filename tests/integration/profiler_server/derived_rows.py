"""What is derived from visits, as the database has it."""

from __future__ import annotations

from sqlalchemy import select

from profiler_server.entries.rows import DeviceEstimateRow, EntryRow
from profiler_server.kit.sql.database import Database


def derived(database: Database) -> list[tuple[object, ...]]:
    """Every entry and every device's estimate; when they were derived is no part of them."""
    rows: list[tuple[object, ...]] = []
    with database.read() as session:
        for table in (EntryRow.__table__, DeviceEstimateRow.__table__):
            columns = [one for one in table.columns if one.name != "written_at"]
            rows += map(tuple, session.execute(select(*columns).order_by(*columns)))
    return rows
