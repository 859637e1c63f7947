"""`search-client predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netspec.client import ProfilerClient
from netspec.console.command import AsJson, print_json
from netspec.console.connection import DEFAULT_URL
from netspec.console.units import energy_text, latency_text
from netspec.network_files import read_network
from netspec.operators import Precision
from netspec.wire import Prediction, Target
from search_client.commands.options import ProfilerUrl, TargetOption, console


def predict(
    config: Annotated[
        Path,
        typer.Option(
            help="A network: net.config of ProxylessNAS or Once-for-all, or a run's network.json.",
            show_default=False,
        ),
    ],
    profiler_url: ProfilerUrl = DEFAULT_URL,
    target: TargetOption = None,
    input_size: Annotated[
        int | None,
        typer.Option(
            min=1, max=4096, help="Of a net.config, px.", show_default="224 for ProxylessNAS's"
        ),
    ] = None,
    precision: Annotated[
        Precision, typer.Option(help="Of a net.config; our own files name it.")
    ] = "float32",
    allow_predicted: Annotated[
        bool,
        typer.Option("--allow-predicted", help="Predict operators without entry from the others."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Price a whole network by a target's table, without a device.

    Where whole networks are known on the target, the sum of the entries is calibrated on them, with
    a 95 % interval. An imported table without any gives the plain sum, and it says so.
    """
    network = read_network(config, input_size=input_size, precision=precision)
    with ProfilerClient(profiler_url) as client:
        chosen = client.target(target)
        found = client.predict(chosen.id, network, allow_predicted=allow_predicted)
    if as_json:
        print_json(found)
        return
    for line in _lines(found, chosen):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _lines(found: Prediction, target: Target) -> list[str]:
    how = "" if found.calibrated else ", uncalibrated: the plain sum of its operators"
    lines = [
        f"{found.name}: {latency_text(found.predicted_ms)} in {found.precision}{how}",
        f"  on {target.identity.label}, target {target.id}, batch 1",
    ]
    if found.low_ms is not None and found.high_ms is not None:
        ends = f"{latency_text(found.low_ms)} to {latency_text(found.high_ms)}"
        lines.append(f"  95 % interval {ends}")
    if not found.calibrated:
        lines.append("  whole networks may take several percent more or less")
    if (energy := found.energy) is not None:
        error = "" if energy.scaled else ", the plain sum of its operators"
        if energy.held_out is not None:
            error = f", {energy.held_out.mape_percent:.1f} % off on networks not seen"
        lines.append(f"  {energy_text(energy.value_mj)} by {energy.meter.name}{error}")
    lines += [f"  {caveat}" for caveat in found.caveats]
    if found.snapshot_id is not None:
        lines.append(f"  snapshot {found.snapshot_id}")
    return lines
