"""The block of MobileNetV4."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from netspec.errors import InvalidSpec
from netspec.layers import Activation, LayerGraph, Value
from netspec.operators.base import Channels, StridedOperator, require_residual_shapes

#: 0: there is no such convolution
OptionalKernel = Literal[0, 3, 5, 7]


class UniversalBottleneck(StridedOperator):
    """A universal inverted bottleneck: two optional depthwise convolutions around an expansion.

    `start` filters before the expansion, without activation; `filter` between expansion and
    projection. With `filter` alone it is an inverted bottleneck, with `start` alone ConvNext's
    block, with both the extra depthwise one, with neither a feed-forward network. The last
    depthwise convolution has the stride.
    Source: MobileNetV4 (ECCV 2024), section 4.
    """

    key_fields: ClassVar = ("start", "filter", "middle", "stride", "residual", "activation")

    kind: Literal["universal"] = "universal"
    start: OptionalKernel = 0
    filter: OptionalKernel = 3
    middle: Channels
    residual: bool = False
    activation: Activation = "relu"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.residual:
            require_residual_shapes(self)
        if self.stride > 1 and not (self.start or self.filter):
            raise InvalidSpec(
                f"without a depthwise convolution the stride must be 1, got {self.stride}; "
                "give `start` or `filter` a kernel"
            )
        return self

    def build(self, graph: LayerGraph, x: Value) -> Value:
        """Filter, expand, filter, project, add."""
        y = x
        if self.start:
            y = graph.depthwise("start", y, self.start, 1 if self.filter else self.stride)
        y = graph.conv("expand", y, self.middle, activation=self.activation)
        if self.filter:
            y = graph.depthwise("filter", y, self.filter, self.stride, self.activation)
        y = graph.conv("project", y, self.out_channels)
        return graph.add("add", y, x) if self.residual else y

    @property
    def label(self) -> str:
        """Kernels of both convolutions, for instance `UIB4 5+3` or `UIB4 -`."""
        kernels = "+".join(str(kernel or "-") for kernel in (self.start, self.filter))
        return f"UIB{self.expansion:.3g} {kernels}"
