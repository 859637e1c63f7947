"""The database's schema: the migrations, run from here rather than from an ini file."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from profiler_server.kit.database import Database


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration; commands run on the connection, within its transaction."""
    spec = importlib.util.find_spec("migrations")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package `migrations` is not installed")
    made = Config()
    made.set_main_option("script_location", str(Path(spec.origin).parent).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


@cache
def wanted_revision() -> str:
    """The revision that this code is written for."""
    head = ScriptDirectory.from_config(config()).get_current_head()
    if head is None:
        raise RuntimeError("there are no migrations")
    return head


def current_revision(database: Database) -> str | None:
    """The revision that the database is at, None for an empty one."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(database: Database, revision: str = "head") -> None:
    """Brings the database up to a revision; all of it or nothing."""
    with database.migration() as connection:
        command.upgrade(config(connection), revision)


def downgrade(database: Database, revision: str) -> None:
    """Brings the database down to a revision; all of it or nothing."""
    with database.migration() as connection:
        command.downgrade(config(connection), revision)
