"""The fused block of EfficientNetV2, MobileDet and MobileNetV4."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from netspec.layers import Activation, LayerGraph, Value
from netspec.operators.base import (
    Channels,
    Kernel,
    StridedOperator,
    require_residual_shapes,
)


class FusedBottleneck(StridedOperator):
    """An inverted bottleneck that expands by a whole convolution: kxk to the middle, project 1x1.

    Source: MobileDets (CVPR 2021), section 3.1; EfficientNetV2 (ICML 2021), figure 2.
    """

    key_fields: ClassVar = ("kernel", "middle", "stride", "residual", "activation")

    kind: Literal["fused"] = "fused"
    kernel: Kernel = 3
    middle: Channels
    residual: bool = False
    activation: Activation = "relu"

    @model_validator(mode="after")
    def _residual_needs_equal_shapes(self) -> Self:
        if self.residual:
            require_residual_shapes(self)
        return self

    def build(self, graph: LayerGraph, x: Value) -> Value:
        """Expand and filter at once, project, add."""
        y = graph.conv("expand", x, self.middle, self.kernel, self.stride, self.activation)
        y = graph.conv("project", y, self.out_channels)
        return graph.add("add", y, x) if self.residual else y

    @property
    def label(self) -> str:
        """For instance `Fused4 3x3`."""
        return f"Fused{self.expansion:.3g} {self.kernel}x{self.kernel}"
