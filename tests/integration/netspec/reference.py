"""A torch reference of a chain of operators, independent of the encoder's arithmetic.

int8 is simulated: dequantised weights and biases, activations rounded to their codes after every
layer, everything else in float64.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from ai_edge_litert.interpreter import Interpreter
from torch.nn import functional as F  # noqa: N812 (its customary name)

from netspec.layers import INPUT, ActivationRange, Layer, Parameters, layer_name, layers_of
from netspec.operators import Operator
from netspec.tflite import delegation

FloatArray = npt.NDArray[np.float64]


def run(model: bytes, x: npt.NDArray[np.float32] | npt.NDArray[np.int8]) -> npt.NDArray[np.float64]:
    """The output of a model that XNNPACK must run as a whole; int8 codes stay codes."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    assert delegation(interpreter) == "full"
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    output = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert output.dtype == x.dtype
    return np.asarray(output, np.float64)


def scale_and_zero(held: ActivationRange) -> tuple[float, int]:
    scale = float(np.float32((held.high - held.low) / 255))
    return scale, round(-128 - held.low / scale)


def activations(
    operators: Sequence[Operator], parameters: Parameters, x: FloatArray
) -> dict[str, FloatArray]:
    """Every layer's output (NHWC, float64) for a real-valued input; rounded where int8."""
    quantized = operators[0].precision == "int8"
    tensor = torch.from_numpy(x).permute(0, 3, 1, 2)
    outputs: dict[str, FloatArray] = {}
    name = INPUT
    for index, operator in enumerate(operators):
        entering = tensor
        for layer in layers_of(operator):
            before, name = name, layer_name(index, layer)
            step = scale_and_zero(parameters.ranges[before])[0] if quantized else None
            tensor = _layer(layer, name, parameters, tensor, entering, step)
            if quantized:
                scale, zero = scale_and_zero(parameters.ranges[name])
                codes = torch.clamp(torch.round(tensor / scale) + zero, -128, 127)
                tensor = (codes - zero) * scale
            dims = (0, 2, 3, 1) if tensor.ndim == 4 else (0, 1)
            outputs[name] = tensor.permute(*dims).numpy()
    return outputs


def last(outputs: dict[str, FloatArray]) -> FloatArray:
    return outputs[next(reversed(outputs))]


def observed_ranges(outputs: dict[str, FloatArray], x: FloatArray) -> dict[str, ActivationRange]:
    return {
        name: ActivationRange(min(float(value.min()), 0.0), max(float(value.max()), 0.1))
        for name, value in {INPUT: x, **outputs}.items()
    }


def _layer(
    layer: Layer,
    name: str,
    parameters: Parameters,
    x: torch.Tensor,
    entering: torch.Tensor,
    input_step: float | None,
) -> torch.Tensor:
    if layer.kind == "add":
        return x + entering
    if layer.kind == "mean":
        return x.mean(dim=(2, 3))
    weight = torch.from_numpy(parameters.weights[name].weight).double()
    bias = torch.from_numpy(parameters.weights[name].bias).double()
    if layer.kind == "conv":
        weight = weight.permute(0, 3, 1, 2)
    elif layer.kind == "depthwise":
        weight = weight.permute(3, 0, 1, 2)
    if input_step is not None:
        weight, bias = _dequantised(weight, bias, input_step)
    if layer.kind == "dense":
        return F.linear(x, weight, bias)
    groups = layer.in_channels if layer.kind == "depthwise" else 1
    y = F.conv2d(_padded(x, layer), weight, bias, layer.stride, groups=groups)
    if layer.activation == "relu6":
        return F.relu6(y)
    return F.relu(y) if layer.activation == "relu" else y


def _dequantised(
    weight: torch.Tensor, bias: torch.Tensor, input_step: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Per output channel, which is axis 0 in torch's layouts."""
    steps = weight.abs().flatten(1).amax(1) / 127
    shaped = steps.view(-1, *[1] * (weight.ndim - 1))
    return torch.round(weight / shaped) * shaped, torch.round(bias / (input_step * steps)) * (
        input_step * steps
    )


def _padded(x: torch.Tensor, layer: Layer) -> torch.Tensor:
    """SAME padding: `ceil(size / stride)` outputs, the odd zero after the end."""
    size = x.shape[-1]
    outputs = (size + layer.stride - 1) // layer.stride
    total = max((outputs - 1) * layer.stride + layer.kernel - size, 0)
    before, after = total // 2, (total + 1) // 2
    return F.pad(x, (before, after, before, after))
