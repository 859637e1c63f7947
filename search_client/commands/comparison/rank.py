"""`search-client rank`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from netspec.console.command import AsJson, print_json
from search_client.commands.options import (
    DataFolder,
    Overrides,
    SearchRun,
    console,
    console_beside,
    overridden,
)


def rank(
    run: SearchRun,
    data: DataFolder,
    networks: Annotated[
        int, typer.Option(min=2, help="Random networks on target to train alone.")
    ] = 12,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """See whether a search's supernet ranks networks as training them alone does.

    Kendall's tau of scores and accuracies, with RUN/rank.json and RUN/rank.svg; what is
    trained there already is kept.
    """
    from search_client.comparison.ranking import rank as run_rank  # noqa: PLC0415
    from search_client.comparison.ranking import tau_of, verdict  # noqa: PLC0415
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.runs.load import read_run  # noqa: PLC0415
    from search_client.stages.data import read_data  # noqa: PLC0415

    loaded = read_run(run)
    stages = Stages(console_beside(as_json))
    settings = overridden(loaded.record.settings, overrides)
    training, test = read_data(data, settings, stages, loaded.record.classes)
    rows = run_rank(loaded, settings, training, test, run, stages, networks)
    if as_json:
        print_json(rows)
        return
    table = Table("network", "score", "standard error", "trained alone")
    for row in sorted(rows, key=lambda one: one.test_accuracy, reverse=True):
        table.add_row(
            row.network.name,
            f"{row.score:.1%}",
            f"{row.standard_error:.1%}",
            f"{row.test_accuracy:.1%}",
        )
    console.print(table)
    console.print(verdict(tau_of(rows)), markup=False)
