"""A chain of operators with its parameters as a `.tflite` file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from netspec.errors import EncodingError
from netspec.layers import INPUT, Float32Array, Layer, Parameters, layer_name, layers_of
from netspec.operators import Activation, Convert, Operator, Precision
from netspec.quantization import (
    INT8_MIN,
    Affine,
    affine_of,
    quantize_bias,
    quantize_weight,
    weight_scales,
)
from netspec.tflite.check import check_chain, check_size, checked_range, checked_weights
from netspec.tflite.graph import Graph
from netspec.tflite.seeded_weights import seeded_parameters

_FUSED: dict[Activation | None, int] = {
    None: schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}
#: versions of the builtin operators that first took (float32, int8) tensors; those of
#: conversions are (from int8, to int8). Source: `op_version.cc` of TensorFlow Lite.
_VERSIONS = {
    schema.BuiltinOperator.CONV_2D: (1, 3),
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: (1, 3),
    schema.BuiltinOperator.FULLY_CONNECTED: (1, 4),
    schema.BuiltinOperator.MEAN: (1, 2),
    schema.BuiltinOperator.ADD: (1, 2),
    schema.BuiltinOperator.QUANTIZE: (1, 1),
    schema.BuiltinOperator.DEQUANTIZE: (2, 2),
}
_QUANTIZE = (
    schema.BuiltinOperator.QUANTIZE,
    schema.BuiltinOptions.QuantizeOptions,
    schema.QuantizeOptionsT(),
)
_DEQUANTIZE = (
    schema.BuiltinOperator.DEQUANTIZE,
    schema.BuiltinOptions.DequantizeOptions,
    schema.DequantizeOptionsT(),
)
#: version of DEQUANTIZE that first took float16 tensors
_DEQUANTIZE_HALF = 3


@dataclass(frozen=True)
class FileOptions:
    """What a deployed file may have that a measured operator has not."""

    #: codes that an int8 file takes and gives; uint8 costs one QUANTIZE at each end
    codes: Literal["int8", "uint8"] = "int8"
    #: keep float32 weights as float16, expanded when the file is loaded
    half_weights: bool = False
    #: buffers by name
    metadata: Mapping[str, bytes] = field(default_factory=dict)


PLAIN = FileOptions()


def encode(
    operators: Sequence[Operator],
    parameters: Parameters | None = None,
    *,
    seed: int = 0,
    options: FileOptions = PLAIN,
) -> bytes:
    """A chain of operators as one `.tflite` file, the same bytes for the same arguments.

    The input tensor is [1, H, W, C], the output too ([1, classes] after a classifier), in the
    precision of the first and last operators. int8: weights and biases symmetric per output
    channel, activations affine per tensor, as in the TensorFlow Lite 8-bit quantization
    specification. Precisions may change where a `Convert` stands.

    Args:
        operators: a network's operators, or one alone.
        parameters: weights, and for int8 the ranges of all activations.
        seed: for `seeded_parameters`, where no parameters are given.
        options: of deployed files; measured operators have none.

    Raises:
        EncodingError: operators that form no chain, precisions that differ, or a layer whose
            weights or range are missing, of a wrong shape or not finite; more weights than
            a file can hold; or options that the precision does not have.
    """
    check_chain(operators)
    check_size(operators)
    held = parameters or seeded_parameters(operators, seed)
    return _Encoding(Graph(), held, options).run(operators)


@dataclass(frozen=True)
class _Tensor:
    """An activation: its index in the graph and what the layers after it need to know."""

    index: int
    shape: tuple[int, ...]
    #: None for float32
    affine: Affine | None


def _entering_precision(first: Operator) -> Precision:
    if isinstance(first, Convert):
        return "float32" if first.precision == "int8" else "int8"
    return first.precision


@dataclass(frozen=True)
class _Encoding:
    graph: Graph
    parameters: Parameters
    options: FileOptions

    def run(self, operators: Sequence[Operator]) -> bytes:
        first = operators[0]
        shape = (1, first.input_size, first.input_size, first.in_channels)
        begin = self._activation(INPUT, shape, _entering_precision(first))
        tensor = begin
        if self.options.codes == "uint8":
            begin = self._unsigned(tensor, f"{INPUT}/uint8")
            self._convert(begin.index, tensor.index)
        for index, operator in enumerate(operators):
            entering = tensor
            for layer in layers_of(operator):
                name = layer_name(index, layer)
                tensor = self._layer(name, layer, operator.precision, tensor, entering)
        end = tensor
        if self.options.codes == "uint8":
            end = self._unsigned(tensor, "output/uint8")
            self._convert(tensor.index, end.index)
        return self.graph.finish(begin.index, end.index, self.options.metadata)

    def _layer(
        self, name: str, layer: Layer, precision: Precision, source: _Tensor, entering: _Tensor
    ) -> _Tensor:
        """Add one layer; `entering` is the operator's own input, the other term of an `add`."""
        inputs = [source.index]
        if layer.has_weights:
            inputs += self._constants(name, layer, source)
        elif layer.kind == "add":
            inputs.append(entering.index)
        elif layer.kind == "mean":
            axes = np.array([1, 2], np.int32)
            inputs.append(self.graph.add_constant(f"{name}/axes", axes))
        output = self._activation(name, _output_shape(layer, source.shape), precision)
        code, options_type, options = _builtin(layer, precision)
        version = _VERSIONS[code][int(precision == "int8")]
        self.graph.add_operator(code, version, inputs, output.index, options_type, options)
        return output

    def _activation(self, name: str, shape: tuple[int, ...], precision: Precision) -> _Tensor:
        affine = affine_of(checked_range(name, self.parameters)) if precision == "int8" else None
        return _Tensor(self.graph.add_activation(name, shape, affine), shape, affine)

    def _unsigned(self, signed: _Tensor, name: str) -> _Tensor:
        """A tensor of the same reals whose codes are uint8."""
        if signed.affine is None:
            raise EncodingError(
                "only an int8 file can take and give uint8; this one begins or ends in float32: "
                "encode it as int8, or without uint8"
            )
        shifted = Affine(signed.affine.scale, signed.affine.zero_point - INT8_MIN)
        index = self.graph.add_activation(name, signed.shape, shifted, unsigned=True)
        return _Tensor(index, signed.shape, shifted)

    def _convert(self, source: int, output: int) -> None:
        code, kind, options = _QUANTIZE
        self.graph.add_operator(code, _VERSIONS[code][1], [source], output, kind, options)

    def _constants(self, name: str, layer: Layer, source: _Tensor) -> list[int]:
        """Add the layer's weight and bias."""
        given = checked_weights(name, layer, self.parameters)
        add = self.graph.add_constant
        if source.affine is None:
            if self.options.half_weights:
                return [
                    self._half(f"{name}/weight", given.weight),
                    self._half(f"{name}/bias", given.bias),
                ]
            return [add(f"{name}/weight", given.weight), add(f"{name}/bias", given.bias)]
        axis = layer.channel_axis
        scales = weight_scales(given.weight, axis)
        bias = quantize_bias(given.bias, source.affine.scale, scales)
        return [
            add(f"{name}/weight", quantize_weight(given.weight, scales, axis), scales, axis),
            add(f"{name}/bias", bias, np.float32(source.affine.scale) * scales),
        ]

    def _half(self, name: str, data: Float32Array) -> int:
        """Add a constant as float16 with the DEQUANTIZE that makes it float32."""
        with np.errstate(over="ignore"):
            half = data.astype(np.float16)
        if not np.isfinite(half).all():
            raise EncodingError(
                f"{name} has numbers beyond 65504, the greatest float16; keep float32 weights"
            )
        stored = self.graph.add_constant(f"{name}/float16", half)
        expanded = self.graph.add_activation(name, data.shape, None)
        code, kind, options = _DEQUANTIZE
        self.graph.add_operator(code, _DEQUANTIZE_HALF, [stored], expanded, kind, options)
        return expanded


