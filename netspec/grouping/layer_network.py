"""A network as a graph of layers that know the sides of their images."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from netspec.errors import InvalidSpec
from netspec.layers import INPUT, Layer
from netspec.operators import Precision


@dataclass(frozen=True)
class PlacedLayer:
    """A layer with the side of its first input, px, and the precision of its output."""

    layer: Layer
    #: 1 where it reads numbers
    side: int
    precision: Precision

    @property
    def output_side(self) -> int:
        """Side of its output, px; 1 where it gives numbers."""
        return self.layer.output_side(self.side)

    @property
    def shape(self) -> tuple[int, int]:
        """Side (px) and channels of its output."""
        return self.output_side, self.layer.out_channels


@dataclass(frozen=True)
class LayerNetwork:
    """Layers in order of execution, from one image.

    Unlike an operator's they have sides, may branch anywhere, and may be of two precisions.

    Raises:
        InvalidSpec: two layers of one name, a layer that reads what none before it gives, or
            another shape than is given; an output that no layer gives.
    """

    name: str
    #: side (px) and channels of the input
    input_shape: tuple[int, int]
    layers: tuple[PlacedLayer, ...]
    #: names of the layers that give what the network gives
    outputs: tuple[str, ...]
    #: what moves no values and is not priced, such as reshapes to the same numbers
    views: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shapes = {INPUT: self.input_shape}
        for placed in self.layers:
            layer = placed.layer
            if layer.name in shapes:
                raise InvalidSpec(f"two layers are called {layer.name!r}; rename one")
            if unknown := [name for name in layer.inputs if name not in shapes]:
                raise InvalidSpec(
                    f"layer {layer.name} reads {unknown[0]!r}, which no layer before it gives: a "
                    "network of layers has no circles; put the layers in order of execution"
                )
            given = shapes[layer.inputs[0]]
            if given != (placed.side, layer.in_channels):
                raise InvalidSpec(
                    f"layer {layer.name} takes {placed.side} px x {layer.in_channels}, but "
                    f"{layer.inputs[0]} gives {given[0]} px x {given[1]}"
                )
            shapes[layer.name] = placed.shape
        if unknown := [name for name in self.outputs if name not in shapes]:
            raise InvalidSpec(f"{unknown[0]!r} is an output, but no layer; name a layer")

    @cached_property
    def positions(self) -> dict[str, int]:
        """Index of each layer by name."""
        return {placed.layer.name: index for index, placed in enumerate(self.layers)}

    @cached_property
    def readers(self) -> Counter[str]:
        """How often layers read each layer, or the input; the network's outputs once more."""
        return Counter(
            [*(name for placed in self.layers for name in placed.layer.inputs), *self.outputs]
        )
