"""When two graphs of layers are the same for whoever times them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from netspec.grouping.layer_network import PlacedLayer
from netspec.grouping.zeros import taking_zeros_in
from netspec.layers import INPUT, sized
from netspec.operators import OperatorBase

#: kinds whose inputs may change places
_COMMUTATIVE = ("add", "multiply")


@dataclass(frozen=True)
class Form:
    """A graph without its names: equal for graphs that compute the same, whatever their order."""

    output: Hashable
    #: of distinct layers: what is computed twice is no value that is read twice
    layers: int


def form_of_operator(operator: OperatorBase) -> Form:
    """The form of an operator's layers."""
    placed = [
        PlacedLayer(layer, side, operator.precision)
        for layer, side, _ in sized(operator.layers, operator.input_size)
    ]
    return form_of(taking_zeros_in(placed, {placed[-1].layer.name}), INPUT)


def form_of(placed: Sequence[PlacedLayer], entry: str) -> Form:
    """The form of layers that read one value from without.

    Args:
        placed: in order of execution; the last one gives the output.
        entry: name of that value.
    """
    forms: dict[str, Hashable] = {entry: INPUT}
    for one in placed:
        sources = [forms[name] for name in one.layer.inputs]
        if one.layer.kind in _COMMUTATIVE:
            sources.sort(key=repr)
        forms[one.layer.name] = (*_traits(one), *sources)
    return Form(forms[placed[-1].layer.name], len(placed))


def _traits(placed: PlacedLayer) -> tuple[Any, ...]:
    """What the time of a layer depends on.

    The runtime pools alike to an image of one pixel and to numbers, and a dense layer is a 1x1
    convolution of one pixel.
    """
    layer = placed.layer
    kind = {"mean": "global_average", "dense": "conv"}.get(layer.kind, layer.kind)
    if kind == "conv" and 1 < layer.groups == layer.in_channels == layer.out_channels:
        kind = "depthwise"
    groups = 1 if kind == "depthwise" else layer.groups
    whole = kind in ("global_average", "global_max")
    return (
        kind,
        placed.side,
        placed.output_side,
        layer.in_channels,
        layer.out_channels,
        1 if whole else layer.kernel,
        1 if whole else layer.stride,
        groups,
        layer.activation,
        layer.padding if kind == "pad" else None,
        placed.precision,
    )
