"""The classifier."""

from __future__ import annotations

from typing import ClassVar, Literal

from netspec.layers import LayerGraph, Value
from netspec.operators.base import OperatorBase, Place


class Classifier(OperatorBase):
    """Global average pooling and the fully connected layer; `out_channels` are the classes."""

    place: ClassVar[Place] = "classifier"

    kind: Literal["classifier"] = "classifier"

    @property
    def output_size(self) -> int:
        """Side of the output in px: pooled to one."""
        return 1

    def build(self, graph: LayerGraph, x: Value) -> Value:
        """Pool, then classify."""
        return graph.dense("dense", graph.mean("pool", x), self.out_channels)

    @property
    def label(self) -> str:
        """As the papers' figures name it."""
        return "Pool FC"
