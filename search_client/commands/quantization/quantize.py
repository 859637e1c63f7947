"""`search-client quantize`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from netspec.errors import UserError
from search_client.commands.completion import complete_recipe
from search_client.commands.options import Loggers, Resume, console, observed_stages
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
    integers,
    runtime_of,
)

if TYPE_CHECKING:
    from search_client.deployment.export import Exported


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
    recipe: Annotated[
        str | None,
        typer.Option(
            help="A shipped recipe's name, or a TOML file; options replace its values.",
            autocompletion=complete_recipe,
            show_default="the defaults of options",
        ),
    ] = None,
    ptq: Annotated[
        bool,
        typer.Option("--ptq", help="Only observe ranges on training images; do not finetune."),
    ] = False,
    ranges: Annotated[
        Literal["minmax", "percentile", "mse"] | None,
        typer.Option(
            help="With --ptq: of activations: all that occurs, but for 1 in 10,000, or what rounds "
            "with the least squared error.",
            show_default="the recipe's",
        ),
    ] = None,
    equalise: Annotated[
        bool | None,
        typer.Option(
            "--equalise/--no-equalise",
            help="With --ptq: give channels alike ranges where that changes nothing in float.",
            show_default="the recipe's",
        ),
    ] = None,
    correct_bias: Annotated[
        bool | None,
        typer.Option(
            "--correct-bias/--no-correct-bias",
            help="With --ptq: have biases take back what rounding shifts means by.",
            show_default="the recipe's",
        ),
    ] = None,
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
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images of a step.", show_default="256")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Of the data's order and of new classes.", show_default="0"),
    ] = None,
    runtime: RuntimeOf = None,
    classifier_scales: ScalesOf = None,
    allow_partial: AllowPartial = False,
    images: CompareImages = 1000,
    workers: Workers = None,
    memory_gb: MemoryGb = None,
    log: Loggers = None,
    resume: Resume = False,
) -> None:
    """Make a trained network int8, by finetuning or post-training, and export it verified.

    Leaves RUN/NAME.network.pt, RUN/NAME.int8.tflite and RUN/NAME.int8.labels.txt. The file is
    only written if it computes what torch computes, on every kernel set, and XNNPACK takes it
    whole. Ctrl-C and SIGTERM save
    the finetuning; --resume goes on from there. `torchrun` shares it among processes.
    """
    from search_client.data.batches import CentralCrops  # noqa: PLC0415
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
    from search_client.recipe import Recipe, read_recipe  # noqa: PLC0415
    from search_client.stages.data import read_images  # noqa: PLC0415
    from search_client.stages.quantize import (  # noqa: PLC0415
        QuantizeOptions,
        background_added,
        classes_changed,
        quantize_network,
        refuse_undelegated,
    )
    from search_client.training import distributed  # noqa: PLC0415

    chosen = given(
        epochs=epochs,
        learning_rate=learning_rate,
        norm_epochs=norm_epochs,
        frozen_epochs=frozen_epochs,
        distillation=distillation,
    )
    calibration = given(ranges=ranges, equalise=equalise, correct_bias=correct_bias)
    if ptq:
        _refuse_beside_ptq([*chosen, *given(log=log, resume=resume or None)])
    else:
        _refuse_without_ptq(list(calibration))
    settings = Recipe() if recipe is None else read_recipe(recipe)
    seed = settings.seed if seed is None else seed
    options = QuantizeOptions(
        None if ptq else QatConfig.model_validate({**settings.finetune.model_dump(), **chosen}),
        settings.post_training.model_copy(update=calibration),
        integers(float_blocks, "--float-blocks"),
        batch_size or settings.batch_size,
        seed,
        settings.train.augment,
        settings.checkpoint_minutes,
    )
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
                source = Source.of(run, None, data_folder(data, None))
                trained = replace(trained, source=source)
        training, test = read_images(
            data_folder(data, trained),
            trained.network.input_size,
            stages,
            workers=settings.workers if workers is None else workers,
            memory_gb=settings.memory_gb if memory_gb is None else memory_gb,
            unreadable_share=settings.unreadable_share,
        )
        trained = trained.with_labels(training.classes)
        if classes_of_data:
            trained = classes_changed(trained, training.classes, seed)
        if background:
            trained = background_added(trained, seed)
        if not allow_partial:
            refuse_undelegated(trained, options)
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
    compared = CentralCrops(trained.relabelled(test), trained.network.input_size, images)
    with stages.stage("export", "Compare the file with torch"), stages.bar("images") as advance:
        exported = export(
            trained, "int8", compared, advance, runtime=oldest, allow_partial=allow_partial
        )
    trained.save(run, name)
    path = run / f"{name}.int8.tflite"
    write(exported, trained, path)
    checkpoint.unlink(missing_ok=True)
    _tell(exported, path)


def _tell(exported: Exported, path: Path) -> None:
    worst = exported.verification.worst
    console.print(
        f"{path}: top-1 {worst.accuracy:.2%} on {exported.verification.images} images; agrees "
        f"with torch on {worst.top1_agreement:.2%}, at most {worst.max_steps} output steps apart",
        markup=False,
    )
    if exported.delegated is not None:
        console.print(exported.delegated.text, markup=False)


def _refuse_beside_ptq(options: Sequence[str]) -> None:
    """See that no option of finetuning was given with --ptq.

    Raises:
        UserError: one was; all are named.
    """
    if options:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in options)
        raise UserError(f"--ptq trains no weight, so it takes no {named}; leave out either")


def _refuse_without_ptq(options: Sequence[str]) -> None:
    """See that no option of post-training quantization was given without --ptq.

    Raises:
        UserError: one was; all are named.
    """
    if options:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in options)
        raise UserError(f"{named}: of --ptq, which calibrates; finetuning learns by itself")
