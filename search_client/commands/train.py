"""`search-client train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from netspec.console.outputs import make_folder
from netspec.errors import UserError
from netspec.networks import Network
from netspec.validation import first_problem
from search_client.commands.architectures import InputSize, Width, chosen_network
from search_client.commands.completion import complete_network, complete_recipe
from search_client.commands.options import (
    DataFolder,
    Loggers,
    Overrides,
    Resume,
    console,
    observed_stages,
    overridden,
)

if TYPE_CHECKING:
    from search_client.recipe import Recipe


def train(
    run: Annotated[
        Path, typer.Option("--run", help="Folder of a search; with --recipe any, for the network.")
    ],
    data: DataFolder,
    network: Annotated[
        str | None,
        typer.Option(
            help="A network's JSON or NAME.network.pt, or with --recipe a shipped network's name; "
            "by default RUN/network.json.",
            autocompletion=complete_network,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Train by a shipped recipe or a TOML file; no search is needed then.",
            autocompletion=complete_recipe,
            show_default="the search's",
        ),
    ] = None,
    width: Width = 1.0,
    input_size: InputSize = 224,
    out: Annotated[
        Path | None, typer.Option(help="File for the network; by default RUN/float.network.pt.")
    ] = None,
    overrides: Overrides = None,
    log: Loggers = None,
    resume: Resume = False,
) -> None:
    """Train a search's network, by the search's recipe, or any network by a recipe.

    From scratch or, with train.start = "supernet", from the weights that the search trained.
    Ctrl-C and SIGTERM save the training; --resume goes on from there. `torchrun` shares it among
    processes.
    """
    from search_client.deployment.trained_network import Source  # noqa: PLC0415
    from search_client.recipe import read_recipe  # noqa: PLC0415
    from search_client.runs.load import read_run  # noqa: PLC0415
    from search_client.runs.record import NETWORK, read_record  # noqa: PLC0415
    from search_client.stages.data import read_data  # noqa: PLC0415
    from search_client.stages.train import train_network  # noqa: PLC0415
    from search_client.training import distributed  # noqa: PLC0415

    if recipe is None:
        record = read_record(run)
        settings = overridden(record.settings, overrides)
        classes, snapshot = record.classes, record.targets[0].snapshot
        chosen = _network(Path(network) if network else run / NETWORK)
    else:
        settings = read_recipe(recipe, overrides or [])
        classes, snapshot, chosen = (), None, None
        _require_network(network, settings)
    weights = out or run / "float.network.pt"
    make_folder(weights.parent)
    with (
        distributed.joined(),
        observed_stages(log, run, "train", settings.model_dump(mode="json")) as stages,
    ):
        training, test = read_data(data, settings, stages, classes)
        if chosen is None:
            chosen = _named(str(network), width, input_size, len(training.classes))
        train_network(
            chosen.with_precision("float32"),
            training,
            test,
            settings,
            stages,
            source=Source.of(run, snapshot, data),
            weights=weights,
            resume=resume,
            supernet=read_run(run) if settings.train.start == "supernet" else None,
        )
        if distributed.rank() == 0:
            console.print(f"Trained network: {weights}", markup=False)


def _require_network(network: str | None, settings: Recipe) -> None:
    """See that a recipe without a search has all that a training needs.

    Raises:
        UserError: no network is named, or it starts from a supernet.
    """
    if network is None:
        raise UserError(
            "--recipe trains without a search, so it needs a --network: mobilenet_v2, or a file"
        )
    if settings.train.start == "supernet":
        raise UserError(
            'train.start = "supernet" needs the supernet of a search; leave out --recipe, or add '
            "--set train.start=scratch"
        )


def _named(name: str, width: float, input_size: int, classes: int) -> Network:
    """A shipped network for that many classes, or that of a file.

    Raises:
        UserError: there is none of that name, or it is for another number of classes.
    """
    file = Path(name)
    found = (
        _network(file) if file.suffix == ".pt" else chosen_network(name, width, input_size, classes)
    )
    if found.classes != classes:
        raise UserError(
            f"{name} tells {found.classes} classes apart, but the data has {classes}; give data of "
            "its classes"
        )
    return found


def _network(path: Path) -> Network:
    """The architecture in a network's JSON, or in a trained network's file."""
    from search_client.deployment.trained_network import read_trained_network  # noqa: PLC0415

    if path.suffix == ".pt":
        return read_trained_network(path).network
    try:
        return Network.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"there is no network {path}; run `search-client derive` first") from error
    except ValidationError as error:
        raise UserError(f"{path} is no network: {first_problem(error, Network)}") from error
