"""Networks that a command names: shipped ones, and those of files."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from netspec.errors import UserError
from netspec.networks import SHIPPED_NETWORKS, Network
from netspec.suggestions import did_you_mean
from netspec.validation import first_problem

Width = Annotated[
    float, typer.Option(min=0.05, max=4, help="Multiplies channels of a shipped network.")
]
InputSize = Annotated[int, typer.Option(min=8, max=4096, help="Of a shipped network, px.")]


def chosen_network(name: str, width: float, input_size: int, classes: int) -> Network:
    """A shipped network for that many classes, or the one of a JSON file.

    Raises:
        UserError: there is none of that name, it has no width, or the file holds none.
    """
    build = SHIPPED_NETWORKS.get(name)
    if build is None:
        file = Path(name)
        if not file.is_file():
            raise UserError(
                f"there is no shipped network {name!r} and no such file; "
                f"{did_you_mean(name, SHIPPED_NETWORKS)}"
            )
        try:
            return Network.model_validate_json(file.read_bytes()).with_precision("float32")
        except ValidationError as error:
            raise UserError(f"{file} is no network: {first_problem(error, Network)}") from error
    widths = {"width": width} if "width" in inspect.signature(build).parameters else {}
    if not widths and width != 1:
        raise UserError(f"{name} has one width; leave --width out, or give the network's JSON")
    return build(input_size=input_size, classes=classes, **widths)
