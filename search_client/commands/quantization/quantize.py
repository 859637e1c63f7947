"""`search-client quantize`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from netspec.errors import UserError
from search_client.commands.options import Loggers, Resume, console, observed_stages
from search_client.commands.quantization.options import (
    CompareImages,
    DataOf,
    NetworkName,
    RunOf,
    RuntimeOf,
    ScalesOf,
    data_folder,
    integers,
    runtime_of,
)


def quantize(
    run: RunOf,
    network: NetworkName = "searched",
    weights: Annotated[
        Path | None,
        typer.Option(help="A trained network's file, in place of --network."),
    ] = None,
    data: DataOf = None,
    name: Annotated[
        str | None, typer.Option("--as", help="Name of the result; by default the network's.")
    ] = None,
    ptq: Annotated[
        bool,
        typer.Option("--ptq", help="Only observe ranges on training images; do not finetune."),
    ] = False,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Of finetuning.", show_default="10")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=1e-9, help="Peak of the cosine.", show_default="0.005")
    ] = None,
    norm_epochs: Annotated[
        int | None,
        typer.Option(
            min=0, help="First ones, in which BatchNorm follows the batches.", show_default="5"
        ),
    ] = None,
    frozen_epochs: Annotated[
        int | None,
        typer.Option(min=0, help="Last ones, with BatchNorm and ranges fixed.", show_default="2"),
    ] = None,
    distillation: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Share of the float network's choices in the loss.", show_default="0"
        ),
    ] = None,
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
    runtime: RuntimeOf = None,
    classifier_scales: ScalesOf = None,
    images: CompareImages = 1000,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0, help="Processes that decode images not kept in memory.", show_default="4"
        ),
    ] = None,
    memory_gb: Annotated[
        float | None,
        typer.Option(min=0, help="Images are kept in memory up to so many GB.", show_default="4"),
    ] = None,
    log: Loggers = None,
    resume: Resume = False,
) -> None:
    """Make a trained network int8, by finetuning or post-training, and export it verified.

    Leaves RUN/NAME.network.pt, RUN/NAME.int8.tflite and RUN/NAME.int8.labels.txt. The file is
    only written if it computes what torch computes, on every kernel set. Ctrl-C and SIGTERM save
    the finetuning; --resume goes on from there. `torchrun` shares it among processes.
    """
    from search_client.deployment.export import choose_scales, export, write  # noqa: PLC0415
    from search_client.deployment.trained_network import (  # noqa: PLC0415
        Source,
        load_trained_network,
        read_trained_network,
        trained_network_name,
        trained_network_path,
        unfinished_path,
    )
    from search_client.quantization.finetuning import QatConfig  # noqa: PLC0415
    from search_client.stages.data import read_images  # noqa: PLC0415
    from search_client.stages.quantize import (  # noqa: PLC0415
        QuantizeOptions,
        background_added,
        classes_changed,
        comparison_images,
        quantize_network,
    )
    from search_client.training import distributed  # noqa: PLC0415

    given = _given(
        epochs=epochs,
        learning_rate=learning_rate,
        norm_epochs=norm_epochs,
        frozen_epochs=frozen_epochs,
        distillation=distillation,
    )
    if ptq:
        _refuse_beside_ptq([*given, *_given(log=log, resume=resume or None)])
    finetuning = None if ptq else QatConfig.model_validate(given)
    blocks = integers(float_blocks, "--float-blocks")
    options = QuantizeOptions(finetuning, blocks, batch_size, seed)
    oldest = runtime_of(runtime)
    if name is None:
        name = network if weights is None else trained_network_name(weights)
    saved = trained_network_path(run, name)
    checkpoint = unfinished_path(saved)
    with (
        distributed.joined(),
        observed_stages(log, run, "quantize", options.settings()) as stages,
    ):
        if weights is None:
            trained = load_trained_network(run, network)
        else:
            trained = read_trained_network(weights)
            if not trained.source.run:
                source = Source(run.name, None, str(data_folder(data, None)))
                trained = replace(trained, source=source)
        training, test = read_images(
            data_folder(data, trained),
            trained.network.input_size,
            stages,
            **_given(workers=workers, memory_gb=memory_gb),
        )
        trained = trained.with_labels(training.classes)
        if classes_of_data:
            trained = classes_changed(trained, training.classes, seed)
        if background:
            trained = background_added(trained, seed)
        trained = quantize_network(
            trained,
            trained.relabelled(training),
            options,
            stages,
            checkpoint=checkpoint,
            resume=resume,
        )
        if distributed.rank() > 0:
            return
    choose_scales(trained, classifier_scales, oldest)
    size = trained.network.input_size
    compared = comparison_images(trained.relabelled(test), size, images)
    with stages.stage("export", "Compare the file with torch"), stages.bar("images") as advance:
        exported = export(trained, "int8", *compared, advance, runtime=oldest)
    trained.save(run, name)
    path = run / f"{name}.int8.tflite"
    write(exported, trained, path)
    checkpoint.unlink(missing_ok=True)
    worst = exported.verification.worst
    console.print(
        f"{path}: top-1 {worst.accuracy:.2%} on {exported.verification.images} images; agrees "
        f"with torch on {worst.top1_agreement:.2%}, at most {worst.max_steps} output steps apart",
        markup=False,
    )


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that a user gave; the others have their defaults where they are used."""
    return {name: value for name, value in options.items() if value is not None}


def _refuse_beside_ptq(given: Sequence[str]) -> None:
    """See that no option of finetuning was given with --ptq.

    Raises:
        UserError: one was; all are named.
    """
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UserError(f"--ptq changes no weight, so it takes no {options}; leave out either")
