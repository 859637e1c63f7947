"""What several commands take or use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from netspec.client import ProfilerClient
from netspec.console.command import print_json
from netspec.console.connection import URL_VARIABLE
from search_client.commands.completion import complete_recipe, complete_target
from search_client.progress import ObservedRun, Stages
from search_client.progress.loggers import Logger, observers_of

if TYPE_CHECKING:
    from search_client.recipe import Recipe
    from search_client.search.derive import Derived

console = Console()


def console_beside(as_json: bool) -> Console:
    """Where a command names its files: on stderr, if stdout is for JSON alone."""
    return Console(stderr=True) if as_json else console


ProfilerUrl = Annotated[
    str, typer.Option("--profiler-url", envvar=URL_VARIABLE, help="Where the profiler serves.")
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        help="Target id, or its beginning; not needed where there is only one.",
        autocompletion=complete_target,
    ),
]
RunFolder = Annotated[Path, typer.Option("--run", help="Folder for the report and the models.")]
DataFolder = Annotated[
    Path,
    typer.Option(help="Images: FOLDER/train/CLASS/*.png and FOLDER/test/..., or FOLDER/CLASS/*."),
]
SearchRun = Annotated[
    Path, typer.Option("--run", help="Folder of a search that `search-client search` made.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Replace a recipe's value, as in search.joint_epochs=3; may be repeated."
    ),
]
Loggers = Annotated[
    list[Logger] | None,
    typer.Option("--log", help="A program that keeps the run's curves, too; may be repeated."),
]
SavedTable = Annotated[
    Path | None,
    typer.Option("--snapshot", help="A file of `search-client snapshot`, in the profiler's place."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the run that the folder holds.")
]
LatencyRef = Annotated[
    list[str] | None,
    typer.Option(
        "--latency-ref", help="Latency to aim at, as in 30ms; one for each target.", metavar="MS"
    ),
]
RecipeOption = Annotated[
    str,
    typer.Option(help="A shipped recipe's name, or a TOML file.", autocompletion=complete_recipe),
]


@contextmanager
def observed_stages(
    loggers: Sequence[Logger] | None, folder: Path, command: str, settings: Mapping[str, Any]
) -> Iterator[Stages]:
    """The stages of a command; of several processes the first alone shows and logs them.

    Raises:
        UserError: a logger's package is not installed, or it refuses the run.
    """
    from search_client.training import distributed  # noqa: PLC0415

    if distributed.rank() > 0:
        yield Stages(quiet=True)
        return
    with observers_of(loggers or (), ObservedRun(folder, command, settings)) as observers:
        yield Stages(observers=observers)


def print_found(derived: Derived, file: Path) -> None:
    """Prints a network that was taken out of a search, and where it is, as JSON."""
    print_json({**asdict(derived), "network": derived.network, "file": file})


def overridden(settings: Recipe, overrides: list[str] | None) -> Recipe:
    """Settings with some values replaced.

    Raises:
        UserError: one of them does not exist or is impossible.
    """
    from search_client.recipe import with_overrides  # noqa: PLC0415

    return with_overrides(settings, overrides or [])


def client_of(profiler_url: str, snapshot: Path | None) -> ProfilerClient:
    """A client of a saved snapshot, or else of the profiler.

    Raises:
        UserError: there is no such snapshot, or no token.
    """
    return ProfilerClient(profiler_url) if snapshot is None else ProfilerClient.of_file(snapshot)
