"""Which builtin operators of TensorFlow Lite compute a layer, and in which versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ai_edge_litert import schema_py_generated as schema

from netspec.errors import UnknownLayer
from netspec.layers import FusedActivation, Layer, LayerKind

_CODES, _OPTIONS = schema.BuiltinOperator, schema.BuiltinOptions
FUSED: dict[FusedActivation | None, int] = {
    None: schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}
#: what an operator computes with: `int16` is 16x8, int16 activations and int8 weights; `hybrid`
#: is dynamic range, float32 activations that the runtime rounds as it goes, and int8 weights
Arithmetic = Literal["float32", "int8", "int16", "hybrid"]
#: versions of the builtin operators that first took (float32, int8, int16) tensors, and hybrid
#: ones; those of conversions are (from int8, to int8, to or from int16). Source: `op_version.cc`
#: of TensorFlow Lite.
_VERSIONS: dict[int, tuple[int, ...]] = {
    _CODES.CONV_2D: (1, 3, 4, 5),
    _CODES.DEPTHWISE_CONV_2D: (1, 3, 5, 6),
    _CODES.FULLY_CONNECTED: (1, 4, 7, 9),
    _CODES.MEAN: (1, 2, 3),
    _CODES.AVERAGE_POOL_2D: (1, 2, 3),
    _CODES.MAX_POOL_2D: (1, 2, 3),
    _CODES.ADD: (1, 2, 3),
    _CODES.MUL: (1, 2, 4),
    _CODES.RELU: (1, 2, 3),
    _CODES.RELU6: (1, 2, 3),
    _CODES.HARD_SWISH: (1, 1),
    _CODES.LOGISTIC: (1, 2, 3),
    _CODES.SOFTMAX: (1, 2, 3),
    _CODES.PAD: (1, 2, 3),
    _CODES.RESHAPE: (1, 1, 1),
    _CODES.TRANSPOSE: (1, 2, 5),
    _CODES.QUANTIZE: (1, 1, 2),
    _CODES.DEQUANTIZE: (2, 2, 3),
}
_ARITHMETICS: tuple[Arithmetic, ...] = ("float32", "int8", "int16", "hybrid")
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


#: from a layer, the side of its input (px) and what it computes with
_Maker = Callable[[Layer, int, Arithmetic], Builtin]


def _builtin(code: int, precision: Arithmetic, options_type: int, options: object) -> Builtin:
    version = _VERSIONS[code][_ARITHMETICS.index(precision)]
    return Builtin(code, version, options_type, options)


QUANTIZE = _builtin(_CODES.QUANTIZE, "int8", _OPTIONS.QuantizeOptions, schema.QuantizeOptionsT())
DEQUANTIZE = _builtin(
    _CODES.DEQUANTIZE, "float32", _OPTIONS.DequantizeOptions, schema.DequantizeOptionsT()
)
QUANTIZE_WIDE, DEQUANTIZE_WIDE = (
    replace(one, version=_VERSIONS[one.code][2]) for one in (QUANTIZE, DEQUANTIZE)
)
DEQUANTIZE_HALF = Builtin(
    _CODES.DEQUANTIZE, _HALF_VERSION, DEQUANTIZE.options_type, DEQUANTIZE.options
)


def addition(precision: Arithmetic, activation: FusedActivation | None) -> Builtin:
    """The sum of two tensors."""
    # The schema's default says that int16 scales are powers of two.
    options = schema.AddOptionsT(FUSED[activation], potScaleInt16=precision != "int16")
    return _builtin(_CODES.ADD, precision, _OPTIONS.AddOptions, options)


def multiplication(precision: Arithmetic) -> Builtin:
    """The product of two tensors."""
    return _builtin(_CODES.MUL, precision, _OPTIONS.MulOptions, schema.MulOptionsT(FUSED[None]))


def reshape(precision: Arithmetic, shape: Sequence[int]) -> Builtin:
    """The same values in another shape, which an input repeats."""
    options = schema.ReshapeOptionsT([*shape])
    return _builtin(_CODES.RESHAPE, precision, _OPTIONS.ReshapeOptions, options)


def transposition(precision: Arithmetic) -> Builtin:
    """The axes in the order that an input says."""
    options = schema.TransposeOptionsT()
    return _builtin(_CODES.TRANSPOSE, precision, _OPTIONS.TransposeOptions, options)


def builtin_of(layer: Layer, side: int, precision: Arithmetic) -> Builtin:
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


def _conv(layer: Layer, _side: int, precision: Arithmetic) -> Builtin:
    stride, fused = layer.stride, FUSED[layer.activation]
    options = schema.Conv2DOptionsT(_padding(layer), stride, stride, fused)
    plain = _builtin(_CODES.CONV_2D, precision, _OPTIONS.Conv2DOptions, options)
    return plain if layer.groups == 1 else replace(plain, version=_GROUPED_VERSION)


def _depthwise(layer: Layer, _side: int, precision: Arithmetic) -> Builtin:
    stride, fused = layer.stride, FUSED[layer.activation]
    options = schema.DepthwiseConv2DOptionsT(_padding(layer), stride, stride, 1, fused)
    kind = _OPTIONS.DepthwiseConv2DOptions
    return _builtin(_CODES.DEPTHWISE_CONV_2D, precision, kind, options)


def _dense(layer: Layer, _side: int, precision: Arithmetic) -> Builtin:
    options = schema.FullyConnectedOptionsT(FUSED[layer.activation])
    options.asymmetricQuantizeInputs = precision == "hybrid"
    return _builtin(_CODES.FULLY_CONNECTED, precision, _OPTIONS.FullyConnectedOptions, options)


def _mean(layer: Layer, _side: int, precision: Arithmetic) -> Builtin:
    options = schema.ReducerOptionsT(keepDims=not layer.is_flat)
    return _builtin(_CODES.MEAN, precision, _OPTIONS.ReducerOptions, options)


def _pool(layer: Layer, side: int, precision: Arithmetic) -> Builtin:
    code = _CODES.AVERAGE_POOL_2D if layer.kind == "average_pool" else _CODES.MAX_POOL_2D
    whole = layer.kind == "global_max"
    kernel, stride = (side, side) if whole else (layer.kernel, layer.stride)
    padding, none = _padding(layer), FUSED[None]
    options = schema.Pool2DOptionsT(padding, stride, stride, kernel, kernel, none)
    return _builtin(code, precision, _OPTIONS.Pool2DOptions, options)


def _without_options(code: int) -> _Maker:
    return lambda _layer, _side, precision: _builtin(code, precision, _OPTIONS.NONE, None)


def _hard_swish(_layer: Layer, _side: int, precision: Arithmetic) -> Builtin:
    options = schema.HardSwishOptionsT()
    return _builtin(_CODES.HARD_SWISH, precision, _OPTIONS.HardSwishOptions, options)


def _softmax(_layer: Layer, _side: int, precision: Arithmetic) -> Builtin:
    options = schema.SoftmaxOptionsT(beta=1.0)
    return _builtin(_CODES.SOFTMAX, precision, _OPTIONS.SoftmaxOptions, options)


def _pad(_layer: Layer, _side: int, precision: Arithmetic) -> Builtin:
    return _builtin(_CODES.PAD, precision, _OPTIONS.PadOptions, schema.PadOptionsT())


_CONVERSIONS = {"int8": QUANTIZE, "float32": DEQUANTIZE, "int16": QUANTIZE_WIDE}
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
    "convert": lambda _layer, _side, precision: _CONVERSIONS[precision],
}
