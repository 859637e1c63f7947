"""`search-client quantize`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search_client.commands.options import console
from search_client.commands.quantization_options import (
    ArtifactName,
    CompareImages,
    DataOf,
    RunOf,
    data_folder,
    integers,
)


def quantize(
    run: RunOf,
    network: ArtifactName = "searched",
    weights: Annotated[
        Path | None,
        typer.Option(help="Float weights that `search-client train` wrote, in place of --network."),
    ] = None,
    data: DataOf = None,
    name: Annotated[
        str | None, typer.Option("--as", help="Name of the result; by default the network's.")
    ] = None,
    ptq: Annotated[
        bool,
        typer.Option("--ptq", help="Only observe ranges on training images; do not finetune."),
    ] = False,
    epochs: Annotated[int, typer.Option(min=1, help="Of finetuning.")] = 10,
    learning_rate: Annotated[float, typer.Option(min=1e-9, help="Peak of the cosine.")] = 0.005,
    norm_epochs: Annotated[
        int, typer.Option(min=0, help="First ones, in which BatchNorm follows the batches.")
    ] = 5,
    frozen_epochs: Annotated[
        int, typer.Option(min=0, help="Last ones, with BatchNorm and ranges fixed.")
    ] = 2,
    distillation: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the float network's choices in the loss.")
    ] = 0.0,
    float_blocks: Annotated[
        str, typer.Option(help="Operators to keep in float32, as in 3,7 (see quantization-report).")
    ] = "",
    background: Annotated[
        bool, typer.Option("--background", help="Put a background class in front: 1000 -> 1001.")
    ] = False,
    classes_of_data: Annotated[
        bool,
        typer.Option("--classes-of-data", help="Take over the data's classes; new ones untrained."),
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Images of a step.")] = 256,
    seed: Annotated[int, typer.Option(min=0, help="Of the data's order and of new classes.")] = 0,
    images: CompareImages = 1000,
) -> None:
    """Make a trained network int8, by finetuning or post-training, and export it verified.

    Leaves RUN/NAME.network.pt, RUN/NAME.int8.tflite and RUN/NAME.int8.labels.txt. The file is
    only written if it computes what torch computes, on every kernel set.
    """
    from search_client.deployment.export import export, write  # noqa: PLC0415
    from search_client.deployment.trained_network import Source, load_artifact  # noqa: PLC0415
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.quantization.finetuning import QatConfig  # noqa: PLC0415
    from search_client.stages.quantize import (  # noqa: PLC0415
        QuantizeOptions,
        as_artifact,
        background_added,
        classes_changed,
        comparison_images,
        labelled_for,
        quantize_artifact,
        read_images,
    )
    from search_client.stages.train import load_network  # noqa: PLC0415

    stages = Stages(console)
    finetuning = QatConfig(
        epochs=epochs,
        learning_rate=learning_rate,
        norm_epochs=norm_epochs,
        frozen_epochs=frozen_epochs,
        distillation=distillation,
    )
    blocks = integers(float_blocks, "--float-blocks")
    if weights is None:
        artifact = load_artifact(run, network)
        training, test = read_images(
            data_folder(data, artifact), artifact.network.input_size, stages
        )
    else:
        folder, model = data_folder(data, None), load_network(weights)
        training, test = read_images(folder, model.network.input_size, stages)
        artifact = as_artifact(model, training.classes, Source(run.name, None, str(folder)))
    if classes_of_data:
        artifact = classes_changed(artifact, training.classes, seed)
    if background:
        artifact = background_added(artifact, seed)
    options = QuantizeOptions(None if ptq else finetuning, blocks, batch_size, seed)
    artifact = quantize_artifact(artifact, labelled_for(artifact, training), options, stages)
    compared = comparison_images(labelled_for(artifact, test), artifact.network.input_size, images)
    with stages.stage("export", "Compare the file with torch"), stages.bar("images") as advance:
        exported = export(artifact, "int8", *compared, advance)
    result = name or (weights.stem if weights is not None else network)
    artifact.save(run, result)
    path = run / f"{result}.int8.tflite"
    write(exported, artifact, path)
    worst = exported.verification.worst
    console.print(
        f"{path}: top-1 {worst.accuracy:.2%} on {exported.verification.images} images; agrees "
        f"with torch on {worst.top1_agreement:.2%}, at most {worst.max_steps} output steps apart",
        markup=False,
    )
