"""`search-client evaluate`."""

from __future__ import annotations

from collections.abc import Iterable
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
from search_client.commands.quantization.on_device import DevicePlace, evaluate_there
from search_client.commands.quantization.options import (
    MemoryGb,
    ModelFile,
    given,
    normalisation_of,
    require_file,
)


def evaluate(
    model: ModelFile,
    data: Annotated[
        Path,
        typer.Option(
            help="FOLDER/test/CLASS/*, FOLDER/val/CLASS/*, FOLDER/CLASS/* or shards, as "
            "FOLDER/val-*.tar."
        ),
    ],
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default one a core.")
    ] = None,
    memory_gb: MemoryGb = None,
    mean: Annotated[
        str | None,
        typer.Option(
            help="Of pixels in 0..1, for all channels or R,G,B, as in 0.5: what the file's images "
            "are normalised by.",
            show_default="as the file says",
        ),
    ] = None,
    std: Annotated[
        str | None, typer.Option(help="The same of their deviation.", show_default="as with --mean")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Have the profiler measure its latency, too.")
    ] = False,
    on_device: Annotated[
        bool,
        typer.Option(
            "--on-device",
            help="Have a device of the target run the images, measure the file there, and compare.",
        ),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="With --on-device: take what the target has run of the file and images before.",
        ),
    ] = False,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", help="With --on-device: the run that the file is of, to compare with torch."
        ),
    ] = None,
    profiler_url: ProfilerUrl = DEFAULT_URL,
    target: TargetOption = None,
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="Visits, with --measure.")] = 40,
    as_json: AsJson = False,
) -> None:
    """Measure the accuracy of a .tflite file itself, by LiteRT, on all cores.

    With --measure also its latency on a target, through the profiler. With --on-device the
    target's device runs the images in place of this machine's cores: accuracy there, latency, load
    time and peak memory, and where it strays from this machine and, with --run, from torch. A
    trained network (RUN/NAME.network.pt) is evaluated in torch, in each precision that it has.
    `torchrun` shares the images among processes.
    """
    from search_client.deployment.accuracy import evaluate_file  # noqa: PLC0415
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.stages.measure import measure_models  # noqa: PLC0415
    from search_client.training import distributed  # noqa: PLC0415

    require_file(model)
    normalisation = normalisation_of(mean, std)
    if model.suffix == ".pt":
        only_files = {"measure": measure or None, "on-device": on_device or None}
        _refuse_beside_network(model, given(**only_files, mean=mean, std=std))
        with distributed.joined():
            options = given(workers=workers, memory_gb=memory_gb)
            _evaluate_network(model, data, options, as_json=as_json)
        return
    if on_device or resume or run is not None:
        place = DevicePlace(profiler_url, target, rounds, resume) if on_device else None
        evaluate_there(model, data, normalisation, run, place, as_json=as_json)
        return
    with (
        distributed.joined(),
        ProfilerClient(profiler_url) if measure else nullcontext() as client,
    ):
        stages = Stages(quiet=distributed.rank() > 0)
        if measure and distributed.world() > 1:
            raise UserError("several processes only evaluate; leave out --measure")
        # Before the images: a profiler that is not there, or takes no such file, is told at once.
        if client is not None:
            chosen = client.target(target)
            subject = client.upload_model(model.read_bytes(), model.name)
        with stages.stage("evaluate", f"Run {model}"), stages.bar("images") as advance:
            found = evaluate_file(
                model, data, workers, advance, normalisation=normalisation, tell=stages.note
            )
        if distributed.rank() > 0:
            return
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


def _refuse_beside_network(file: Path, options: Iterable[str]) -> None:
    """See that a trained network is given nothing that only `.tflite` files have.

    Raises:
        UserError: it is; the first is named.
    """
    for name in options:
        raise UserError(
            f"--{name} takes a .tflite file, got {file}; `search-client export` writes one"
        )


def _evaluate_network(file: Path, data: Path, options: dict[str, Any], *, as_json: bool) -> None:
    """Show the top-1 accuracy of a trained network in torch on the test part of a folder."""
    from search_client.deployment.trained_network import read_trained_network  # noqa: PLC0415
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.stages.data import read_test_images  # noqa: PLC0415
    from search_client.stages.train import evaluate_network  # noqa: PLC0415
    from search_client.training import distributed  # noqa: PLC0415

    stages = Stages(quiet=distributed.rank() > 0)
    trained = read_trained_network(file)
    test = read_test_images(data, trained.network.input_size, stages, **options)
    with stages.stage("evaluate", f"Run {file}"):
        top1 = evaluate_network(trained, test)
    if distributed.rank() > 0:
        return
    if as_json:
        quantized = {"top1_int8": top1["int8"]} if "int8" in top1 else {}
        print_json({"top1": top1["float32"], **quantized, "images": len(test)})
        return
    for precision, accuracy in top1.items():
        console.print(f"{precision}: top-1 {accuracy:.2%} of {len(test)} images")
