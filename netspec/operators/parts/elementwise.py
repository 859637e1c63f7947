"""What is done to each value of an image by itself."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from netspec.errors import InvalidSpec
from netspec.layers import LayerGraph, Value
from netspec.operators.base import OperatorBase

Applied = Literal[
    "add", "multiply", "relu", "relu6", "hard_swish", "hard_sigmoid", "sigmoid", "softmax"
]


class Elementwise(OperatorBase):
    """An addition, product or activation by itself, or softmax over the channels.

    Of two images an operator has only one: `add` and `multiply` read it twice, which moves as many
    values as a sum with a constant, or a product with a factor for each channel.
    """

    key_fields: ClassVar = ("applied",)

    kind: Literal["elementwise"] = "elementwise"
    applied: Applied

    @model_validator(mode="after")
    def _channels_stay(self) -> Self:
        if self.in_channels != self.out_channels:
            raise InvalidSpec(
                f"{self.applied} keeps its channels, got {self.in_channels} -> {self.out_channels}"
            )
        return self

    def build(self, graph: LayerGraph, x: Value) -> Value:
        """One layer."""
        match self.applied:
            case "add":
                return graph.add("add", x, x)
            case "multiply":
                return graph.multiply("multiply", x, x)
            case "softmax":
                return graph.softmax("softmax", x)
            case activation:
                return graph.activate(activation, x, activation)

    @property
    def label(self) -> str:
        """For instance `Hard swish`."""
        return self.applied.replace("_", " ").capitalize()
