"""The head: the last convolution, and the one that mixes pooled features."""

from __future__ import annotations

from typing import ClassVar, Literal

from netspec.layers import Activation, LayerGraph, Value
from netspec.operators.base import OperatorBase, Place


class HeadConv(OperatorBase):
    """The last convolution: 1x1, BatchNorm folded, activation."""

    key_fields: ClassVar = ("activation",)
    place: ClassVar[Place] = "head"

    kind: Literal["head"] = "head"
    activation: Activation = "relu6"

    def build(self, graph: LayerGraph, x: Value) -> Value:
        """One convolution."""
        return graph.conv("conv", x, self.out_channels, activation=self.activation)

    @property
    def label(self) -> str:
        """As the papers' figures name it."""
        return "Conv 1x1"


class FeatureMix(OperatorBase):
    """A 1x1 convolution with a bias and without BatchNorm, which mixes pooled features.

    Source: MobileNetV3 (ICCV 2019), figure 5; Once-for-all's feature mix layer, whose bias is 0.
    """

    key_fields: ClassVar = ("activation",)
    place: ClassVar[Place] = "head"

    kind: Literal["feature_mix"] = "feature_mix"
    activation: Activation = "hard_swish"

    def build(self, graph: LayerGraph, x: Value) -> Value:
        """One convolution."""
        activation = self.activation
        return graph.conv("conv", x, self.out_channels, activation=activation, normalised=False)

    @property
    def label(self) -> str:
        """As `Conv 1x1`, of pooled features."""
        return "Mix 1x1"
