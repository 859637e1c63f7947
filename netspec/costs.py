"""What an operator costs on any machine: multiplications and bytes, counted layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from netspec.layers import sized
from netspec.operators import Operator, Precision, named_layers

#: bytes of a weight or of an activation
VALUE_BYTES = MappingProxyType[Precision, int]({"float32": 4, "int8": 1})
#: operators whose footprint is kept: a search asks again and again for those of one space
_KEPT = 4096


@dataclass(frozen=True)
class Footprint:
    """What a chain of operators holds in memory, in bytes."""

    #: all weights; biases are left out
    weight_bytes: int
    #: of the layer whose input and output together are largest
    map_bytes: int


def footprint(operators: Iterable[Operator]) -> Footprint:
    """What a network of these operators holds in memory."""
    parts = [_footprint(operator) for operator in operators]
    return Footprint(
        weight_bytes=sum(part.weight_bytes for part in parts),
        map_bytes=max((part.map_bytes for part in parts), default=0),
    )


@lru_cache(_KEPT)
def _footprint(operator: Operator) -> Footprint:
    layers = sized(operator.layers, operator.input_size)
    weights = sum(math.prod(layer.weight_shape) for layer, _, _ in layers if layer.has_weights)
    maps = (
        before**2 * layer.in_channels + after**2 * layer.out_channels
        for layer, before, after in layers
    )
    value_bytes = VALUE_BYTES[operator.precision]
    return Footprint(weights * value_bytes, max(maps) * value_bytes)


def macs(operator: Operator) -> int:
    """Multiply-accumulates of the convolutions and dense layers, for one image."""
    return sum(
        side**2 * math.prod(layer.weight_shape)
        for layer, _, side in sized(operator.layers, operator.input_size)
        if layer.has_weights
    )


def parameters(operators: Iterable[Operator]) -> int:
    """Weights and biases, as a deployed file holds them."""
    return sum(
        math.prod(layer.weight_shape) + layer.out_channels
        for _, layer in named_layers(tuple(operators))
        if layer.has_weights
    )
