"""What the encoder refuses, before it writes anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from netspec.errors import EncodingError
from netspec.layers import INPUT, ActivationRange, Layer, LayerWeights, Parameters
from netspec.operators import Convert, Operator

#: flatbuffers' offsets are 32 bits, signed: less than 2 GiB, bytes
_LARGEST_FILE = 2**31


def check_chain(operators: Sequence[Operator]) -> None:
    """Refuse what is no chain: shapes that differ, or a precision that changes by itself.

    Raises:
        EncodingError: naming the first two operators that do not fit.
    """
    if not operators:
        raise EncodingError("there is nothing to encode; expected at least one operator")
    for before, after in pairwise(operators):
        converts = isinstance(after, Convert)
        if (before.precision != after.precision) != converts:
            raise EncodingError(
                f"{after.key} follows {before.key}: the operators of one file need one precision, "
                "or a conversion wherever it changes; choose it with `with_precision`"
            )
        if (before.output_size, before.out_channels) != (after.input_size, after.in_channels):
            raise EncodingError(
                f"{after.key} does not follow {before.key}: the shapes differ; "
                "build the chain as a `netspec.networks.Network`"
            )


def check_size(operators: Sequence[Operator]) -> None:
    """Refuse what no file holds, before weights are made for it.

    Raises:
        EncodingError: the weights take 2 GiB or more.
    """
    held = sum(
        math.prod(layer.weight_shape) * (1 if operator.precision == "int8" else 4)
        for operator in operators
        for layer in operator.layers
        if layer.has_weights
    )
    if held >= _LARGEST_FILE:
        raise EncodingError(
            f"the chain that starts with {operators[0].key} has {held / 2**30:.1f} GiB of "
            "weights; a .tflite file holds less than 2: use fewer channels"
        )


def checked_weights(name: str, layer: Layer, parameters: Parameters) -> LayerWeights:
    """The layer's weight and bias.

    Raises:
        EncodingError: they are missing, of a wrong shape or type, or not finite.
    """
    given = parameters.weights.get(name)
    if given is None:
        raise EncodingError(
            f"layer {name} has no weights; expected a weight of shape {layer.weight_shape} and "
            "a bias: name the parameters as `netspec.layers.layer_name` does"
        )
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
    return given


def checked_range(name: str, parameters: Parameters) -> ActivationRange:
    """The range of a layer's output, or of the chain's input.

    Raises:
        EncodingError: it is missing, or no two finite numbers in order.
    """
    held = parameters.ranges.get(name)
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
    return held
