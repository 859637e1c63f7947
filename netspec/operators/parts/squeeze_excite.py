"""Squeeze-and-excitation, by itself and as a part of other operators."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from netspec.errors import InvalidSpec
from netspec.layers import LayerGraph, Value
from netspec.operators.base import Channels, OperatorBase

#: what makes factors between 0 and 1
Gate = Literal["hard_sigmoid", "sigmoid"]


def squeeze_and_excite(graph: LayerGraph, x: Value, channels: int, gate: Gate) -> Value:
    """Each channel of `x` times a factor that follows from the means of all channels.

    Its convolutions have biases and no BatchNorm. Source: Hu et al. (CVPR 2018); hard-sigmoid
    after MobileNetV3 (ICCV 2019), section 5.3.

    Args:
        graph: to add the layers to.
        x: an image.
        channels: between the two convolutions.
        gate: the second one's activation.
    """
    y = graph.global_average("squeeze", x)
    y = graph.conv("reduce", y, channels, activation="relu", normalised=False)
    y = graph.conv("excite", y, x.channels, activation=gate, normalised=False)
    return graph.multiply("scale", x, y)


class SqueezeExcite(OperatorBase):
    """Each channel times a factor that follows from the means of all channels.

    Source: Hu et al. (CVPR 2018).
    """

    key_fields: ClassVar = ("squeeze", "gate")

    kind: Literal["squeeze_excite"] = "squeeze_excite"
    squeeze: Channels
    gate: Gate = "hard_sigmoid"

    @model_validator(mode="after")
    def _channels_stay(self) -> Self:
        if self.in_channels != self.out_channels:
            raise InvalidSpec(
                "squeeze-and-excitation keeps its channels, "
                f"got {self.in_channels} -> {self.out_channels}"
            )
        return self

    def build(self, graph: LayerGraph, x: Value) -> Value:
        """Pool, reduce, excite, multiply."""
        return squeeze_and_excite(graph, x, self.squeeze, self.gate)

    @property
    def label(self) -> str:
        """For instance `SE 32`."""
        return f"SE {self.squeeze}"
