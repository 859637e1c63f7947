"""`search-client profile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netspec.client import ProfilerClient
from netspec.console.command import AsJson, print_json
from netspec.console.connection import DEFAULT_URL
from netspec.errors import UserError
from netspec.wire import ISOLATED, MeasuringMethod
from search_client.commands.model_files.prediction import show_prediction
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
    model: Annotated[
        Path | None,
        typer.Option(
            help="A .tflite file: measure what its latency needs, not a recipe's space.",
            metavar="FILE",
        ),
    ] = None,
    method: Annotated[
        MeasuringMethod,
        typer.Option(help="`in_network`: also profile networks that cover the space, and merge."),
    ] = ISOLATED,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Measure a recipe's space on a target and publish its calibrated table.

    With --model, what the table lacks to predict that file, so that the prediction is a sum of what
    was measured.
    """
    if model is not None:
        if overrides or method != ISOLATED:
            raise UserError(
                "--model measures what one file needs, each operator by itself; leave --set and "
                "--method out, or measure a space without --model"
            )
        _profile_file(profiler_url, target, model, as_json=as_json)
        return
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.recipe import read_recipe  # noqa: PLC0415
    from search_client.stages.measure import measure_space  # noqa: PLC0415

    settings = read_recipe(recipe, overrides or []).for_classes(classes)
    with ProfilerClient(profiler_url) as client:
        profiled = measure_space(client, client.target(target), settings, Stages(), method)
    snapshot = profiled.table.snapshot
    if as_json:
        print_json({"snapshot_id": snapshot.id, "entries": len(snapshot.entries)})
        return
    console.print(f"Published {len(snapshot.entries)} entries as snapshot {snapshot.id}")


def _profile_file(profiler_url: str, target: str | None, model: Path, *, as_json: bool) -> None:
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.stages.measure_file import measure_file  # noqa: PLC0415

    with ProfilerClient(profiler_url) as client:
        predicted = measure_file(client, model, target, Stages())
    show_prediction(predicted, as_json=as_json)
