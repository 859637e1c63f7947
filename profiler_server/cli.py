"""The command `profiler-server`.

What a command needs is imported when it runs: Tab and --help need none of it.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from netspec.console import command
from netspec.console.connection import DEFAULT_URL
from netspec.console.help import wrap_help
from netspec.errors import UserError
from profiler_server.auth.commands import app as token_app
from profiler_server.drift.commands import recheck
from profiler_server.kit.cli import DatabaseUrl, open_database
from profiler_server.latency_tables.published import commands as table_commands
from profiler_server.latency_tables.transfers.command import transfer_table
from profiler_server.retractions.commands import retract
from profiler_server.upkeep.commands import archive, archived, doctor, read_launches

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Collects latency measurements and serves them as tables.",
    epilog="""Examples:
      profiler-server serve
      profiler-server token create --name farm-1 --scope agent
      profiler-server backup /backups/profiler-2026-01-02.db""",
)
_SERVE, _TABLES, _UPKEEP = "Serve", "Tables", "Upkeep"
app.add_typer(token_app, name="token", rich_help_panel=_SERVE)


@app.callback()
def _common(version: command.Version = False) -> None:
    pass


_HOST, _PORT = DEFAULT_URL.removeprefix("http://").split(":")


class LogLevel(StrEnum):
    """Least level of what is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@app.command(rich_help_panel=_SERVE)
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = _HOST,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any that is free.")
    ] = int(_PORT),
    database_url: DatabaseUrl = None,
    log_level: Annotated[
        LogLevel, typer.Option(help="`info` logs every request, on stderr.")
    ] = LogLevel.WARNING,
) -> None:
    """Serves until Ctrl-C.

    An SQLite database is made or migrated by itself; PostgreSQL needs `profiler-server migrate`
    first. The first start on a fresh database makes a token, prints it and leaves it where
    device-agent and search-client find it.

    Examples:
      profiler-server serve
      profiler-server serve --host 0.0.0.0 --port 8600 --database-url sqlite:////srv/profiler.db
    """
    from profiler_server import serving  # noqa: PLC0415
    from profiler_server.app import create_app  # noqa: PLC0415
    from profiler_server.kit import logs  # noqa: PLC0415
    from profiler_server.kit.sql import schema  # noqa: PLC0415

    with serving.listen(host, port) as listening:
        url = serving.url_of(listening)
        migration = "migrate the database"
        with open_database(database_url, needs_schema=False, task=migration) as (database, _):
            if database.is_sqlite:
                schema.upgrade(database)
        with open_database(database_url) as (database, settings):
            about_token = serving.first_token(database, settings, url)

        def announce() -> None:
            typer.echo(f"profiler-server at {url}")
            typer.echo(about_token)
            typer.echo(f"dashboard at {url}/dashboard")

        logs.configure(log_level)
        serving.serve(create_app(settings), listening, announce, settings.drain_s)


@app.command(rich_help_panel=_SERVE)
def migrate(database_url: DatabaseUrl = None) -> None:
    """Brings the database's schema up to date.

    Example: profiler-server migrate --database-url postgresql+psycopg://user@host/name
    """
    from profiler_server.kit.sql import schema  # noqa: PLC0415

    migration = "migrate the database"
    with open_database(database_url, needs_schema=False, task=migration) as (database, _):
        before = schema.current_revision(database)
        schema.upgrade(database)
        after = schema.current_revision(database)
    typer.echo(f"schema {after}" + (" already" if before == after else ""))


@app.command(rich_help_panel=_SERVE)
def backup(
    file: Annotated[Path, typer.Argument(help="File to write.", show_default=False)],
    database_url: DatabaseUrl = None,
) -> None:
    """Writes the database to a file, while servers run on it; PostgreSQL needs `pg_dump`.

    Keep the server key (PROFILER_SERVER_KEY_FILE) with it: without it every token is void.

    Example: profiler-server backup /backups/profiler-2026-01-02.db
    """
    from profiler_server.kit.sql.backup import back_up  # noqa: PLC0415

    with open_database(database_url, task=f"copy the database to {file}") as (database, _):
        how_to_restore = back_up(database, file)
    typer.echo(f"{file} has the whole database; {how_to_restore}")


@app.command(rich_help_panel=_TABLES)
def rederive(database_url: DatabaseUrl = None) -> None:
    """Derives every entry from its visits again; visits, imported and fitted entries stay.

    Example: profiler-server rederive
    """
    from profiler_server.entries import derivation  # noqa: PLC0415
    from profiler_server.entries import derived_repository as derived  # noqa: PLC0415

    with (
        open_database(database_url, task="derive entries") as (database, _),
        database.write() as session,
    ):
        before = derived.count_derived_entries(session)
        after = derivation.rederive(session)
    typer.echo(f"{after} entries derived ({before} before)")


@app.command(rich_help_panel=_SERVE)
def openapi(
    output: Annotated[
        Path | None, typer.Option(help="File to write.", show_default="standard output")
    ] = None,
) -> None:
    """Writes the API's description, OpenAPI 3.1 in JSON; needs no database.

    Example: profiler-server openapi --output docs/openapi.json
    """
    from profiler_server.app import create_app  # noqa: PLC0415
    from profiler_server.kit.settings import Settings  # noqa: PLC0415

    with TemporaryDirectory() as folder:
        settings = Settings(
            database_url=f"sqlite:///{folder}/none.db", server_key_file=Path(folder) / "key"
        )
        document = json.dumps(create_app(settings).openapi(), indent=1) + "\n"
    if output is None:
        typer.echo(document, nl=False)
        return
    try:
        output.write_text(document, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {output}: {error.strerror}") from error


# In the order of `--help`: what serves comes first.
app.command(rich_help_panel=_TABLES)(recheck)
app.command(rich_help_panel=_TABLES)(retract)
app.command("transfer", rich_help_panel=_TABLES)(transfer_table)
app.command("import", rich_help_panel=_TABLES)(table_commands.import_table)
app.command("export", rich_help_panel=_TABLES)(table_commands.export_table)
for upkeep in (doctor, archive, archived):
    app.command(rich_help_panel=_UPKEEP)(upkeep)
app.command("read-launches", rich_help_panel=_UPKEEP)(read_launches)


wrap_help(app)


def main() -> None:
    """Entry point of the console script."""
    command.run(app)
