"""A torch reference of a chain of operators, independent of the encoder's arithmetic.

int8 is simulated: dequantised weights and biases, activations rounded to their codes after every
layer, everything else in float64.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from ai_edge_litert.interpreter import Interpreter
from torch.nn import functional as F  # noqa: N812 (its customary name)

from netspec.layers import INPUT, ActivationRange, Layer, LayerKind, Parameters, layer_name
from netspec.operators import Operator
from netspec.tflite import Delegation, delegation

FloatArray = npt.NDArray[np.float64]

#: whose codes are those of their input. Source: TensorFlow Lite 8-bit quantization specification.
SAME_CODES = ("average_pool", "max_pool", "global_max", "pad", "relu", "relu6", "shuffle")
FIXED = {
    "sigmoid": ActivationRange(0, 255 / 256),
    "softmax": ActivationRange(0, 255 / 256),
    "hard_sigmoid": ActivationRange(0, 1),
}


def run(
    model: bytes,
    x: npt.NDArray[np.float32] | npt.NDArray[np.int8],
    expected: Delegation = "full",
) -> npt.NDArray[np.float64]:
    """The output of a model that XNNPACK must run as far as expected; int8 codes stay codes."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    assert delegation(interpreter) == expected
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    output = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert output.dtype == x.dtype
    return np.asarray(output, np.float64)


def scale_and_zero(held: ActivationRange) -> tuple[float, int]:
    scale = float(np.float32((held.high - held.low) / 255))
    return scale, round(-128 - held.low / scale)


def ranges_of(operators: Sequence[Operator], parameters: Parameters) -> dict[str, ActivationRange]:
    """The range of every layer's output, those that the specification decides included."""
    ranges = {INPUT: parameters.ranges[INPUT]}
    entering = INPUT
    for index, operator in enumerate(operators):
        for layer in operator.layers:
            name = layer_name(index, layer)
            first = layer.inputs[0]
            before = ranges[entering if first == INPUT else f"{index}.{first}"]
            if layer.kind in SAME_CODES:
                ranges[name] = before
            else:
                ranges[name] = FIXED.get(layer.kind) or parameters.ranges[name]
        entering = name
    return ranges


def activations(
    operators: Sequence[Operator], parameters: Parameters, x: FloatArray
) -> dict[str, FloatArray]:
    """Every layer's output (NHWC, float64) for a real-valued input; rounded where int8."""
    quantized = operators[0].precision == "int8"
    ranges = ranges_of(operators, parameters) if quantized else {}
    tensors = {INPUT: torch.from_numpy(x).permute(0, 3, 1, 2)}
    entering = INPUT
    for index, operator in enumerate(operators):
        for layer in operator.layers:
            name = layer_name(index, layer)
            inputs = [entering if one == INPUT else f"{index}.{one}" for one in layer.inputs]
            step = scale_and_zero(ranges[inputs[0]])[0] if quantized else None
            tensor = _layer(layer, name, parameters, [tensors[one] for one in inputs], step)
            if quantized:
                scale, zero = scale_and_zero(ranges[name])
                codes = torch.clamp(torch.round(tensor / scale) + zero, -128, 127)
                tensor = (codes - zero) * scale
            tensors[name] = tensor
        entering = name
    del tensors[INPUT]
    return {
        name: tensor.permute(0, 2, 3, 1).numpy() if tensor.ndim == 4 else tensor.numpy()
        for name, tensor in tensors.items()
    }


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
    inputs: Sequence[torch.Tensor],
    input_step: float | None,
) -> torch.Tensor:
    if layer.has_weights:
        y = _weighted(layer, name, parameters, inputs[0], input_step)
    else:
        y = _WEIGHTLESS[layer.kind](layer, *inputs)
    if layer.activation == "relu6":
        return F.relu6(y)
    return F.relu(y) if layer.activation == "relu" else y


def _windows(x: torch.Tensor, layer: Layer, outside: float) -> torch.Tensor:
    """[N, C, H', W', kernel * kernel]."""
    kernel, stride = layer.kernel, layer.stride
    rows = _padded(x, layer, outside).unfold(2, kernel, stride)
    return rows.unfold(3, kernel, stride).flatten(-2)


def _share(layer: Layer) -> int:
    return layer.in_channels // layer.groups


_WEIGHTLESS: dict[LayerKind, Callable[..., torch.Tensor]] = {
    "add": lambda _, x, other: x + other,
    "multiply": lambda _, x, other: x * other,
    "mean": lambda _, x: x.mean(dim=(2, 3)),
    "global_average": lambda _, x: x.mean(dim=(2, 3), keepdim=True),
    "global_max": lambda _, x: x.amax(dim=(2, 3), keepdim=True),
    "max_pool": lambda layer, x: _windows(x, layer, -torch.inf).amax(-1),
    "average_pool": lambda layer, x: _windows(x, layer, torch.nan).nanmean(-1),
    "pad": lambda layer, x: F.pad(x, (*layer.padding, *layer.padding)),
    "shuffle": lambda layer, x: torch.cat(
        [x[:, first :: _share(layer)] for first in range(_share(layer))], dim=1
    ),
    "hard_swish": lambda _, x: x * F.relu6(x + 3) / 6,
    "hard_sigmoid": lambda _, x: F.relu6(x + 3) / 6,
    "sigmoid": lambda _, x: 1 / (1 + torch.exp(-x)),
    "softmax": lambda _, x: F.softmax(x, dim=1),
    "relu": lambda _, x: F.relu(x),
    "relu6": lambda _, x: F.relu6(x),
}


def _weighted(
    layer: Layer, name: str, parameters: Parameters, x: torch.Tensor, input_step: float | None
) -> torch.Tensor:
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
    groups = layer.in_channels if layer.kind == "depthwise" else layer.groups
    padded = _padded(x, layer, 0.0) if layer.padding is None else x
    return F.conv2d(padded, weight, bias, layer.stride, groups=groups)


def _dequantised(
    weight: torch.Tensor, bias: torch.Tensor, input_step: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Per output channel, which is axis 0 in torch's layouts."""
    steps = weight.abs().flatten(1).amax(1) / 127
    shaped = steps.view(-1, *[1] * (weight.ndim - 1))
    return torch.round(weight / shaped) * shaped, torch.round(bias / (input_step * steps)) * (
        input_step * steps
    )


def _padded(x: torch.Tensor, layer: Layer, value: float) -> torch.Tensor:
    """SAME padding: `ceil(size / stride)` outputs, the odd one after the end."""
    size = x.shape[-1]
    outputs = (size + layer.stride - 1) // layer.stride
    total = max((outputs - 1) * layer.stride + layer.kernel - size, 0)
    before, after = total // 2, (total + 1) // 2
    return F.pad(x, (before, after, before, after), value=value)
