"""The block of MobileNetV3, MnasNet and the Once-for-all space."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from netspec.errors import InvalidSpec
from netspec.layers import Activation, LayerGraph, Value
from netspec.operators.base import (
    Channels,
    Kernel,
    StridedOperator,
    require_residual_shapes,
)
from netspec.operators.parts.squeeze_excite import Gate, squeeze_and_excite


class Bottleneck(StridedOperator):
    """An inverted bottleneck of any middle width: expand 1x1, depthwise kxk, squeeze, project 1x1.

    Where the middle is as wide as the input there is no expansion convolution. `squeeze` are the
    channels of squeeze-and-excitation behind the depthwise convolution, 0 without.
    Source: MobileNetV3 (ICCV 2019), figure 4; MnasNet (CVPR 2019), figure 7.
    """

    key_fields: ClassVar = (
        "kernel",
        "middle",
        "squeeze",
        "gate",
        "stride",
        "residual",
        "activation",
    )

    kind: Literal["bottleneck"] = "bottleneck"
    kernel: Kernel = 3
    middle: Channels
    squeeze: Annotated[int, Field(ge=0, le=16384)] = 0
    gate: Gate = "hard_sigmoid"
    residual: bool = False
    activation: Activation = "hard_swish"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.residual:
            require_residual_shapes(self)
        if not self.squeeze and self.gate != "hard_sigmoid":
            raise InvalidSpec(
                f"there is no gate without squeeze-and-excitation, got {self.gate}; leave it out"
            )
        return self

    def build(self, graph: LayerGraph, x: Value) -> Value:
        """Expand, filter, squeeze, project, add."""
        y = x
        if self.middle != self.in_channels:
            y = graph.conv("expand", y, self.middle, activation=self.activation)
        y = graph.depthwise("depthwise", y, self.kernel, self.stride, self.activation)
        if self.squeeze:
            y = squeeze_and_excite(graph, y, self.squeeze, self.gate)
        y = graph.conv("project", y, self.out_channels)
        return graph.add("add", y, x) if self.residual else y

    @property
    def label(self) -> str:
        """As the papers' figures name it, for instance `MB3 5x5 SE`."""
        squeezed = " SE" if self.squeeze else ""
        return f"MB{self.expansion:.3g} {self.kernel}x{self.kernel}{squeezed}"
