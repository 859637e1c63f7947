"""The block of FBNet whose 1x1 convolutions are in groups."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from netspec.errors import InvalidSpec
from netspec.layers import Activation, LayerGraph, Value
from netspec.operators.base import Channels, Kernel, StridedOperator, require_residual_shapes


class GroupedBottleneck(StridedOperator):
    """An inverted bottleneck in groups: expand 1x1, shuffle, depthwise kxk, project 1x1.

    Both 1x1 convolutions are in groups, and the first one is there whatever the middle's width:
    without it there would be nothing to shuffle. Source: FBNet (CVPR 2019), figure 3; the `mid`
    shuffle of `IRFBlock` in its released code.
    """

    key_fields: ClassVar = ("kernel", "middle", "groups", "stride", "residual", "activation")

    kind: Literal["grouped"] = "grouped"
    kernel: Kernel = 3
    middle: Channels
    groups: Annotated[int, Field(ge=2, le=16384)]
    residual: bool = False
    activation: Activation = "relu"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.residual:
            require_residual_shapes(self)
        channels = (self.in_channels, self.middle, self.out_channels)
        if any(count % self.groups for count in channels):
            raise InvalidSpec(
                f"groups must divide all channels, got {self.groups} groups of "
                f"{' -> '.join(map(str, channels))}"
            )
        return self

    def build(self, graph: LayerGraph, x: Value) -> Value:
        """Expand, shuffle, filter, project, add."""
        groups, activation = self.groups, self.activation
        y = graph.conv("expand", x, self.middle, activation=activation, groups=groups)
        y = graph.shuffle("shuffle", y, groups)
        y = graph.depthwise("depthwise", y, self.kernel, self.stride, activation)
        y = graph.conv("project", y, self.out_channels, groups=groups)
        return graph.add("add", y, x) if self.residual else y

    @property
    def label(self) -> str:
        """As the paper's figures name it, for instance `MB1 3x3 G2`."""
        return f"MB{self.expansion:.3g} {self.kernel}x{self.kernel} G{self.groups}"
