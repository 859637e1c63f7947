"""What an operator's latency follows from: work, memory traffic and shape, as logarithms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import get_args

import numpy as np

from netspec.costs import VALUE_BYTES
from netspec.errors import UnknownLayer
from netspec.layers import LayerKind, sized
from netspec.operators import Operator
from profiler_server.latency_model.design import Array, OperatorPrice, Priced

#: kinds whose output takes the place of their first input: it moves no values
_IN_PLACE: frozenset[LayerKind] = frozenset(
    ("add", "multiply", "relu", "relu6", "hard_swish", "hard_sigmoid", "sigmoid", "softmax")
)
#: kinds whose layers are counted; these are all
_KINDS: tuple[LayerKind, ...] = get_args(LayerKind)
#: names of the columns of `features`
COLUMNS = (
    "log pointwise MACs",
    "log depthwise MACs",
    "log bytes of weights",
    "log bytes of activations",
    "log values of layers in place",
    "log widest channels",
    "log output side",
    "stride 2",
    "log kernel",
    "kernel 7 and beyond",
    *(f"{kind} layers" for kind in _KINDS),
)
#: operators whose features are kept: a model is fitted again and again to parts of one table
_KEPT = 4096
#: kernels from here on leave the fast paths of common runtimes
LARGE_KERNEL = 7


@dataclass(frozen=True)
class Work:
    """What one run of an operator does."""

    #: multiply-accumulates of all but depthwise convolutions
    pointwise_macs: int
    #: of the depthwise convolution
    depthwise_macs: int
    weights: int
    #: values read and written, intermediate ones too
    activations: int
    #: values that layers in place go through, sums left out
    in_place: int

    @property
    def macs(self) -> int:
        """All multiply-accumulates."""
        return self.pointwise_macs + self.depthwise_macs


@lru_cache(_KEPT)
def work(operator: Operator) -> Work:
    """The operator's work, counted layer by layer; biases are left out.

    Raises:
        UnknownLayer: a layer is of a kind that nobody has counted.
    """
    pointwise = depthwise = weights = activations = in_place = 0
    for layer, before, after in sized(operator.layers, operator.input_size):
        if layer.kind not in _KINDS:
            raise UnknownLayer("the latency model", layer.kind, layer.name)
        parameters = math.prod(layer.weight_shape) if layer.has_weights else 0
        weights += parameters
        if layer.kind == "depthwise":
            depthwise += after**2 * parameters
        else:
            pointwise += after**2 * parameters
        if layer.kind == "add":
            activations += after**2 * layer.out_channels
        elif layer.kind in _IN_PLACE:
            in_place += after**2 * layer.out_channels
        else:
            activations += before**2 * layer.in_channels + after**2 * layer.out_channels
    return Work(pointwise, depthwise, weights, activations, in_place)


def weight_bytes(operator: Operator) -> int:
    """Weights that a run reads, in bytes; biases are left out."""
    return work(operator).weights * VALUE_BYTES[operator.precision]


def operator_price(operator: Operator, price: Priced) -> OperatorPrice:
    """An operator's entry with what a calibration goes by."""
    return OperatorPrice(
        price.value_ms,
        price.relative_error,
        operator.family,
        weight_bytes(operator),
        operator.output_size,
    )


def features(operators: Sequence[Operator]) -> Array:
    """One row an operator, see `COLUMNS`."""
    return np.array([_row(operator) for operator in operators], dtype=np.float64)


@lru_cache(_KEPT)
def _row(operator: Operator) -> tuple[float, ...]:
    does, layers = work(operator), operator.layers
    kinds = [layer.kind for layer in layers]
    kernel = operator.largest_kernel
    return (
        math.log1p(does.pointwise_macs),
        math.log1p(does.depthwise_macs),
        math.log1p(weight_bytes(operator)),
        math.log1p(does.activations * VALUE_BYTES[operator.precision]),
        math.log1p(does.in_place),
        math.log(max(layer.out_channels for layer in layers)),
        math.log(operator.output_size),
        float(operator.total_stride > 1),
        math.log(kernel),
        float(kernel >= LARGE_KERNEL),
        *(float(kinds.count(kind)) for kind in _KINDS),
    )
