"""A convolution by itself."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from netspec.errors import InvalidSpec
from netspec.layers import Activation, LayerGraph, Value
from netspec.operators.base import Kernel, StridedOperator


class Conv(StridedOperator):
    """A convolution, whole or in groups, with BatchNorm folded and an activation.

    With as many groups as channels it is a depthwise convolution.
    """

    key_fields: ClassVar = ("kernel", "groups", "stride", "activation")

    kind: Literal["conv"] = "conv"
    kernel: Kernel = 3
    groups: Annotated[int, Field(ge=1, le=16384)] = 1
    activation: Activation = "relu"

    @model_validator(mode="after")
    def _groups_divide_channels(self) -> Self:
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise InvalidSpec(
                f"groups must divide input and output channels, got {self.groups} groups of "
                f"{self.in_channels} -> {self.out_channels}"
            )
        return self

    def build(self, graph: LayerGraph, x: Value) -> Value:
        """One convolution."""
        kernel, stride, activation = self.kernel, self.stride, self.activation
        if 1 < self.groups == self.in_channels == self.out_channels:
            return graph.depthwise("conv", x, kernel, stride, activation)
        return graph.conv(
            "conv", x, self.out_channels, kernel, stride, activation, groups=self.groups
        )
