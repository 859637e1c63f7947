"""Whether the files of operators compute what torch does, and who runs them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from ai_edge_litert.interpreter import Interpreter
from rich.console import Console
from rich.table import Table

from netspec.delegation import delegation, operator_counts
from netspec.layers import INPUT, ActivationRange, LayerWeights, Parameters, layer_name
from netspec.operators import OperatorBase
from netspec.quantization import Affine, affine_of
from netspec.tflite import encode
from search_client.networks.layers import OperatorModule, channels_last
from search_client.quantization.layer import QuantizedLayer
from search_client.quantization.network import QuantizedOperator
from search_client.quantization.ranges import Activations

FLOAT_LIMIT = 1e-4
#: int8, steps of the output for each layer between it and the input
STEPS_A_LAYER = 2
TRIES = 3
_WIDE = ActivationRange(-4.0, 4.0)
#: batches of random images that BatchNorm sees: by then branches are about as wide as their inputs,
#: as in networks that were trained, and the delegate takes their sums
_BATCHES = 40
#: and that ranges see
_OBSERVED = 4


@dataclass(frozen=True)
class Checked:
    """One operator in one precision."""

    key: str
    #: kinds that XNNPACK leaves to other kernels, as the file names them
    left: tuple[str, ...]
    #: float32: greatest difference, over the output's size where that is above 1; int8: in steps
    error: float
    limit: float

    @property
    def right(self) -> bool:
        """Whether it is within the limit."""
        return self.error <= self.limit


def check(operators: Sequence[OperatorBase], console: Console) -> list[Checked]:
    """Compare operators with torch in both precisions, and print those that stand out."""
    torch.manual_seed(0)
    found = [one for operator in operators for one in (_float(operator), _int8(operator))]
    table = Table("operator", "left to other kernels", "error", "limit", title="operators apart")
    for one in found:
        if one.left or not one.right:
            table.add_row(one.key, ", ".join(one.left), f"{one.error:.2g}", f"{one.limit:g}")
    console.print(table)
    whole = sum(not one.left for one in found)
    right = sum(one.right for one in found)
    console.print(
        f"{len(found)} operators: {whole} run by XNNPACK alone, {right} as torch computes them"
    )
    return found


def encode_ms(operators: Sequence[OperatorBase]) -> float:
    """Median time (ms) to make seeded weights and encode an operator, the best of several tries."""

    def best(operator: OperatorBase) -> float:
        tries = []
        for _ in range(TRIES):
            start = time.perf_counter()
            encode([operator])
            tries.append((time.perf_counter() - start) * 1000)
        return min(tries)

    return statistics.median(best(operator) for operator in operators)


def _images(operator: OperatorBase, count: int) -> torch.Tensor:
    side = operator.input_size
    return channels_last(torch.randn(count, operator.in_channels, side, side))


def _trained(operator: OperatorBase) -> OperatorModule:
    """With gains, some of which begin as 0, and statistics that are no longer the first ones."""
    module = OperatorModule(operator).train()
    for name, parameter in module.named_parameters():
        if name.endswith(("norm.weight", "bias")):
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    with torch.no_grad():
        for _ in range(_BATCHES):
            module(_images(operator, 2))
    return module.eval()


def _nhwc(y: torch.Tensor) -> npt.NDArray[np.float32]:
    shown = y.permute(0, 2, 3, 1) if y.ndim == 4 else y
    return np.ascontiguousarray(shown.detach().numpy())


def _run(
    file: bytes, x: npt.NDArray[np.float32] | npt.NDArray[np.int8]
) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    interpreter = Interpreter(model_content=file, num_threads=1)
    interpreter.allocate_tensors()
    whole = delegation(interpreter) == "full"
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    output = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    left = () if whole else tuple(operator_counts(interpreter).undelegated)
    return np.asarray(output, np.float64), left


def _weights(modules: Mapping[str, QuantizedLayer]) -> dict[str, LayerWeights]:
    return {
        layer_name(0, module.layer): module.weights(None)
        for module in modules.values()
        if module.layer.has_weights
    }


def _quantized(operator: OperatorBase, trained: OperatorModule) -> QuantizedOperator:
    return QuantizedOperator(operator, trained).train()


def _modules(quantized: QuantizedOperator) -> dict[str, QuantizedLayer]:
    return {name: cast("QuantizedLayer", one) for name, one in quantized.layers.items()}


def _float(operator: OperatorBase) -> Checked:
    module, x = _trained(operator), _images(operator, 1)
    # In float32 it folds BatchNorm, and rounds nothing.
    weights = _weights(_modules(QuantizedOperator(operator, module)))
    with torch.no_grad():
        wanted = _nhwc(module(x))
    found, left = _run(encode([operator], Parameters(weights, {})), _nhwc(x))
    scale = max(1.0, float(np.abs(wanted).max()))
    error = float(np.abs(found - wanted).max()) / scale
    return Checked(operator.key, left, error, FLOAT_LIMIT)


def _int8(operator: OperatorBase) -> Checked:
    coded = operator.with_precision("int8")
    quantized = _quantized(coded, _trained(operator))
    modules = _modules(quantized)
    affine = affine_of(_WIDE)
    scale, zero = torch.tensor(affine.scale), torch.tensor(affine.zero_point, dtype=torch.int32)
    for module in modules.values():
        module.norm_frozen = True
    with torch.no_grad():
        for _ in range(_OBSERVED):
            quantized(Activations(_images(operator, 2), scale, zero))
        codes = affine.quantize(_nhwc(_images(operator, 1)))
        real = torch.from_numpy(affine.dequantize(codes)).permute(0, 3, 1, 2)
        given = quantized.eval()(Activations(channels_last(real), scale, zero))
    ranges = {INPUT: _WIDE} | {
        layer_name(0, module.layer): module.output.observed()
        for module in modules.values()
        if module.output is not None
    }
    found, left = _run(encode([coded], Parameters(_weights(modules), ranges)), codes)
    step = Affine(float(given.scale), int(given.zero_point))
    error = np.abs((found - step.zero_point) * step.scale - _nhwc(given.values)).max() / step.scale
    return Checked(coded.key, left, float(error), STEPS_A_LAYER * len(coded.layers))
