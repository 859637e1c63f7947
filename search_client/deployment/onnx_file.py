"""A trained network as an ONNX file: float32, or int8 between QuantizeLinear and DequantizeLinear.

Written from the layers, as `.tflite` files are, with the same weights, ranges and roundings; NCHW.
A quantized file says in float what it rounds ("QDQ"), and runtimes compute it in integers.
Source: the operators of ONNX, opset 17; onnxruntime's quantized models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from netspec.console.extras import needs_extra
from netspec.errors import UnknownLayer
from netspec.layers import INPUT, Layer, LayerKind, Parameters, layer_name, same_padding, walk
from netspec.operators import Operator
from netspec.quantization import (
    FIXED_RANGES,
    GATE_RANGE,
    INT8_MIN,
    Affine,
    affine_of,
    keeps_scale,
    parameter_scales,
    quantize_bias,
    quantize_weight,
)
from netspec.tflite.graph import INPUT_NAME, OUTPUT_NAME
from search_client.networks.layers import to_torch_layout

if TYPE_CHECKING:
    import onnx

EXTRA = "onnx"
#: ONNX 1.12 and later, onnxruntime 1.12 and later
_OPSET, _IR_VERSION = 17, 8
_SIX = 6.0
_HARD_SIGMOID = {"alpha": 1 / _SIX, "beta": 0.5}


@dataclass(frozen=True)
class _Value:
    """What flows between layers: a float tensor, and what its int8 codes mean if it is rounded."""

    name: str
    #: px; 1 where it is flat
    side: int
    affine: Affine | None = None


def onnx_file(
    operators: Sequence[Operator],
    parameters: Parameters,
    metadata: dict[str, str],
    *,
    tensor_scales: bool = False,
) -> bytes:
    """The file of a network; input `image` and output `logits`, float32 [N, classes].

    A float32 network takes normalised images, float32 [N, 3, H, H]; an int8 one pixels, uint8.

    Args:
        operators: in their precisions.
        parameters: as the encoder of `.tflite` files takes them.
        metadata: texts by name, kept in the file.
        tensor_scales: one scale for a classifier's weight in place of one a class.

    Raises:
        UserError: the package onnx is not installed.
        UnknownLayer: there is no ONNX operator for a layer.
    """
    with needs_extra(EXTRA, "writing ONNX files"):
        import onnx  # noqa: PLC0415
        from onnx import checker, helper  # noqa: PLC0415
    writer = _Writer(parameters, tensor_scales)
    first, last = operators[0], operators[-1]
    side = first.input_size
    coded = first.precision == "int8"
    flowing = writer.pixels(side) if coded else _Value(INPUT_NAME, side)
    for index, operator in enumerate(operators):

        def write(
            layer: Layer,
            sources: Sequence[_Value],
            index: int = index,
            int8: bool = operator.precision == "int8",
        ) -> _Value:
            return writer.layer(layer_name(index, layer), layer, sources, int8=int8)

        flowing = walk(operator.layers, flowing, write)
    writer.node("Identity", [flowing.name], OUTPUT_NAME)
    kind = onnx.TensorProto.UINT8 if coded else onnx.TensorProto.FLOAT
    shape = ["N", last.out_channels]
    if not last.layers[-1].is_flat:
        shape += [last.output_size] * 2
    graph = helper.make_graph(
        writer.nodes,
        "main",
        [helper.make_tensor_value_info(INPUT_NAME, kind, ["N", first.in_channels, side, side])],
        [helper.make_tensor_value_info(OUTPUT_NAME, onnx.TensorProto.FLOAT, shape)],
        writer.constants,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="netspec",
    )
    helper.set_model_props(model, metadata)
    checker.check_model(model)
    return bytes(model.SerializeToString())


@dataclass
class _Writer:
    """Nodes and constants of a graph under construction."""

    parameters: Parameters
    tensor_scales: bool
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add an operator with one output, whose name it returns."""
        from onnx import helper  # noqa: PLC0415

        self.nodes.append(helper.make_node(kind, list(inputs), [output], output, **attributes))
        return output

    def constant(self, name: str, value: npt.NDArray[Any] | np.generic) -> str:
        """Add a constant, whose name it returns."""
        from onnx import numpy_helper  # noqa: PLC0415

        self.constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def pixels(self, side: int) -> _Value:
        """What pixels stand for, rounded to the codes of the file's `.tflite` twin."""
        affine = affine_of(self.parameters.ranges[INPUT])
        scale = self.constant(f"{INPUT}/pixel_scale", np.float32(affine.scale))
        zero = self.constant(f"{INPUT}/pixel_zero", np.uint8(affine.zero_point - INT8_MIN))
        real = self.node("DequantizeLinear", [INPUT_NAME, scale, zero], f"{INPUT}/real")
        return self.rounded(INPUT, real, side, affine)

    def rounded(self, name: str, real: str, side: int, affine: Affine) -> _Value:
        """A tensor rounded to int8 codes and back."""
        scale = self.constant(f"{name}/scale", np.float32(affine.scale))
        zero = self.constant(f"{name}/zero_point", np.int8(affine.zero_point))
        codes = self.node("QuantizeLinear", [real, scale, zero], f"{name}/codes")
        again = self.node("DequantizeLinear", [codes, scale, zero], f"{name}/rounded")
        return _Value(again, side, affine)

    def layer(self, name: str, layer: Layer, sources: Sequence[_Value], *, int8: bool) -> _Value:
        """Add one layer, with its activation and, in int8, the rounding of what leaves it."""
        first = sources[0]
        inputs = [source.name for source in sources]
        if layer.has_weights:
            inputs += self._weights(name, layer, first.affine)
        if int8 and layer.kind == "hard_swish":
            gate = self.node("HardSigmoid", inputs, f"{name}/gate", **_HARD_SIGMOID)
            rounded = self.rounded(f"{name}/gate", gate, first.side, affine_of(GATE_RANGE))
            output = self.node("Mul", [*inputs, rounded.name], name)
        else:
            output = self._computed(name, layer, inputs, first.side)
        if layer.activation == "relu6":
            output = self._clipped(f"{name}/relu6", output)
        elif layer.activation == "relu":
            output = self.node("Relu", [output], f"{name}/relu")
        side = layer.output_side(first.side)
        if not int8:
            return _Value(output, side)
        if keeps_scale(layer) and first.affine is not None:
            affine = first.affine
        else:
            held = FIXED_RANGES.get(layer.kind) or self.parameters.ranges[name]
            affine = affine_of(held)
        return self.rounded(name, output, side, affine)

    def _weights(self, name: str, layer: Layer, source: Affine | None) -> list[str]:
        given = self.parameters.weights[name]
        if source is None:
            weight = to_torch_layout(layer, given.weight).numpy()
            return [
                self.constant(f"{name}/weight", weight),
                self.constant(f"{name}/bias", given.bias),
            ]
        by_tensor = self.tensor_scales and layer.kind == "dense"
        scales = parameter_scales(given, layer.channel_axis, source.scale, by_tensor=by_tensor)
        codes = quantize_weight(given.weight, scales, layer.channel_axis)
        bias = quantize_bias(given.bias, source.scale, scales)
        weight = to_torch_layout(layer, codes.astype(np.float32)).numpy().astype(np.int8)
        return [
            self._dequantized(f"{name}/weight", weight, scales),
            self._dequantized(f"{name}/bias", bias, np.float32(source.scale) * scales),
        ]

    def _dequantized(
        self, name: str, codes: npt.NDArray[Any], scales: npt.NDArray[np.float32]
    ) -> str:
        """A constant whose codes vary in scale along its first axis."""
        inputs = [
            self.constant(f"{name}/codes", codes),
            self.constant(f"{name}/scale", scales),
            self.constant(f"{name}/zero_point", np.zeros(len(scales), codes.dtype)),
        ]
        return self.node("DequantizeLinear", inputs, name, axis=0)

    def _computed(self, name: str, layer: Layer, inputs: list[str], side: int) -> str:
        """Add a layer without its fused activation."""
        if layer.kind not in _OPERATORS:
            raise UnknownLayer("the writer of ONNX files", layer.kind, layer.name)
        kind, attributes = _OPERATORS[layer.kind], {}
        match layer.kind:
            case "conv" | "depthwise" | "average_pool" | "max_pool":
                attributes = _window(layer, side)
            case "dense":
                attributes = {"transB": 1}
            case "mean":
                inputs = [self.node("GlobalAveragePool", inputs, f"{name}/pooled")]
            case "relu6":
                return self._clipped(name, inputs[0])
            case "hard_sigmoid":
                attributes = _HARD_SIGMOID
            case "softmax":
                attributes = {"axis": 1}
            case "pad":
                before, after = layer.padding or (0, 0)
                pads = np.array([0, 0, before, before, 0, 0, after, after], np.int64)
                inputs = [*inputs, self.constant(f"{name}/pads", pads)]
            case "shuffle":
                return self._shuffled(name, layer, inputs[0], side)
        return self.node(kind, inputs, name, **attributes)

    def _shuffled(self, name: str, layer: Layer, x: str, side: int) -> str:
        share = layer.in_channels // layer.groups
        whole = np.array([0, layer.in_channels, side, side], np.int64)
        split = np.array([0, layer.groups, share, side * side], np.int64)
        y = self.node("Reshape", [x, self.constant(f"{name}/groups", split)], f"{name}/split")
        y = self.node("Transpose", [y], f"{name}/turned", perm=[0, 2, 1, 3])
        return self.node("Reshape", [y, self.constant(f"{name}/shape", whole)], name)

    def _clipped(self, name: str, x: str) -> str:
        ends = [
            self.constant(f"{name}/{end}", np.float32(value))
            for end, value in (("least", 0.0), ("most", _SIX))
        ]
        return self.node("Clip", [x, *ends], name)


