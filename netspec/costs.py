"""What an operator costs on any machine: multiplications and weights, counted layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterable

from netspec.layers import sized
from netspec.operators import Operator, named_layers


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
