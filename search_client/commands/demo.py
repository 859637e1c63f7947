"""`search-client demo`."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from netspec.console.command import AsJson, print_json
from netspec.console.outputs import make_folder
from netspec.errors import Interrupted
from search_client.commands.options import (
    Overrides,
    RecipeOption,
    RunFolder,
    console,
)


def demo(
    data: Annotated[
        Path | None,
        typer.Option(help="Images of your own; by default ten photographs, cut into crops."),
    ] = None,
    recipe: RecipeOption = "demo",
    run: RunFolder = Path("runs/demo"),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="For the server; 0 takes any that is free.")
    ] = 0,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Run the main job on this machine: server, agent and search as three processes.

    Everything stays in the run's folder; a second demo in the same folder reuses
    the entries of the first. Ctrl-C stops all three processes and loses no visit.
    RUN/profiler.env says to a shell where `profiler-server serve` then serves the tables.
    """
    from search_client.demo.farm import VARIABLES, farm_of_this_host  # noqa: PLC0415
    from search_client.pipeline import Pipeline  # noqa: PLC0415
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.recipe import read_recipe  # noqa: PLC0415
    from search_client.report.terminal import print_report  # noqa: PLC0415

    settings = read_recipe(recipe, overrides or [])
    # Whoever ends the demo ends its companions too: a closed terminal, a timeout, a supervisor.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    make_folder(run)
    stages = Stages()
    try:
        with farm_of_this_host(settings, data, run, port, stages) as (client, target, images):
            report = Pipeline(
                client,
                target,
                settings,
                images,
                run,
                stages,
                profile_missing=True,
                # A demo is run again and again; what it measured stays in its profiler.
                overwrite=True,
                signals=False,
            ).run()
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped; every visit made so far is kept in {run / 'profiler'}, "
            "and the next demo goes on from there"
        ) from None
    if as_json:
        print_json(report)
        return
    print_report(report, console)
    console.print(f"Its tables: . {run / VARIABLES}, then profiler-server serve", markup=False)
    console.print(f"Report: {run / 'report.html'}", markup=False)
