"""`search-client compare-runs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from netspec.console.command import AsJson, print_json
from netspec.console.outputs import write_file
from netspec.operators import Precision
from search_client.commands.options import console, console_beside


def compare_runs(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of runs that have ended.", metavar="RUN")
    ],
    precision: Annotated[Precision, typer.Option(help="Of the files that are compared.")] = "int8",
    out: Annotated[Path, typer.Option(help="File for the page.")] = Path("compare-runs.html"),
    as_json: AsJson = False,
) -> None:
    """Put the networks of several runs on one accuracy-latency Pareto front.

    Accuracy and latency are those of each run's report: measured on the target that the runs
    share. `compare` is about one run: other ways to search its supernet.
    """
    from search_client.report.runs import compare_runs as compare  # noqa: PLC0415
    from search_client.report.runs_page import headline, render_runs  # noqa: PLC0415
    from search_client.report.wording import interval, milliseconds, percent  # noqa: PLC0415

    compared = compare(runs, precision)
    write_file(out, render_runs(compared))
    if as_json:
        print_json(compared)
    else:
        table = Table(
            "", "run", "network", "top-1", "measured, ms [95 %]", "predicted, ms", "front"
        )
        for number, one in enumerate(compared.networks, start=1):
            measured = interval(one.measured_low_ms, one.measured_high_ms).replace("[", "\\[")
            table.add_row(
                str(number),
                one.run,
                one.role,
                percent(100 * one.accuracy),
                f"{milliseconds(one.measured_ms)} {measured}",
                milliseconds(one.predicted_ms),
                "yes" if one.on_front else "",
            )
        console.print(table)
        console.print(headline(compared), markup=False)
    console_beside(as_json).print(f"Page: {out}", markup=False)
