"""A `.tflite` file from anywhere as a network of layers.

What the runtime runs as one is one layer: an activation in what it follows, zeros around an image
in the convolution that reads them, relu6(x + 3) / 6 as hard-sigmoid. So are groups that are turned
between two reshapes, a shuffle, and in int8, which has no kernel for hard-swish, a value times its
own hard-sigmoid. Whatever is no layer is refused by name, with its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema

from netspec.errors import InvalidSpec, UnreadableModel
from netspec.grouping import LayerNetwork
from netspec.layers import FusedActivation, LayerKind
from netspec.tflite.building import Building, TensorValue, shape_text, value_of
from netspec.tflite.builtins import FUSED
from netspec.tflite.file_graph import FileGraph, GraphOperator, GraphTensor, file_graph
from netspec.tflite.gates import gated_by_itself, source_of_gate
from netspec.tflite.shuffles import regroups

#: bytes of the largest file that is read
MOST_BYTES = 2**30
_ACTIVATIONS: dict[int, FusedActivation | None] = {code: name for name, code in FUSED.items()}
#: kinds that an activation which follows is a part of
_FUSING: tuple[LayerKind, ...] = ("conv", "depthwise", "dense", "add")
#: operators of one image that are a layer by themselves
_ALONE: dict[str, LayerKind] = {
    "HARD_SWISH": "hard_swish",
    "LOGISTIC": "sigmoid",
    "SOFTMAX": "softmax",
    "QUANTIZE": "convert",
    "DEQUANTIZE": "convert",
}
#: classes of the options that are read
_OPTIONS = {
    "CONV_2D": schema.Conv2DOptionsT,
    "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptionsT,
    "AVERAGE_POOL_2D": schema.Pool2DOptionsT,
    "MAX_POOL_2D": schema.Pool2DOptionsT,
}
_IMAGE_RANK, _FLAT_RANK = 4, 2


def read_network(path: Path) -> LayerNetwork:
    """The layers of a `.tflite` file.

    Raises:
        UnreadableModel: there is no such file, it is too large, or see `network_of_file`.
    """
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise UnreadableModel(
                f"{path} has {size} bytes, at most {MOST_BYTES} are read; give a smaller network"
            )
        file = path.read_bytes()
    except OSError as error:
        raise UnreadableModel(
            f"cannot read the model {path}: {error.strerror}; give a .tflite file"
        ) from error
    try:
        return network_of_file(file, path.name)
    except UnreadableModel as error:
        raise UnreadableModel(f"{path}: {error}") from error


def network_of_file(file: bytes, name: str) -> LayerNetwork:
    """The layers of a `.tflite` file, in order of execution.

    Args:
        file: its bytes.
        name: of the network.

    Raises:
        UnreadableModel: the bytes are damaged, or the graph has an operator that is no layer, a
            side that is not known before it runs, or a circle; the message names the place.
    """
    graph = file_graph(file)
    building = Building(graph, _entering(graph))
    for operator in graph.operators:
        _take(building, operator)
    try:
        return building.network(name)
    except InvalidSpec as error:
        raise UnreadableModel(str(error)) from error


def _entering(graph: FileGraph) -> GraphTensor:
    if len(graph.inputs) != 1:
        raise UnreadableModel(
            f"the graph takes {len(graph.inputs)} inputs, expected one image; split the network"
        )
    return graph.inputs[0]


def _take(building: Building, operator: GraphOperator) -> None:
    """Add the layers of the next operator.

    Raises:
        UnreadableModel: it is no layer, or reads what no operator before it gives.
    """
    if not operator.inputs or not operator.outputs:
        raise UnreadableModel(f"{operator.place} has no input or no output, expected both")
    for tensor in operator.inputs:
        if tensor is not None:
            building.given(tensor, operator)
    if operator.name == "DEQUANTIZE" and building.constant(operator.inputs[0]) is not None:
        building.constants[operator.outputs[0].index] = operator.outputs[0]
        return
    taker = _TAKERS.get(operator.name)
    if taker is None:
        raise UnreadableModel(
            f"{operator.place} is no layer that is known; known are {', '.join(sorted(_TAKERS))}"
        )
    options = _OPTIONS.get(operator.name)
    if options is not None and not isinstance(operator.options, options):
        raise UnreadableModel(
            f"{operator.place} has no {options.__name__.removesuffix('T')}, expected them"
        )
    taker(building, operator)


def _fused(operator: GraphOperator) -> FusedActivation | None:
    code = getattr(operator.options, "fusedActivationFunction", 0)
    if code not in _ACTIVATIONS:
        raise UnreadableModel(
            f"{operator.place} has the activation {code} of the schema; expected none, RELU or "
            "RELU6"
        )
    return _ACTIVATIONS[code]


def _stride(operator: GraphOperator) -> int:
    wide, high = operator.options.strideW, operator.options.strideH
    if wide != high or wide < 1:
        raise UnreadableModel(f"{operator.place} has the strides {high}, {wide}; expected equal")
    return int(wide)


def _square(operator: GraphOperator, high: int, wide: int) -> int:
    if high != wide:
        raise UnreadableModel(f"{operator.place} has a window of {high} x {wide}, expected square")
    return high


def _require(operator: GraphOperator, what: str, found: object, expected: object) -> None:
    if found != expected:
        raise UnreadableModel(f"{operator.place} has {what} {found}, expected {expected}")


def _padding(
    operator: GraphOperator, x: TensorValue, kernel: int, stride: int
) -> tuple[int, int] | None:
    """None where a layer keeps every pixel as with SAME padding."""
    if operator.options.padding == schema.Padding.SAME:
        return None
    return None if (x.side - kernel) // stride + 1 == -(-x.side // stride) else (0, 0)


def _conv(building: Building, operator: GraphOperator) -> None:
    x, options = building.image(operator), operator.options
    out, high, wide, share = _shape_of(operator, building.weight(operator, x), 4)
    dilation = options.dilationHFactor, options.dilationWFactor
    _require(operator, "dilation", dilation, (1, 1))
    if share < 1 or x.channels % share or out % (x.channels // share):
        raise UnreadableModel(
            f"{operator.place} has weights for {share} channels of {x.channels}, expected a divisor"
        )
    kernel, stride = _square(operator, high, wide), _stride(operator)
    groups = x.channels // share
    depthwise = 1 < groups == x.channels == out
    building.add(
        operator,
        "depthwise" if depthwise else "conv",
        [x],
        kernel=kernel,
        stride=stride,
        activation=_fused(operator),
        groups=1 if depthwise else groups,
        padding=_padding(operator, x, kernel, stride),
    )


def _depthwise(building: Building, operator: GraphOperator) -> None:
    x, options = building.image(operator), operator.options
    _, high, wide, out = _shape_of(operator, building.weight(operator, x), 4)
    dilation = options.dilationHFactor, options.dilationWFactor
    _require(operator, "dilation", dilation, (1, 1))
    _require(operator, "output channels", out, x.channels)
    kernel, stride = _square(operator, high, wide), _stride(operator)
    building.add(
        operator,
        "depthwise",
        [x],
        kernel=kernel,
        stride=stride,
        activation=_fused(operator),
        padding=_padding(operator, x, kernel, stride),
    )


def _shape_of(operator: GraphOperator, shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    if len(shape) != rank:
        raise UnreadableModel(
            f"{operator.place} has a weight of shape {shape_text(shape)}, expected {rank} sides"
        )
    return shape


def _dense(building: Building, operator: GraphOperator) -> None:
    x = building.image(operator)
    _, channels = _shape_of(operator, building.weight(operator, x), 2)
    _require(operator, "weights for the channels", channels, x.channels)
    # Over an image it is a 1x1 convolution, over numbers a dense layer.
    kind: LayerKind = "dense" if x.side == 1 else "conv"
    building.add(operator, kind, [x], activation=_fused(operator), normalised=False)


def _mean(building: Building, operator: GraphOperator) -> None:
    x = building.image(operator)
    rank = len(operator.inputs[0].shape) if operator.inputs[0] else 0
    axes = sorted(axis % rank for axis in building.numbers(operator, 1))
    _require(operator, "axes", axes, [1, 2])
    kept = len(operator.outputs[0].shape) == _IMAGE_RANK
    building.add(operator, "global_average" if kept else "mean", [x])


def _pool(building: Building, operator: GraphOperator) -> None:
    x, options = building.image(operator), operator.options
    kernel = _square(operator, options.filterHeight, options.filterWidth)
    # The runtime cuts values off as it pools.
    _fused(operator)
    average = operator.name == "AVERAGE_POOL_2D"
    if kernel == x.side and operator.outputs[0].shape[1:3] == (1, 1):
        building.add(operator, "global_average" if average else "global_max", [x])
        return
    stride = _stride(operator)
    building.add(
        operator,
        "average_pool" if average else "max_pool",
        [x],
        kernel=kernel,
        stride=stride,
        padding=_padding(operator, x, kernel, stride),
    )


def _pad(building: Building, operator: GraphOperator) -> None:
    x = building.image(operator)
    around = building.numbers(operator, 1)
    if len(around) != 2 * _IMAGE_RANK:
        raise UnreadableModel(f"{operator.place} pads {len(around) // 2} axes, expected 4")
    _require(operator, "padding of batch and channels", [*around[:2], *around[6:]], [0] * 4)
    _require(operator, "padding of rows", around[2:4], around[4:6])
    if not any(around):
        building.same(operator, x)
        building.views.append(operator.place)
        return
    building.add(operator, "pad", [x], padding=(around[2], around[3]))


def _two(kind: LayerKind) -> Callable[[Building, GraphOperator], None]:
    """Sums and products, also with a constant."""

    def take(building: Building, operator: GraphOperator) -> None:
        given = [one for one in operator.inputs if one is not None]
        values = [building.values[one.index] for one in given if one.index in building.values]
        _require(operator, "inputs", len(given), 2)
        if not values or (len(values) == 1 and operator.inputs[0] is not given[0]):
            raise UnreadableModel(f"{operator.place} reads no image, expected one")
        values.sort(key=lambda one: -one.side)
        if len(values) == 1:
            _take_constant(building, operator, values[0], kind)
            return
        if operator.name in ("SUB", "DIV"):
            raise UnreadableModel(
                f"{operator.place} is of two images; expected a constant, or ADD or MUL"
            )
        large, small = values
        if large.channels != small.channels or small.side not in (1, large.side):
            raise UnreadableModel(
                f"{operator.place} is of {large.side} px x {large.channels} and {small.side} px x "
                f"{small.channels}; expected images alike, or a number for each channel"
            )
        swish = gated_by_itself(building, operator, values) if kind == "multiply" else None
        if swish is not None and _fused(operator) is None:
            x, gate = swish
            del building.layers[gate.name]
            building.add(operator, "hard_swish", [x])
            return
        building.add(operator, kind, values, activation=_fused(operator))

    return take


def _take_constant(
    building: Building, operator: GraphOperator, x: TensorValue, kind: LayerKind
) -> None:
    """Add a sum or product with a constant, and see whether a hard-sigmoid ends with it."""
    constant = next(
        one for one in operator.inputs if one is not None and one.index not in building.values
    )
    numbers = constant.numbers
    number = float(numbers[0]) if numbers is not None and len(numbers) == 1 else math.nan
    if operator.name in ("SUB", "DIV"):
        number = -number if operator.name == "SUB" else 1 / number if number else math.nan
    source = source_of_gate(building, operator, x, number) if kind == "multiply" else None
    if source is not None:
        del building.layers[x.name]
        building.add(operator, "hard_sigmoid", [source])
        return
    building.add(operator, kind, [x, x], activation=_fused(operator))
    building.operands[building.values[operator.outputs[0].index].name] = number


def _activation(name: FusedActivation) -> Callable[[Building, GraphOperator], None]:
    """RELU and RELU6: a part of the layer before them, where that has none."""

    def take(building: Building, operator: GraphOperator) -> None:
        x = building.image(operator)
        before = building.layers.get(x.name)
        fuses = (
            before is not None
            and before.layer.kind in _FUSING
            and before.layer.activation is None
            and building.read_once(operator)
        )
        if before is None or not fuses:
            building.add(operator, name, [x])
            return
        layer = replace(before.layer, activation=name)
        building.layers[x.name] = replace(before, layer=layer)
        building.same(operator, x)

    return take


def _alone(building: Building, operator: GraphOperator) -> None:
    building.add(operator, _ALONE[operator.name], [building.image(operator)])


def _view(building: Building, operator: GraphOperator) -> None:
    """What gives the same values in another shape, or is a part of a shuffle."""
    if operator.name in ("RESHAPE", "TRANSPOSE") and regroups(building, operator):
        return
    x = building.image(operator)
    given = value_of(operator.outputs[0], x.name, operator.place)
    if (given.side, given.channels) != (x.side, x.channels):
        raise UnreadableModel(
            f"{operator.place} makes {given.side} px x {given.channels} of {x.side} px x "
            f"{x.channels}; expected a shape of the same side and channels: pool before it"
        )
    building.same(operator, x)
    building.views.append(operator.place)


_TAKERS: dict[str, Callable[[Building, GraphOperator], None]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "MEAN": _mean,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "PAD": _pad,
    "PADV2": _pad,
    "ADD": _two("add"),
    "SUB": _two("add"),
    "MUL": _two("multiply"),
    "DIV": _two("multiply"),
    "RELU": _activation("relu"),
    "RELU6": _activation("relu6"),
    **dict.fromkeys(_ALONE, _alone),
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE"), _view),
}
