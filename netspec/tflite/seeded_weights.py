"""Seeded parameters: models that are measured for their time need weights, not training."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from netspec.layers import (
    INPUT,
    ActivationRange,
    Float32Array,
    Layer,
    LayerWeights,
    Parameters,
    layer_name,
    layers_of,
)
from netspec.operators import Activation, Operator, StemConv

#: Weights are scaled so that every output before its activation has this standard
#: deviation, as a folded BatchNorm would: relu6 then saturates at 3 of them.
PRE_ACTIVATION_STD = 2.0
#: Linear outputs are taken to lie within so many standard deviations.
RANGE_STDS = 4.0
#: An image, scaled to [-1, 1] and uniform.
IMAGE_RANGE = ActivationRange(-1.0, 1.0)
IMAGE_MOMENT = 1 / 3
#: E[y^2] of y = activation(x), x normal with the standard deviation above.
MOMENTS: dict[Activation | None, float] = {None: 4.0, "relu": 2.0, "relu6": 1.990}
_BIAS_LIMIT = 0.1


def seeded_parameters(operators: Sequence[Operator], seed: int = 0) -> Parameters:
    """Weights, biases and plausible activation ranges for a chain of operators.

    Weights are uniform. Each layer has its own stream, drawn from the raw bits of PCG64 (which
    numpy keeps stable between versions) under the seed, the layer's name and its shape; so a
    change to one operator leaves the streams of the others alone. Ranges follow from the
    variance that these weights give.
    """
    moment, held = _chain_input(operators[0]) if operators else (IMAGE_MOMENT, IMAGE_RANGE)
    weights: dict[str, LayerWeights] = {}
    ranges = {INPUT: held}
    for index, operator in enumerate(operators):
        entering, entering_range = moment, held
        for layer in layers_of(operator):
            name = layer_name(index, layer)
            if layer.has_weights:
                weights[name] = _weights(layer, name, seed, moment)
                moment = MOMENTS[layer.activation]
                held = _range(layer.activation)
            elif layer.kind == "add":
                moment += entering
                held = _sum_range(held, entering_range, RANGE_STDS * float(np.sqrt(moment)))
            ranges[name] = held
    return Parameters(weights, ranges)


def _chain_input(first: Operator) -> tuple[float, ActivationRange]:
    """Second moment and range of the chain's input: of an image, else of what is usual there."""
    if isinstance(first, StemConv):
        return IMAGE_MOMENT, IMAGE_RANGE
    activation: Activation | None = "relu6" if first.kind == "classifier" else None
    return MOMENTS[activation], _range(activation)


def _range(activation: Activation | None) -> ActivationRange:
    reach = RANGE_STDS * PRE_ACTIVATION_STD
    if activation == "relu6":
        return ActivationRange(0.0, 6.0)
    return ActivationRange(0.0 if activation == "relu" else -reach, reach)


def _sum_range(a: ActivationRange, b: ActivationRange, reach: float) -> ActivationRange:
    return ActivationRange(max(a.low + b.low, -reach), min(a.high + b.high, reach))


def _weights(layer: Layer, name: str, seed: int, input_moment: float) -> LayerWeights:
    shape = layer.weight_shape
    text = f"{seed}/{name}/{'x'.join(map(str, shape))}"
    stream = np.random.PCG64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little"))
    count = int(np.prod(shape))
    fan_in = count // layer.out_channels
    # A uniform variable on [-limit, limit] has the variance limit^2 / 3.
    limit = PRE_ACTIVATION_STD * np.sqrt(3 / (fan_in * input_moment))
    numbers = _uniform(stream, count + layer.out_channels)
    weight, bias = numbers[:count].reshape(shape), numbers[count:]
    weight *= np.float32(limit)
    bias *= np.float32(_BIAS_LIMIT)
    return LayerWeights(weight, bias)


def _uniform(stream: np.random.PCG64, count: int) -> Float32Array:
    """float32 in [-1, 1) from 24 bits each, [count]."""
    raw = np.asarray(stream.random_raw(-(-count // 2)), dtype="<u8").view("<u4")[:count]
    # In place: fresh pages cost more than the arithmetic.
    raw >>= 8
    units = raw.astype(np.float32)
    units *= np.float32(2**-23)
    units -= np.float32(1)
    return units
