"""`search-client profile`."""

from __future__ import annotations

from typing import Annotated

import typer

from netspec.client import ProfilerClient
from netspec.console.connection import DEFAULT_URL
from netspec.wire import ISOLATED, TaskMethod
from search_client.commands.options import (
    Overrides,
    ProfilerUrl,
    RecipeOption,
    TargetOption,
    console,
)


def profile(
    profiler_url: ProfilerUrl = DEFAULT_URL,
    target: TargetOption = None,
    recipe: RecipeOption = "proxylessnas",
    classes: Annotated[
        int, typer.Option(min=2, help="Of the data that will be searched on.")
    ] = 1000,
    method: Annotated[
        TaskMethod,
        typer.Option(help="`in_network`: also profile networks that cover the space, and merge."),
    ] = ISOLATED,
    overrides: Overrides = None,
) -> None:
    """Measure a recipe's space on a target and publish its calibrated table."""
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.recipe import read_recipe  # noqa: PLC0415
    from search_client.stages.measure import measure_space  # noqa: PLC0415

    settings = read_recipe(recipe, overrides or []).for_classes(classes)
    with ProfilerClient(profiler_url) as client:
        profiled = measure_space(client, client.target(target), settings, Stages(), method)
    snapshot = profiled.table.snapshot
    console.print(f"Published {len(snapshot.entries)} entries as snapshot {snapshot.id}")
