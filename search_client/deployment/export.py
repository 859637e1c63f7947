"""From a trained network to a `.tflite` file that was compared with it: no other is written.

What a file says to apps of other makers is in `netspec.tflite.classifier_metadata`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from torch import nn

from netspec.console.outputs import write_file
from netspec.errors import UserError
from netspec.layers import Parameters
from netspec.tflite import FileOptions, encode
from netspec.tflite.classifier_metadata import (
    BUFFER,
    ClassifierText,
    classifier_metadata,
    with_labels,
)
from netspec.tflite.runtimes import CHANNEL_SCALES, RuntimeVersion
from search_client.data.batches import CentralCrops
from search_client.deployment.delegates import Delegated, delegated, require_delegated
from search_client.deployment.metadata import NAME, Form, Metadata, describe
from search_client.deployment.parity import Verification, first_difference, require, verify
from search_client.deployment.trained_network import TrainedNetwork
from search_client.networks.layers import folded_parameters
from search_client.networks.normalisation import INCEPTION, Normalisation, Renormalise
from search_client.quantization.dynamic_range import dynamic_range
from search_client.quantization.network import QuantizedNetwork
from search_client.quantization.pixels import PIXEL_MAX, PixelInput

FORMS: tuple[Form, ...] = ("int8", "uint8", "int16x8", "float32", "float16", "dynamic")
#: of networks that were quantized
QUANTIZED: tuple[Form, ...] = ("int8", "uint8", "int16x8")

#: of a classifier's weights in int8: one a class, or one for all, which runtimes before 2.10 need
ClassifierScales = Literal["channel", "tensor"]


class NotQuantized(UserError):
    """An int8 file was asked of a network that has float weights alone."""


@dataclass(frozen=True)
class Exported:
    """A file with what was found when it was compared with torch."""

    content: bytes
    verification: Verification
    #: None where it is no `.tflite` file
    delegated: Delegated | None = None


def choose_scales(
    trained: TrainedNetwork, scales: ClassifierScales | None, runtime: RuntimeVersion | None
) -> None:
    """Have the classifier in int8 rounded under one scale a class, or under one for all.

    Args:
        trained: is changed; its file on disk is not.
        scales: None: one for all where the runtime needs it.
        runtime: the oldest that is to run the files.
    """
    if trained.quantized is None:
        return
    old = runtime is not None and runtime < CHANNEL_SCALES
    trained.quantized.tensor_scales = scales == "tensor" or (scales is None and old)


def model_file(
    trained: TrainedNetwork,
    form: Form,
    runtime: RuntimeVersion | None = None,
    *,
    uniform_input: bool = False,
) -> bytes:
    """The network as a `.tflite` file, with its metadata; not yet compared with torch.

    Args:
        trained: the network; `choose_scales` says how its classifier is rounded.
        form: precision and codes of the file.
        runtime: the oldest that is to run it; None: whichever does.
        uniform_input: whether a float file takes images in [-1, 1] and normalises them by channel
            itself: MediaPipe normalises all channels alike.

    Raises:
        NotQuantized: int8 or uint8 is asked of a network that was not quantized.
        EncodingError: the network cannot be written, or not for that runtime.
    """
    if form in QUANTIZED:
        quantized = quantized_of(trained)
        network, parameters = quantized.network, quantized.parameters_for_export()
    else:
        network = trained.network.with_precision("float32")
        parameters = Parameters(folded_parameters(trained.model), {})
    taken = _taken(trained, form, uniform_input=uniform_input)
    metadata = describe(trained, form, network.content_hash, taken)
    affine = _affine(taken, trained) if uniform_input else None
    options = FileOptions(
        codes="uint8" if form == "uint8" else "int8",
        wide=form == "int16x8",
        half_weights=form == "float16",
        int8_weights=form == "dynamic",
        tensor_scales=form in QUANTIZED and quantized_of(trained).tensor_scales,
        input_affine=affine,
        metadata={
            NAME: metadata.model_dump_json().encode(),
            BUFFER: classifier_metadata(_text(trained, metadata)),
        },
        signed=True,
        runtime=runtime,
    )
    return with_labels(encode(network.operators, parameters, options=options), trained.classes)


def _taken(trained: TrainedNetwork, form: Form, *, uniform_input: bool) -> Normalisation:
    """The normalisation of the images that a file takes."""
    if form == "int16x8":
        codes = quantized_of(trained).input
        return trained.normalisation if codes is None else codes.taken
    return INCEPTION if uniform_input else trained.normalisation


def _affine(taken: Normalisation, trained: TrainedNetwork) -> tuple[list[float], list[float]]:
    """Gain and offset by channel, from what a file takes to what the network was trained on."""
    step = Renormalise(taken, trained.normalisation)
    return step.gain.flatten().tolist(), step.offset.flatten().tolist()


def _text(trained: TrainedNetwork, metadata: Metadata) -> ClassifierText:
    """What apps are told: of an int8 input, what its codes are made from."""
    if metadata.input.mean is None or metadata.input.std is None:
        codes = cast("PixelInput", quantized_of(trained).input)
        mean, std = [float(codes.zero)] * 3, [1 / codes.step] * 3
    else:
        mean = [PIXEL_MAX * one for one in metadata.input.mean]
        std = [PIXEL_MAX * one for one in metadata.input.std]
    said = f"{metadata.network}, {len(trained.classes)} classes of images"
    return ClassifierText(
        name=metadata.network,
        description=f"{said}; run {metadata.run}" if metadata.run else said,
        labels=trained.classes,
        size=metadata.input.size,
        mean=mean,
        std=std,
    )


def torch_twin(trained: TrainedNetwork, form: Form) -> nn.Module:
    """The network in torch that a file of this form is compared with.

    Raises:
        NotQuantized: int8 or uint8 is asked of a network that was not quantized.
    """
    if form == "dynamic":
        return dynamic_range(trained.model)
    if form == "int16x8":
        return quantized_of(trained).widened()
    return trained.model if form in ("float32", "float16") else quantized_of(trained)


def quantized_of(trained: TrainedNetwork) -> QuantizedNetwork:
    """The network under fake quantization.

    Raises:
        NotQuantized: it was not quantized.
    """
    if trained.quantized is None:
        raise NotQuantized(
            f"{trained.network.name} is not quantized; run `search-client quantize` first"
        )
    return trained.quantized


def export(
    trained: TrainedNetwork,
    form: Form,
    compared: CentralCrops,
    on_image: Callable[[int, int], None] = lambda _done, _total: None,
    *,
    runtime: RuntimeVersion | None = None,
    uniform_input: bool = False,
    allow_partial: bool = True,
) -> Exported:
    """Encode a network and compare the file with torch on every kernel set.

    Args:
        trained: the trained network.
        form: precision and codes of the file.
        compared: images at the network's input size.
        on_image: called with the images done and all, over the kernel sets.
        runtime: the oldest that is to run the file.
        uniform_input: as of `model_file`.
        allow_partial: whether XNNPACK may leave operators to the runtime.

    Raises:
        NotDelegated: it may not, and does.
        ParityFailed: the file does not compute what torch computes.
    """
    content = model_file(trained, form, runtime, uniform_input=uniform_input)
    found = delegated(content)
    require_delegated(found, allow_partial=allow_partial)
    return Exported(content, verified(content, trained, form, compared, on_image), found)


def verified(
    content: bytes,
    trained: TrainedNetwork,
    form: Form,
    compared: CentralCrops,
    on_image: Callable[[int, int], None] = lambda _done, _total: None,
) -> Verification:
    """Compare any file with the network that it is said to come from.

    Raises:
        ParityFailed: the file does not compute what torch computes.
    """
    twin = torch_twin(trained, form)
    found = verify(content, twin, compared, on_image=on_image)
    precision = "int8" if form in ("int8", "uint8") else form
    require(
        found,
        precision,
        trained.network.name,
        lambda: first_difference(content, twin, compared.at(found.worst_image)),
    )
    return found


def write(exported: Exported, trained: TrainedNetwork, path: Path) -> None:
    """Writes the file, and its labels beside it, one a line, as `NAME.labels.txt`.

    Raises:
        UserError: one of them cannot be written.
    """
    write_file(path, exported.content)
    labels = "".join(f"{name}\n" for name in trained.classes)
    write_file(path.with_suffix(".labels.txt"), labels)
