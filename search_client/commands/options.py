"""What several commands take or use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from netspec.connection import URL_VARIABLE, load_token
from netspec.profiler_http import ProfilerHttp
from search_client.profiler import ProfilerClient

console = Console()

ProfilerUrl = Annotated[
    str, typer.Option("--profiler-url", envvar=URL_VARIABLE, help="Where the profiler serves.")
]
TargetOption = Annotated[
    str | None,
    typer.Option(help="Target id, or its beginning; not needed where there is only one."),
]
RunFolder = Annotated[Path, typer.Option("--run", help="Folder for the report and the models.")]
DataFolder = Annotated[
    Path,
    typer.Option(help="Images: FOLDER/train/CLASS/*.png and FOLDER/test/..., or FOLDER/CLASS/*."),
]
Recipe = Annotated[str, typer.Option(help="A shipped recipe's name, or a TOML file.")]


def profiler_client(profiler_url: str) -> ProfilerClient:
    """A client with this machine's token.

    Raises:
        UserError: there is no token.
    """
    return ProfilerClient(ProfilerHttp(profiler_url, load_token()))
