"""`search-client export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from search_client.commands.options import console
from search_client.commands.quantization_options import (
    ArtifactName,
    CompareImages,
    DataOf,
    RunOf,
    data_folder,
)


def export(
    run: RunOf,
    network: ArtifactName = "searched",
    form: Annotated[
        Literal["int8", "uint8", "float32", "float16"],
        typer.Option(help="uint8: an int8 network that takes and gives uint8; float16: weights."),
    ] = "int8",
    data: DataOf = None,
    out: Annotated[
        Path | None, typer.Option(help="The file; by default RUN/NETWORK.FORM.tflite.")
    ] = None,
    images: CompareImages = 1000,
) -> None:
    """Write a trained network as .tflite, if it computes what torch computes.

    The file is compared with torch on test images under reference kernels, builtin kernels and
    XNNPACK, and is not written if it strays. Its labels lie beside it.
    """
    from search_client.deployment.export import export as run_export  # noqa: PLC0415
    from search_client.deployment.export import write  # noqa: PLC0415
    from search_client.deployment.trained_network import load_artifact  # noqa: PLC0415
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.stages.data import read_images  # noqa: PLC0415
    from search_client.stages.quantize import comparison_images, labelled_for  # noqa: PLC0415

    stages = Stages()
    artifact = load_artifact(run, network)
    size = artifact.network.input_size
    _, test = read_images(data_folder(data, artifact), size, stages)
    compared = comparison_images(labelled_for(artifact, test), size, images)
    with stages.stage("export", "Compare the file with torch"), stages.bar("images") as advance:
        exported = run_export(artifact, form, *compared, advance)
    path = out or run / f"{network}.{form}.tflite"
    write(exported, artifact, path)
    console.print(f"Wrote {path} and its labels", markup=False)
