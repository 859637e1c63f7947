"""`search-client search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netspec.connection import DEFAULT_URL
from search_client.commands.options import (
    DataFolder,
    ProfilerUrl,
    Recipe,
    RunFolder,
    TargetOption,
    console,
    profiler_client,
)


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
    with profiler_client(profiler_url) as client:
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
