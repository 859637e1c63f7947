"""The database's schema: the migrations, run from here rather than from an ini file."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

import profiler_server
from profiler_server.kit.sql.database import Database

_PACKAGE = Path(profiler_server.__path__[0])


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration; commands run on the connection, within its transaction."""
    made = Config()
    made.set_main_option("script_location", str(_migrations()).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def _migrations() -> Path:
    """Return the folder of the migrations: in the installed package, beside it in a checkout."""
    for folder in (_PACKAGE / "migrations", _PACKAGE.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise RuntimeError(f"the migrations are neither in {_PACKAGE} nor beside it")


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
