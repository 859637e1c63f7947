"""What the three console scripts share."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.markup import escape

from netspec.errors import UserError

EXIT_USER_ERROR = 2


def run(app: typer.Typer) -> None:
    """Runs a command; a `UserError` becomes one line on stderr and exit code 2."""
    try:
        app()
    except UserError as error:
        # soft_wrap: one line stays one line, also in a log file
        console = Console(stderr=True, soft_wrap=True)
        console.print(
            f"[bold red]error:[/] {escape(' '.join(str(error).split()))}", highlight=False
        )
        sys.exit(EXIT_USER_ERROR)
