"""From a trained network to a `.tflite` file that was compared with it: no other is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from netspec.console.outputs import write_file
from netspec.errors import UserError
from netspec.layers import Parameters
from netspec.tflite import FileOptions, encode
from search_client.deployment.metadata import NAME, Form, describe
from search_client.deployment.parity import Verification, first_difference, require, verify
from search_client.deployment.trained_network import TrainedNetwork
from search_client.networks.layers import folded_parameters
from search_client.quantization.network import QuantizedNetwork

FORMS: tuple[Form, ...] = ("int8", "uint8", "float32", "float16")


class NotQuantized(UserError):
    """An int8 file was asked of a network that has float weights alone."""


@dataclass(frozen=True)
class Exported:
    """A file with what was found when it was compared with torch."""

    content: bytes
    verification: Verification


def model_file(trained: TrainedNetwork, form: Form) -> bytes:
    """The network as a `.tflite` file, with its metadata; not yet compared with torch.

    Raises:
        NotQuantized: int8 or uint8 is asked of a network that was not quantized.
        EncodingError: the network cannot be written.
    """
    if form in ("int8", "uint8"):
        quantized = _quantized(trained)
        network, parameters = quantized.network, quantized.parameters_for_export()
    else:
        network = trained.network.with_precision("float32")
        parameters = Parameters(folded_parameters(trained.model), {})
    metadata = describe(trained, form, network.content_hash).model_dump_json()
    options = FileOptions(
        codes="uint8" if form == "uint8" else "int8",
        half_weights=form == "float16",
        metadata={NAME: metadata.encode()},
    )
    return encode(network.operators, parameters, options=options)


def torch_twin(trained: TrainedNetwork, form: Form) -> nn.Module:
    """The network in torch that a file of this form is compared with.

    Raises:
        NotQuantized: int8 or uint8 is asked of a network that was not quantized.
    """
    return trained.model if form in ("float32", "float16") else _quantized(trained)


def _quantized(trained: TrainedNetwork) -> QuantizedNetwork:
    if trained.quantized is None:
        raise NotQuantized(
            f"{trained.network.name} is not quantized; run `search-client quantize` first"
        )
    return trained.quantized


def export(
    trained: TrainedNetwork,
    form: Form,
    images: Tensor,
    labels: Tensor,
    on_image: Callable[[int, int], None] = lambda _done, _total: None,
) -> Exported:
    """Encode a network and compare the file with torch on every kernel set.

    Args:
        trained: the trained network.
        form: precision and codes of the file.
        images: to compare on, uint8 [N, 3, H, W] at the network's input size.
        labels: int64 [N].
        on_image: called with the images done and all, over the kernel sets.

    Raises:
        ParityFailed: the file does not compute what torch computes.
    """
    content = model_file(trained, form)
    return Exported(content, verified(content, trained, form, images, labels, on_image))


def verified(
    content: bytes,
    trained: TrainedNetwork,
    form: Form,
    images: Tensor,
    labels: Tensor,
    on_image: Callable[[int, int], None] = lambda _done, _total: None,
) -> Verification:
    """Compare any file with the network that it is said to come from.

    Raises:
        ParityFailed: the file does not compute what torch computes.
    """
    twin = torch_twin(trained, form)
    found = verify(content, twin, images, labels, on_image=on_image)
    precision = "int8" if form in ("int8", "uint8") else form
    require(
        found,
        precision,
        trained.network.name,
        lambda: first_difference(content, twin, images[found.worst_image]),
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
