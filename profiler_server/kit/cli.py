"""What the commands share; what a database needs is imported when a command runs, not for Tab."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from netspec.console.heartbeat import working
from netspec.errors import UserError

if TYPE_CHECKING:
    from profiler_server.kit.settings import Settings
    from profiler_server.kit.sql.database import Database

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        help="sqlite:////absolute/file.db or postgresql+psycopg://user@host/name.",
        show_default="PROFILER_DATABASE_URL, else an SQLite file in the data folder",
    ),
]


@contextmanager
def open_database(
    url: str | None, *, needs_schema: bool = True, task: str = "read the database"
) -> Iterator[tuple[Database, Settings]]:
    """A command's database and settings.

    Args:
        url: of the database; None: that of the settings.
        needs_schema: whether the schema must be the one this code needs.
        task: what the block does, said on stderr once it takes over 2 s.

    Raises:
        UserError: the database does not open, its schema is not the one this code needs, it fails
            within the block in a way that passes, or the block ends with a problem.
    """
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    from profiler_server.kit.problems import Problem  # noqa: PLC0415
    from profiler_server.kit.settings import Settings  # noqa: PLC0415
    from profiler_server.kit.sql import schema  # noqa: PLC0415
    from profiler_server.kit.sql.database import Database  # noqa: PLC0415
    from profiler_server.kit.sql.metadata import metadata  # noqa: PLC0415
    from profiler_server.kit.sql.outages import problem_of  # noqa: PLC0415

    metadata()
    settings = Settings.from_environment(url)
    with working(task), closing(Database(settings.database_url)) as database:
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
        except DBAPIError as error:
            problem = problem_of(error)
            if problem is None:
                raise
            raise UserError(
                f"{problem.title}: {error.orig}; run the command again once that is mended"
            ) from error
        except Problem as problem:
            raise UserError(problem.detail) from problem
