"""The block of MobileNetV2 and of the ProxylessNAS space."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from netspec.layers import Activation, LayerGraph, Value
from netspec.operators.base import Kernel, StridedOperator, require_residual_shapes


class MBConv(StridedOperator):
    """A mobile inverted bottleneck (MobileNetV2): expand 1x1, depthwise kxk, project 1x1.

    With `expand` 1 there is no expansion convolution. `residual` adds the input
    to the output.
    """

    key_fields: ClassVar = ("kernel", "expand", "stride", "residual", "activation")
    title: ClassVar[str] = "MBConv"

    kind: Literal["mbconv"] = "mbconv"
    kernel: Kernel = 3
    expand: Annotated[int, Field(ge=1, le=16, description="ratio of middle to input channels")]
    residual: bool = False
    activation: Activation = "relu6"

    @model_validator(mode="after")
    def _residual_needs_equal_shapes(self) -> Self:
        if self.residual:
            require_residual_shapes(self)
        return self

    @property
    def middle_channels(self) -> int:
        """Channels of the depthwise convolution."""
        return self.in_channels * self.expand

    def build(self, graph: LayerGraph, x: Value) -> Value:
        """Expand, filter, project, add."""
        y = x
        if self.expand > 1:
            y = graph.conv("expand", y, self.middle_channels, activation=self.activation)
        y = graph.depthwise("depthwise", y, self.kernel, self.stride, self.activation)
        y = graph.conv("project", y, self.out_channels)
        return graph.add("add", y, x) if self.residual else y

    @property
    def label(self) -> str:
        """As the papers' figures name it, for instance `MB6 5x5`."""
        return f"MB{self.expand} {self.kernel}x{self.kernel}"
