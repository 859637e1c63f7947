"""The stem."""

from __future__ import annotations

from typing import ClassVar, Literal

from netspec.layers import Activation, LayerGraph, Value
from netspec.operators.base import Kernel, Place, StridedOperator


class StemConv(StridedOperator):
    """The first convolution: kxk, stride, BatchNorm folded, activation."""

    key_fields: ClassVar = ("kernel", "stride", "activation")
    place: ClassVar[Place] = "stem"

    kind: Literal["stem"] = "stem"
    kernel: Kernel = 3
    activation: Activation = "relu6"

    def build(self, graph: LayerGraph, x: Value) -> Value:
        """One convolution."""
        return graph.conv("conv", x, self.out_channels, self.kernel, self.stride, self.activation)

    @property
    def label(self) -> str:
        """As the papers' figures name it, for instance `Conv 3x3`."""
        return f"Conv {self.kernel}x{self.kernel}"
