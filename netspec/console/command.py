"""What the three console scripts share: how they end, their version, their JSON."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Annotated

import typer
from pydantic_core import to_json
from rich.console import Console
from rich.markup import escape

from netspec.console.parent import end_with_parent
from netspec.console.storage import user_error
from netspec.errors import Interrupted, UserError

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout; all else is on stderr.")
]


def _print_version(context: typer.Context, wanted: bool) -> None:
    if wanted:
        version = importlib.metadata.version("proxyless-farm")
        typer.echo(f"{context.find_root().info_name} {version}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Print the version and end."
    ),
]


def print_json(value: object) -> None:
    """Prints messages, dataclasses, and lists and dicts of them, as one JSON document."""
    typer.echo(to_json(value, indent=2).decode())


def _call(app: typer.Typer) -> None:
    try:
        app()
    except OSError as error:
        explained = user_error(error)
        if explained is None:
            raise
        raise explained from error


def run(app: typer.Typer) -> None:
    """Runs a command; a `UserError` becomes one line on stderr and its exit code.

    Ctrl-C ends a command that does not heed it itself with one line and the same exit code as
    `Interrupted`. A disk that is full, or a file that is not this user's, is a `UserError` too,
    wherever in a command it is met.
    """
    # soft_wrap: one line stays one line, also in a log file
    console = Console(stderr=True, soft_wrap=True)
    end_with_parent()
    try:
        _call(app)
    except UserError as error:
        before = "" if isinstance(error, Interrupted) else "[bold red]error:[/] "
        console.print(before + escape(" ".join(str(error).split())), highlight=False)
        sys.exit(error.exit_code)
    except SystemExit as end:
        if end.code == Interrupted.exit_code:
            console.print("stopped by Ctrl-C")
        raise
