"""`search-client train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from netspec.console.outputs import make_folder
from netspec.errors import UserError
from netspec.networks import Network
from netspec.validation import first_problem
from search_client.commands.options import (
    DataFolder,
    Loggers,
    Overrides,
    Resume,
    SearchRun,
    console,
    observed_stages,
    overridden,
)


def train(
    run: SearchRun,
    data: DataFolder,
    network: Annotated[
        Path | None,
        typer.Option(help="A network's JSON or NAME.network.pt; by default RUN/network.json."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File for the network; by default RUN/float.network.pt.")
    ] = None,
    overrides: Overrides = None,
    log: Loggers = None,
    resume: Resume = False,
) -> None:
    """Train a search's network, by the search's recipe.

    From scratch or, with train.start = "supernet", from the weights that the search trained.
    Ctrl-C and SIGTERM save the training; --resume goes on from there.
    """
    from search_client.deployment.trained_network import Source  # noqa: PLC0415
    from search_client.runs.load import read_run  # noqa: PLC0415
    from search_client.runs.record import NETWORK, read_record  # noqa: PLC0415
    from search_client.stages.data import read_data  # noqa: PLC0415
    from search_client.stages.train import train_network  # noqa: PLC0415
    from search_client.training import distributed  # noqa: PLC0415

    record = read_record(run)
    settings = overridden(record.settings, overrides)
    chosen = _network(network or run / NETWORK)
    weights = out or run / "float.network.pt"
    make_folder(weights.parent)
    with (
        distributed.joined(),
        observed_stages(log, run, "train", settings.model_dump(mode="json")) as stages,
    ):
        training, test = read_data(data, settings, stages, record.classes)
        train_network(
            chosen.with_precision("float32"),
            training,
            test,
            settings,
            stages,
            source=Source(run.name, record.targets[0].snapshot, str(data)),
            weights=weights,
            resume=resume,
            supernet=read_run(run) if settings.train.start == "supernet" else None,
        )
        if distributed.rank() == 0:
            console.print(f"Trained network: {weights}", markup=False)


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
