"""What an operator costs on any machine: multiplications and weights, counted layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterable

from netspec.layers import layers_of
from netspec.operators import Operator


def macs(operator: Operator) -> int:
    """Multiply-accumulates of the convolutions and dense layers, for one image."""
    total, size = 0, operator.input_size
    for layer in layers_of(operator):
        size = 1 if layer.kind == "mean" else -(-size // layer.stride)
        if layer.has_weights:
            total += size * size * math.prod(layer.weight_shape)
    return total


def parameters(operators: Iterable[Operator]) -> int:
    """Weights and biases, as a deployed file holds them."""
    layers = (layer for operator in operators for layer in layers_of(operator))
    return sum(
        math.prod(layer.weight_shape) + layer.out_channels for layer in layers if layer.has_weights
    )
