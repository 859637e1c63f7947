"""What a deployed file says of itself: labels, how to prepare an image, and where it comes from.

The buffer `NAME` of the file's metadata holds one JSON object, `Metadata`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from netspec.errors import UserError
from netspec.tflite.contents import metadata_of
from netspec.tflite.foreign_metadata import told_input
from netspec.validation import FrozenModel, first_problem
from search_client.deployment.trained_network import TrainedNetwork
from search_client.networks.normalisation import Normalisation
from search_client.quantization.pixels import PIXEL_MAX

#: of the metadata buffer
NAME = "proxyless_farm_metadata.json"

#: `int16x8`: int16 activations and int8 weights; `dynamic`: int8 weights alone, activations rounded
#: as the file runs
Form = Literal["int8", "uint8", "int16x8", "float32", "float16", "dynamic"]


class BadMetadata(UserError):
    """A file's metadata cannot be read."""


class ModelInput(FrozenModel):
    """How an RGB image becomes the input tensor [1, size, size, 3].

    int8: pixel - 128; uint8: pixel; float32: (pixel / 255 - mean) / std by channel. The mean
    and std of int8 and uint8 files are within their weights: nothing is left to do.
    """

    size: int
    type: Literal["int8", "uint8", "float32"]
    mean: tuple[float, float, float] | None
    std: tuple[float, float, float] | None


class Metadata(FrozenModel):
    """The JSON object."""

    format: Literal[1] = 1
    #: of the file; files that do not say so are older than the forms that their tensors leave open
    form: Form | None = None
    #: name of the architecture, and its content hash in the file's precisions
    network: str
    network_hash: str
    #: of the output's elements, in order
    labels: tuple[str, ...]
    input: ModelInput
    #: whether the classifier's weights in int8 have one scale in place of one a class
    tensor_scales: bool = False
    #: name of the run's folder
    run: str
    #: ETag of the latency table's snapshot; None where no table was used
    snapshot: str | None


def describe(
    trained: TrainedNetwork,
    form: Form,
    network_hash: str,
    taken: Normalisation | None = None,
) -> Metadata:
    """The metadata of a network's file, of images normalised as it takes them."""
    taken = taken or trained.normalisation
    coded = form in ("int8", "uint8")
    return Metadata(
        form=form,
        network=trained.network.name,
        network_hash=network_hash,
        labels=trained.classes,
        input=ModelInput(
            size=trained.network.input_size,
            type="uint8" if form == "uint8" else "int8" if coded else "float32",
            mean=None if coded else taken.mean,
            std=None if coded else taken.std,
        ),
        tensor_scales=coded and trained.quantized is not None and trained.quantized.tensor_scales,
        run=trained.source.run,
        snapshot=trained.source.snapshot,
    )


@dataclass(frozen=True)
class Preparation:
    """What a file takes for an image."""

    #: None: the pixels themselves, as codes
    normalisation: Normalisation | None


def preparation_in(file: bytes) -> Preparation | None:
    """How a file says that its images are to be prepared, None where it does not.

    Files of `model_file` say so in a buffer of ours, those of others in the standard metadata.

    Raises:
        BadMetadata: what it says of itself cannot be read.
        UnreadableModel: the same of its standard metadata.
    """
    metadata = read_metadata(file)
    if metadata is not None:
        mean, std = metadata.input.mean, metadata.input.std
        return Preparation(None if mean is None or std is None else Normalisation(mean, std))
    told = told_input(file)
    if told is None:
        return None
    mean, std = (
        (part[0] / PIXEL_MAX, part[1] / PIXEL_MAX, part[2] / PIXEL_MAX)
        for part in (told.mean, told.std)
    )
    return Preparation(Normalisation(mean, std))


def read_metadata(file: bytes) -> Metadata | None:
    """What a file says of itself, None where it says nothing.

    Raises:
        BadMetadata: it says something else than `Metadata`.
        EncodingError: the bytes are no `.tflite` file.
    """
    content = metadata_of(file, NAME)
    if content is None:
        return None
    try:
        return Metadata.model_validate_json(content)
    except ValidationError as error:
        raise BadMetadata(
            f"the model's metadata {NAME} cannot be read: {first_problem(error)}; export it again"
        ) from error
