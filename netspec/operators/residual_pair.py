"""The basic block of ResNet."""

from __future__ import annotations

from typing import ClassVar, Literal

from netspec.layers import Activation, LayerGraph, Value
from netspec.operators.base import Channels, Kernel, StridedOperator


class ResidualPair(StridedOperator):
    """Two convolutions kxk around which the input is added, then an activation.

    Where the shapes differ, a 1x1 convolution brings the input to the output's.
    Source: He et al. (CVPR 2016), section 3.3, option B.
    """

    key_fields: ClassVar = ("kernel", "middle", "stride", "activation")

    kind: Literal["residual_pair"] = "residual_pair"
    kernel: Kernel = 3
    middle: Channels
    activation: Activation = "relu"

    def build(self, graph: LayerGraph, x: Value) -> Value:
        """Convolve twice, add, activate."""
        y = graph.conv("first", x, self.middle, self.kernel, self.stride, self.activation)
        y = graph.conv("second", y, self.out_channels, self.kernel)
        if self.stride > 1 or self.in_channels != self.out_channels:
            x = graph.conv("shortcut", x, self.out_channels, stride=self.stride)
        return graph.add("add", y, x, self.activation)

    @property
    def label(self) -> str:
        """For instance `Pair 3x3`."""
        return f"Pair {self.kernel}x{self.kernel}"
