"""Operators and networks as `.tflite` files, float32 or full int8."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from netspec.errors import EncodingError
from netspec.layers import (
    INPUT,
    Layer,
    LayerWeights,
    Parameters,
    layer_name,
    layers_of,
    named_layers,
)
from netspec.operators import Activation, Operator
from netspec.quantization import Affine, affine_of, quantize_bias, quantize_weight, weight_scales
from netspec.seeded import seeded_parameters
from netspec.tflite.graph import Graph

_FUSED: dict[Activation | None, int] = {
    None: schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}
#: flatbuffers' offsets are 32 bits, signed: less than 2 GiB, bytes
_LARGEST_FILE = 2**31
#: versions of the builtin operators that first took (float32, int8) tensors.
#: Source: `op_version.cc` of TensorFlow Lite.
_VERSIONS = {
    schema.BuiltinOperator.CONV_2D: (1, 3),
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: (1, 3),
    schema.BuiltinOperator.FULLY_CONNECTED: (1, 4),
    schema.BuiltinOperator.MEAN: (1, 2),
    schema.BuiltinOperator.ADD: (1, 2),
}


def encode(
    operators: Sequence[Operator], parameters: Parameters | None = None, *, seed: int = 0
) -> bytes:
    """A chain of operators as one `.tflite` file, the same bytes for the same arguments.

    The input tensor is [1, H, W, C], the output too ([1, classes] after a classifier), both in
    the precision of the operators. int8: weights and biases symmetric per output channel,
    activations affine per tensor, as in the TensorFlow Lite 8-bit quantization specification.

    Args:
        operators: a network's operators, or one alone.
        parameters: weights, and for int8 the ranges of all activations.
        seed: for `seeded_parameters`, where no parameters are given.

    Raises:
        EncodingError: operators that form no chain, precisions that differ, or a layer whose
            weights or range are missing, of a wrong shape or not finite; or more weights than
            a file can hold.
    """
    _check_chain(operators)
    _check_size(operators)
    return _Encoding(
        Graph(),
        parameters or seeded_parameters(operators, seed),
        quantized=operators[0].precision == "int8",
    ).run(operators)


@dataclass(frozen=True)
class _Tensor:
    """An activation: its index in the graph and what the layers after it need to know."""

    index: int
    shape: tuple[int, ...]
    #: None for float32
    affine: Affine | None


@dataclass(frozen=True)
class _Encoding:
    graph: Graph
    parameters: Parameters
    quantized: bool

    def run(self, operators: Sequence[Operator]) -> bytes:
        first = operators[0]
        size = first.input_size
        begin = self._activation(INPUT, (1, size, size, first.in_channels))
        tensor = begin
        for index, operator in enumerate(operators):
            entering = tensor
            for layer in layers_of(operator):
                tensor = self._layer(layer_name(index, layer), layer, tensor, entering)
        return self.graph.finish(begin.index, tensor.index)

    def _layer(self, name: str, layer: Layer, source: _Tensor, entering: _Tensor) -> _Tensor:
        """Add one layer; `entering` is the operator's own input, the other term of an `add`."""
        inputs = [source.index]
        if layer.has_weights:
            inputs += self._constants(name, layer, source)
        elif layer.kind == "add":
            inputs.append(entering.index)
        else:
            axes = np.array([1, 2], np.int32)
            inputs.append(self.graph.add_constant(f"{name}/axes", axes))
        output = self._activation(name, _output_shape(layer, source.shape))
        code, options_type, options = _builtin(layer)
        version = _VERSIONS[code][int(self.quantized)]
        self.graph.add_operator(code, version, inputs, output.index, options_type, options)
        return output

    def _activation(self, name: str, shape: tuple[int, ...]) -> _Tensor:
        affine = self._affine(name) if self.quantized else None
        return _Tensor(self.graph.add_activation(name, shape, affine), shape, affine)

    def _affine(self, name: str) -> Affine:
        held = self.parameters.ranges.get(name)
        if held is None:
            raise EncodingError(
                f"layer {name} has no activation range; int8 needs one for every layer and for "
                f"{INPUT!r}: observe them on data, or encode as float32"
            )
        if not (math.isfinite(held.low) and math.isfinite(held.high) and held.low <= held.high):
            raise EncodingError(
                f"layer {name} has the activation range [{held.low}, {held.high}]; expected two "
                "finite numbers in order: observe the ranges again"
            )
        return affine_of(held)

    def _constants(self, name: str, layer: Layer, source: _Tensor) -> list[int]:
        """Add the layer's weight and bias."""
        given = self.parameters.weights.get(name)
        if given is None:
            raise EncodingError(
                f"layer {name} has no weights; expected a weight of shape {layer.weight_shape} and "
                "a bias: name the parameters as `netspec.layers.layer_name` does"
            )
        _check_weights(name, layer, given)
        add = self.graph.add_constant
        if source.affine is None:
            return [add(f"{name}/weight", given.weight), add(f"{name}/bias", given.bias)]
        axis = layer.channel_axis
        scales = weight_scales(given.weight, axis)
        bias = quantize_bias(given.bias, source.affine.scale, scales)
        return [
            add(f"{name}/weight", quantize_weight(given.weight, scales, axis), scales, axis),
            add(f"{name}/bias", bias, np.float32(source.affine.scale) * scales),
        ]


def _output_shape(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    if layer.kind in ("mean", "dense"):
        return (1, layer.out_channels)
    side = -(-shape[1] // layer.stride)
    return (1, side, side, layer.out_channels)


def _builtin(layer: Layer) -> tuple[int, int, object]:
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


def _check_chain(operators: Sequence[Operator]) -> None:
    if not operators:
        raise EncodingError("there is nothing to encode; expected at least one operator")
    for before, after in pairwise(operators):
        if before.precision != after.precision:
            raise EncodingError(
                f"{after.key} follows {before.key}: the operators of one file need one precision; "
                "choose it with `with_precision`"
            )
        if (before.output_size, before.out_channels) != (after.input_size, after.in_channels):
            raise EncodingError(
                f"{after.key} does not follow {before.key}: the shapes differ; "
                "build the chain as a `netspec.networks.Network`"
            )


def _check_size(operators: Sequence[Operator]) -> None:
    """Refuse what no file holds, before weights are made for it."""
    layers = (layer for _, layer in named_layers(operators) if layer.has_weights)
    weights = sum(math.prod(layer.weight_shape) for layer in layers)
    held = weights * (1 if operators[0].precision == "int8" else 4)
    if held >= _LARGEST_FILE:
        raise EncodingError(
            f"the chain that starts with {operators[0].key} has {held / 2**30:.1f} GiB of "
            "weights; a .tflite file holds less than 2: use fewer channels"
        )


def _check_weights(name: str, layer: Layer, given: LayerWeights) -> None:
    for what, array, shape in (
        ("weight", given.weight, layer.weight_shape),
        ("bias", given.bias, (layer.out_channels,)),
    ):
        if array.shape != shape or array.dtype != np.float32:
            raise EncodingError(
                f"layer {name} has a {what} of shape {array.shape}, {array.dtype}; "
                f"expected {shape}, float32"
            )
        if not np.isfinite(array).all():
            raise EncodingError(
                f"layer {name} has a {what} with numbers that are not finite; "
                "did its training diverge?"
            )
