"""Which of a run's networks a `.tflite` file was exported from."""

from __future__ import annotations

from pathlib import Path

from netspec.errors import UserError
from netspec.tflite.contents import operators_of
from search_client.deployment.export import QUANTIZED, choose_scales
from search_client.deployment.metadata import Form, read_metadata
from search_client.deployment.trained_network import (
    TrainedNetwork,
    load_trained_network,
    trained_network_names,
)


class UnknownOrigin(UserError):
    """A file was not exported from any network of a run."""


def find_origin(content: bytes, run: Path) -> tuple[TrainedNetwork, Form]:
    """The network that a file came from, and the form it was exported in.

    Raises:
        UnknownOrigin: the file says nothing of itself, or the run holds no such network.
        UserError: the bytes are no `.tflite` file.
    """
    metadata = read_metadata(content)
    if metadata is None:
        raise UnknownOrigin(
            "the model's metadata do not say which network it is; verify a file that "
            "`search-client export` wrote"
        )
    old: Form = "float16" if _has_half_weights(content) else metadata.input.type
    form = metadata.form or old
    names = trained_network_names(run)
    for name in names:
        trained = load_trained_network(run, name)
        quantized = trained.quantized
        network = trained.network
        if form in QUANTIZED:
            if quantized is None:
                continue
            network = quantized.network
        if (network.content_hash, trained.classes) == (metadata.network_hash, metadata.labels):
            choose_scales(trained, "tensor" if metadata.tensor_scales else "channel", None)
            return trained, form
    raise UnknownOrigin(
        f"{run} holds no network {metadata.network} in the precisions of the model (it holds: "
        f"{', '.join(names) or 'none'}); give the run that exported it"
    )


def _has_half_weights(content: bytes) -> bool:
    return any(
        tensor.type == "FLOAT16" for operator in operators_of(content) for tensor in operator.inputs
    )
