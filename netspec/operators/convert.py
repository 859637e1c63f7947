"""The change of precision."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from netspec.errors import InvalidSpec
from netspec.layers import LayerGraph, Value
from netspec.operators.base import OperatorBase, Place


class Convert(OperatorBase):
    """A change of precision between two operators: quantize to int8, or dequantize to float32.

    `precision` is that of the output; the input has the other one. What it costs to keep a
    block in another precision than its neighbours is so part of the table.
    """

    place: ClassVar[Place] = "conversion"

    kind: Literal["convert"] = "convert"

    @model_validator(mode="after")
    def _channels_stay(self) -> Self:
        if self.in_channels != self.out_channels:
            raise InvalidSpec(
                f"a conversion keeps its channels, got {self.in_channels} -> {self.out_channels}"
            )
        return self

    def build(self, graph: LayerGraph, x: Value) -> Value:
        """One conversion."""
        return graph.convert("convert", x)

    @property
    def label(self) -> str:
        """What it converts to."""
        return f"to {self.precision}"
