"""`search-client energy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netspec.client import ProfilerClient
from netspec.client.model_calls import read_model
from netspec.console.command import AsJson, print_json
from netspec.console.connection import DEFAULT_URL
from netspec.console.units import energy_text
from netspec.wire import (
    LEAST_ROUNDS,
    LEAST_WINDOW_S,
    MOST_ROUNDS,
    EnergyEntry,
    EnergyQuery,
    EnergyRequest,
    JobRequest,
)
from search_client.commands.options import ProfilerUrl, TargetOption, console
from search_client.progress import Stages, job_progress


def energy(
    model: Annotated[Path, typer.Argument(help="A .tflite file.", metavar="MODEL")],
    profiler_url: ProfilerUrl = DEFAULT_URL,
    target: TargetOption = None,
    windows: Annotated[
        int, typer.Option(min=LEAST_ROUNDS, max=MOST_ROUNDS, help="Rounds of windows to measure.")
    ] = 10,
    seconds: Annotated[
        float,
        typer.Option(
            min=LEAST_WINDOW_S,
            max=60,
            help="Seconds of a window; a coarse counter needs longer ones.",
        ),
    ] = LEAST_WINDOW_S,
    as_json: AsJson = False,
) -> None:
    """Measure the energy of an inference of a .tflite file, by counters of the device.

    The file is uploaded, and an agent of the target counts what a device takes while it runs and
    while nothing does, in turn. Printed is what a run takes beyond idling, with its 95 % interval
    and the meter.
    """
    content = read_model(model)
    with ProfilerClient(profiler_url) as client:
        chosen = client.target(target)
        uploaded = client.upload_model(content, model.name)
        request = JobRequest(
            name=f"energy of {model.name}"[:200],
            target_id=chosen.id,
            models=(uploaded,),
            rounds=1,
            remeasure=True,
            energy=EnergyRequest(windows=windows, seconds=seconds),
        )
        with Stages().bar("measured") as advance:
            client.wait(client.create_job(request), job_progress(advance))
        listed = client.energies(chosen.id, EnergyQuery(kind="model", sort="-measured_at"))
    found = next(one for one in listed if one.subject_hash == uploaded.sha256)
    if as_json:
        print_json(found)
        return
    for line in _lines(found, model.name, chosen.identity.label):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _lines(found: EnergyEntry, name: str, label: str) -> list[str]:
    of = found.energy
    ends = f"{energy_text(of.low_mj)} to {energy_text(of.high_mj)}"
    return [
        f"{name}: {energy_text(of.value_mj)} an inference, beyond idling",
        f"  95 % interval {ends}, over {of.rounds} rounds of windows and {of.runs} runs",
        f"  by {of.meter.name}, which takes {of.idle_mw:.0f} mW while nothing runs",
        f"  on {label}",
    ]
