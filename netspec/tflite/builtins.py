"""Which builtin operators of TensorFlow Lite compute a layer, and in which versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ai_edge_litert import schema_py_generated as schema

from netspec.errors import UnknownLayer
from netspec.layers import FusedActivation, Layer, LayerKind
from netspec.operators import Precision

_CODES, _OPTIONS = schema.BuiltinOperator, schema.BuiltinOptions
FUSED: dict[FusedActivation | None, int] = {
    None: schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}
#: versions of the builtin operators that first took (float32, int8) tensors; those of
#: conversions are (from int8, to int8). Source: `op_version.cc` of TensorFlow Lite.
_VERSIONS = {
    _CODES.CONV_2D: (1, 3),
    _CODES.DEPTHWISE_CONV_2D: (1, 3),
    _CODES.FULLY_CONNECTED: (1, 4),
    _CODES.MEAN: (1, 2),
    _CODES.AVERAGE_POOL_2D: (1, 2),
    _CODES.MAX_POOL_2D: (1, 2),
    _CODES.ADD: (1, 2),
    _CODES.MUL: (1, 2),
    _CODES.RELU: (1, 2),
    _CODES.RELU6: (1, 2),
    _CODES.HARD_SWISH: (1, 1),
    _CODES.LOGISTIC: (1, 2),
    _CODES.SOFTMAX: (1, 2),
    _CODES.PAD: (1, 2),
    _CODES.RESHAPE: (1, 1),
    _CODES.TRANSPOSE: (1, 2),
    _CODES.QUANTIZE: (1, 1),
    _CODES.DEQUANTIZE: (2, 2),
}
#: version of CONV_2D that first took groups, in either precision
_GROUPED_VERSION = 6
#: of DEQUANTIZE that first took float16 tensors
_HALF_VERSION = 3


@dataclass(frozen=True)
class Builtin:
    """A builtin operator with the type and value of its options."""

    code: int
    version: int
    options_type: int
    options: object


#: from a layer, the side of its input (px) and the precision of its output
_Maker = Callable[[Layer, int, Precision], Builtin]


def _builtin(code: int, precision: Precision, options_type: int, options: object) -> Builtin:
    return Builtin(code, _VERSIONS[code][int(precision == "int8")], options_type, options)


QUANTIZE = _builtin(_CODES.QUANTIZE, "int8", _OPTIONS.QuantizeOptions, schema.QuantizeOptionsT())
DEQUANTIZE = _builtin(
    _CODES.DEQUANTIZE, "float32", _OPTIONS.DequantizeOptions, schema.DequantizeOptionsT()
)
DEQUANTIZE_HALF = Builtin(
    _CODES.DEQUANTIZE, _HALF_VERSION, DEQUANTIZE.options_type, DEQUANTIZE.options
)


def addition(precision: Precision, activation: FusedActivation | None) -> Builtin:
    """The sum of two tensors."""
    return _builtin(
        _CODES.ADD, precision, _OPTIONS.AddOptions, schema.AddOptionsT(FUSED[activation])
    )


def multiplication(precision: Precision) -> Builtin:
    """The product of two tensors."""
    return _builtin(_CODES.MUL, precision, _OPTIONS.MulOptions, schema.MulOptionsT(FUSED[None]))


def reshape(precision: Precision, shape: Sequence[int]) -> Builtin:
    """The same values in another shape, which an input repeats."""
    options = schema.ReshapeOptionsT([*shape])
    return _builtin(_CODES.RESHAPE, precision, _OPTIONS.ReshapeOptions, options)


def transposition(precision: Precision) -> Builtin:
    """The axes in the order that an input says."""
    options = schema.TransposeOptionsT()
    return _builtin(_CODES.TRANSPOSE, precision, _OPTIONS.TransposeOptions, options)


def builtin_of(layer: Layer, side: int, precision: Precision) -> Builtin:
    """The builtin operator of a layer that is one.

    Args:
        layer: of any kind but those that are several: `hard_sigmoid`, `shuffle`, and in int8
            `hard_swish`.
        side: of its input, px.
        precision: of its output.

    Raises:
        UnknownLayer: no builtin operator is known for its kind.
    """
    if layer.kind not in _BUILTINS:
        raise UnknownLayer("the encoder", layer.kind, layer.name)
    return _BUILTINS[layer.kind](layer, side, precision)


def _padding(layer: Layer) -> int:
    return int(schema.Padding.SAME if layer.padding is None else schema.Padding.VALID)


def _conv(layer: Layer, _side: int, precision: Precision) -> Builtin:
    stride, fused = layer.stride, FUSED[layer.activation]
    options = schema.Conv2DOptionsT(_padding(layer), stride, stride, fused)
    plain = _builtin(_CODES.CONV_2D, precision, _OPTIONS.Conv2DOptions, options)
    return plain if layer.groups == 1 else replace(plain, version=_GROUPED_VERSION)


def _depthwise(layer: Layer, _side: int, precision: Precision) -> Builtin:
    stride, fused = layer.stride, FUSED[layer.activation]
    options = schema.DepthwiseConv2DOptionsT(_padding(layer), stride, stride, 1, fused)
    kind = _OPTIONS.DepthwiseConv2DOptions
    return _builtin(_CODES.DEPTHWISE_CONV_2D, precision, kind, options)


def _dense(layer: Layer, _side: int, precision: Precision) -> Builtin:
    options = schema.FullyConnectedOptionsT(FUSED[layer.activation])
    return _builtin(_CODES.FULLY_CONNECTED, precision, _OPTIONS.FullyConnectedOptions, options)


def _mean(layer: Layer, _side: int, precision: Precision) -> Builtin:
    options = schema.ReducerOptionsT(keepDims=not layer.is_flat)
    return _builtin(_CODES.MEAN, precision, _OPTIONS.ReducerOptions, options)


def _pool(layer: Layer, side: int, precision: Precision) -> Builtin:
    code = _CODES.AVERAGE_POOL_2D if layer.kind == "average_pool" else _CODES.MAX_POOL_2D
    whole = layer.kind == "global_max"
    kernel, stride = (side, side) if whole else (layer.kernel, layer.stride)
    padding, none = _padding(layer), FUSED[None]
    options = schema.Pool2DOptionsT(padding, stride, stride, kernel, kernel, none)
    return _builtin(code, precision, _OPTIONS.Pool2DOptions, options)


def _without_options(code: int) -> _Maker:
    return lambda _layer, _side, precision: _builtin(code, precision, _OPTIONS.NONE, None)


def _hard_swish(_layer: Layer, _side: int, precision: Precision) -> Builtin:
    options = schema.HardSwishOptionsT()
    return _builtin(_CODES.HARD_SWISH, precision, _OPTIONS.HardSwishOptions, options)


def _softmax(_layer: Layer, _side: int, precision: Precision) -> Builtin:
    options = schema.SoftmaxOptionsT(beta=1.0)
    return _builtin(_CODES.SOFTMAX, precision, _OPTIONS.SoftmaxOptions, options)


def _pad(_layer: Layer, _side: int, precision: Precision) -> Builtin:
    return _builtin(_CODES.PAD, precision, _OPTIONS.PadOptions, schema.PadOptionsT())


_BUILTINS: dict[LayerKind, _Maker] = {
    "conv": _conv,
    "depthwise": _depthwise,
    "dense": _dense,
    "mean": _mean,
    "global_average": _mean,
    "global_max": _pool,
    "average_pool": _pool,
    "max_pool": _pool,
    "add": lambda layer, _side, precision: addition(precision, layer.activation),
    "multiply": lambda _layer, _side, precision: multiplication(precision),
    "relu": _without_options(_CODES.RELU),
    "relu6": _without_options(_CODES.RELU6),
    "hard_swish": _hard_swish,
    "sigmoid": _without_options(_CODES.LOGISTIC),
    "softmax": _softmax,
    "pad": _pad,
    "convert": lambda _layer, _side, precision: QUANTIZE if precision == "int8" else DEQUANTIZE,
}
