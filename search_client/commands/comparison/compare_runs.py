"""`search-client compare-runs`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
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
    share. A MobileNetV2 that runs have in common stands there once. Beside the page its figure is
    an SVG and a PNG file, and its numbers a CSV file. `compare` is about one run: other ways to
    search its supernet.
    """
    from netspec.console.latency_unit import LatencyUnit  # noqa: PLC0415
    from search_client.report.figures.front import accuracy_against_latency  # noqa: PLC0415
    from search_client.report.page import save  # noqa: PLC0415
    from search_client.report.runs import compare_runs as compare  # noqa: PLC0415
    from search_client.report.runs_page import headline, render_runs  # noqa: PLC0415
    from search_client.report.wording import latency, percent  # noqa: PLC0415

    compared = compare(runs, precision)
    write_file(out, render_runs(compared))
    drawing = replace(accuracy_against_latency(compared, numbered=False), name=out.stem)
    save([drawing], out.parent)
    if as_json:
        print_json(compared)
    else:
        unit = LatencyUnit.of(network.measured_ms for network in compared.networks)
        table = Table(
            *("", "run", "network", "top-1"),
            *(f"measured, {unit.name} [95 %]", f"predicted, {unit.name}", "front"),
        )
        for number, one in enumerate(compared.networks, start=1):
            measured = unit.interval(one.measured_low_ms, one.measured_high_ms)
            names = one.runs[0] if len(one.runs) == 1 else f"{len(one.runs)} runs"
            table.add_row(
                str(number),
                escape(names),
                one.role,
                percent(100 * one.accuracy),
                escape(f"{unit.text(one.measured_ms)} {measured}"),
                unit.text(one.predicted_ms),
                "yes" if one.on_front else "",
            )
        console.print(table)
        volume = compared.hypervolume
        console.print(headline(compared), markup=False)
        console.print(
            f"Hypervolume up to {latency(volume.reference_ms)}, {unit.name} x points: "
            f"{unit.scale * volume.every:,.1f} of all, {unit.scale * volume.searched:,.1f} of the "
            f"searched networks, {unit.scale * volume.mobilenet_v2:,.1f} of MobileNetV2."
        )
    console_beside(as_json).print(f"Page: {out}", markup=False)
