"""How often a page asks the database."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import event
from sqlalchemy.orm import Session

from profiler_server.kit.sql.database import Database


def counted(database: Database, read: Callable[[Session], object]) -> int:
    """How many statements reading a page takes."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        with database.read() as session:
            read(session)
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    return len(statements)
