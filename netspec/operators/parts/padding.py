"""Zeros around an image, where no convolution takes them in."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from netspec.errors import InvalidSpec
from netspec.layers import LayerGraph, Value
from netspec.operators.base import OperatorBase

Zeros = Annotated[int, Field(ge=0, le=64, description="px")]


class Padding(OperatorBase):
    """Zeros before and after both axes of an image."""

    key_fields: ClassVar = ("before", "after")

    kind: Literal["padding"] = "padding"
    before: Zeros
    after: Zeros

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.in_channels != self.out_channels:
            raise InvalidSpec(
                f"padding keeps its channels, got {self.in_channels} -> {self.out_channels}"
            )
        if not self.before and not self.after:
            raise InvalidSpec("padding by no zeros is none; give `before` or `after`")
        return self

    @property
    def output_size(self) -> int:
        """Side of the output in px."""
        return self.input_size + self.before + self.after

    def build(self, graph: LayerGraph, x: Value) -> Value:
        """One layer."""
        return graph.pad("pad", x, self.before, self.after)

    @property
    def label(self) -> str:
        """For instance `Pad 0+1`."""
        return f"Pad {self.before}+{self.after}"
