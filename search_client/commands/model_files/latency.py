"""`search-client latency`."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from netspec.client import ModelLatency, ProfilerClient
from netspec.client.model_calls import ROUNDS, read_model
from netspec.console.command import AsJson, print_json
from netspec.console.connection import DEFAULT_URL
from netspec.console.units import latency_text, memory_text
from search_client.commands.model_files.prediction import show_prediction
from search_client.commands.options import (
    ProfilerUrl,
    TargetOption,
    console,
)
from search_client.progress import Stages, job_progress

#: kinds of kernels that are named; the rest is summed up
_MOST_KINDS = 12


def latency(
    model: Annotated[Path, typer.Argument(help="A .tflite file.", metavar="MODEL")],
    profiler_url: ProfilerUrl = DEFAULT_URL,
    target: TargetOption = None,
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="Visits to measure.")] = ROUNDS,
    predict: Annotated[
        bool, typer.Option("--predict", help="From the target's table alone: no device runs it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure, or predict, how long a .tflite file takes on a target.

    The file is uploaded, measured by an agent of the target in separate launches, and its latency
    printed with a 95 % interval, the time of loading it and of its first inference, its peak
    memory, who ran the graph, and, where the device profiles, what each kind of kernel takes. What
    was measured lately is not measured again.

    With --predict the file stays here: its layers are cut into the operators that the target's
    table knows best, and their calibrated sum is printed with an interval and the share of it that
    was predicted from other operators.
    """
    if predict:
        with ProfilerClient(profiler_url) as client:
            show_prediction(client.predict_model(model, target), as_json=as_json)
        return
    read_model(model)
    stages = Stages()
    with ProfilerClient(profiler_url) as client, stages.bar("visits") as advance:
        measured = client.measure(model, target, rounds=rounds, on_progress=job_progress(advance))
    if as_json:
        print_json(measured)
        return
    for line in _lines(measured):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if measured.kernels:
        console.print(_kernel_table(measured))


def _lines(measured: ModelLatency) -> list[str]:
    identity = measured.target.identity
    again = " (measured before)" if measured.reused else ""
    interval = f"{latency_text(measured.low_ms)} to {latency_text(measured.high_ms)}"
    lines = [
        f"{measured.name}: {latency_text(measured.value_ms)}",
        f"  95 % interval {interval}, {measured.visits} visits{again}",
        f"  on {identity.label}, target {measured.target.id}",
    ]
    if measured.load_ms is not None:
        lines.append(f"  loading the file: {latency_text(measured.load_ms)}")
    if measured.first_inference_ms is not None:
        lines.append(f"  first inference: {latency_text(measured.first_inference_ms)}")
    if measured.peak_memory_bytes is not None:
        lines.append(f"  peak memory: {memory_text(measured.peak_memory_bytes)}")
    if measured.who_runs:
        lines.append(f"  {measured.who_runs}")
    if measured.no_profile and not measured.kernels:
        lines.append(f"  what each kernel takes is not known: {measured.no_profile}")
    lines += [
        f"  {count} visits were rejected: {reason}" for reason, count in measured.rejected.items()
    ]
    return lines


def _kernel_table(measured: ModelLatency) -> Table:
    """Kinds of kernels by what they take together, the most first."""
    shares: dict[str, list[float]] = defaultdict(list)
    for kernel in measured.kernels:
        shares[kernel.kind].append(kernel.share)
    kinds = sorted(shares, key=lambda kind: -sum(shares[kind]))
    table = Table("kernel", Column("times", justify="right"), Column("share", justify="right"))
    for kind in kinds[:_MOST_KINDS]:
        table.add_row(kind, str(len(shares[kind])), f"{sum(shares[kind]):.1%}")
    rest = [share for kind in kinds[_MOST_KINDS:] for share in shares[kind]]
    if rest:
        table.add_row("others", str(len(rest)), f"{sum(rest):.1%}")
    return table
