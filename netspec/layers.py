"""What an operator is made of: the one decomposition that every room builds from.

The encoder writes these layers, torch modules train them, fake quantization
places its ranges after them. So what is priced is what is trained and deployed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from netspec.operators import (
    Activation,
    Classifier,
    Convert,
    HeadConv,
    MBConv,
    Operator,
    StemConv,
)

LayerKind = Literal["conv", "depthwise", "mean", "dense", "add", "convert"]
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """One layer; the input is the previous layer's output (`add`: also the operator's input)."""

    name: str
    kind: LayerKind
    in_channels: int
    out_channels: int
    #: side of the kernel in px; 1 where there is none
    kernel: int = 1
    stride: int = 1
    #: fused activation, None for a linear output
    activation: Activation | None = None

    @property
    def has_weights(self) -> bool:
        """Whether the layer carries a weight and a bias."""
        return self.kind in ("conv", "depthwise", "dense")

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape in the `.tflite` layout: conv OHWI, depthwise 1HWO, dense OI; else empty."""
        if self.kind == "conv":
            return (self.out_channels, self.kernel, self.kernel, self.in_channels)
        if self.kind == "depthwise":
            return (1, self.kernel, self.kernel, self.out_channels)
        return (self.out_channels, self.in_channels) if self.kind == "dense" else ()

    @property
    def channel_axis(self) -> int:
        """Axis of the output channels in the weight, along which int8 scales vary."""
        return 3 if self.kind == "depthwise" else 0


@dataclass(frozen=True)
class LayerWeights:
    """Weights of one layer with BatchNorm folded in."""

    #: float32, in `Layer.weight_shape`
    weight: Float32Array
    #: float32, [out_channels]
    bias: Float32Array


@dataclass(frozen=True)
class ActivationRange:
    """Least and greatest real value that an int8 tensor represents; 0 lies within."""

    low: float
    high: float


@dataclass(frozen=True)
class Parameters:
    """All numbers that turn a chain of operators into a model.

    Names are `layer_name(operator index, layer)`; the range of the chain's input is `INPUT`.
    """

    weights: Mapping[str, LayerWeights]
    #: empty for float32
    ranges: Mapping[str, ActivationRange]


#: name under which `Parameters.ranges` holds the range of the chain's input
INPUT = "input"


def layer_name(operator_index: int, layer: Layer) -> str:
    """The layer's name within a chain of operators, for instance `3.depthwise`."""
    return f"{operator_index}.{layer.name}"


def layers_of(operator: Operator) -> tuple[Layer, ...]:
    """The operator's layers in order of execution."""
    cin, cout = operator.in_channels, operator.out_channels
    match operator:
        case StemConv(kernel=kernel, stride=stride, activation=activation):
            return (Layer("conv", "conv", cin, cout, kernel, stride, activation),)
        case HeadConv(activation=activation):
            return (Layer("conv", "conv", cin, cout, activation=activation),)
        case Classifier():
            return (Layer("pool", "mean", cin, cin), Layer("dense", "dense", cin, cout))
        case Convert():
            return (Layer("convert", "convert", cin, cout),)
        case MBConv(kernel=kernel, stride=stride, activation=activation):
            middle = operator.middle_channels
            layers = [
                Layer("expand", "conv", cin, middle, activation=activation),
                Layer("depthwise", "depthwise", middle, middle, kernel, stride, activation),
                Layer("project", "conv", middle, cout),
                Layer("add", "add", cout, cout),
            ]
            return tuple(layers[int(operator.expand == 1) : 3 + int(operator.residual)])


def named_layers(
    operators: Sequence[Operator],
) -> tuple[tuple[str, Layer], ...]:
    """Every layer of a chain with its name, in order of execution."""
    return tuple(
        (layer_name(index, layer), layer)
        for index, operator in enumerate(operators)
        for layer in layers_of(operator)
    )


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros (px) before and after one axis under SAME padding.

    The odd one goes after, as in TensorFlow; torch's symmetric padding differs
    at stride 2 on even sizes.
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
