"""Channels dealt out anew, by itself."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from netspec.errors import InvalidSpec
from netspec.layers import LayerGraph, Value
from netspec.operators.base import OperatorBase


class ChannelShuffle(OperatorBase):
    """The first channel of each group, then the second of each, and so on.

    Source: ShuffleNet (CVPR 2018), section 3.1.
    """

    key_fields: ClassVar = ("groups",)
    title: ClassVar[str] = "Channel shuffle"

    kind: Literal["shuffle"] = "shuffle"
    groups: Annotated[int, Field(ge=2, le=16384)]

    @model_validator(mode="after")
    def _channels_stay(self) -> Self:
        if self.in_channels != self.out_channels:
            raise InvalidSpec(
                f"a shuffle keeps its channels, got {self.in_channels} -> {self.out_channels}"
            )
        if self.in_channels % self.groups:
            raise InvalidSpec(
                f"groups must divide the channels, got {self.groups} of {self.in_channels}"
            )
        return self

    def build(self, graph: LayerGraph, x: Value) -> Value:
        """One layer."""
        return graph.shuffle("shuffle", x, self.groups)

    @property
    def label(self) -> str:
        """For instance `Shuffle 2`."""
        return f"Shuffle {self.groups}"
