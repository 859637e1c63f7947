"""The head."""

from __future__ import annotations

from typing import ClassVar, Literal

from netspec.layers import Activation, LayerGraph, Value
from netspec.operators.base import OperatorBase, Place


class HeadConv(OperatorBase):
    """The last convolution: 1x1, BatchNorm folded, activation."""

    key_fields: ClassVar = ("activation",)
    place: ClassVar[Place] = "head"

    kind: Literal["head"] = "head"
    activation: Activation = "relu6"

    def build(self, graph: LayerGraph, x: Value) -> Value:
        """One convolution."""
        return graph.conv("conv", x, self.out_channels, activation=self.activation)

    @property
    def label(self) -> str:
        """As the papers' figures name it."""
        return "Conv 1x1"
