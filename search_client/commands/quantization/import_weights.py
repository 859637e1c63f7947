"""`search-client import-weights`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from netspec.console.outputs import make_folder
from netspec.errors import UserError
from search_client.commands.architectures import InputSize, Width, chosen_network
from search_client.commands.completion import complete_network
from search_client.commands.options import console


def import_weights(
    weights: Annotated[
        Path, typer.Argument(help="A .safetensors or .pth file.", metavar="WEIGHTS")
    ],
    network: Annotated[
        str,
        typer.Option(
            help="Of the weights: a shipped network's name, or a network's JSON file.",
            autocompletion=complete_network,
        ),
    ],
    run: Annotated[Path, typer.Option("--run", help="Folder for NAME.network.pt.")],
    name: Annotated[
        str | None, typer.Option("--as", help="NAME; by default the shipped network's.")
    ] = None,
    program: Annotated[
        Literal["timm", "timm-tf", "proxylessnas"] | None,
        typer.Option(
            help="What trained them: it decides epsilon, padding and normalisation.",
            show_default="timm or proxylessnas, by the names of the weights",
        ),
    ] = None,
    width: Width = 1.0,
    input_size: InputSize = 224,
    labels: Annotated[
        Path | None,
        typer.Option(help="Names of the classes, one a line.", show_default="those of the data"),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of images for later commands.")] = None,
) -> None:
    """Take over weights of timm or ProxylessNAS into a trained network.

    Each tensor goes to a layer of its shape, or is named. `quantize`, `export` and `evaluate`
    then take RUN/NAME.network.pt as one that was trained here. timm-tf: timm's tf_ variants.
    """
    from search_client.deployment.trained_network import (  # noqa: PLC0415
        Source,
        TrainedNetwork,
        trained_network_path,
    )
    from search_client.networks.foreign_weights import (  # noqa: PLC0415
        CONVENTIONS,
        classes_of,
        float_network,
        program_of,
    )
    from search_client.networks.state_dicts import read_state_dict  # noqa: PLC0415
    from search_client.quantization.pixels import USUAL  # noqa: PLC0415

    tensors = read_state_dict(weights)
    chosen = program or program_of(tensors)
    found = classes_of(tensors)
    architecture = chosen_network(network, width, input_size, found)
    path = trained_network_path(run, name or Path(network).stem)
    names = () if labels is None else _labels(labels, found)
    convention = CONVENTIONS[chosen]
    model = float_network(architecture, tensors, convention, USUAL)
    make_folder(run)
    source = Source.of(run, None, data)
    TrainedNetwork(names, source, model).write(path)
    images = convention.normalisation or USUAL
    console.print(
        f"Wrote {path}: {architecture.name}, {found} classes; as {chosen} has it: BatchNorm's "
        f"epsilon {convention.eps:g}, {convention.padding} padding, images of mean "
        f"{images.mean} and deviation {images.std}",
        markup=False,
        soft_wrap=True,
    )


def _labels(file: Path, classes: int) -> tuple[str, ...]:
    """Names of the classes from a file.

    Raises:
        UserError: it cannot be read, or has another number of lines.
    """
    try:
        names = tuple(file.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the labels {file} cannot be read; give a text file") from error
    if len(names) != classes:
        raise UserError(
            f"{file} has {len(names)} lines, but the weights tell {classes} classes apart; give "
            "a name for each, one a line"
        )
    return names
