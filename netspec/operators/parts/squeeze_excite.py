"""Squeeze-and-excitation by itself."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from netspec.errors import InvalidSpec
from netspec.layers import LayerGraph, Value
from netspec.operators.base import Channels, OperatorBase
from netspec.operators.squeeze import Gate, squeeze_and_excite


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
