"""Seeded parameters: models that are measured for their time need weights, not training."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netspec.errors import UnknownLayer
from netspec.layers import (
    INPUT,
    ActivationRange,
    Float32Array,
    FusedActivation,
    Layer,
    LayerKind,
    LayerWeights,
    Parameters,
    layer_name,
    walk,
)
from netspec.operators import Operator, Place
from netspec.quantization import FIXED_RANGES

#: Weights are scaled so that every output before its activation has this standard
#: deviation, as a folded BatchNorm would: relu6 then saturates at 3 of them.
PRE_ACTIVATION_STD = 2.0
#: Linear outputs are taken to lie within so many standard deviations.
RANGE_STDS = 4.0
#: An image, scaled to [-1, 1] and uniform.
IMAGE_RANGE = ActivationRange(-1.0, 1.0)
IMAGE_MOMENT = 1 / 3
#: E[y^2] of y = activation(x), x normal with the standard deviation above.
MOMENTS: dict[FusedActivation | None, float] = {None: 4.0, "relu": 2.0, "relu6": 1.990}
#: the same of activations that are layers of their own
OWN_MOMENTS: dict[LayerKind, float] = {
    "relu": MOMENTS["relu"],
    "relu6": MOMENTS["relu6"],
    "hard_swish": 1.770,
    "hard_sigmoid": 0.336,
    "sigmoid": 0.349,
    # of one class among many, were each as likely
    "softmax": 0.01,
}
#: kinds that are taken to leave moments and ranges as they are
_PASSING: tuple[LayerKind, ...] = (
    "mean",
    "global_average",
    "global_max",
    "average_pool",
    "max_pool",
    "pad",
    "shuffle",
    "convert",
)
#: least value of hard-swish, at -1.5
_LEAST_SWISH = -0.375
_BIAS_LIMIT = 0.1


def seeded_parameters(operators: Sequence[Operator], seed: int = 0) -> Parameters:
    """Weights, biases and plausible activation ranges for a chain of operators.

    Weights are uniform. Each layer has its own stream, drawn from the raw bits of PCG64 (which
    numpy keeps stable between versions) under the seed, the layer's name and its shape; so a
    change to one operator leaves the streams of the others alone. Ranges follow from the
    variance that these weights give.
    """
    weights: dict[str, LayerWeights] = {}
    held = _chain_input(operators[0].place) if operators else _IMAGE
    ranges = {INPUT: held.range}
    for index, operator in enumerate(operators):

        def follow(layer: Layer, inputs: Sequence[_Values], index: int = index) -> _Values:
            name = layer_name(index, layer)
            if layer.has_weights:
                weights[name] = _weights(layer, name, seed, inputs[0].moment)
            output = _output(layer, inputs)
            ranges[name] = output.range
            return output

        held = walk(operator.layers, held, follow)
    return Parameters(weights, ranges)


@dataclass(frozen=True)
class _Values:
    """What is known of the values between two layers."""

    #: E[x^2]
    moment: float
    range: ActivationRange


_IMAGE = _Values(IMAGE_MOMENT, IMAGE_RANGE)


def _chain_input(place: Place) -> _Values:
    """The chain's input: an image, else what is usual before an operator of that place."""
    if place == "stem":
        return _IMAGE
    activation: FusedActivation | None = "relu6" if place == "classifier" else None
    return _Values(MOMENTS[activation], _range(activation))


def _output(layer: Layer, inputs: Sequence[_Values]) -> _Values:
    """What a layer gives, were all its inputs independent.

    Raises:
        UnknownLayer: nothing is known of its kind.
    """
    first = inputs[0]
    match layer.kind:
        case "conv" | "depthwise" | "dense":
            return _Values(MOMENTS[layer.activation], _range(layer.activation))
        case "add":
            moment = sum(one.moment for one in inputs)
            low, high = (sum(ends) for ends in zip(*map(_ends, inputs), strict=True))
            return _within(moment, _fused(layer, low), _fused(layer, high))
        case "multiply":
            corners = [a * b for a in _ends(first) for b in _ends(inputs[1])]
            return _within(first.moment * inputs[1].moment, min(corners), max(corners))
        case "hard_swish":
            held = ActivationRange(_LEAST_SWISH, max(0.0, first.range.high))
            return _Values(OWN_MOMENTS["hard_swish"], held)
        case "hard_sigmoid" | "sigmoid" | "softmax" | "relu" | "relu6":
            held = FIXED_RANGES.get(layer.kind, first.range)
            return _Values(OWN_MOMENTS[layer.kind], held)
    if layer.kind in _PASSING:
        return first
    raise UnknownLayer("the maker of seeded weights", layer.kind, layer.name)


def _ends(values: _Values) -> tuple[float, float]:
    return values.range.low, values.range.high


def _fused(layer: Layer, value: float) -> float:
    if layer.activation is None:
        return value
    return max(0.0, min(value, 6.0) if layer.activation == "relu6" else value)


def _within(moment: float, low: float, high: float) -> _Values:
    """Values within that range, and within so many standard deviations."""
    reach = RANGE_STDS * float(np.sqrt(moment))
    return _Values(moment, ActivationRange(max(low, -reach), min(high, reach)))


def _range(activation: FusedActivation | None) -> ActivationRange:
    reach = RANGE_STDS * PRE_ACTIVATION_STD
    if activation == "relu6":
        return ActivationRange(0.0, 6.0)
    return ActivationRange(0.0 if activation == "relu" else -reach, reach)


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
