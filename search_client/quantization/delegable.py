"""Ranges within what XNNPACK takes over in int8, for as little as it costs.

XNNPACK leaves a sum or product to the runtime, and refuses a whole file for a convolution, where
the scales of inputs and output are too far apart: a branch that hardly says anything, large gains
into a narrow range, a layer that is always 0. A sum whose own range is far too narrow even ends
the process. Wherever that is so a range is widened, which makes its step coarser:

- of a sum, an input's step becomes at least 2^-10 of the output's, so that rounding it moves the
  sum by less than 2^-10 of a step; and the output's at least 2^-8 of an input's;
- of a convolution, classifier or product, the output's becomes at least 2^-8 of what a code of one
  input times a code of the other, or of a weight, is worth.

A step that is 2^-8 of the smallest change that can enter is still fine enough for all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch

from netspec.layers import INPUT, ActivationRange, Layer, LayerKind, layer_name, walk
from netspec.quantization import (
    GATE_RANGE,
    INT8_MAX,
    INT8_MIN,
    LEAST_ADDED,
    RATIO_BELOW,
    Affine,
    affine_of,
    has_own_range,
    parameter_scales,
)
from search_client.quantization.layer import QuantizedLayer
from search_client.quantization.network import QuantizedNetwork, QuantizedOperator
from search_client.quantization.ranges import FakeQuantizedActivation

#: a widened range moves the limits of what reads it; each pass mends what the one before moved
_PASSES = 20
#: scales of the sums that are parts of other layers: relu6(x + 3)
_SUMS: dict[LayerKind, float] = dict.fromkeys(
    ("hard_sigmoid", "hard_swish"), affine_of(ActivationRange(0.0, 6.0)).scale
)
#: of a scale, so that rounding to float32 does not undo it
_MARGIN = 1.001


@dataclass(frozen=True)
class _Flowing:
    """What leaves a layer, and what gives its range; None where that is fixed."""

    name: str
    affine: Affine
    range: FakeQuantizedActivation | None


@torch.no_grad()
def keep_delegable(network: QuantizedNetwork) -> tuple[str, ...]:
    """Widen ranges that were observed until XNNPACK takes over what depends on them.

    Returns:
        names of the layers whose ranges were widened.

    Raises:
        NotFinite: a range was never observed, or is no number.
    """
    widened: dict[str, None] = {}
    for _ in range(_PASSES):
        found = _pass(network)
        if not found:
            break
        widened |= dict.fromkeys(found)
    return tuple(widened)


def _pass(network: QuantizedNetwork) -> list[str]:
    """Widen what is too narrow now; the names of its layers."""
    widened: list[str] = []
    flowing = None
    if network.input is not None:
        flowing = _Flowing(INPUT, affine_of(network.input.range), None)
    for index, operator in enumerate(network.operators):
        held = cast("QuantizedOperator", operator)

        def visit(
            layer: Layer,
            sources: list[_Flowing | None],
            index: int = index,
            held: QuantizedOperator = held,
        ) -> _Flowing | None:
            module = cast("QuantizedLayer", held.layers[layer.name])
            if not module.int8:
                return None
            if module.output is None:
                return sources[0]
            inputs = [source for source in sources if source is not None]
            return _after(layer_name(index, layer), module, module.output, inputs, widened)

        flowing = walk(held.graph, flowing, visit)
    return widened


def _after(
    name: str,
    module: QuantizedLayer,
    own: FakeQuantizedActivation,
    inputs: list[_Flowing],
    widened: list[str],
) -> _Flowing:
    """What leaves a layer whose inputs are of int8, all within its limits."""
    kind = module.layer.kind
    entering = inputs[0].affine if inputs else None
    affine = affine_of(module.output_range(entering))
    fixed = not has_own_range(module.layer)
    if inputs and not fixed and kind in RATIO_BELOW:
        worth = _worth(module, entering, [one.affine.scale for one in inputs])
        if max(worth) >= RATIO_BELOW[kind] * affine.scale:
            _widen(own, max(worth) / RATIO_BELOW[kind])
            widened.append(name)
            affine = affine_of(module.output_range(entering))
    for source in inputs:
        least = LEAST_ADDED * (affine.scale if kind == "add" else _SUMS.get(kind, 0.0))
        if source.affine.scale < least and source.range is not None:
            _widen(source.range, least)
            widened.append(source.name)
    return _Flowing(name, affine, None if fixed else own)


def _worth(module: QuantizedLayer, entering: Affine | None, scales: list[float]) -> list[float]:
    """What the codes of inputs, or their products, are worth."""
    layer = module.layer
    if layer.has_weights:
        given = module.weights(entering)
        of_weights = parameter_scales(given, layer.channel_axis, scales[0])
        return [scales[0] * float(of_weights.max())]
    if layer.kind == "hard_swish":
        return [scales[0] * affine_of(GATE_RANGE).scale]
    return [math.prod(scales)] if layer.kind == "multiply" else scales


def _widen(held: FakeQuantizedActivation, scale: float) -> None:
    """Have a range give that scale; 0 stays where it is in it."""
    low, high = held.observed().low, held.observed().high
    width, wanted = high - low, _MARGIN * scale * (INT8_MAX - INT8_MIN)
    factor = wanted / width if width > 0 else 0.0
    held.low.fill_(low * factor)
    held.high.fill_(high * factor if factor else wanted)
