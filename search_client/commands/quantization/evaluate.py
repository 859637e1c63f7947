"""`search-client evaluate`."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from netspec.client import ProfilerClient
from netspec.console.command import AsJson, print_json
from netspec.console.connection import DEFAULT_URL
from netspec.console.units import latency_text
from netspec.errors import UserError
from search_client.commands.options import (
    ProfilerUrl,
    TargetOption,
    console,
)
from search_client.commands.quantization.options import ModelFile, require_file


def evaluate(
    model: ModelFile,
    data: Annotated[
        Path, typer.Option(help="FOLDER/test/CLASS/*, FOLDER/val/CLASS/* or FOLDER/CLASS/*.")
    ],
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default one a core.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Have the profiler measure its latency, too.")
    ] = False,
    profiler_url: ProfilerUrl = DEFAULT_URL,
    target: TargetOption = None,
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="Visits, with --measure.")] = 40,
    as_json: AsJson = False,
) -> None:
    """Measure the accuracy of a .tflite file itself, by LiteRT, on all cores.

    With --measure also its latency on a target, through the profiler. A trained network
    (RUN/NAME.network.pt) is evaluated in torch, in each precision that it has.
    """
    from search_client.deployment.accuracy import evaluate_file  # noqa: PLC0415
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.stages.measure import measure_models  # noqa: PLC0415

    require_file(model)
    if model.suffix == ".pt":
        if measure:
            raise UserError(
                f"--measure takes a .tflite file, got {model}; `search-client export` writes one"
            )
        _evaluate_network(model, data, as_json=as_json)
        return
    stages = Stages()
    with ProfilerClient(profiler_url) if measure else nullcontext() as client:
        # Before the images: a profiler that is not there, or takes no such file, is told at once.
        if client is not None:
            chosen = client.target(target)
            subject = client.upload_model(model.read_bytes(), model.name)
        with stages.stage("evaluate", f"Run {model}"), stages.bar("images") as advance:
            found = evaluate_file(model, data, workers, advance)
        if client is not None:
            entries = measure_models(client, chosen, [subject], rounds=rounds, stages=stages)
            entry = entries[subject.sha256]
    told: dict[str, Any] = asdict(found)
    if measure:
        told |= {
            "target": chosen.id,
            "latency_ms": entry.value_ms,
            "latency_low_ms": entry.low_ms,
            "latency_high_ms": entry.high_ms,
        }
    if as_json:
        print_json(told)
        return
    console.print(f"top-1 {found.top1:.2%}, top-5 {found.top5:.2%} of {found.images} images")
    if measure:
        console.print(f"{latency_text(entry.value_ms)} on target {told['target']}")


def _evaluate_network(file: Path, data: Path, *, as_json: bool) -> None:
    """The top-1 accuracy of a trained network in torch on the test part of a folder."""
    from search_client.deployment.trained_network import read_trained_network  # noqa: PLC0415
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.stages.data import read_images  # noqa: PLC0415
    from search_client.stages.train import evaluate_network  # noqa: PLC0415

    stages = Stages()
    trained = read_trained_network(file)
    _, test = read_images(data, trained.network.input_size, stages)
    with stages.stage("evaluate", f"Run {file}"):
        top1 = evaluate_network(trained, test)
    if as_json:
        quantized = {"top1_int8": top1["int8"]} if "int8" in top1 else {}
        print_json({"top1": top1["float32"], **quantized, "images": len(test)})
        return
    for precision, accuracy in top1.items():
        console.print(f"{precision}: top-1 {accuracy:.2%} of {len(test)} images")
