"""`search-client export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from netspec.errors import UserError
from search_client.commands.options import console
from search_client.commands.quantization.options import (
    AllowPartial,
    CompareImages,
    DataOf,
    MemoryGb,
    NetworkName,
    RunOf,
    RuntimeOf,
    ScalesOf,
    Workers,
    data_folder,
    given,
    runtime_of,
)


def export(
    run: RunOf,
    network: NetworkName = "searched",
    form: Annotated[
        Literal[
            "int8",
            "uint8",
            "int16x8",
            "float32",
            "float16",
            "dynamic",
            "onnx",
            "onnx-int8",
            "torch",
        ],
        typer.Option(
            help="uint8: an int8 network that takes and gives uint8; int16x8: one with int16 "
            "activations; float16: weights; dynamic: int8 weights, of a float network; onnx and "
            "onnx-int8: ONNX files; torch: a program of torch.export."
        ),
    ] = "int8",
    data: DataOf = None,
    out: Annotated[
        Path | None, typer.Option(help="The file; by default RUN/NETWORK.FORM.tflite.")
    ] = None,
    runtime: RuntimeOf = None,
    classifier_scales: ScalesOf = None,
    uniform_input: Annotated[
        bool,
        typer.Option(
            "--uniform-input",
            help="float32, float16: take images in [-1, 1], as MediaPipe can give them.",
        ),
    ] = False,
    allow_partial: AllowPartial = False,
    images: CompareImages = 1000,
    workers: Workers = None,
    memory_gb: MemoryGb = None,
) -> None:
    """Write a trained network as .tflite, if it computes what torch computes.

    The file is compared with torch on test images under reference kernels, builtin kernels and
    XNNPACK, and is not written if it strays, or if XNNPACK does not take it
    whole. Its labels are within it and lie beside it. ONNX files
    are run by onnxruntime, and a program of torch.export by torch.
    """
    from search_client.data.batches import CentralCrops  # noqa: PLC0415
    from search_client.deployment.export import choose_scales, write  # noqa: PLC0415
    from search_client.deployment.export import export as run_export  # noqa: PLC0415
    from search_client.deployment.other_formats import SUFFIXES, export_other  # noqa: PLC0415
    from search_client.deployment.trained_network import load_trained_network  # noqa: PLC0415
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.stages.data import read_test_images  # noqa: PLC0415

    stages = Stages()
    oldest = runtime_of(runtime)
    if oldest is not None and form in SUFFIXES:
        raise UserError(f"--runtime is of .tflite files, and {form} is none; leave it out")
    if uniform_input and form not in ("float32", "float16"):
        raise UserError(f"--uniform-input is of float32 and float16, not {form}; leave it out")
    trained = load_trained_network(run, network)
    choose_scales(trained, classifier_scales, oldest)
    size = trained.network.input_size
    test = read_test_images(
        data_folder(data, trained), size, stages, **given(workers=workers, memory_gb=memory_gb)
    )
    trained = trained.with_labels(test.classes)
    compared = CentralCrops(trained.relabelled(test), size, images)
    with stages.stage("export", "Compare the file with torch"), stages.bar("images") as advance:
        if form == "onnx" or form == "onnx-int8" or form == "torch":  # noqa: PLR1714 - narrows
            exported = export_other(trained, form, compared, advance)
            suffix = SUFFIXES[form]
        else:
            exported = run_export(
                trained,
                form,
                compared,
                advance,
                runtime=oldest,
                uniform_input=uniform_input,
                allow_partial=allow_partial,
            )
            suffix = f"{form}.tflite"
    path = out or run / f"{network}.{suffix}"
    write(exported, trained, path)
    console.print(f"Wrote {path} and its labels", markup=False)
    if exported.delegated is not None:
        console.print(exported.delegated.text, markup=False)
