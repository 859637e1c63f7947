"""Pooling over windows and over the whole image."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from netspec.errors import InvalidSpec
from netspec.layers import LayerGraph, Value
from netspec.operators.base import OperatorBase, StridedOperator

Pooled = Literal["average", "max"]


def _require_channels_stay(operator: OperatorBase) -> None:
    if operator.in_channels != operator.out_channels:
        raise InvalidSpec(
            f"pooling keeps its channels, got {operator.in_channels} -> {operator.out_channels}"
        )


class Pool(StridedOperator):
    """The mean or the greatest value of each window; what lies outside the image never counts."""

    key_fields: ClassVar = ("pooled", "kernel", "stride")

    kind: Literal["pool"] = "pool"
    pooled: Pooled = "average"
    kernel: Annotated[int, Field(ge=2, le=11)] = 2

    @model_validator(mode="after")
    def _channels_stay(self) -> Self:
        _require_channels_stay(self)
        return self

    def build(self, graph: LayerGraph, x: Value) -> Value:
        """One pooling."""
        pool = graph.average_pool if self.pooled == "average" else graph.max_pool
        return pool("pool", x, self.kernel, self.stride)


class GlobalPool(OperatorBase):
    """The mean or the greatest value of the whole image, as an image of 1x1 px."""

    key_fields: ClassVar = ("pooled",)

    kind: Literal["global_pool"] = "global_pool"
    pooled: Pooled = "average"

    @model_validator(mode="after")
    def _channels_stay(self) -> Self:
        _require_channels_stay(self)
        return self

    @property
    def output_size(self) -> int:
        """Side of the output in px: pooled to one."""
        return 1

    def build(self, graph: LayerGraph, x: Value) -> Value:
        """One pooling."""
        pool = graph.global_average if self.pooled == "average" else graph.global_max
        return pool("pool", x)

    @property
    def label(self) -> str:
        """For instance `Global average`."""
        return f"Global {self.pooled}"
