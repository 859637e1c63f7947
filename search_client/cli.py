"""`search-client`: search runs that point at a profiler."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from netspec import command
from netspec.connection import DEFAULT_URL, URL_VARIABLE, load_token
from netspec.errors import UserError
from netspec.profiler_http import ProfilerHttp
from search_client.profiler import ProfilerClient

app = typer.Typer(
    help="Search, train, quantize and deploy networks against measured latency.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
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


@app.command(epilog="Example: search-client targets --profiler-url http://lab:8600")
def targets(profiler_url: ProfilerUrl = DEFAULT_URL) -> None:
    """List what latencies the profiler can tell."""
    with _client(profiler_url) as client:
        table = Table(Column("target", no_wrap=True), "latencies of", "entries", "devices")
        for target in client.targets():
            label = escape(target.identity.label)
            table.add_row(target.id, label, str(target.entries), str(target.devices))
    console.print(table)


@app.command(epilog="Example: search-client profile --recipe demo --classes 10")
def profile(
    profiler_url: ProfilerUrl = DEFAULT_URL,
    target: TargetOption = None,
    recipe: Recipe = "proxylessnas",
    classes: Annotated[
        int, typer.Option(min=2, help="Of the data that will be searched on.")
    ] = 1000,
) -> None:
    """Measure a recipe's space on a target and publish its calibrated table."""
    # torch is imported where it is needed: `targets` and `--help` answer at once.
    from search_client.profiling import profile as run_profile  # noqa: PLC0415
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.settings import read_recipe  # noqa: PLC0415

    settings = read_recipe(recipe).for_classes(classes)
    with _client(profiler_url) as client:
        profiled = run_profile(client, client.target(target), settings, Stages(console))
    snapshot = profiled.table.snapshot
    console.print(f"Published {len(snapshot.entries)} entries as snapshot {snapshot.id}")


@app.command(epilog="Example: search-client search --data photos/ --recipe demo --profile-missing")
def search(
    data: DataFolder,
    profiler_url: ProfilerUrl = DEFAULT_URL,
    target: TargetOption = None,
    recipe: Recipe = "proxylessnas",
    run: RunFolder = Path("runs/search"),
    profile_missing: Annotated[
        bool,
        typer.Option(
            "--profile-missing", help="File what the table lacks as a job and wait for it."
        ),
    ] = False,
) -> None:
    """Search, train, quantize and measure; ends with RUN/report.html."""
    from search_client.pipeline import run as run_pipeline  # noqa: PLC0415
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.report.terminal import print_report  # noqa: PLC0415
    from search_client.settings import read_recipe  # noqa: PLC0415

    settings = read_recipe(recipe)
    with _client(profiler_url) as client:
        report = run_pipeline(
            client,
            client.target(target),
            settings,
            data,
            run,
            Stages(console),
            profile_missing=profile_missing,
        )
    print_report(report, console)
    console.print(f"Report: {run / 'report.html'}", markup=False)


@app.command(epilog="Example: search-client demo --data photos/ --run runs/photos")
def demo(
    data: Annotated[
        Path | None,
        typer.Option(help="Images of your own; by default ten photographs, cut into crops."),
    ] = None,
    recipe: Recipe = "demo",
    run: RunFolder = Path("runs/demo"),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="For the server; 0 takes any that is free.")
    ] = 0,
) -> None:
    """Run the main job on this machine: server, agent and search as three processes.

    Everything stays in the run's folder; a second demo in the same folder reuses
    the entries of the first. Ctrl-C stops all three processes and loses no visit.
    """
    from search_client.demo import run_demo  # noqa: PLC0415
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.report.terminal import print_report  # noqa: PLC0415
    from search_client.settings import read_recipe  # noqa: PLC0415

    # Whoever ends the demo ends its companions too: a closed terminal, a timeout, a supervisor.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    try:
        report = run_demo(read_recipe(recipe), data, run, port, Stages(console))
    except KeyboardInterrupt:
        raise UserError(
            f"stopped; every visit made so far is kept in {run / 'profiler'}, "
            "and the next demo goes on from there"
        ) from None
    print_report(report, console)
    console.print(f"Report: {run / 'report.html'}", markup=False)


def _client(profiler_url: str) -> ProfilerClient:
    return ProfilerClient(ProfilerHttp(profiler_url, load_token()))


def main() -> None:
    """The console script."""
    command.run(app)
