"""What the commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from netspec.errors import UserError
from profiler_server.kit import schema
from profiler_server.kit.database import Database
from profiler_server.kit.metadata import metadata
from profiler_server.kit.settings import Settings

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        help="sqlite:////absolute/file.db or postgresql+psycopg://user@host/name.",
        show_default="PROFILER_DATABASE_URL, else an SQLite file in the data folder",
    ),
]


@contextmanager
def open_database(
    url: str | None, *, needs_schema: bool = True
) -> Iterator[tuple[Database, Settings]]:
    """A command's database and settings.

    Raises:
        UserError: the database does not open, or its schema is not the one this code needs.
    """
    metadata()
    settings = Settings.from_environment(url)
    database = Database(settings.database_url)
    try:
        database.check()
        if needs_schema and (current := schema.current_revision(database)) != (
            wanted := schema.wanted_revision()
        ):
            raise UserError(
                f"the database is at schema {current or 'none'}, this version needs {wanted}; "
                "run `profiler-server migrate`"
            )
        yield database, settings
    finally:
        database.close()
