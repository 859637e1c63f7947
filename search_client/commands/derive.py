"""`search-client derive`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from netspec.console.command import AsJson
from netspec.console.outputs import write_file
from netspec.console.units import latency_text
from netspec.errors import UserError
from search_client.commands.options import LatencyRef, SearchRun, console, print_found


def derive(
    run: SearchRun,
    latency_ref: LatencyRef = None,
    rule: Annotated[
        Literal["argmax", "on_target"] | None,
        typer.Option(
            help="`argmax`: the most likely choices; `on_target`: the most likely ones within the "
            "tolerance of the latency. By default as the search did."
        ),
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(min=0.0001, max=0.5, help="Greatest |latency / aim - 1|.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File for the network; by default RUN/network.json.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take a network out of a search's probabilities, also for another latency.

    A search that was made for one latency has probabilities near it: aim far off, and a
    search of its own finds better networks.
    """
    from search_client.recipe import parse_ms  # noqa: PLC0415
    from search_client.runs.load import read_run  # noqa: PLC0415
    from search_client.runs.record import NETWORK, read_record  # noqa: PLC0415

    references = dict(enumerate(parse_ms(text) for text in latency_ref or []))
    targets = len(read_record(run).targets)
    if len(references) > targets:
        raise UserError(f"the search aimed at {targets} targets, got {len(references)} latencies")
    loaded = read_run(run, references)
    found = loaded.derive(rule or ("on_target" if latency_ref else None), tolerance)
    path = out or run / NETWORK
    write_file(path, found.network.model_dump_json(indent=1) + "\n")
    if as_json:
        print_found(found, path)
        return
    for aim, latency in zip(loaded.goal.aims, found.latency_ms, strict=True):
        console.print(
            f"{found.network.name}: {latency_text(latency)} of {latency_text(aim.reference_ms)} "
            f"on target {aim.target}, log-probability {found.log_probability:.2f}",
            markup=False,
        )
    console.print(f"Network: {path}", markup=False)
