"""`search-client compare`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from netspec.console.command import AsJson, print_json
from netspec.console.units import latency_text
from search_client.commands.options import (
    DataFolder,
    Overrides,
    SearchRun,
    console,
    overridden,
)
from search_client.comparison.methods import Method


def compare(
    run: SearchRun,
    data: DataFolder,
    method: Annotated[
        list[Method] | None,
        typer.Option(help="Only this one, beside MobileNetV2; may be repeated. By default all."),
    ] = None,
    images_per_network: Annotated[
        int, typer.Option(min=1, help="Held-out images that score one network.")
    ] = 2_000,
    trained: Annotated[
        bool, typer.Option("--train", help="Train every network from scratch, too.")
    ] = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Compare a search with random search, evolution, REINFORCE and MobileNetV2.

    All aim at the search's latency, use its trained supernet and look at as many held-out
    images as its architecture steps did. RUN/compare.json keeps what was trained.
    """
    from search_client.comparison.compare import compare as run_compare  # noqa: PLC0415
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.runs.load import read_run  # noqa: PLC0415
    from search_client.stages.data import read_data  # noqa: PLC0415

    stages = Stages()
    loaded = read_run(run)
    settings = overridden(loaded.record.settings, overrides)
    training, test = read_data(data, settings, stages, loaded.record.classes)
    rows = run_compare(
        loaded,
        settings,
        training,
        test,
        run,
        stages,
        methods=method or tuple(Method),
        images_per_network=images_per_network,
        trained=trained,
    )
    if as_json:
        print_json(rows)
        return
    table = Table("method", "network", "predicted", "shared top-1", "trained top-1")
    for row in rows:
        table.add_row(
            row.method,
            row.network.name,
            latency_text(row.predicted_ms),
            _percent(row.shared_accuracy),
            _percent(row.test_accuracy),
        )
    console.print(table)


def _percent(accuracy: float | None) -> str:
    return "" if accuracy is None else f"{accuracy:.1%}"