_OPERATORS: dict[LayerKind, str] = {
    "conv": "Conv",
    "depthwise": "Conv",
    "dense": "Gemm",
    # behind the pooling
    "mean": "Flatten",
    "global_average": "GlobalAveragePool",
    "global_max": "GlobalMaxPool",
    "average_pool": "AveragePool",
    "max_pool": "MaxPool",
    "add": "Add",
    "multiply": "Mul",
    "relu": "Relu",
    "relu6": "Clip",
    "hard_swish": "HardSwish",
    "hard_sigmoid": "HardSigmoid",
    "sigmoid": "Sigmoid",
    "softmax": "Softmax",
    "pad": "Pad",
    # behind which the shape is what it was
    "shuffle": "Transpose",
    # what follows rounds, or nothing does
    "convert": "Identity",
}


def _window(layer: Layer, side: int) -> dict[str, Any]:
    """Attributes of an operator with a window."""
    before, after = layer.padding or same_padding(side, layer.kernel, layer.stride)
    attributes: dict[str, Any] = {
        "kernel_shape": [layer.kernel] * 2,
        "strides": [layer.stride] * 2,
        "pads": [before, before, after, after],
    }
    if layer.has_weights:
        groups = layer.out_channels if layer.kind == "depthwise" else layer.groups
        attributes["group"] = groups
    return attributes