def _output_shape(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    if layer.kind in ("mean", "dense"):
        return (1, layer.out_channels)
    side = -(-shape[1] // layer.stride)
    return (1, side, side, layer.out_channels)


def _builtin(layer: Layer, precision: Precision) -> tuple[int, int, object]:
    """The layer's builtin operator with the type and value of its options."""
    operators, options = schema.BuiltinOperator, schema.BuiltinOptions
    same, fused = schema.Padding.SAME, _FUSED[layer.activation]
    match layer.kind:
        case "conv":
            conv = schema.Conv2DOptionsT(same, layer.stride, layer.stride, fused)
            return operators.CONV_2D, options.Conv2DOptions, conv
        case "depthwise":
            depthwise = schema.DepthwiseConv2DOptionsT(same, layer.stride, layer.stride, 1, fused)
            return operators.DEPTHWISE_CONV_2D, options.DepthwiseConv2DOptions, depthwise
        case "dense":
            dense = schema.FullyConnectedOptionsT(fused)
            return operators.FULLY_CONNECTED, options.FullyConnectedOptions, dense
        case "mean":
            return operators.MEAN, options.ReducerOptions, schema.ReducerOptionsT(keepDims=False)
        case "add":
            return operators.ADD, options.AddOptions, schema.AddOptionsT(fused)
        case "convert":
            return _QUANTIZE if precision == "int8" else _DEQUANTIZE
