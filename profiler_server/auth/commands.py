"""`profiler-server token ...`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from netspec.console.command import AsJson, print_json
from netspec.console.connection import DEFAULT_URL, URL_VARIABLE
from netspec.console.tokens import save_token
from netspec.errors import UserError
from profiler_server.auth.scopes import Scope
from profiler_server.kit.cli import DatabaseUrl, open_database

if TYPE_CHECKING:
    from profiler_server.auth.rows import TokenRow

#: columns of the list where there is no terminal to fit into
_WIDE = 200

app = typer.Typer(no_args_is_help=True, help="Makes, lists, rotates and revokes tokens.")


@app.command()
def create(
    name: Annotated[str, typer.Option(help="For people: whose token it is.")],
    scope: Annotated[list[Scope], typer.Option(help="What it allows; may be repeated.")],
    days: Annotated[
        float | None,
        typer.Option(min=0.0, max=36_500.0, help="Valid for so many days.", show_default="always"),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="It sees only devices that have this label, and their targets; may be repeated.",
            metavar="NAME=VALUE",
            show_default="everything",
        ),
    ] = None,
    save: Annotated[
        bool,
        typer.Option("--save", help="Store it as this user's token for the server --profiler-url."),
    ] = False,
    profiler_url: Annotated[
        str, typer.Option(envvar=URL_VARIABLE, help="With --save: the server's address.")
    ] = DEFAULT_URL,
    database_url: DatabaseUrl = None,
) -> None:
    """Makes a token and prints it, this once.

    Examples:
      profiler-server token create --name farm-1 --scope agent --days 90
      profiler-server token create --name guests --scope tables:read --label lab=berlin
    """
    from profiler_server.auth import service, tokens  # noqa: PLC0415

    with open_database(database_url) as (database, settings):
        key = tokens.server_key(settings.server_key_file)
        with database.write() as session:
            token = service.create(session, key, name, scope, days, _labels(label or []))
    typer.echo(token)
    if save:
        typer.echo(f"kept in {save_token(profiler_url, token)}", err=True)


@app.command("list")
def list_tokens(
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Lists all tokens; they themselves are not kept.

    Example: profiler-server token list --json
    """
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from profiler_server.auth import repository  # noqa: PLC0415

    with open_database(database_url) as (database, _), database.read() as session:
        rows = repository.everything(session)
    if as_json:
        print_json([_plain(row) for row in rows])
        return
    table = Table(box=None)
    for title in ("id", "name", "scopes", "labels", "created", "expires", "last used", "revoked"):
        table.add_column(title, no_wrap=title == "id")
    for row in rows:
        times = (row.created_at, row.expires_at, row.last_used_at, row.revoked_at)
        shown = ("" if time is None else f"{time:%Y-%m-%d %H:%M}" for time in times)
        table.add_row(row.id, row.name, row.scopes, _shown_labels(row), *shown)
    console = Console()
    if not console.is_terminal:
        # A pipe has no width: nothing shall be cut off.
        console.width = _WIDE
    console.print(table)


@app.command()
def rotate(
    token: Annotated[str, typer.Argument(help="The token's id, or its beginning.", metavar="ID")],
    overlap_hours: Annotated[
        float,
        typer.Option(min=0.0, max=2_160.0, help="For so long the secret of before is taken, too."),
    ] = 24.0,
    database_url: DatabaseUrl = None,
) -> None:
    """Gives a token another secret and prints it, this once; devices and jobs stay its own.

    With --overlap-hours 0 the one before ends at once, and every browser session with it.

    Example: profiler-server token rotate 5f0c --overlap-hours 1
    """
    from profiler_server.auth import service, tokens  # noqa: PLC0415

    with open_database(database_url) as (database, settings):
        key = tokens.server_key(settings.server_key_file)
        with database.write() as session:
            row = service.find(session, token)
            rotated = service.rotate(session, key, row, overlap_hours * 3_600)
    typer.echo(rotated)


@app.command()
def revoke(
    token: Annotated[
        str,
        typer.Argument(help="The token's id, or its beginning.", metavar="ID"),
    ],
    database_url: DatabaseUrl = None,
) -> None:
    """Revokes a token; running servers stop taking it within 5 seconds.

    Example: profiler-server token revoke 5f0c
    """
    from profiler_server.auth import service  # noqa: PLC0415

    with open_database(database_url) as (database, _), database.write() as session:
        revoked = service.revoke(session, token)
        said = f"{revoked.id} ({revoked.name}) is revoked"
    typer.echo(said)


def _labels(given: list[str]) -> dict[str, str]:
    """The labels of options.

    Raises:
        UserError: one is no label.
    """
    from pydantic import ValidationError  # noqa: PLC0415

    from netspec.wire import DeviceLabels  # noqa: PLC0415

    labels: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        try:
            labels |= DeviceLabels(labels={name: value}).labels
        except ValidationError:
            equals = ""
        if not equals:
            raise UserError(f"--label: expected NAME=VALUE, such as lab=berlin, got {one!r}")
    return labels


def _shown_labels(row: TokenRow) -> str:
    labels: dict[str, str] = json.loads(row.labels)
    return ", ".join(f"{name}={value}" for name, value in labels.items())


def _plain(row: TokenRow) -> dict[str, str | list[str] | dict[str, str] | None]:
    times = ("created_at", "expires_at", "last_used_at", "revoked_at")
    return {
        "id": row.id,
        "name": row.name,
        "scopes": row.scopes.split(),
        "labels": json.loads(row.labels),
        **{name: time.isoformat() if (time := getattr(row, name)) else None for name in times},
    }
