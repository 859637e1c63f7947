"""Trained networks in the formats of other runtimes, each run there before it is written.

ONNX in float32 and int8, run by onnxruntime; a program of `torch.export`, run by torch, which
ExecuTorch and others take.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor

from netspec.console.extras import needs_extra
from netspec.layers import Float32Array, Parameters
from netspec.quantization import affine_of
from netspec.tflite.graph import INPUT_NAME
from search_client.data.batches import CentralCrops, normalise
from search_client.deployment.export import Exported, quantized_of, torch_twin
from search_client.deployment.litert import Kernels
from search_client.deployment.metadata import NAME, Form, describe
from search_client.deployment.onnx_file import EXTRA, onnx_file
from search_client.deployment.parity import compared_with, require
from search_client.deployment.trained_network import TrainedNetwork
from search_client.networks.layers import FloatNetwork, folded_parameters
from search_client.networks.normalisation import Renormalise
from search_client.quantization.pixels import USUAL

OtherForm = Literal["onnx", "onnx-int8", "torch"]
#: of the file of each
SUFFIXES: dict[OtherForm, str] = {
    "onnx": "float32.onnx",
    "onnx-int8": "int8.onnx",
    "torch": "float32.pt2",
}
#: images of a call
_BATCH = 50
#: images that a program is traced with; any number may follow
_TRACED = 2

_Run = Callable[[Tensor], Float32Array]


def other_file(trained: TrainedNetwork, form: OtherForm) -> bytes:
    """A network in another runtime's format, with its metadata; not yet compared with torch.

    Raises:
        NotQuantized: int8 is asked of a network that was not quantized.
        UserError: a package is not installed.
        UnknownLayer: the format has nothing for a layer.
    """
    if form == "torch":
        return _program(trained)
    if form == "onnx-int8":
        quantized = quantized_of(trained)
        network, parameters = quantized.network, quantized.parameters_for_export()
        tensor_scales = quantized.tensor_scales
    else:
        network, tensor_scales = trained.network, False
        parameters = Parameters(folded_parameters(trained.model), {})
    return onnx_file(
        network.operators,
        parameters,
        {NAME: _metadata(trained, form, network.content_hash)},
        tensor_scales=tensor_scales,
    )


def export_other(
    trained: TrainedNetwork,
    form: OtherForm,
    compared: CentralCrops,
    on_image: Callable[[int, int], None] = lambda _done, _total: None,
) -> Exported:
    """Write a network for another runtime, and compare what that computes with torch.

    Args:
        trained: the trained network.
        form: which.
        compared: images at the network's input size.
        on_image: called with the images done and all.

    Raises:
        ParityFailed: the runtime does not compute what torch computes.
        UserError: a package is not installed.
    """
    content = other_file(trained, form)
    int8 = form == "onnx-int8"
    run = _program_runner(content, trained) if form == "torch" else _onnx_runner(content, trained)
    twin = torch_twin(trained, "int8" if int8 else "float32")
    scale = _output_scale(trained) if int8 else None

    def runner(images: Tensor, show: Callable[[int], None]) -> tuple[Float32Array, float | None]:
        parts: list[Float32Array] = []
        for part in torch.split(images, _BATCH):
            parts.append(run(part))
            show(sum(map(len, parts)))
        return np.concatenate(parts), scale

    name = cast("Kernels", "torch" if form == "torch" else "onnxruntime")
    verification = compared_with(twin, compared, {name: runner}, on_image)
    require(verification, "int8" if int8 else "float32", trained.network.name)
    return Exported(content, verification)


def _metadata(trained: TrainedNetwork, form: OtherForm, network_hash: str) -> str:
    form_of_input: Form = "uint8" if form == "onnx-int8" else "float32"
    return describe(trained, form_of_input, network_hash).model_dump_json()


def _output_scale(trained: TrainedNetwork) -> float:
    """Return the step of the codes that logits are rounded to."""
    *_, held = quantized_of(trained).parameters_for_export().ranges.values()
    return affine_of(held).scale


def _as_trained(trained: TrainedNetwork, images: Tensor) -> Tensor:
    """Pixels, normalised as the network was trained."""
    wanted = trained.normalisation
    x = normalise(images)
    return x if wanted == USUAL else cast("Tensor", Renormalise(USUAL, wanted)(x))


def _onnx_runner(content: bytes, trained: TrainedNetwork) -> _Run:
    with needs_extra(EXTRA, "comparing ONNX files with torch"):
        import onnxruntime  # noqa: PLC0415
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    # Without it int8 sums of pairs saturate on processors that have AVX2 and not VNNI.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()

    def run(images: Tensor) -> Float32Array:
        coded = taken.type == "tensor(uint8)"
        given = images if coded else _as_trained(trained, images)
        return cast("Float32Array", session.run(None, {INPUT_NAME: given.numpy()})[0])

    return run


def _program(trained: TrainedNetwork) -> bytes:
    """What `torch.export.save` writes: the network on images normalised as it was trained."""
    model: FloatNetwork = copy.deepcopy(trained.model).cpu().eval()
    model.renormalise = None
    size = trained.network.input_size
    traced = torch.export.export(
        model,
        (torch.zeros(_TRACED, 3, size, size),),
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
    )
    file = io.BytesIO()
    said = _metadata(trained, "torch", trained.network.content_hash)
    torch.export.save(traced, file, extra_files={NAME: said})
    return file.getvalue()


def _program_runner(content: bytes, trained: TrainedNetwork) -> _Run:
    module = torch.export.load(io.BytesIO(content)).module()

    @torch.no_grad()
    def run(images: Tensor) -> Float32Array:
        return cast("Float32Array", module(_as_trained(trained, images)).numpy())

    return run
